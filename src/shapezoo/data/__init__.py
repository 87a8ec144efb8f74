"""Datasets as typed batches."""

from shapezoo.data.downloads import DatasetError, mnist
from shapezoo.data.handwriting import digits, read_digit
from shapezoo.data.images import ImageBatch, ImageDataset, ImageError
from shapezoo.data.loading import loader
from shapezoo.data.memory import InMemory, Split
from shapezoo.data.sequences import (
    PaddedSequences,
    TokenBatch,
    pad_sequences,
    restore_order,
    sort_by_length,
)
from shapezoo.data.series import SeriesBatch, SeriesDataset, weather
from shapezoo.data.surnames import COUNTRIES, NameBatch, NameDataset, encode_names, names
from shapezoo.data.tables import TableBatch, TableDataset, breast_cancer, diabetes
from shapezoo.layers import SequenceError

__all__ = [
    "COUNTRIES",
    "DatasetError",
    "ImageBatch",
    "ImageDataset",
    "ImageError",
    "InMemory",
    "NameBatch",
    "NameDataset",
    "PaddedSequences",
    "SequenceError",
    "SeriesBatch",
    "SeriesDataset",
    "Split",
    "TableBatch",
    "TableDataset",
    "TokenBatch",
    "breast_cancer",
    "diabetes",
    "digits",
    "encode_names",
    "loader",
    "mnist",
    "names",
    "pad_sequences",
    "read_digit",
    "restore_order",
    "sort_by_length",
    "weather",
]
