"""What may be wrong with one tensor, and the method calls that fix it."""

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, product
from math import prod
from operator import methodcaller
from typing import Any, NamedTuple

import torch
from torch import Tensor

from shapezoo.contracts.language.axes import Extent
from shapezoo.contracts.language.errors import listed
from shapezoo.contracts.language.types import TensorType
from shapezoo.contracts.messages.describing import class_name, concrete_shape, dtype_name, is_image


class Fix(NamedTuple):
    """Method calls that fix a tensor.

    Attributes:
        reason: What is wrong with the tensor.
        calls: The names of the methods, with their arguments.
        condition: When this is the right fix; empty if always.
    """

    reason: str
    calls: tuple[tuple[str, tuple[Any, ...]], ...]
    condition: str = ""

    def __str__(self) -> str:
        return "".join(f".{name}({', '.join(map(str, args))})" for name, args in self.calls)

    def __call__(self, x: Tensor) -> Tensor:
        """Return the tensor after the calls."""
        for name, args in self.calls:
            x = methodcaller(name, *args)(x)
        return x

    def then(self, other: "Fix") -> "Fix":
        """Return this fix followed by another one."""
        reasons = ", ".join(filter(None, (self.reason, other.reason)))
        return Fix(reasons, self.calls + other.calls, self.condition or other.condition)


_AS_IS = Fix("", ())
_CHANNEL_COUNTS = (1, 3, 4)
_PIXELS = Fix("it holds 8-bit pixels", (("float", ()), ("div", (255,))))
_SCORES = Fix("it has a value for each class", (("argmax", (-1,)),))
_MOST_LIKELY = _SCORES._replace(condition="to keep only the most likely class")
_MODES = ("L", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "LAB")
"""The modes of PIL images with 8-bit pixels."""

_PIL_TO_TENSOR = "torchvision.transforms.functional.pil_to_tensor"
_MAX_VALUES = 1_000_000


def as_tensors(name: str, value: Any, dtype: str) -> Iterator[tuple[str, str, Tensor]]:
    """Yield a reason if the value is not a tensor, code that makes it one, and the tensor."""
    if isinstance(value, Tensor):
        yield "", name, value
    elif class_name(value) == "numpy.ndarray":
        torch_dtype = getattr(torch, str(value.dtype), None)
        if isinstance(torch_dtype, torch.dtype):
            # a tensor cannot have negative strides
            copy = ".copy()" if any(stride < 0 for stride in value.strides) else ""
            code = f"torch.from_numpy({name}{copy})"
            tensor = torch.empty(value.shape, dtype=torch_dtype, device="meta")
            if torch_dtype is torch.float64 and dtype != "Float64":  # NumPy's default dtype
                code, tensor = f"{code}.float()", tensor.float()
            yield "it is an array", code, tensor
    elif (pixels := _of_image(value)) is not None:
        yield "it is a PIL image", f"{_PIL_TO_TENSOR}({name})", pixels
    elif isinstance(value, tuple):
        yield from _items(name, value)
    elif isinstance(value, list) and value and all(isinstance(item, Tensor) for item in value):
        if len({concrete_shape(item) for item in value}) == 1:
            shape = (len(value), *concrete_shape(value[0]))
            stacked = torch.empty(shape, dtype=value[0].dtype, device="meta")
            yield "it is a list of tensors", f"torch.stack({name})", stacked
        if len({(item.dim(), item.dtype) for item in value}) > 1:  # images with their labels
            yield from _items(name, value)
    elif isinstance(value, list) and value and all(map(is_image, value)):
        images = [image for image in map(_of_image, value) if image is not None]
        if len(images) == len(value) and len({image.shape for image in images}) == 1:
            code = f"torch.stack([*map({_PIL_TO_TENSOR}, {name})])"
            yield "it is a list of PIL images", code, torch.stack(images)
    elif isinstance(value, list | int | float):
        with contextlib.suppress(Exception):  # not numbers, or a ragged list
            article = "an" if isinstance(value, int) and not isinstance(value, bool) else "a"
            reason = f"it is {article} {class_name(value)}, not a tensor"
            yield reason, f"torch.tensor({name})", torch.tensor(value)


def _items(name: str, value: Sequence[Any]) -> Iterator[tuple[str, str, Tensor]]:
    """Yield the first tensors in a list or tuple, such as a batch of images with their labels."""
    for index, item in enumerate(value[:4]):
        if isinstance(item, Tensor):
            yield f"it is a {type(value).__name__}", f"{name}[{index}]", item


def _of_image(value: Any) -> Tensor | None:
    """Return a meta tensor of the shape that a PIL image with 8-bit pixels converts to."""
    if not is_image(value) or value.mode not in _MODES:
        return None
    shape = (len(value.getbands()), value.height, value.width)
    return torch.empty(shape, dtype=torch.uint8, device="meta")


def without_data(value: Tensor) -> Tensor:
    """Return a meta tensor with the shape and dtype of another tensor."""
    return torch.empty(concrete_shape(value), dtype=value.dtype, device="meta")


def fixes_of(
    types: Sequence[TensorType],
    value: Tensor,
    others: Sequence[Tensor],
    bound: Mapping[str, Extent],
) -> Iterator[Fix]:
    """Yield fixes to try on a tensor. Its dtype is kept if the annotation is a union."""
    type_, is_union = types[0], len(types) > 1
    if bound.get("classes") == 1 and not value.is_floating_point():
        return  # any labels would pass, with no meaning
    layouts = [_AS_IS, *_layouts(type_, value, bound)]
    casts = [_AS_IS] if is_union else [_AS_IS, *_casts(type_, value)]
    for layout, cast in product(layouts, casts):
        yield layout.then(cast)
    if not is_union and _has_classes(value, others):
        yield _MOST_LIKELY if value.is_floating_point() else _SCORES


def _layouts(type_: TensorType, value: Tensor, bound: Mapping[str, Extent]) -> Iterator[Fix]:
    """Yield fixes that reorder, add or remove axes."""
    shape = concrete_shape(value)
    if len(shape) == 3 and shape[-1] in _CHANNEL_COUNTS and shape[0] not in _CHANNEL_COUNTS:
        calls = (("permute", (2, 0, 1)), ("unsqueeze", (0,)))
        yield Fix("it is one image with its channels last", calls)
    yield from _flattened(type_, shape)
    yield from _missing_axes(type_, shape, bound)
    if len(shape) >= 2:
        yield Fix("its first two axes are swapped", (("transpose", (0, 1)),))
        yield Fix("its last two axes are swapped", (("transpose", (-1, -2)),))
    if len(shape) == 4:
        yield Fix("its channels are last (NHWC)", (("permute", (0, 3, 1, 2)),))
    if len(shape) > 2 and any(axis.variadic for axis in type_.axes[:-1]):
        yield Fix("axis 1 should be last", (("movedim", (1, -1)),))
    if shape[-1:] == (1,):
        yield Fix("it has an extra last axis of size 1", (("squeeze", (-1,)),))


def _missing_axes(
    type_: TensorType, shape: tuple[Any, ...], bound: Mapping[str, Extent]
) -> Iterator[Fix]:
    """Yield fixes that add axes of size 1 where the contract may have one, the batch first.

    If the tensor begins with the size of the batch, the batch is not missing.
    """
    has_batch = bool(shape) and shape[0] == bound.get("batch")
    positions = [
        i
        for i, axis in enumerate(type_.axes)
        if (axis.name == "batch" and not has_batch)
        or (axis.broadcast and not axis.variadic and axis.name != "batch")
        or 1 in (axis.fixed, bound.get(axis.name or ""))
    ]
    positions.sort(key=lambda i: type_.axes[i].name != "batch")
    num_missing = len(type_.axes) - len(shape)
    if not 0 < num_missing <= 3:  # more is not a slip, and trying it would take long
        return
    for missing in map(sorted, combinations(positions[:6], num_missing)):
        texts = [str(type_.axes[i]) for i in missing]
        sizes = [f"size {text}" if text.isdecimal() else text for text in texts]
        axes = listed(f"axis {i} ({size})" for i, size in zip(missing, sizes, strict=True))
        verb = "is" if len(missing) == 1 else "are"
        condition = "for one example" if any(type_.axes[i].name == "batch" for i in missing) else ""
        calls = tuple(("unsqueeze", (i,)) for i in missing)
        yield Fix(f"{axes} {verb} missing", calls, condition)


def _flattened(type_: TensorType, shape: tuple[Any, ...]) -> Iterator[Fix]:
    """Yield the unflattening of axis 1, if all axes after the first are fixed."""
    sizes = [axis.fixed for axis in type_.axes[1:] if axis.fixed is not None]
    is_fixed = 1 < len(sizes) == len(type_.axes) - 1
    if is_fixed and len(shape) == 2 and prod(sizes) == shape[1]:
        yield Fix("it is flattened", (("unflatten", (1, tuple(sizes))),))


def _casts(type_: TensorType, value: Tensor) -> Iterator[Fix]:
    """Yield casts to other dtypes that can hold the same data."""
    if value.dtype is torch.uint8 and len(type_.axes) >= 3:
        yield _PIXELS
    if value.is_complex():
        return
    is_float, reason = value.is_floating_point(), f"it is {dtype_name(value)}"
    for name in ("float", "double") if is_float else ("float", "double", "long", "bool"):
        yield Fix(reason, ((name, ()),))
    if is_float and type_.allows(torch.bool) and (mask := _as_mask(value)):
        yield Fix(reason, (mask,), "if True means keep" if mask[0] == "eq" else "")
    if is_float and _is_whole(value):
        yield Fix(reason, (("long", ()),), "as all are whole numbers")


def _as_mask(value: Tensor) -> tuple[str, tuple[Any, ...]] | None:
    """Return the method that makes a boolean mask of one of 0 and 1, or of 0 and -inf."""
    if not _can_be_read(value):
        return None
    values = set(torch.unique(value.detach()).tolist())
    if values in ({1.0}, {0.0, 1.0}):  # zeros alone can be either kind of mask
        return "bool", ()
    return ("eq", (0,)) if values in ({-math.inf}, {0.0, -math.inf}) else None


def _can_be_read(value: Tensor) -> bool:
    """Whether the values of a tensor can be read without delay."""
    is_plain = type(value) is Tensor and value.device.type == "cpu" and not value.is_complex()
    return is_plain and value.numel() <= _MAX_VALUES


def _is_whole(value: Tensor) -> bool:
    """Whether all values are integers that int64 can hold, as far as they can be read cheaply."""
    if not _can_be_read(value):
        return False
    if not value.is_floating_point():
        return True
    numbers = value.detach()
    return bool(((numbers == numbers.round()) & (numbers.abs() < 2**53)).all())


def _has_classes(value: Tensor, others: Sequence[Tensor]) -> bool:
    """Whether a tensor has a value for each class, as another tensor of its shape has."""
    if value.dim() < 2 or value.shape[-1] < 2:  # not several classes
        return False
    if _is_whole(value) and bool(((value != 0).sum(-1) > 1).any()):  # several classes at once
        return False
    is_like_scores = any(concrete_shape(value) == concrete_shape(other) for other in others)
    return is_like_scores and (value.is_floating_point() or value.dtype is torch.int64)
