"""Models without values, built once, for what is asked of all of them."""

import functools

from shapezoo import Module, create_model
from shapezoo.registry import without_values


@functools.cache
def shell(name: str) -> Module:
    """A model on the meta device; nobody changes it."""
    with without_values():
        return create_model(name)


def by_class(names: list[str]) -> dict[type[Module], list[str]]:
    """The models of each class, those of few parameters first."""
    found: dict[type[Module], list[str]] = {}
    for name in sorted(names, key=_size):
        found.setdefault(type(shell(name)), []).append(name)
    return found


def _size(name: str) -> int:
    return sum(parameter.numel() for parameter in shell(name).parameters())
