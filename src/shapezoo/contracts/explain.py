"""The text of a ShapeError: what was expected, what came, and where the two differ."""

import sys
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from shapezoo.contracts.axes import Extent, differences
from shapezoo.contracts.errors import ShapeError
from shapezoo.contracts.matching import MismatchError
from shapezoo.contracts.reading import values_in
from shapezoo.contracts.types import TensorType, resolve


def explain(
    function: Callable[..., Any],
    mismatch: MismatchError,
    arguments: Mapping[str, object],
    *,
    hint: str | None = None,
    is_result: bool = False,
) -> ShapeError:
    """The error for a mismatch.

    Args:
        function: The function whose contract was broken.
        mismatch: How it was broken.
        arguments: The arguments of the call, by name.
        hint: A fix, if one is known.
        is_result: Whether it was the result that broke it.
    """
    kind = resolve(mismatch.kind, values_in(arguments))
    lines = [f"  expected  {kind}", f"  got       {describe(mismatch.value)}"]
    axis = None
    if isinstance(kind, TensorType):
        axis, ways = _ways(kind, mismatch.value, dict(mismatch.bound))
        lines += ways
    if bound := ", ".join(f"{name}={size}" for name, size in mismatch.bound.items()):
        lines.append(f"  bound     {bound}")
    if hint:
        lines.append(f"  hint      {hint}")
    what = f"argument {mismatch.path!r}"
    if is_result:
        what = f"the result{mismatch.path.removeprefix('return')}"
    title = f"{public_name(function)}: {what} breaks its contract"
    return ShapeError("\n".join([title, *lines]), argument=mismatch.path, axis=axis)


def public_name(function: Callable[..., Any]) -> str:
    """The shortest dotted name under which a function, or its class, can be imported."""
    owner = function.__qualname__.partition(".")[0]
    parts = function.__module__.split(".")
    packages = [".".join(parts[: i + 1]) for i in range(len(parts))]
    found = [vars(sys.modules[name]).get(owner) for name in packages if name in sys.modules]
    if found and found[-1] is not None:
        shortest = next(name for name, it in zip(packages, found, strict=False) if it is found[-1])
        return f"{shortest}.{function.__qualname__}"
    return f"{function.__module__}.{function.__qualname__}"


def describe(value: object, depth: int = 2) -> str:
    """A value in a few words: ``Tensor float32 (8, 1, 28, 28)``."""
    name = _class(value)
    try:
        if isinstance(value, Tensor):
            return f"Tensor {dtype_name(value)} {tuple(value.shape)}"
        if isinstance(value, list | tuple | dict) and (depth == 0 or len(value) > 8):
            return f"{name} of {len(value)}"
        if isinstance(value, list | tuple):
            return f"{name} of {len(value)}: {', '.join(describe(v, depth - 1) for v in value)}"
        if isinstance(value, dict):
            parts = (f"{key!r}: {describe(part, depth - 1)}" for key, part in value.items())
            return f"{name} of {len(value)}: {', '.join(parts)}"
        if name == "numpy.ndarray":
            return f"{name} {getattr(value, 'dtype', '')} {getattr(value, 'shape', '')}"
        text = repr(value)
    except Exception:  # a value that cannot be shown must not hide what is wrong with it
        return name
    return f"{name} {text if len(text) <= 60 else text[:57] + '...'}"


def _ways(kind: TensorType, value: Any, bound: dict[str, Extent]) -> tuple[int | None, list[str]]:
    """The first axis that differs, and a line for each way in which a value is not as expected."""
    array, lines = kind.annotation.array_type, []
    if array is not Any and not isinstance(value, array):
        got = f"{_class(value)}{_conversion(value)}"
        return None, [f"  type      expected {array.__name__}, got {got}"]
    if not isinstance(value, kind.annotation.dtype[array, "..."]):
        lines.append(f"  dtype     expected {kind.dtype}, got {dtype_name(value)}")
    shape = tuple(value.shape)
    found = differences(kind.axes, shape, bound)
    if found is None:
        least = len(kind.axes) - any(axis.variadic for axis in kind.axes)
        more = " or more" if least < len(kind.axes) else ""
        names = ", ".join(map(str, kind.axes))
        return None, [*lines, f"  axes      expected {least}{more} ({names}), got {len(shape)}"]
    for position, axis, expected, came in found:
        label = str(axis).replace("=", " = ") if axis.size is not None else f"{axis} = {expected}"
        lines.append(f"  axis {position}    expected {label}, got {came}")
    return (found[0][0] if found else None), lines


def _class(value: object) -> str:
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def _conversion(value: object) -> str:
    """How to make a tensor of a numpy array or of plain numbers."""
    if _class(value) == "numpy.ndarray":
        return "; use torch.from_numpy"
    if isinstance(value, list | tuple | int | float):
        return "; use torch.tensor"
    return ""


def dtype_name(value: Any) -> str:
    """The dtype of a tensor or array, without the library's name."""
    return str(value.dtype).removeprefix("torch.")
