"""Seeding what a dataset draws at random, so that a training can be repeated and resumed.

Augmentation draws from generators that belong to the process: torch's on the CPU, Python's `random`
and NumPy's legacy one. What they hold when an example is picked depends on everything that was
drawn before it: on the number of workers, on the examples that a worker picked earlier, on where a
training was resumed. So `fit` picks every batch under generators that are seeded from where the
batch stands in the training, and puts the caller's states back afterwards. Within a batch,
`seeded_example` seeds them again from the index of the example alone, which is the same however the
examples are shared out.

Saving and restoring costs about 20 µs a batch. NumPy's state takes 65 µs to copy out and in, so
its bit generator is exchanged for one of ours instead.
"""

import contextlib
import hashlib
import os
import random
import sys
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import TypeVar

import numpy as np
import torch

F = TypeVar("F", bound=Callable[..., object])

Key = tuple[str | int, ...]
"""What a seed is derived from, such as ``(seed, "train", epoch)``."""

_stream: ContextVar[Key | None] = ContextVar("stream", default=None)
_spare = list[np.random.MT19937]()  # making one takes 80 µs
_draws_nothing = set[object]()
_lock = threading.RLock()  # threads share the generators


def _renew_lock() -> None:
    """Let a forked worker pick examples, though a thread of its parent was doing so."""
    global _lock
    _lock = threading.RLock()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_renew_lock)


def draws_nothing(select: F) -> F:
    """Mark a ``select`` that draws no random numbers, so that no generator is seeded for it."""
    _draws_nothing.add(select)
    return select


def is_known_to_draw_nothing(select: Callable[..., object]) -> bool:
    """Whether this is a marked function, or a marked method that no subclass has overridden."""
    return getattr(select, "__func__", select) in _draws_nothing


@contextlib.contextmanager
def seeded_batch(stream: Key, *place: int) -> Iterator[None]:
    """Seed the generators of this process for a batch, then put their states back.

    Args:
        stream: Where the batch belongs: the seed of a training and the epoch, for example.
        *place: Which batch of the stream it is.
    """
    token = _stream.set(stream)
    try:
        with _kept():
            _seed(*stream, "batch", *place)
            yield
    finally:
        _stream.reset(token)


@contextlib.contextmanager
def seeded_example(index: int) -> Iterator[None]:
    """Seed the global random generators for one example of a dataset, then put their states back.

    For a ``select`` that augments examples at random. Within `shapezoo.train.fit`, torch's
    generator on the CPU, Python's `random` and NumPy's legacy generator (``np.random.rand``) are
    seeded from the seed of the training, the epoch and the index. The example is then the same
    whichever worker or process picks it and however large its part of the batch is, also after a
    resume. Outside of `fit` nothing is seeded.

    Args:
        index: The index of the example in its dataset.

    Example:
        ```pycon
        >>> import torch
        >>> from shapezoo.data import TensorBatch, seeded_example
        >>> class Noisy:
        ...     def __init__(self, features, labels):
        ...         self.features, self.labels = features, labels
        ...     def __len__(self):
        ...         return len(self.labels)
        ...     def select(self, indices):
        ...         rows = self.features[indices].clone()
        ...         for row, index in zip(rows, indices.tolist()):
        ...             with seeded_example(index):
        ...                 row += torch.randn_like(row)
        ...         return TensorBatch((rows,), self.labels[indices])

        ```
    """
    if _stream.get() is None:
        yield
        return
    with _kept():
        seed_example(index)
        yield


def seed_example(index: int) -> None:
    """Seed the generators for an example, where a training is picking one; restore nothing."""
    if (stream := _stream.get()) is not None:
        _seed(*stream, "example", index)


@contextlib.contextmanager
def kept_for_examples() -> Iterator[None]:
    """Undo what `seed_example` does in the block; without a training leave all as it is."""
    with _kept() if _stream.get() is not None else contextlib.nullcontext():
        yield


@contextlib.contextmanager
def kept_normal() -> Iterator[None]:
    """Keep the normal number that NumPy has in store, as it draws them in pairs.

    Exchanging the bit generator discards it. It takes long to look at, so this belongs around a
    whole training.
    """
    before = np.random.get_state(legacy=False)
    try:
        yield
    finally:
        after = np.random.get_state(legacy=False)
        parts = [(part, after["state"][name]) for name, part in before["state"].items()]
        if all(np.array_equal(*pair) for pair in parts):  # nobody else has drawn since
            np.random.set_state(before)


@contextlib.contextmanager
def _kept() -> Iterator[None]:
    """Put the states of the generators back afterwards."""
    with _lock:
        of_torch, of_python = torch.default_generator.get_state(), random.getstate()
        of_numpy = np.random.get_bit_generator()  # type: ignore[attr-defined]  # public, but not in __all__
        ours = _spare.pop() if _spare else np.random.MT19937()
        np.random.set_bit_generator(ours)  # type: ignore[attr-defined]
        try:
            yield
        finally:
            torch.default_generator.set_state(of_torch)
            random.setstate(of_python)
            np.random.set_bit_generator(of_numpy)  # type: ignore[attr-defined]
            _spare.append(ours)


def _seed(*key: str | int) -> None:
    digest = hashlib.blake2b(repr(key).encode(), digest_size=28).digest()
    torch.default_generator.manual_seed(int.from_bytes(digest[:8]))
    random.seed(int.from_bytes(digest[8:24]))
    np.random.seed(int.from_bytes(digest[24:]))
