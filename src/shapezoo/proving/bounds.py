"""What is known of the values of indices that a model makes from sizes, as `torch.arange` does.

They decide whether a table of positions is long enough. Values of arguments are taken to be
valid, as are those of parameters and buffers, which do not change with the sizes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

Size = Any
Bounds = tuple[Size, Size]
"""The least and the greatest value; they cross where there are no values."""


class UndecidedError(Exception):
    """The values of a tensor decide, and they are not known."""


CONSTANT: Literal["constant"] = "constant"
"""The values do not change with the sizes: those of parameters and buffers."""

State = Bounds | Literal["constant"] | None
"""What is known of values that follow from sizes; None where that was not followed."""


class Values:
    """What is known of the values of tensors; those without a state depend on arguments."""

    def __init__(self) -> None:
        self._states: dict[int, tuple[Tensor, State]] = {}  # keeps tensors, and so their ids

    def set_constant(self, tensors: Iterable[Tensor]) -> None:
        """Forget all that is known; these tensors are parameters and buffers."""
        self._states = {id(tensor): (tensor, CONSTANT) for tensor in tensors}

    def copy(self, source: Tensor, result: Tensor) -> None:
        """Let a tensor have the values of another."""
        if id(source) in self._states:
            self._states[id(result)] = result, self._states[id(source)][1]

    def follow(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], result: object
    ) -> None:
        """Note what a kernel does to values.

        Args:
            name: The name of the kernel.
            args: Its arguments.
            kwargs: Its keywords.
            result: Its result.
        """
        if name.endswith("_") and isinstance(args[0], Tensor) and not args[0].is_floating_point():
            self._lose_all()  # others may be views of it
        base = name.removesuffix("_")
        operands = list(_tensors(args[1:3] if base == "where" else args))
        if base in _TAKEN:
            operands = operands[:1]
        if any(id(operand) not in self._states for operand in operands):
            return
        if not operands and base not in _MAKERS:
            return
        states = [self._states[id(operand)][1] for operand in operands]
        state: State = None
        if states and all(state == CONSTANT for state in states):
            state = CONSTANT
        elif CONSTANT not in states and None not in states:
            bounds: Any = states
            state = self._bounds(base, args, kwargs, bounds, result)
        for tensor in _tensors(result):
            self._states[id(tensor)] = tensor, state

    def _bounds(
        self,
        name: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        operands: Sequence[Bounds],
        result: object,
    ) -> Bounds | None:
        if name in _MAKERS:
            return _MAKERS[name](args, next(_tensors(result)))
        if name in _SAME or name in _TAKEN or name in _JOINED:
            scalars = [(arg, arg) for arg in args if name == "where" and isinstance(arg, int)]
            return _joined([*operands, *scalars])
        if name == "neg":
            return -operands[0][1], -operands[0][0]
        if name in ("clamp", "clamp_min", "clamp_max"):
            names = {"clamp": ("min", "max"), "clamp_min": ("min",), "clamp_max": ("max",)}[name]
            limits = dict(zip(names, args[1:], strict=False)) | dict(kwargs)
            return _clamped(operands[0], limits.get("min"), limits.get("max"))
        if name in _ARITHMETIC and kwargs.get("alpha", 1) == 1:
            sides = [self._side(arg) for arg in args[:2]]
            if len(sides) == 2 and sides[0] is not None and sides[1] is not None:
                return _ARITHMETIC[name](sides[0], sides[1])
        return None

    def _lose_all(self) -> None:
        for key, (tensor, state) in self._states.items():
            self._states[key] = tensor, CONSTANT if state == CONSTANT else None

    def require(self, index: object, least: Size, most: Size, error: type[Exception]) -> None:
        """What a real kernel checks of an index.

        Raises:
            UndecidedError: Its values are made from sizes in a way that is not followed.
            Exception: It is out of range.
        """
        if not isinstance(index, Tensor) or id(index) not in self._states:
            return
        state = self._states[id(index)][1]
        if state == CONSTANT:
            return
        if state is None:
            raise UndecidedError("an index is made from sizes in a way that is not followed")
        low, high = state
        if bool(low <= high) and not (bool(low >= least) and bool(high <= most)):
            raise error("index out of range in self")

    def check(self, name: str, args: Sequence[Any]) -> None:
        """Check the indices of a kernel, if it has some."""
        if name in ("embedding", "_embedding_bag", "embedding_bag"):
            self.require(args[1], 0, args[0].shape[0] - 1, IndexError)
        elif name in ("index", "index_put", "index_put_"):
            axis = 0
            for index in args[1]:
                is_mask = isinstance(index, Tensor) and index.dtype in (torch.bool, torch.uint8)
                if not is_mask and index is not None:
                    size = args[0].shape[axis]
                    self.require(index, -size, size - 1, IndexError)
                axis += index.dim() if is_mask else 1
        elif name in _ALONG_AXIS and args[0].dim():
            self.require(args[2], 0, args[0].shape[args[1]] - 1, _ALONG_AXIS[name])
        elif name == "take":
            count = args[0].numel()
            self.require(args[1], -count, count - 1, IndexError)

    def _side(self, value: object) -> Bounds | None:
        if isinstance(value, Tensor):
            state: Any = self._states[id(value)][1]
            return state  # type: ignore[no-any-return]  # bounds: what is constant came before
        return (value, value) if isinstance(value, int | torch.SymInt) else None


def _tensors(value: object) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)


def _range(args: Sequence[Any], result: Tensor) -> Bounds | None:
    numbers = [arg for arg in args if isinstance(arg, int | torch.SymInt)]
    if len(numbers) != len(args) or not 1 <= len(numbers) <= 3:
        return None
    start = numbers[0] if len(numbers) > 1 else 0
    step = numbers[2] if len(numbers) == 3 else 1
    last = start + (result.shape[0] - 1) * step
    return (start, last) if step > 0 else (last, start)


def _joined(bounds: Sequence[Bounds]) -> Bounds | None:
    if len(bounds) < 2:
        return bounds[0] if bounds else None
    lows, highs = zip(*bounds, strict=True)
    return _least(lows), _greatest(highs)


def _least(sizes: Sequence[Size]) -> Size:
    least = sizes[0]
    for size in sizes[1:]:
        least = torch.sym_min(least, size)
    return least


def _greatest(sizes: Sequence[Size]) -> Size:
    greatest = sizes[0]
    for size in sizes[1:]:
        greatest = torch.sym_max(greatest, size)
    return greatest


def _clamped(bounds: Bounds, least: Size | None, most: Size | None) -> Bounds | None:
    if isinstance(least, Tensor) or isinstance(most, Tensor):
        return None
    if least is not None:
        bounds = _greatest([bounds[0], least]), _greatest([bounds[1], least])
    if most is not None:
        bounds = _least([bounds[0], most]), _least([bounds[1], most])
    return bounds


def _scaled(left: Bounds, right: Bounds) -> Bounds | None:
    factor = right if right[0] is right[1] else left
    other = left if factor is right else right
    if factor[0] is not factor[1]:
        return None
    ends = [end * factor[0] for end in other]
    return _least(ends), _greatest(ends)


def _remainder(left: Bounds, right: Bounds) -> Bounds | None:
    if right[0] is not right[1] or not right[0] > 0:
        return None
    return 0, right[0] - 1


def _divided(left: Bounds, right: Bounds) -> Bounds | None:
    if right[0] is not right[1] or not right[0] > 0:
        return None
    return left[0] // right[0], left[1] // right[0]


_MAKERS: dict[str, Callable[[Sequence[Any], Tensor], Bounds | None]] = {
    "arange": _range,
    "full": lambda args, _: (args[1], args[1]),
    "zeros": lambda *_: (0, 0),
    "ones": lambda *_: (1, 1),
}

_SAME = {
    *("alias", "clone", "detach", "lift_fresh", "_to_copy", "view", "_unsafe_view", "reshape"),
    *("unsqueeze", "squeeze", "expand", "permute", "transpose", "t", "slice", "select", "flip"),
    *("roll", "repeat", "unbind", "split", "split_with_sizes", "as_strided", "sort", "unfold"),
}
_JOINED = {"cat", "stack", "where", "maximum", "minimum"}
_TAKEN = {"index", "gather", "index_select", "take", "embedding"}
"""Kernels whose result has values of their first argument."""

_ARITHMETIC: dict[str, Callable[[Bounds, Bounds], Bounds | None]] = {
    "add": lambda left, right: (left[0] + right[0], left[1] + right[1]),
    "sub": lambda left, right: (left[0] - right[1], left[1] - right[0]),
    "rsub": lambda left, right: (right[0] - left[1], right[1] - left[0]),
    "mul": _scaled,
    "remainder": _remainder,
    "floor_divide": _divided,
}

_ALONG_AXIS: dict[str, type[Exception]] = {
    **dict.fromkeys(["index_select"], IndexError),
    **dict.fromkeys(
        [
            *("gather", "scatter", "scatter_", "scatter_add", "scatter_add_", "scatter_reduce"),
            *("index_add", "index_add_", "index_fill", "index_fill_", "index_copy", "index_copy_"),
        ],
        RuntimeError,
    ),
}
