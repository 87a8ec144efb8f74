"""The same random numbers in every run."""

import contextlib
from collections.abc import Iterator

import torch


def seed() -> None:
    """Seed torch's generator on the CPU; `torch.manual_seed` would seed those of all devices."""
    torch.default_generator.manual_seed(0)


@contextlib.contextmanager
def seeded() -> Iterator[None]:
    """Seed torch's generator on the CPU for a ``with`` block, and restore its state afterwards."""
    with torch.random.fork_rng(devices=[]):
        seed()
        yield
