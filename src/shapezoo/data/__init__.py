"""Datasets as typed batches."""

from shapezoo.data.handwriting import digits, read_digit
from shapezoo.data.images import ImageBatch, ImageDataset, ImageError, Split

__all__ = ["ImageBatch", "ImageDataset", "ImageError", "Split", "digits", "read_digit"]
