"""Rows of the collection: a name, how to build the network, the sizes it is made for."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from public.wrappers import Wrapper

USUAL = {
    "batch": 2,
    "height": 64,
    "width": 64,
    "depth": 32,
    "seq": 16,
    "target_seq": 8,
    "frames": 32,
    "samples": 4000,
}
"""Sizes that networks take, where nothing else is said."""


class Package:
    """A package that is imported when something of it is asked for.

    Args:
        name: The name of the package, or of a module in it.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(import_module(self._name), attribute)


@dataclass(frozen=True)
class Network:
    """A public network behind a contract.

    Attributes:
        name: The package and the name there.
        build: Builds it.
        usual: Sizes that it takes.
    """

    name: str
    build: Callable[[], Wrapper]
    usual: dict[str, int]


class Table:
    """The networks of a package.

    Args:
        package: The name of the package.
        **usual: Sizes that all of them take, where these are not `USUAL`.
    """

    def __init__(self, package: str, **usual: int) -> None:
        self.package = package
        self.usual = usual
        self.networks: list[Network] = []

    def add(self, name: str, build: Callable[[], Wrapper], **usual: int) -> None:
        """Add a network, with sizes that it takes where these are not those of the table."""
        sizes = {**USUAL, **self.usual, **usual}
        self.networks.append(Network(f"{self.package}/{name}", build, sizes))
