"""What PyTorch does to shapes and values when the sizes are symbols.

PyTorch's fake kernels ask too much of sizes (every question splits a proof in two) and check too
little (a real kernel raises where they do not). The rules here answer instead, or add the check.
"""
