"""Datasets that return typed batches."""

from shapezoo._datasets import Selectable
from shapezoo._seeding import seeded_example
from shapezoo.data.collating import TensorBatch
from shapezoo.data.downloads import (
    CIFAR10_CLASSES,
    FASHION_MNIST_CLASSES,
    cifar10,
    fashion_mnist,
    mnist,
)
from shapezoo.data.handwriting import digits, read_digit
from shapezoo.data.images import ImageBatch, ImageDataset, ImageError, read_picture
from shapezoo.data.loading import loader
from shapezoo.data.memory import InMemory, Split
from shapezoo.data.packaged import DatasetError
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
from shapezoo.data.texts import TextDataset, decode_text, encode_text, text
from shapezoo.data.torch_datasets import TensorRows, as_dataset
from shapezoo.layers import SequenceError

__all__ = [
    "CIFAR10_CLASSES",
    "COUNTRIES",
    "FASHION_MNIST_CLASSES",
    "DatasetError",
    "ImageBatch",
    "ImageDataset",
    "ImageError",
    "InMemory",
    "NameBatch",
    "NameDataset",
    "PaddedSequences",
    "Selectable",
    "SequenceError",
    "SeriesBatch",
    "SeriesDataset",
    "Split",
    "TableBatch",
    "TableDataset",
    "TensorBatch",
    "TensorRows",
    "TextDataset",
    "TokenBatch",
    "as_dataset",
    "breast_cancer",
    "cifar10",
    "decode_text",
    "diabetes",
    "digits",
    "encode_names",
    "encode_text",
    "fashion_mnist",
    "loader",
    "mnist",
    "names",
    "pad_sequences",
    "read_digit",
    "read_picture",
    "restore_order",
    "seeded_example",
    "sort_by_length",
    "text",
    "weather",
]
