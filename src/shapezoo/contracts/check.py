"""Enforcing a contract: the one door through which every checked call goes."""

import contextlib
import dataclasses
import functools
import inspect
import types
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple, ParamSpec, TypeVar, overload

from torch.compiler import is_dynamo_compiling
from torch.fx import Proxy

from shapezoo.contracts.bindings import Bindings, current, frame, visible
from shapezoo.contracts.errors import ContractError, ShapeError, UnresolvedError
from shapezoo.contracts.explain import explain, public_name
from shapezoo.contracts.fixes import suggest
from shapezoo.contracts.matching import MismatchError, check_value
from shapezoo.contracts.reading import function_signature, result_axes, values_in
from shapezoo.contracts.signatures import Signature
from shapezoo.contracts.switch import CHECKS, is_off

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

_wrappers: weakref.WeakSet[Callable[..., Any]] = weakref.WeakSet()


@overload
def checked(function: type[T]) -> type[T]: ...
@overload
def checked(function: Callable[P, R]) -> Callable[P, R]: ...
def checked(function: Any) -> Any:
    """Enforce the annotations of a function, of a module's ``forward``, or of a dataclass.

    The arguments are checked before the body runs, the result after it; a dataclass when it is
    made. Calls that `torch.compile` traces are not checked yet, and those of `torch.fx` cannot
    be: its proxies have no shape.

    Args:
        function: A function whose arguments and result are all annotated, or a dataclass.
            Axes may be numbers, names, ``name=expression``, ``*name`` and ``...``; parts in
            braces, such as ``{self.in_channels}``, are read from the arguments at each call.

    Returns:
        The function, checked. A checked function is returned as it is.

    Raises:
        ContractError: An annotation is missing or cannot be used, or this is no function.

    Example:
        ```pycon
        >>> import torch
        >>> from shapezoo import checked
        >>> from jaxtyping import Float
        >>> @checked
        ... def halve(
        ...     x: Float[torch.Tensor, "batch width"],
        ... ) -> Float[torch.Tensor, "batch width//2"]:
        ...     return x[:, ::2]
        >>> halve(torch.zeros(2, 6)).shape
        torch.Size([2, 3])
        >>> halve(torch.zeros(2, 7))
        Traceback (most recent call last):
        shapezoo.ShapeError: ...halve: the result breaks its contract
          expected  Float[Tensor, "batch width//2"]
          got       Tensor float32 (2, 4)
          axis 1    expected width//2 = 3, got 4
          bound     batch=2, width=7

        ```
    """
    if isinstance(function, type) and dataclasses.is_dataclass(function):
        function.__init__ = checked(function.__init__)  # type: ignore[method-assign]  # its only way in
        return function
    if CHECKS == "off" or is_checked(function):
        return function
    if not isinstance(function, types.FunctionType) or inspect.iscoroutinefunction(function):
        raise ContractError(f"checked takes a plain function or a dataclass, got {function!r}")
    contract = _Contract(function)

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if is_dynamo_compiling() or is_off() or _has_proxy(args, kwargs):
            return function(*args, **kwargs)
        call = contract.check_arguments(args, kwargs)
        result = function(*args, **kwargs)
        contract.check_result(call, result)
        return result

    functools.update_wrapper(wrapper, function)
    # code of its own: tracebacks show the name, and Dynamo counts recompilations per code
    wrapper.__code__ = wrapper.__code__.replace(co_name=function.__name__)
    _wrappers.add(wrapper)
    return wrapper


def is_checked(function: Callable[..., Any]) -> bool:
    """Whether calls of this function are checked."""
    return isinstance(function, types.FunctionType) and function in _wrappers


class _Call(NamedTuple):
    """A call whose arguments keep the contract."""

    arguments: dict[str, Any]
    bindings: Bindings


class _Contract:
    """The signature of one function, ready to be enforced."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.parameters = inspect.signature(function)
        with contextlib.suppress(UnresolvedError):  # a later name waits for the first call
            _ = self.signature

    @functools.cached_property
    def signature(self) -> Signature:
        return function_signature(self.function)

    @functools.cached_property
    def needed(self) -> frozenset[str]:
        """The keys of axes of the result that arguments must bind."""
        keys = (axis.key for axis in result_axes(self.signature.output))
        return frozenset(key for key in keys if key)

    def check_arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Call:
        """Check the arguments of a call."""
        try:
            bound = self.parameters.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{self.function.__qualname__}(): {error}") from None
        bound.apply_defaults()
        try:
            bindings = self.bind(bound.arguments)
        except MismatchError as mismatch:
            hint = suggest(self.signature.inputs, bound.arguments, mismatch.path, self.accepts)
            raise explain(self.function, mismatch, bound.arguments, hint=hint) from None
        if unbound := self.needed - visible(bindings).keys():
            raise ShapeError(
                f"{public_name(self.function)}: no argument of this call binds axis "
                f"{', '.join(sorted(unbound))} of the result; the sequence that should is empty",
                argument="return",
            )
        return _Call(bound.arguments, bindings)

    def check_result(self, call: _Call, result: object) -> None:
        """Check the result of a call against the axes that its arguments bound."""
        try:
            with frame(call.bindings):
                check_value(result, self.signature.output, "return", values_in(call.arguments))
        except MismatchError as mismatch:
            raise explain(self.function, mismatch, call.arguments, is_result=True) from None

    def bind(self, arguments: dict[str, Any]) -> Bindings:
        """The axes that these arguments bind.

        Raises:
            MismatchError: An argument is not of its type.
        """
        value_of = values_in(arguments)
        with frame(Bindings({}, {})):
            for argument in self.signature.inputs:
                value = arguments[argument.name]
                check_value(value, argument.collected, argument.name, value_of)
            return current()

    def accepts(self, arguments: dict[str, Any]) -> bool:
        """Whether these arguments keep the contract."""
        try:
            self.bind(arguments)
        except (MismatchError, ContractError):
            return False
        return True


def _has_proxy(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    return any(isinstance(value, Proxy) for value in (*args, *kwargs.values()))
