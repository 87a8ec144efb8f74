"""Shape rules of functions that take sizes where torch wants plain numbers."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from shapezoo.proving.rules.common import Size, empty, require

Symbols = (torch.SymInt, torch.SymFloat)

_nn: Any = torch._C._nn  # pyright: ignore[reportAttributeAccessIssue]  # torch has no types for it

AVERAGES = (torch.avg_pool1d, _nn.avg_pool2d, _nn.avg_pool3d)


def average_pool(
    x: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Any:
    """Compute the shape of a pooling whose window has the size of an axis.

    Raises:
        RuntimeError: A window does not fit.
    """
    axes = x.dim() - 2
    options = (kernel_size, stride or kernel_size, padding)
    each = [_per_axis(option, axes) for option in options]
    is_sized = any(isinstance(size, torch.SymInt) for sizes in each for size in sizes)
    if axes < 1 or ceil_mode or not is_sized or any(len(sizes) != axes for sizes in each):
        return NotImplemented
    if not x.is_floating_point() or not all(size > 0 for size in x.shape):
        return NotImplemented
    pooled = [_pooled(*sizes) for sizes in zip(x.shape[2:], *each, strict=True)]
    return empty(x, (*x.shape[:2], *pooled))


def _per_axis(option: Any, axes: int) -> Sequence[Size]:
    sizes = [*option] if isinstance(option, tuple | list) else [option]
    return sizes * axes if len(sizes) == 1 else sizes


def _pooled(size: Size, kernel: Size, step: Size, pad: Size) -> Size:
    require(kernel > 0 and step > 0, "kernel size and stride should be greater than zero")
    require(pad >= 0 and 2 * pad <= kernel, "pad should be at most half of kernel size")
    require(size + 2 * pad >= kernel, "Output size is too small, for an input of {}", size)
    return (size + 2 * pad - kernel) // step + 1


ADAPTIVE = {
    torch.adaptive_avg_pool1d: 1,
    _nn.adaptive_avg_pool2d: 2,
    _nn.adaptive_avg_pool3d: 3,
    torch.adaptive_max_pool1d: 1,
    _nn.adaptive_max_pool2d: 2,
    _nn.adaptive_max_pool3d: 3,
}
"""Poolings to given sizes, with the number of their axes."""


def adaptive_pool(func: Any) -> Any:
    """Make the rule of a pooling to given sizes, which asks nothing about its windows."""
    axes, has_places = ADAPTIVE[func], "max" in func.__name__

    def pool(x: Tensor, output_size: Any) -> Any:
        sizes = _per_axis(output_size, axes)
        if x.dim() not in (axes + 1, axes + 2) or len(sizes) != axes or not x.is_floating_point():
            return NotImplemented
        if not all(size > 0 for size in (*x.shape, *sizes)):
            return NotImplemented
        result = empty(x, (*x.shape[:-axes], *sizes))
        return (result, empty(x, result.shape, torch.int64)) if has_places else result

    return pool


def linspace(start: Any, end: Any, steps: Any = None, **options: Any) -> Any:
    """Make as many numbers as an axis has."""
    if not isinstance(steps, torch.SymInt) or "out" in options:
        return NotImplemented
    require(steps >= 0, "number of steps must be non-negative")
    return torch.empty((steps,), **options)


def arange(*numbers: Any, **options: Any) -> Any:
    """Make numbers whose step is a half, a quarter and so on: their count is exact.

    Raises:
        RuntimeError: The bounds do not go with the step.
    """
    start, end, step = {1: (0, *numbers, 1), 2: (*numbers, 1)}.get(len(numbers), numbers)
    is_sized = any(isinstance(number, Symbols) for number in (start, end))
    if not is_sized or not isinstance(step, float) or step <= 0 or "out" in options:
        return NotImplemented
    parts = 1 / step
    if not parts.is_integer() or int(parts) & (int(parts) - 1):
        return NotImplemented
    length = end - start
    require(length >= 0, "upper bound and lower bound inconsistent with step sign")
    return torch.empty((math.ceil(length * int(parts)),), **options)
