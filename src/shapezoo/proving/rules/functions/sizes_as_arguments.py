"""Shape rules of functions that get sizes where PyTorch expects plain numbers.

``avg_pool2d(x, x.shape[2:])`` is global pooling. PyTorch would fix the size to one number, so that
the proof would hold for that only, and none of the others is tried.
"""

import math
from typing import Any

import torch
from torch import Tensor

from shapezoo.proving.rules.intervals import Size
from shapezoo.proving.rules.kernels.sliding import per_axis, windows
from shapezoo.proving.rules.shape_rules import empty, require

# Private, but a mode sees these very functions; see `function_shapes.FUNCTIONS`.
_nn: Any = torch._C._nn  # pyright: ignore[reportAttributeAccessIssue]  # torch has no types for it


def _average_pool(
    x: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Any:
    """Compute the shape of a pooling whose window has the size of an axis."""
    axes = x.dim() - 2
    each = [per_axis(option, axes) for option in (kernel_size, stride or kernel_size, padding)]
    is_sized = any(isinstance(size, torch.SymInt) for sizes in each for size in sizes)
    if axes < 1 or ceil_mode or not is_sized or any(len(sizes) != axes for sizes in each):
        return NotImplemented
    if not x.is_floating_point() or not all(size > 0 for size in x.shape):
        return NotImplemented
    pooled = [_pooled(*sizes) for sizes in zip(x.shape[2:], *each, strict=True)]
    return empty(x, (*x.shape[:2], *pooled))


def _pooled(size: Size, kernel: Size, step: Size, pad: Size) -> Size:
    require(kernel > 0 and step > 0, "kernel size and stride should be greater than zero")
    require(pad >= 0 and 2 * pad <= kernel, "pad should be at most half of kernel size")
    message = "Output size is too small, for an input of {}"
    return windows(size, kernel, step, pad, message=message)


def _adaptive_pool(axes: int, *, has_positions: bool) -> Any:
    """Return the rule of a pooling to sizes that are given, which asks nothing about windows."""

    def pool(x: Tensor, output_size: Any) -> Any:
        sizes = per_axis(output_size, axes)
        if x.dim() not in (axes + 1, axes + 2) or len(sizes) != axes or not x.is_floating_point():
            return NotImplemented
        if not all(size > 0 for size in (*x.shape, *sizes)):
            return NotImplemented
        result = empty(x, (*x.shape[:-axes], *sizes))
        return (result, empty(x, result.shape, torch.int64)) if has_positions else result

    return pool


def _linspace(start: Any, end: Any, steps: Any = None, **options: Any) -> Any:
    if not isinstance(steps, torch.SymInt) or "out" in options:
        return NotImplemented
    require(steps >= 0, "number of steps must be non-negative")
    return torch.empty((steps,), **options)


def _arange(*numbers: Any, **options: Any) -> Any:
    """Make numbers whose step is a half, a quarter and so on: floats hold their count exactly."""
    start, end, step = {1: (0, *numbers, 1), 2: (*numbers, 1)}.get(len(numbers), numbers)
    is_sized = any(isinstance(number, torch.SymInt | torch.SymFloat) for number in (start, end))
    if not is_sized or not isinstance(step, float) or step <= 0 or "out" in options:
        return NotImplemented
    parts = 1 / step
    if not parts.is_integer() or int(parts) & (int(parts) - 1):
        return NotImplemented
    length = end - start
    require(length >= 0, "upper bound and lower bound inconsistent with step sign")
    return torch.empty((math.ceil(length * int(parts)),), **options)


SIZED: tuple[tuple[Any, ...], ...] = (
    # A window has the size of an axis.
    (_average_pool, torch.avg_pool1d, _nn.avg_pool2d, _nn.avg_pool3d),
    # The result has the size of an axis.
    (_adaptive_pool(1, has_positions=False), torch.adaptive_avg_pool1d),
    (_adaptive_pool(2, has_positions=False), _nn.adaptive_avg_pool2d),
    (_adaptive_pool(3, has_positions=False), _nn.adaptive_avg_pool3d),
    (_adaptive_pool(1, has_positions=True), torch.adaptive_max_pool1d),
    (_adaptive_pool(2, has_positions=True), _nn.adaptive_max_pool2d),
    (_adaptive_pool(3, has_positions=True), _nn.adaptive_max_pool3d),
    # There are as many numbers as a size says.
    (_linspace, torch.linspace),
    (_arange, torch.arange),
)
"""The rules of these functions, for `rule_table`."""
