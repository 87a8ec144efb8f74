"""Seed the random numbers that a dataset draws, so that a training can be repeated and resumed.

Augmentation draws from the global generators of the process: torch's on the CPU, Python's `random`
and NumPy's legacy generator. Their states depend on everything drawn before: on the number of
workers, the examples that a worker selected earlier, and where a training was resumed. So `fit`
seeds them for every batch from the position of the batch in the training, and restores the caller's
states afterwards. Within a batch, `seeded_example` seeds them again from the index of the example,
which does not depend on how the examples are distributed over workers and processes.

Saving and restoring takes about 20 µs per batch. NumPy's state alone would take 65 µs to copy out
and in, so its bit generator is replaced by a spare one instead.
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
"""Values from which a seed is derived, such as ``(seed, "train", epoch)``."""

_stream: ContextVar[Key | None] = ContextVar("stream", default=None)
_spare_generators = list[np.random.MT19937]()  # making one takes 80 µs
_draws_nothing = set[object]()
# The generators are shared by all threads. Reentrant, as `seeded_example` runs in `seeded_batch`.
_lock = threading.RLock()


def _renew_lock() -> None:
    """Replace the lock in a forked worker, where it stays locked if another thread held it."""
    global _lock
    _lock = threading.RLock()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_renew_lock)


def draws_nothing(select: F) -> F:
    """Mark a ``select`` that draws no random numbers, which saves seeding the generators."""
    _draws_nothing.add(select)
    return select


def is_known_to_draw_nothing(select: Callable[..., object]) -> bool:
    """Whether this is a marked function, or a marked method that no subclass has overridden."""
    return getattr(select, "__func__", select) in _draws_nothing


@contextlib.contextmanager
def seeded_batch(stream: Key, *position: int) -> Iterator[None]:
    """Seed the global random generators for a batch, then restore their states.

    Args:
        stream: The sequence of batches: the seed of a training and the epoch, for example.
        *position: The position of the batch in the sequence.
    """
    token = _stream.set(stream)
    try:
        with _restored():
            _seed(*stream, "batch", *position)
            yield
    finally:
        _stream.reset(token)


@contextlib.contextmanager
def seeded_example(index: int) -> Iterator[None]:
    """Seed the global random generators for one example of a dataset, then restore their states.

    Use it in a ``select`` that augments examples randomly. Within `shapezoo.train.fit`, torch's
    generator on the CPU, Python's `random` and NumPy's legacy generator (``np.random.rand``) are
    seeded from the seed of the training, the epoch and the index. The example is then the same
    whichever worker or process selects it, however large the batch is, and after a resume. Outside
    of `fit`, nothing is seeded.

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
    with restored_after_examples():
        seed_example(index)
        yield


def seed_example(index: int) -> None:
    """Seed the generators for an example if a training is selecting it, without restoring them."""
    if (stream := _stream.get()) is not None:
        _seed(*stream, "example", index)


@contextlib.contextmanager
def restored_after_examples() -> Iterator[None]:
    """Restore the generators after a ``with`` block of `seed_example`, if a training runs."""
    with _restored() if _stream.get() is not None else contextlib.nullcontext():
        yield


@contextlib.contextmanager
def kept_normal() -> Iterator[None]:
    """Keep the second number of a pair of normal numbers, which NumPy's generator has stored.

    Replacing the bit generator discards it. Reading it is slow, so this is done once around a
    whole training.
    """
    before = np.random.get_state(legacy=False)
    try:
        yield
    finally:
        after = np.random.get_state(legacy=False)
        # unless something else, such as the model, has drawn numbers in the meantime
        if all(np.array_equal(part, after["state"][key]) for key, part in before["state"].items()):
            np.random.set_state(before)


@contextlib.contextmanager
def _restored() -> Iterator[None]:
    """Restore the states of the generators after a ``with`` block."""
    # np.random.get_bit_generator and set_bit_generator are documented, but missing from __all__
    with _lock:
        torch_state, python_state = torch.default_generator.get_state(), random.getstate()
        bit_generator = np.random.get_bit_generator()  # type: ignore[attr-defined]
        spare = _spare_generators.pop() if _spare_generators else np.random.MT19937()
        np.random.set_bit_generator(spare)  # type: ignore[attr-defined]
        try:
            yield
        finally:
            torch.default_generator.set_state(torch_state)
            random.setstate(python_state)
            np.random.set_bit_generator(bit_generator)  # type: ignore[attr-defined]
            _spare_generators.append(spare)


def _seed(*key: str | int) -> None:
    # a hash, so that keys that differ in one number give unrelated seeds
    digest = hashlib.blake2b(repr(key).encode(), digest_size=28).digest()
    torch.default_generator.manual_seed(int.from_bytes(digest[:8]))
    random.seed(int.from_bytes(digest[8:24]))
    np.random.seed(int.from_bytes(digest[24:]))
