"""Assert the shapes of intermediate tensors in the body of a checked function.

jaxtyping's idiom for this is ``isinstance(y, Float[Tensor, "batch channels"])``, which uses the
axis names of the enclosing call. For that, the body must run in a jaxtyping frame that has them.
Entering one takes half as long as a cached check, so a body runs in a frame only if its code
mentions one of `_USES_AXES`. As a consequence, a helper without a contract of its own sees the axis
names of its caller only if the caller's own body uses one of these functions.
"""

import functools
import inspect
from collections.abc import Callable
from types import CodeType
from typing import Any

from jaxtyping import Shaped
from torch import Tensor
from torch.compiler import is_dynamo_compiling

from shapezoo.contracts import switch
from shapezoo.contracts.dynamo import assert_traced
from shapezoo.contracts.errors import ContractError
from shapezoo.contracts.explain import explain
from shapezoo.contracts.jit import paused
from shapezoo.contracts.matching import MismatchError, StepAside, check_value
from shapezoo.contracts.parsing import parse_type
from shapezoo.contracts.types import Type

_USES_AXES = frozenset(
    {"assert_shape", "die_if_unbearable", "is_bearable", "isinstance", "print_bindings"}
)


def uses_axes(function: Callable[..., Any]) -> bool:
    """Whether the body of a function may use the axes of its call."""
    return not inspect.isgeneratorfunction(function) and _mentions(function.__code__, _USES_AXES)


def asserts_shapes(function: Callable[..., Any]) -> bool:
    """Whether the body of a function may call `assert_shape`."""
    return _mentions(function.__code__, frozenset({"assert_shape"}))


def _mentions(code: CodeType, names: frozenset[str]) -> bool:
    inside = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    return not names.isdisjoint(code.co_names) or any(_mentions(part, names) for part in inside)


def assert_shape(value: Tensor, shape: str) -> None:
    """Assert the shape of a tensor in the body of a checked function.

    Names of axes that the call has bound stand for the same sizes here, and a name that is new is
    bound for the rest of the call. Works under `torch.compile` and `torch.export` too, where it
    leaves no node in the graph; ``isinstance(value, Float[Tensor, ...])`` does not. Does nothing
    where checks are switched off.

    In a function that is not checked, names hold for this tensor alone.

    Args:
        value: The tensor.
        shape: Its axes as in an annotation. For parts in braces, use an f-string.

    Raises:
        ShapeError: The tensor has another shape, or this is not a tensor.
        ContractError: The shape cannot be read or computed.

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
    if is_dynamo_compiling():
        assert_traced(_check, value, shape)
        return
    with paused():
        _check(value, shape)


def _check(value: Any, shape: str) -> None:
    try:
        check_value(value, _type(shape), "value")
    except StepAside:
        return
    except MismatchError as mismatch:
        raise explain(assert_shape, mismatch, {}) from None


@functools.lru_cache(1024)
def _type(shape: str) -> Type:
    if "{" in shape:
        raise ContractError(f"assert_shape: {shape!r} has braces; use an f-string")
    try:
        return parse_type(Shaped[Tensor, shape])
    except (ContractError, ValueError) as error:
        raise ContractError(f"assert_shape: {error}") from error
