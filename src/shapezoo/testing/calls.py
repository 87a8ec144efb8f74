"""Calls that can be made, shown and changed."""

import copy
import dataclasses
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from shapezoo._modules import as_written
from shapezoo.contracts import Signature
from shapezoo.contracts.messages.describing import describe
from shapezoo.testing.finding import Place, places, replaced

MOST_SHOWN = 16
"""How many numbers of a tensor are shown."""


@dataclass(frozen=True, eq=False, repr=False)
class Call:
    """What is called, and with what. Calling it does it.

    Attributes:
        function: A module, a class or a function.
        args: The positional arguments.
        kwargs: The keywords.
        sizes: The size of each axis that the contract leaves open, and of each argument of a
            constructor that was drawn. Axes without a name, and those of ``*name``, have made up
            names.
        contract: The contract, with numbers for parts in braces.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    sizes: dict[str, int]
    contract: Signature

    def __call__(self) -> Any:
        """The result. What is given are copies, so that the call can be made again."""
        args, kwargs = copy.deepcopy((self.args, self.kwargs))
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        owner = self.function
        if isinstance(owner, nn.Module):
            owner = type(as_written(owner))
        shown = (f"{key}={_shown(value)}" for key, value in self.arguments.items())
        return f"{owner.__name__}({', '.join(shown)})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """How hypothesis prints it."""
        printer.text(repr(self))

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments by name; those of ``*args`` are a tuple, those of ``**kwargs`` a dict."""
        return self._bound().arguments

    @property
    def places(self) -> list[Place]:
        """The places of tensors in the arguments, in the order in which they are checked."""
        given = self.arguments
        kinds = {argument.name: argument.collected for argument in self.contract.inputs}
        found = (places(kinds[name], value, name, (name,)) for name, value in given.items())
        return [place for some in found for place in some]

    def replaced(self, changes: Iterable[tuple[Place, Any]]) -> "Call":
        """The same call with other values in some places.

        Raises:
            ShapeError: A record refuses them when it is made.
        """
        bound = self._bound()
        changed = replaced(bound.arguments, {place.keys: value for place, value in changes})
        bound.arguments.update(changed)
        return dataclasses.replace(self, args=bound.args, kwargs=bound.kwargs)

    def results(self, result: Any) -> list[Place]:
        """The places of tensors in a result of this call."""
        return list(places(self.contract.output, result, "return"))

    def _bound(self) -> inspect.BoundArguments:
        function = self.function
        if isinstance(function, nn.Module):
            function = function_of(function).__get__(function)
        return inspect.signature(function).bind(*self.args, **self.kwargs)


def function_of(target: Callable[..., Any]) -> Callable[..., Any]:
    """The function whose annotations are the contract: a forward, or what makes a dataclass."""
    if isinstance(target, nn.Module):
        return type(as_written(target)).forward
    if isinstance(target, type):
        function: Callable[..., Any] = inspect.getattr_static(target, "__init__")
        return function
    return target


def owner_of(function: object) -> object:
    """The object whose ``self`` a function gets: a module, or what a method is bound to."""
    if isinstance(function, nn.Module):
        return as_written(function)
    return getattr(function, "__self__", None)


def _shown(value: object) -> str:
    """A value in a few words; the numbers of short tensors that are not floating-point."""
    if not isinstance(value, Tensor) or value.is_floating_point() or value.is_meta:
        return describe(value)
    if value.numel() > MOST_SHOWN:
        return describe(value)
    return f"{describe(value)} {value.tolist()}"
