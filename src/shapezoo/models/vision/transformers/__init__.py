"""Transformers on the patches of an image."""
