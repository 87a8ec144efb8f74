"""Networks with a name, a function that builds them, and the sizes they are designed for."""

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
"""Default sizes of the inputs."""


class Package:
    """A package that is imported at the first access to an attribute.

    Args:
        name: The name of the package, or of a module in it.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(import_module(self._name), attribute)


@dataclass(frozen=True)
class Network:
    """A public network with a contract.

    Attributes:
        name: Name of the package, and of the network in it.
        build: Function that builds the network.
        usual: Sizes that the network is designed for.
    """

    name: str
    build: Callable[[], Wrapper]
    usual: dict[str, int]


class Table:
    """The networks of a package.

    Args:
        package: The name of the package.
        **usual: Sizes for all networks of the package, where they differ from `USUAL`.
    """

    def __init__(self, package: str, **usual: int) -> None:
        self.package = package
        self.usual = usual
        self.networks: list[Network] = []

    def add(self, name: str, build: Callable[[], Wrapper], **usual: int) -> None:
        """Add a network, with its sizes where they differ from those of the table."""
        sizes = {**USUAL, **self.usual, **usual}
        self.networks.append(Network(f"{self.package}/{name}", build, sizes))
