"""Enforcing a contract: the one door through which every checked call goes."""

import contextlib
import functools
import inspect
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar

import jaxtyping
from torch import Tensor
from torch.compiler import is_dynamo_compiling

from shapezoo.contracts.bindings import Bindings, current, frame, from_braces
from shapezoo.contracts.errors import ContractError
from shapezoo.contracts.explain import explain
from shapezoo.contracts.fixes import suggest
from shapezoo.contracts.matching import MismatchError, match
from shapezoo.contracts.signatures import Signature, function_signature, values_in

P = ParamSpec("P")
R = TypeVar("R")

_SWITCH = os.environ.get("SHAPEZOO_CHECKS", "on")
if _SWITCH not in ("on", "off"):
    raise ValueError(f"environment variable SHAPEZOO_CHECKS must be on or off, got {_SWITCH!r}")
_paused = 0
_pausing = threading.Lock()


@contextlib.contextmanager
def unchecked() -> Iterator[None]:
    """Switch all checks off inside a ``with`` block, in every thread.

    To leave forwards unwrapped from the start, set the environment variable
    ``SHAPEZOO_CHECKS=off`` before shapezoo is imported.

    Example:
        ```pycon
        >>> import torch
        >>> from shapezoo import checked, unchecked
        >>> from jaxtyping import Float
        >>> @checked
        ... def double(x: Float[torch.Tensor, "batch 3"]) -> Float[torch.Tensor, "batch 3"]:
        ...     return 2 * x
        >>> with unchecked():
        ...     double(torch.ones(2, 5)).shape
        torch.Size([2, 5])

        ```
    """
    global _paused
    with _pausing:
        _paused += 1
    try:
        yield
    finally:
        with _pausing:
            _paused -= 1


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """Enforce the annotations of a function or of a module's ``forward``.

    The arguments are checked before the body runs, the result after it. Calls that
    `torch.compile` traces are not checked yet.

    Args:
        function: A function whose arguments and result are all annotated. Axes may be
            numbers, names, ``name=expression``, ``*name`` and ``...``; parts in braces, such
            as ``{self.in_channels}``, are read from the arguments at each call.

    Returns:
        The function, checked. A checked function is returned as it is.

    Raises:
        ContractError: An annotation is missing or cannot be used.

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
        shapezoo.ShapeError: ...

        ```
    """
    if _SWITCH == "off" or is_checked(function):
        return function
    is_function = inspect.isroutine(function)
    if not is_function:
        raise ContractError(f"checked takes a function or a forward, got {function!r}")
    contract = _Contract(function)

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        if is_dynamo_compiling() or _paused or jaxtyping.config.jaxtyping_disable:
            return function(*args, **kwargs)
        call = contract.check_arguments(*args, **kwargs)
        result = function(*args, **kwargs)
        contract.check_result(call, result)
        return result

    wrapper.__shapezoo_contract__ = contract  # type: ignore[attr-defined]  # our mark on it
    return wrapper


def is_checked(function: Callable[..., Any]) -> bool:
    """Whether calls of this function are checked."""
    return hasattr(function, "__shapezoo_contract__")


class _Contract:
    """The signature of one function, ready to be enforced."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.parameters = inspect.signature(function)
        with contextlib.suppress(NameError):  # a forward reference waits for the first call
            self.signature  # noqa: B018

    @functools.cached_property
    def signature(self) -> Signature:
        return function_signature(self.function)

    @functools.cached_property
    def braces(self) -> tuple[str, ...]:
        axes = (axis for tensor in self.signature.tensors for axis in tensor.axes)
        return tuple(dict.fromkeys(text for axis in axes for text in axis.braces))

    def check_arguments(self, *args: Any, **kwargs: Any) -> tuple[dict[str, Any], Bindings]:
        """Check the arguments of a call; gives them by name, with the axes that they bind."""
        try:
            bound = self.parameters.bind(*args, **kwargs)
        except TypeError:
            self.function(*args, **kwargs)  # raises Python's own message
            raise
        bound.apply_defaults()
        arguments = bound.arguments
        try:
            return arguments, self.bind(arguments)
        except MismatchError as mismatch:
            hint = self.fix(arguments, mismatch.path)
            raise explain(self.function, mismatch, arguments, hint) from None

    def check_result(self, call: tuple[dict[str, Any], Bindings], result: object) -> None:
        """Check the result of a call against the axes that its arguments bound."""
        arguments, bindings = call
        try:
            with frame(bindings):
                match(result, self.signature.output, "return")
        except MismatchError as mismatch:
            raise explain(self.function, mismatch, arguments) from None

    def bind(self, arguments: dict[str, Any]) -> Bindings:
        """The axes that these arguments bind.

        Raises:
            MismatchError: An argument is not of its type.
        """
        value_of = values_in(arguments)
        with frame(from_braces({text: value_of(text) for text in self.braces})):
            for argument in self.signature.inputs:
                match(arguments[argument.name], argument.type, argument.name)
            return current()

    def fix(self, arguments: dict[str, Any], culprit: str) -> str | None:
        """A change of one tensor after which all arguments are accepted, if one is known."""

        def fits(name: str, value: Tensor) -> bool:
            try:
                self.bind({**arguments, name: value})
            except MismatchError:
                return False
            return True

        values = {argument.name: arguments[argument.name] for argument in self.signature.inputs}
        tensors = [name for name, value in values.items() if isinstance(value, Tensor)]
        for name in sorted(tensors, key=lambda name: name != culprit):
            if hint := suggest(name, values[name], functools.partial(fits, name)):
                return hint
        return None
