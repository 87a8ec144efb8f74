"""What is known of the values of tensors that a model makes from sizes, as `torch.arange` does.

They decide whether a table of positions is long enough. ValueRanges of arguments are taken to be
valid indices; those of parameters, buffers and literals do not change with the sizes.
"""

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

from shapezoo.proving.values import tensors_of

Size = Any
Bounds = tuple[Size, Size]
"""The least and the greatest value; they cross where there are no values."""


class UndecidedError(Exception):
    """The values of a tensor decide, and they are not known."""


class State(enum.Enum):
    """What is known of values without bounds."""

    ARGUMENT = "depend on arguments alone"
    CONSTANT = "do not change"
    LOST = "depend on sizes in a way that was not followed"


class ValueRanges:
    """What is known about the values of every tensor.

    Attributes:
        undecided: An error that says that values decide, even if the model has caught it.
    """

    def __init__(self) -> None:
        self.undecided: Exception | None = None
        self._states: dict[int, tuple[Tensor, State | Bounds]] = {}  # keeps tensors, and their ids

    def set(self, tensors: Iterable[Tensor], state: State) -> None:
        """Say what is known of tensors that no kernel has made."""
        for tensor in tensors:
            self._states[id(tensor)] = tensor, state

    def of(self, tensor: Tensor) -> State | Bounds:
        """What is known of the values of a tensor."""
        if id(tensor) in self._states:
            return self._states[id(tensor)][1]
        return State.LOST if isinstance(tensor, FakeTensor) else State.CONSTANT

    def copy(self, source: Tensor, result: Tensor) -> None:
        """Let a tensor have the values of another."""
        self._states[id(result)] = result, self.of(source)

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
        if name.endswith("_") or "out" in kwargs:
            for tensor in (*tensors_of(args[:1]), *tensors_of(kwargs.get("out"))):
                self._forget_views(tensor)
        base = name.removesuffix("_")
        for number, tensor in enumerate(tensors_of(result)):
            is_place = base in _PLACES and (number == 1 or base in ("argmax", "argmin"))
            state = _places(base, args, kwargs) if is_place else None
            self._states[id(tensor)] = tensor, state or self._state(base, args, kwargs, tensor)

    def _state(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], result: Tensor
    ) -> State | Bounds:
        if name in _MAKERS:
            return _MAKERS[name](args, result) or State.LOST
        parts = args[1:] if name == "where" else args[:1] if name in _TAKEN else args
        if name == "masked_fill":
            parts = (args[0], args[2])
        sides = [self.of(tensor) for tensor in tensors_of(parts)]
        scalars = [(part, part) for part in parts if isinstance(part, int | torch.SymInt)]
        has_sizes = any(isinstance(part, torch.SymInt) for part in (*args, *kwargs.values()))
        if not sides or State.LOST in sides:
            return State.LOST
        if all(isinstance(side, State) for side in sides):
            is_index = has_sizes and name not in _SAME  # a size in a view is no value
            mixed = State.ARGUMENT if State.ARGUMENT in sides else State.CONSTANT
            return State.LOST if is_index else mixed
        if any(isinstance(side, State) for side in sides):
            return State.LOST
        if any(isinstance(part, float | torch.SymFloat) for part in parts):
            return State.LOST  # bounds are whole numbers
        bounds: Any = sides
        return self._bounds(name, args, kwargs, bounds, scalars, result) or State.LOST

    def _bounds(
        self,
        name: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        sides: Sequence[Bounds],
        scalars: Sequence[Bounds],
        result: Tensor,
    ) -> Bounds | None:
        if name in _SAME or name in _TAKEN:
            return sides[0]
        if name in _JOINED:
            return _joined([*sides, *scalars])
        if name == "neg":
            return -sides[0][1], -sides[0][0]
        if name == "cumsum" and bool(sides[0][0] >= 0):
            return sides[0][0], sides[0][1] * (result.shape[args[1]] if result.dim() else 1)
        if name in ("clamp", "clamp_min", "clamp_max"):
            names = {"clamp": ("min", "max"), "clamp_min": ("min",), "clamp_max": ("max",)}[name]
            limits = dict(zip(names, args[1:], strict=False)) | dict(kwargs)
            return _clamped(sides[0], limits.get("min"), limits.get("max"))
        if name in _ARITHMETIC and kwargs.get("alpha", 1) == 1 and len([*sides, *scalars]) == 2:
            operands = [*sides, *scalars] if isinstance(args[0], Tensor) else [*scalars, *sides]
            return _ARITHMETIC[name](*operands)
        return None

    def _forget_views(self, tensor: Tensor) -> None:
        """Forget the bounds of all that may be views of a tensor that is written to."""
        if self.of(tensor) in (State.ARGUMENT, State.CONSTANT):
            return
        for key, (other, state) in self._states.items():
            if not isinstance(state, State) and other.dtype == tensor.dtype:
                self._states[key] = other, State.LOST

    def require(self, index: object, least: Size, most: Size, error: type[Exception]) -> None:
        """What a real kernel checks of an index.

        Raises:
            UndecidedError: Its values are made from sizes in a way that is not followed.
            Exception: It is out of range.
        """
        if not isinstance(index, Tensor):
            return
        state = self.of(index)
        if state is State.LOST:
            self.give_up("an index is made from sizes in a way that is not followed")
        if isinstance(state, State):
            return
        low, high = state
        if (
            bool(index.numel() > 0)
            and bool(low <= high)
            and not (bool(low >= least) and bool(high <= most))
        ):
            raise error("index out of range in self")

    def check_one_hot(self, tensor: Tensor, num_classes: int = -1) -> None:
        """Check the indices of `torch.nn.functional.one_hot`."""
        if num_classes >= 0:
            self.require(tensor, 0, num_classes - 1, RuntimeError)

    def check(self, name: str, schema: Any, args: Sequence[Any]) -> None:
        """Check the indices of a kernel, if it has some.

        Args:
            name: The name of the kernel.
            schema: Its schema, which tells the names of its arguments.
            args: Its arguments.
        """
        base = name.removesuffix("_")
        if base in ("embedding", "_embedding_bag", "embedding_bag"):
            self.require(args[1], 0, args[0].shape[0] - 1, IndexError)
        elif base in ("index", "index_put"):
            axis = 0
            for index in args[1]:
                if isinstance(index, Tensor) and index.dtype in (torch.bool, torch.uint8):
                    axis += index.dim()
                    continue
                if index is not None:
                    size = args[0].shape[axis]
                    self.require(index, -size, size - 1, IndexError)
                axis += 1
        elif base in _ALONG_AXIS and args[0].dim():
            self.require(args[2], 0, args[0].shape[args[1]] - 1, _ALONG_AXIS[base])
        elif base in ("take", "put"):
            count = args[0].numel()
            self.require(args[1], -count, count - 1, IndexError)
        elif base in ("nll_loss_forward", "nll_loss2d_forward"):
            classes = args[0].shape[1 if args[0].dim() > 1 else 0]
            self.require(args[1], 0, classes - 1, IndexError)
        elif not name.startswith("_unsafe"):
            for argument, value in zip(schema.arguments, args, strict=False):
                if argument.name in ("index", "indices", "target"):
                    for index in tensors_of(value):
                        self._require_no_sizes(index)

    def _require_no_sizes(self, index: Tensor) -> None:
        is_index = not index.is_floating_point() and index.dtype != torch.bool
        if is_index and self.of(index) not in (State.ARGUMENT, State.CONSTANT):
            self.give_up("an index that is made from sizes, in a kernel without a rule")

    def give_up(self, reason: str) -> NoReturn:
        """Say that values decide.

        Raises:
            UndecidedError: Always.
        """
        self.undecided = UndecidedError(reason)
        raise self.undecided


def _places(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Bounds:
    """The bounds of places along an axis, or in the whole where none is given."""
    source: Tensor = args[0]
    at = 2 if name in ("topk", "kthvalue") else 1
    axis = args[at] if len(args) > at else kwargs.get("dim", None if name[:3] == "arg" else -1)
    count = source.numel() if axis is None or not source.dim() else source.shape[axis]
    return 0, count - 1


def _range(args: Sequence[Any], result: Tensor) -> Bounds | None:
    numbers = [arg for arg in args if isinstance(arg, int | torch.SymInt)]
    if len(numbers) != len(args) or not 1 <= len(numbers) <= 3:
        return None
    start = numbers[0] if len(numbers) > 1 else 0
    step = numbers[2] if len(numbers) == 3 else 1
    last = start + (result.shape[0] - 1) * step
    return (start, last) if step > 0 else (last, start)


def _filled(args: Sequence[Any], result: Tensor) -> Bounds | None:
    fill = args[-1]
    return (fill, fill) if isinstance(fill, int | torch.SymInt) else None


def _joined(bounds: Sequence[Bounds]) -> Bounds:
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
    factor, other = (right, left) if right[0] is right[1] else (left, right)
    if factor[0] is not factor[1]:
        return None
    ends = [end * factor[0] for end in other]
    return _least(ends), _greatest(ends)


def _remainder(left: Bounds, right: Bounds) -> Bounds | None:
    is_known = right[0] is right[1] and bool(right[0] > 0)
    return (0, right[0] - 1) if is_known else None


def _divided(left: Bounds, right: Bounds) -> Bounds | None:
    is_known = right[0] is right[1] and bool(right[0] > 0)
    return (left[0] // right[0], left[1] // right[0]) if is_known else None


_MAKERS: dict[str, Callable[[Sequence[Any], Tensor], Bounds | None]] = {
    "arange": _range,
    **dict.fromkeys(["full", "new_full", "full_like"], _filled),
    **dict.fromkeys(["zeros", "new_zeros", "zeros_like"], lambda *_: (0, 0)),
    **dict.fromkeys(["ones", "new_ones", "ones_like"], lambda *_: (1, 1)),
}

_SAME = {
    *("alias", "clone", "detach", "lift_fresh", "_to_copy", "view", "_unsafe_view", "reshape"),
    *("unsqueeze", "squeeze", "expand", "permute", "transpose", "t", "slice", "select", "flip"),
    *("roll", "repeat", "unbind", "split", "split_with_sizes", "as_strided", "sort", "unfold"),
    *("topk", "max", "min", "median", "mode", "kthvalue", "amax", "amin"),
}
"""Kernels whose result has values of their input; sizes that they get are no values."""

_TAKEN = {"index", "gather", "index_select", "take", "embedding"}
"""Kernels whose result has values of their first argument."""

_JOINED = {"cat", "stack", "where", "maximum", "minimum", "masked_fill"}

_PLACES = {"sort", "topk", "max", "min", "median", "mode", "kthvalue", "argmax", "argmin"}
"""Kernels that give places along an axis, as their second result if there are two."""

_ARITHMETIC: dict[str, Callable[[Bounds, Bounds], Bounds | None]] = {
    "add": lambda left, right: (left[0] + right[0], left[1] + right[1]),
    "sub": lambda left, right: (left[0] - right[1], left[1] - right[0]),
    "rsub": lambda left, right: (right[0] - left[1], right[1] - left[0]),
    "mul": _scaled,
    "remainder": _remainder,
    "floor_divide": _divided,
}

_ALONG_AXIS: dict[str, type[Exception]] = {
    "index_select": IndexError,
    **dict.fromkeys(
        [
            *("gather", "scatter", "scatter_add", "scatter_reduce"),
            *("index_add", "index_fill", "index_copy", "index_reduce"),
        ],
        RuntimeError,
    ),
}
