"""The text of a ShapeError: the expected and the actual value, and where they differ."""

import sys
from collections.abc import Callable, Mapping
from typing import Any

from shapezoo.contracts.language.axes import Extent, align, differences
from shapezoo.contracts.language.errors import ShapeError
from shapezoo.contracts.language.types import TensorType, TupleType, resolve
from shapezoo.contracts.language.walking import Missing
from shapezoo.contracts.matching.matching import MismatchError
from shapezoo.contracts.messages.describing import (
    class_name,
    concrete,
    describe,
    dtype_name,
    known_shape,
    qualified_name,
)

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
    """Build the error for a mismatch.

    Args:
        function: The function whose contract was broken.
        mismatch: How it was broken.
        braces: The known values of parts in braces.
        place: Path of the module in its parent, if the function is a forward.
        hint: A fix, if one is known.
        is_result: Whether the result broke it.
        asserted: The shape that the body asserted, if that does not match.
    """
    bound = {name: concrete(size) for name, size in mismatch.bound.items()}
    kind = resolve(mismatch.kind, braces)
    expected = kind if asserted is None else f'"{asserted}"'
    lines = [f"  expected  {expected}", f"  got       {describe(mismatch.value)}"]
    axis = None
    if isinstance(kind, TensorType):
        axis, reasons = _differences(kind, mismatch.value, dict(bound))
        lines += reasons[:_MOST_LINES]
        bound |= _bound_before(axis, kind, mismatch.value)
    if isinstance(kind, TupleType) and isinstance(mismatch.value, tuple):
        lines.append(f"  items     expected {len(kind.parts)}, got {len(mismatch.value)}")
    options = [text for option in mismatch.options if (text := _option(option, braces))]
    lines += [f"  option    {text}" for text in options[:_MOST_LINES]]
    if bound:
        lines.append(f"  bound     {', '.join(f'{name}={size}' for name, size in bound.items())}")
    if place:
        lines.append(f"  module    {place}")
    if is_result and mismatch.value is None:
        hint = "the function returned None; is a return statement missing?"
    if hint:
        lines.append(f"  hint      {hint}")
    what = f"argument {mismatch.path!r}"
    if is_result:
        inside = mismatch.path.removeprefix("return")  # ".boxes", "[1]"
        what = f"result{inside}" if inside else "the result"
    title = f"{public_name(function)}: {what} breaks its contract"
    if asserted is not None:
        title = f"{public_name(function)}: a tensor does not have the asserted shape"
    return ShapeError("\n".join([title, *lines]), argument=mismatch.path, axis=axis)


def public_name(function: Callable[..., Any]) -> str:
    """Return the shortest dotted name under which a function, or its class, can be imported."""
    owner = function.__qualname__.partition(".")[0]
    parts = (function.__module__ or "").split(".")
    packages = [".".join(parts[: i + 1]) for i in range(len(parts))]
    found = [vars(sys.modules[name]).get(owner) for name in packages if name in sys.modules]
    if found and found[-1] is not None:
        shortest = next(name for name, it in zip(packages, found, strict=False) if it is found[-1])
        return f"{shortest}.{function.__qualname__}"
    return qualified_name(function)


def _differences(
    kind: TensorType, value: Any, bound: dict[str, Extent]
) -> tuple[int | None, list[str]]:
    """Return the first axis that differs, and a line for each difference."""
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
    for position, axis, expected, actual in found:
        label = str(axis).replace("=", " = ") if axis.fixed is not None else f"{axis} = {expected}"
        lines.append(f"  axis {position}    expected {label}, got {actual}")
    return (found[0][0] if found else None), lines


def _bound_before(axis: int | None, kind: TensorType, value: Any) -> dict[str, Extent]:
    """Return the sizes of the axes of a tensor before the first that differs."""
    if axis is None:
        return {}
    pairs = align(kind.axes, known_shape(value)) or ()
    return {part.key: size for position, part, size in pairs if part.key and position < axis}


def _option(mismatch: MismatchError, braces: Mapping[str, object]) -> str:
    """An option of a union and why the value does not match it; empty without a reason."""
    kind = resolve(mismatch.kind, braces)
    if not isinstance(kind, TensorType):
        return ""
    bound = {name: concrete(size) for name, size in mismatch.bound.items()}
    _, reasons = _differences(kind, mismatch.value, bound)
    return f"{kind}: {'; '.join(' '.join(reason.split()) for reason in reasons)}"
