"""The text of a ShapeError: what was expected, what came, and where the two differ."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import Tensor, nn

from shapezoo.contracts.axes import Axis, Extent, align
from shapezoo.contracts.errors import ContractError, ShapeError
from shapezoo.contracts.matching import MismatchError
from shapezoo.contracts.signatures import values_in
from shapezoo.contracts.types import TensorType, resolve


def explain(
    function: Callable[..., Any],
    mismatch: MismatchError,
    arguments: dict[str, Any],
    hint: str | None = None,
) -> ShapeError:
    """The error for a mismatch.

    Args:
        function: The function whose contract was broken.
        mismatch: How it was broken.
        arguments: The arguments of the call, by name.
        hint: A fix, if one is known.
    """
    kind = resolve(mismatch.kind, values_in(arguments))
    lines = [f"  expected  {kind}", f"  got       {describe(mismatch.value)}"]
    axis = None
    if isinstance(kind, TensorType):
        differences = list(_differences(kind, mismatch.value, mismatch.bound))
        lines += [line for line, _ in differences]
        axis = differences[0][1] if differences else None
    if bound := ", ".join(f"{name}={size}" for name, size in mismatch.bound.items()):
        lines.append(f"  bound     {bound}")
    if hint:
        lines.append(f"  hint      {hint}")
    is_result = mismatch.path.startswith("return")
    what = "the result" if is_result else f"argument {mismatch.path!r}"
    title = (
        f"{_name(function, arguments)}: {what}{mismatch.path[6:] * is_result} breaks its contract"
    )
    return ShapeError("\n".join([title, *lines]), argument=mismatch.path, axis=axis)


def describe(value: object) -> str:
    """A value in a few words: ``Tensor float32 (8, 1, 28, 28)``."""
    if isinstance(value, Tensor):
        return f"Tensor {str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{_class(value)} {value.dtype} {tuple(value.shape)}"
    if isinstance(value, tuple | list) and len(value) <= 8:
        return f"{type(value).__name__} of {len(value)}: {', '.join(map(describe, value))}"
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"


def _name(function: Callable[..., Any], arguments: dict[str, Any]) -> str:
    """The dotted name of the function, by the class of the module that was called."""
    module = arguments.get("self")
    if isinstance(module, nn.Module):
        return f"{type(module).__module__}.{type(module).__qualname__}.{function.__name__}"
    return f"{function.__module__}.{function.__qualname__}"


def _differences(
    kind: TensorType, value: Any, bound: Mapping[str, Extent]
) -> Iterator[tuple[str, int | None]]:
    """A line for each way in which a value is not the tensor expected, with the axis."""
    array = kind.annotation.array_type
    if not isinstance(value, array):
        came = f"{array.__name__}, got {_class(value)}{_conversion(value)}"
        yield f"  type      expected {came}", None
        return
    if not isinstance(value, kind.annotation.dtype[array, "..."]):
        yield f"  dtype     expected {kind.dtype}, got {_dtype(value)}", None
    shape = tuple(value.shape)
    pairs = align(kind.axes, shape)
    if pairs is None:
        least = len(kind.axes) - any(axis.variadic for axis in kind.axes)
        more = " or more" if least < len(kind.axes) else ""
        names = ", ".join(map(str, kind.axes))
        yield f"  axes      expected {least}{more} ({names}), got {len(shape)}", None
        return
    sizes = dict(bound)
    for index, axis, size in pairs:
        expected = _expected(axis, size, sizes)
        if expected != size and not (axis.broadcast and size == 1):
            label = f"{axis} = {expected}" if axis.size is None else str(axis).replace("=", " = ")
            yield f"  axis {index}    expected {label}, got {size}", index


def _expected(axis: Axis, came: Extent, bound: dict[str, Extent]) -> Extent:
    """The size that an axis must have; a name seen for the first time takes what came."""
    if axis.size is not None:
        return axis.size
    if axis.binds is not None:
        return bound.setdefault("*" * axis.variadic + axis.binds, came)
    if axis.expression is None:
        return came
    value = eval(axis.expression, {}, dict(bound))
    if not isinstance(value, int):
        raise ContractError(f"axis {str(axis)!r} is {value!r}, which is no whole number")
    return value


def _class(value: object) -> str:
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def _conversion(value: object) -> str:
    """How to make a tensor of a numpy array, an image or a list."""
    kind = type(value)
    if kind.__module__ == "numpy" and hasattr(value, "__array__"):
        return "; use torch.from_numpy"
    if isinstance(value, list | tuple | int | float):
        return "; use torch.tensor"
    return ""


def _dtype(value: Any) -> str:
    return str(value.dtype).removeprefix("torch.")
