"""The loop over epochs, its checkpoints, and what listens to it."""
