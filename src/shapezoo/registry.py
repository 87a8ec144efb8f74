"""Model names and their builders, with what cannot be computed from the builder alone."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, ParamSpec, TypeVar

from shapezoo.contracts import Module

P = ParamSpec("P")
M = TypeVar("M", bound=Module)

Task = Literal[
    "image-classification",
    "tabular-classification",
    "tabular-regression",
    "text-classification",
    "token-classification",
    "sequence-encoding",
    "forecasting",
]
"""What a model is for."""


@dataclass(frozen=True)
class Entry:
    """A registered model.

    Attributes:
        name: The name of the model, which is that of its builder.
        builder: The function that builds it; all its arguments have defaults.
        task: What the model is for.
        paper: Where it was published.
    """

    name: str
    builder: Callable[..., Module]
    task: Task
    paper: str


_entries: dict[str, Entry] = {}


def register(*, task: Task, paper: str) -> Callable[[Callable[P, M]], Callable[P, M]]:
    """Put a builder into the zoo, under its own name.

    Args:
        task: What the model is for.
        paper: Where it was published: authors, title, where, year.

    Raises:
        ValueError: The name is taken.
    """

    def add(builder: Callable[P, M]) -> Callable[P, M]:
        name = builder.__name__
        if name in _entries:
            taken = _entries[name].builder
            raise ValueError(f"model {name!r} is registered already, by {taken.__module__}")
        _entries[name] = Entry(name, builder, task, paper)
        return builder

    return add


def entries() -> tuple[Entry, ...]:
    """Every registered model, by name."""
    return tuple(_entries[name] for name in sorted(_entries))
