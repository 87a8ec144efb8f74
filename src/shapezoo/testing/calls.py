"""Calls that can be made, shown and changed."""

import copy
import dataclasses
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from shapezoo._modules import uncompiled
from shapezoo.contracts import Signature
from shapezoo.contracts.messages.describing import describe
from shapezoo.testing.places import Place, places, replaced

MOST_SHOWN = 16
"""The largest number of elements for which the numbers in a tensor are shown."""


@dataclass(frozen=True, eq=False, repr=False)
class Call:
    """A function and its arguments. Calling it makes the call.

    Attributes:
        function: A module, a class or a function.
        args: The positional arguments.
        kwargs: The keyword arguments.
        sizes: The size of each axis that the contract leaves open, and of each argument of a
            constructor that was drawn. Axes without a name, and those of ``*name``, have generated
            names.
        contract: The contract, with numbers for the parts in braces.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    sizes: dict[str, int]
    contract: Signature

    def __call__(self) -> Any:
        """Make the call with copies of the arguments, so that it can be repeated."""
        args, kwargs = copy.deepcopy((self.args, self.kwargs))
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        owner = self.function
        if isinstance(owner, nn.Module):
            owner = type(uncompiled(owner))
        shown = (f"{key}={_shown(value)}" for key, value in self.arguments.items())
        return f"{owner.__name__}({', '.join(shown)})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Print the call; hypothesis uses this method of IPython."""
        printer.text(repr(self))

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments by name; those of ``*args`` are a tuple, those of ``**kwargs`` a dict."""
        return self._bound().arguments

    @property
    def places(self) -> list[Place]:
        """The tensors in the arguments and where they are, in the order of their checks."""
        types = {argument.name: argument.collected for argument in self.contract.inputs}
        return [
            place
            for name, value in self.arguments.items()
            for place in places(types[name], value, name, (name,))
        ]

    def replaced(self, changes: Iterable[tuple[Place, Any]]) -> "Call":
        """Return the same call with other values in some places.

        Raises:
            ShapeError: A checked dataclass does not accept its new values.
        """
        bound = self._bound()
        changed = replaced(bound.arguments, {place.keys: value for place, value in changes})
        bound.arguments.update(changed)
        return dataclasses.replace(self, args=bound.args, kwargs=bound.kwargs)

    def results(self, result: Any) -> list[Place]:
        """Return the tensors in a result of this call, and where they are."""
        return list(places(self.contract.output, result, "return"))

    def _bound(self) -> inspect.BoundArguments:
        function = self.function
        if isinstance(function, nn.Module):
            function = function_of(function).__get__(function)
        return inspect.signature(function).bind(*self.args, **self.kwargs)


def function_of(target: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function with the annotations: a forward, or the ``__init__`` of a dataclass."""
    if isinstance(target, nn.Module):
        return type(uncompiled(target)).forward
    if isinstance(target, type):
        function: Callable[..., Any] = inspect.getattr_static(target, "__init__")
        return function
    return target


def owner_of(function: object) -> object:
    """Return the ``self`` of a function: a module, or the object that a method is bound to."""
    if isinstance(function, nn.Module):
        return uncompiled(function)
    return getattr(function, "__self__", None)


def _shown(value: object) -> str:
    """Describe a value in a few words, with the numbers of short integer and boolean tensors."""
    if not isinstance(value, Tensor) or value.numel() > MOST_SHOWN:
        return describe(value)
    is_exact = not (value.is_floating_point() or value.is_meta)
    return f"{describe(value)} {value.tolist()}" if is_exact else describe(value)
