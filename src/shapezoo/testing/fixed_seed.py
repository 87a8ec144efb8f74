"""The same random numbers at every run."""

import contextlib
from collections.abc import Iterator

import torch


def seed() -> None:
    """Begin the random numbers of the CPU anew; `torch.manual_seed` would do so on every device."""
    torch.default_generator.manual_seed(0)


@contextlib.contextmanager
def seeded() -> Iterator[None]:
    """Begin the random numbers anew inside a ``with`` block, and put them back after it."""
    state = torch.default_generator.get_state()
    seed()
    try:
        yield
    finally:
        torch.default_generator.set_state(state)
