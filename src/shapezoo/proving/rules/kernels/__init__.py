"""Shape rules of ATen kernels."""
