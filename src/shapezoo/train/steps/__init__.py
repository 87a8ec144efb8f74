"""Training steps and evaluation as pure functions."""
