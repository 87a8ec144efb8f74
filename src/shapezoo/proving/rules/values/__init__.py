"""What is known of the values in tensors, where sizes or indices depend on them."""
