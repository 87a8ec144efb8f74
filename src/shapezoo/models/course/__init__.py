"""Models of an introductory PyTorch course, from linear regression to a name classifier."""
