"""The text of a ShapeError: what was expected, what came, and where the two differ."""

import sys
from collections.abc import Callable, Mapping
from typing import Any

from shapezoo.contracts.axes import Extent, align, differences
from shapezoo.contracts.describing import (
    class_name,
    describe,
    dtype_name,
    known,
    known_shape,
    qualified_name,
)
from shapezoo.contracts.errors import ShapeError
from shapezoo.contracts.matching import MismatchError
from shapezoo.contracts.types import TensorType, TupleType, Type, resolve
from shapezoo.contracts.walking import Missing

_MOST_LINES = 4


def explain(
    function: Callable[..., Any],
    mismatch: MismatchError,
    braces: Mapping[str, object],
    *,
    place: str = "",
    hint: str | None = None,
    is_result: bool = False,
    asserted: str | None = None,
) -> ShapeError:
    """The error for a mismatch.

    Args:
        function: The function whose contract was broken.
        mismatch: How it was broken.
        braces: The values of parts in braces, as far as they are known.
        place: Where the module whose forward it is stands in the one around it.
        hint: A fix, if one is known.
        is_result: Whether it was the result that broke it.
        asserted: The shape that its body asserted, if that was broken.
    """
    bound = {name: known(size) for name, size in mismatch.bound.items()}
    kind = resolve(mismatch.kind, braces)
    expected = kind if asserted is None else f'"{asserted}"'
    lines = [f"  expected  {expected}", f"  got       {describe(mismatch.value)}"]
    axis = None
    if isinstance(kind, TensorType):
        axis, ways = _ways(kind, mismatch.value, dict(bound))
        lines += ways[:_MOST_LINES]
        bound |= _bound_before(axis, kind, mismatch.value)
    if isinstance(kind, TupleType) and isinstance(mismatch.value, tuple):
        lines.append(f"  items     expected {len(kind.parts)}, got {len(mismatch.value)}")
    for option in mismatch.options[:_MOST_LINES]:
        lines.append(f"  option    {_option(resolve(option.kind, braces), option)}")
    if bound:
        lines.append(f"  bound     {', '.join(f'{name}={size}' for name, size in bound.items())}")
    if place:
        lines.append(f"  module    {place}")
    if is_result and mismatch.value is None:
        hint = "is a return missing?"
    if hint:
        lines.append(f"  hint      {hint}")
    what = f"argument {mismatch.path!r}"
    if is_result:
        what = f"the result{mismatch.path.removeprefix('return')}"
    title = f"{public_name(function)}: {what} breaks its contract"
    if asserted is not None:
        title = f"{public_name(function)}: a tensor does not have the shape that is asserted"
    return ShapeError("\n".join([title, *lines]), argument=mismatch.path, axis=axis)


def public_name(function: Callable[..., Any]) -> str:
    """The shortest dotted name under which a function, or its class, can be imported."""
    owner = function.__qualname__.partition(".")[0]
    parts = (function.__module__ or "").split(".")
    packages = [".".join(parts[: i + 1]) for i in range(len(parts))]
    found = [vars(sys.modules[name]).get(owner) for name in packages if name in sys.modules]
    if found and found[-1] is not None:
        shortest = next(name for name, it in zip(packages, found, strict=False) if it is found[-1])
        return f"{shortest}.{function.__qualname__}"
    return qualified_name(function)


def _ways(kind: TensorType, value: Any, bound: dict[str, Extent]) -> tuple[int | None, list[str]]:
    """The first axis that differs, and a line for each way in which a value is not as expected."""
    array, lines = kind.annotation.array_type, []
    if not kind.is_array(value):
        wanted = "an array" if array is Any else array.__name__
        got = "nothing" if isinstance(value, Missing) else class_name(value)
        return None, [f"  type      expected {wanted}, got {got}"]
    if not isinstance(value, kind.annotation.dtype[array, "..."]):
        lines.append(f"  dtype     expected {kind.dtype}, got {dtype_name(value)}")
    shape = known_shape(value)
    found = differences(kind.axes, shape, bound)
    if found is None:
        least = len(kind.axes) - any(axis.variadic for axis in kind.axes)
        more = " or more" if least < len(kind.axes) else ""
        names = ", ".join(map(str, kind.axes)) or "a scalar"
        return None, [*lines, f"  axes      expected {least}{more} ({names}), got {len(shape)}"]
    for position, axis, expected, came in found:
        label = str(axis).replace("=", " = ") if axis.fixed is not None else f"{axis} = {expected}"
        lines.append(f"  axis {position}    expected {label}, got {came}")
    return (found[0][0] if found else None), lines


def _bound_before(axis: int | None, kind: TensorType, value: Any) -> dict[str, Extent]:
    """What the axes of a tensor before the first that differs stand for."""
    if axis is None:
        return {}
    pairs = align(kind.axes, known_shape(value)) or ()
    return {part.key: size for position, part, size in pairs if part.key and position < axis}


def _option(kind: Type, mismatch: MismatchError) -> str:
    """An option of a union, and why the value was none."""
    if not isinstance(kind, TensorType):
        return str(kind)
    _, ways = _ways(kind, mismatch.value, {k: known(v) for k, v in mismatch.bound.items()})
    return f"{kind}: {'; '.join(' '.join(way.split()) for way in ways)}"
