"""Models without values, built once, for what is asked of all of them."""

import functools
import gc

from shapezoo import Module, create_model
from shapezoo.registry import without_values


@functools.cache
def shell(name: str) -> Module:
    """A model on the meta device; nobody changes it."""
    with without_values():
        return create_model(name)


def unfilled(name: str) -> Module:
    """A model whose weights are what was in memory; to draw those of a giant takes long."""
    gc.collect()  # errors that were caught hold the models before this
    with without_values():
        model = create_model(name)
    return model.to_empty(device="cpu")


def by_class(names: list[str]) -> dict[type[Module], list[str]]:
    """The models of each class, those of few parameters first."""
    found: dict[type[Module], list[str]] = {}
    for name in sorted(names, key=_size):
        found.setdefault(type(shell(name)), []).append(name)
    return found


def _size(name: str) -> int:
    return sum(parameter.numel() for parameter in shell(name).parameters())
