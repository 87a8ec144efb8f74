"""Check on real kernels what the symbolic runs have shown."""
