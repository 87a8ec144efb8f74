"""Shape rules of Python functions, those of PyTorch and builtins."""
