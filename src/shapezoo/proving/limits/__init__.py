"""Readable conditions for the sizes that a model accepts."""
