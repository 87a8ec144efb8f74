"""Assert the shapes of intermediate tensors in the body of a checked function.

`assert_shape` looks for the innermost checked call on Python's stack, which knows its axes.
jaxtyping's idiom, ``isinstance(y, Float[Tensor, "batch channels"])``, cannot look there: it reads
the innermost frame of jaxtyping's own stack. Opening one takes as long as half a check that is
remembered, so only a body whose code mentions one of `_USES_AXES` runs in a frame. As a
consequence, in a helper without a contract of its own the idiom sees the axis names of its caller
only if the caller's own body uses one of these functions.
"""

import contextlib
import functools
import inspect
import types
import weakref
from collections.abc import Callable
from types import CodeType
from typing import Any

from jaxtyping import Shaped
from torch import Tensor
from torch.compiler import is_dynamo_compiling

from shapezoo._frames import locals_of, self_of
from shapezoo.contracts.checking import switch
from shapezoo.contracts.checking.dynamo import assert_traced
from shapezoo.contracts.checking.jit import paused
from shapezoo.contracts.language.annotations import parse_type
from shapezoo.contracts.language.errors import ContractError
from shapezoo.contracts.language.types import Type
from shapezoo.contracts.matching.bindings import NOTHING_BOUND
from shapezoo.contracts.matching.bindings import frame as axes_frame
from shapezoo.contracts.matching.matching import MismatchError, StepAside, check_value
from shapezoo.contracts.messages.describing import describe
from shapezoo.contracts.messages.explain import explain
from shapezoo.contracts.messages.module_paths import path_in_model

_USES_AXES = frozenset(
    {"assert_shape", "die_if_unbearable", "is_bearable", "isinstance", "print_bindings"}
)


def uses_axes(function: Callable[..., Any]) -> bool:
    """Whether the body of a function may use the axes of its call."""
    body = inspect.unwrap(function)
    return not inspect.isgeneratorfunction(body) and _mentions(body.__code__, _USES_AXES)


def asserts_shapes(function: Callable[..., Any]) -> bool:
    """Whether the body of a function may call `assert_shape`."""
    return _mentions(inspect.unwrap(function).__code__, frozenset({"assert_shape"}))


def _mentions(code: CodeType, names: frozenset[str]) -> bool:
    inside = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    return not names.isdisjoint(code.co_names) or any(_mentions(part, names) for part in inside)


def assert_shape(value: Tensor, shape: str) -> None:
    """Assert the shape of a tensor in the body of a checked function.

    Axis names that the call has bound have the same sizes here, and new names are bound for the
    rest of the call. Works under `torch.compile` and `torch.export` too, where it leaves no node in
    the graph; ``isinstance(value, Float[Tensor, ...])`` does not. Does nothing if checks are
    switched off.

    In a helper, the names are those of the checked function that calls it; new names are then
    forgotten after the assertion. Outside of any checked function, names hold for this tensor
    alone.

    Args:
        value: The tensor.
        shape: Its axes as in an annotation. For parts in braces, use an f-string.

    Raises:
        ShapeError: The tensor has another shape, or this is not a tensor.
        ContractError: The shape cannot be read or computed.
        TypeError: It is not a string.

    Example:
        ```pycon
        >>> import torch
        >>> from jaxtyping import Float
        >>> from torch import Tensor
        >>> from shapezoo import assert_shape, checked
        >>> @checked
        ... def pooled(x: Float[Tensor, "batch seq features"]) -> Float[Tensor, "batch features"]:
        ...     scores = x.mean(-1)
        ...     assert_shape(scores, "batch seq")
        ...     return (scores.softmax(-1)[..., None] * x).sum(1)
        >>> pooled(torch.zeros(2, 5, 3)).shape
        torch.Size([2, 3])

        ```
    """
    if switch.off or switch.CHECKS == "off":
        return
    if not isinstance(shape, str):
        hint = f'; pass "{shape.dim_str}"' if hasattr(shape, "dim_str") else ""
        got = getattr(shape, "__name__", None) or describe(shape)
        raise TypeError(
            f'assert_shape takes a tensor and a string such as "batch seq", got {got} for the '
            f"string{hint}"
        )
    if is_dynamo_compiling():
        assert_traced(_check, _check_in_call, value, shape)
        return
    with paused():
        _check_in_call(value, shape)


def _check_in_call(value: Any, shape: str) -> None:
    """Check a shape with the axes of the innermost running checked call."""
    with _frame_of_call():
        _check(value, shape)


def _frame_of_call() -> contextlib.AbstractContextManager[None]:
    """Return a frame with the axes of the innermost checked call, unless it runs in one already."""
    frame = inspect.currentframe()
    while frame is not None:
        code, module = frame.f_code, str(frame.f_globals.get("__name__"))
        if module.startswith("jaxtyping."):
            return contextlib.nullcontext()  # a function under `jaxtyped` has a frame
        if module == _CHECKS:  # the wrapper itself, or the function that runs a body in a frame
            is_wrapper = code.co_varnames[:1] == ("args",) and "call" in code.co_varnames
            call = locals_of(frame).get("call") if is_wrapper else None
            return contextlib.nullcontext() if call is None else axes_frame(call.axes)
        if code in _generators:
            return axes_frame(NOTHING_BOUND)  # the body runs after its call has returned
        frame = frame.f_back
    return contextlib.nullcontext()


_CHECKS = "shapezoo.contracts.checking.check"

_generators: weakref.WeakSet[CodeType] = weakref.WeakSet()
"""The code of checked generator functions."""


def remember_generator(function: Callable[..., Any]) -> None:
    """Remember the code of a checked function if it is a generator function."""
    body = inspect.unwrap(function)
    if inspect.isgeneratorfunction(body):
        _generators.add(body.__code__)


def _check(value: Any, shape: str) -> None:
    try:
        check_value(value, _type(shape), "value")
    except StepAside:
        return
    except MismatchError as mismatch:
        function, owner = _caller()
        module_path = path_in_model(owner)
        raise explain(function, mismatch, module_path=module_path, asserted=shape) from None


def _caller() -> tuple[Any, object]:
    """Return the function that asserts a shape, by its names, and its module if it has one.

    While Dynamo traces, the frame above is Dynamo's; the error then shows the user's line anyway.
    """
    frame = inspect.currentframe()
    while frame is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    if frame is None or frame.f_globals.get("__name__") == assert_traced.__module__:
        return assert_shape, None
    module, qualname = frame.f_globals.get("__name__"), frame.f_code.co_qualname
    return types.SimpleNamespace(__module__=module, __qualname__=qualname), self_of(frame)


@functools.lru_cache(1024)
def _type(shape: str) -> Type:
    if "{" in shape:
        example = shape.replace('"', "'")
        raise ContractError(f'assert_shape does not evaluate braces; use an f-string: f"{example}"')
    try:
        return parse_type(Shaped[Tensor, shape])
    except (ContractError, ValueError) as error:
        raise ContractError(f"assert_shape: {error}") from error
