"""Shape rules of ATen kernels whose fake versions ask about layout, broadcasting or empty axes.

For example, the fake kernel of ``x + y`` asks of every axis of both operands whether it is of size
1. Where the shapes are the same expressions, or one is the number 1, `_pointwise` knows the result
without a question.

The layout of a result matters as much as its shape, because a later `view` raises or not according
to the strides. A rule that returned a contiguous tensor where the kernel keeps the strides of its
input proved ``(x @ x).mT.relu().view(-1)``, which raises. So rules either keep strides, or leave
tensors of unusual strides to the fake kernel.
"""

import itertools
import math
from typing import Any

import torch
from torch import Tensor

from shapezoo.contracts.matching.proof_mode import hint_of
from shapezoo.proving.rules.kernels import products, sliding, views
from shapezoo.proving.rules.kernels.views import is_contiguous
from shapezoo.proving.rules.shape_rules import (
    Shape,
    are_equal,
    broadcast,
    common_shape,
    empty,
    fits,
    has_channel_weights,
    require,
    rule_table,
)


def by_rule(func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Compute what a kernel returns, or NotImplemented where there is no rule.

    Args:
        func: The kernel.
        name: Its name, without the namespace.
        args: Its arguments.
        kwargs: Its keyword arguments.
    """
    rule, result = _SHAPES.get(name), NotImplemented
    if rule is _reduction:
        result = _reduction(func, args, kwargs)
    elif rule is not None:
        result = rule(*args, **kwargs)
    is_pointwise = torch.Tag.pointwise in func.tags and args and isinstance(args[0], Tensor)
    if result is NotImplemented and is_pointwise:
        return _pointwise(func, name, args, kwargs)
    return result


def _pointwise(func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Compute the shape of a kernel that works number by number, and broadcasts."""
    operands = [arg for arg in args if isinstance(arg, Tensor)]
    if len(func._schema.returns) != 1 or any(isinstance(v, Tensor) for v in kwargs.values()):
        return NotImplemented
    shapes = [operand.shape for operand in operands]
    shape, first = broadcast(shapes), operands[0]
    if shape is None and all(map(is_contiguous, operands)):
        shape = common_shape(shapes)
    if shape is None:
        return NotImplemented
    dtype = _dtype(func, args, kwargs)
    if name.endswith("_"):
        return first if args[0] is first and fits(shape, first.shape) else NotImplemented
    whole = [operand for operand in operands if fits(operand.shape, shape)]
    if whole and _is_permuted(whole[0]) and all(fits(t.stride(), whole[0].stride()) for t in whole):
        return torch.empty_strided(shape, whole[0].stride(), dtype=dtype, device=first.device)
    return empty(first, shape, dtype)


def _dtype(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.dtype:
    """Return the dtype of a result: that of the kernel for tensors with a single number."""
    key = (func, *map(_dtype_key, (*args, *kwargs.values())), *kwargs)
    if key not in _DTYPES:
        ones = [empty(arg, (1,) * arg.dim()) if isinstance(arg, Tensor) else arg for arg in args]
        _DTYPES[key] = func(*ones, **kwargs).dtype
    return _DTYPES[key]


def _dtype_key(argument: object) -> object:
    """Return everything of an argument that the dtype of a result depends on."""
    if isinstance(argument, Tensor):
        return argument.dtype, argument.dim() > 0
    return argument if isinstance(argument, str | torch.dtype) else type(argument)


_DTYPES: dict[object, torch.dtype] = {}


def _is_permuted(x: Tensor) -> bool:
    """Whether the strides are those of a contiguous tensor whose axes were permuted."""
    if is_contiguous(x):
        return False
    steps = [hint_of(step) if isinstance(step, torch.SymInt) else step for step in x.stride()]
    orders = itertools.permutations(range(x.dim()))
    falling = (o for o in orders if all(steps[a] >= steps[b] for a, b in itertools.pairwise(o)))
    return any(is_contiguous(x.permute(order)) for order in falling)


def _reduction(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Compute the shape of a sum or another number for each position along the other axes."""
    # Along an axis, these return positions too; with two tensors, they work number by number.
    x, *others = args
    if func._schema.name in ("aten::max", "aten::min") and others:
        return NotImplemented
    # without defaults: that of amax is an empty list, which means all axes
    names = [argument.name for argument in func._schema.arguments]
    arguments = dict(zip(names, args, strict=False)) | kwargs
    # The norm of an order below 0, or of infinity, is not defined for an axis without entries.
    order = arguments.get("ord", 2)
    if not isinstance(order, int | float) or not 0 <= order < math.inf:
        return NotImplemented
    dims = arguments.get("dim")
    dims = [dims] if isinstance(dims, int) else dims
    if dims is not None and (not dims or not all(-x.dim() <= d < x.dim() for d in dims)):
        return NotImplemented
    gone = {d % x.dim() for d in dims} if dims else set(range(x.dim()))
    if (dims and len(dims) != len(gone)) or "out" in kwargs:
        return NotImplemented
    keeps = arguments.get("keepdim", False)
    axes = [axis for axis in range(x.dim()) if keeps or axis not in gone]
    shape = [1 if axis in gone else x.shape[axis] for axis in axes]
    return empty(x, shape, _dtype(func, args, kwargs))


def _layer_norm(x: Tensor, shape: Shape, *rest: Any) -> Any:
    count = len(shape)
    weights = [weight for weight in rest if isinstance(weight, Tensor)]
    if x.dim() < count or not x.is_floating_point():
        return NotImplemented
    if any(weight.dtype != x.dtype or not fits(weight.shape, shape) for weight in weights):
        return NotImplemented
    message = "Given normalized_shape={}, got input of size {}"
    require(are_equal(x.shape[-count:], shape), message, list(shape), tuple(x.shape))
    statistics = (*x.shape[:-count], *(1,) * count)
    return empty(x, x.shape), empty(x, statistics), empty(x, statistics)


def _batch_norm(x: Tensor, *rest: Any) -> Any:
    if not has_channel_weights(x, rest):
        return NotImplemented
    return empty(x, x.shape), empty(x, (x.shape[1],)), empty(x, (x.shape[1],))


def _cumsum(x: Tensor, dim: int, *, dtype: torch.dtype | None = None) -> Any:
    if not -x.dim() <= dim < x.dim():
        return NotImplemented
    is_integer = not x.is_floating_point() and not x.is_complex()
    return empty(x, x.shape, dtype or (torch.int64 if is_integer else x.dtype))


def _to_copy(x: Tensor, **kwargs: Any) -> Any:
    device = kwargs.get("device") or x.device
    if not is_contiguous(x) or torch.device(device).type != x.device.type:
        return NotImplemented
    if kwargs.get("memory_format") not in (None, torch.preserve_format):
        return NotImplemented
    return empty(x, x.shape, kwargs.get("dtype"))


def _activation(x: Tensor, *options: Any) -> Any:
    return empty(x, x.shape) if x.is_floating_point() else NotImplemented


def _activation_in_place(x: Tensor, *options: Any) -> Any:
    return x if x.is_floating_point() else NotImplemented


_SHAPES = rule_table(
    # Their fake kernels ask whether a tensor is contiguous, or whether an axis is of size 1.
    (views.view, "view _unsafe_view"),
    (views.unsqueeze, "unsqueeze"),
    (views.expand, "expand"),
    (views.index, "index"),
    (views.stack, "stack"),
    (_to_copy, "_to_copy"),
    (_activation, "hardswish hardsigmoid hardtanh leaky_relu"),
    (_activation_in_place, "hardswish_ hardsigmoid_ hardtanh_ leaky_relu_"),
    # Their fake kernels are written as many kernels, each of which asks about layout or axes.
    (_layer_norm, "native_layer_norm"),
    (
        _batch_norm,
        "native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training",
    ),
    (products.addmm, "addmm"),
    (_cumsum, "cumsum"),
    (_reduction, "mean sum any all amax amin logsumexp max min linalg_vector_norm"),
    (sliding.unfold, "im2col"),
    (sliding.fold, "col2im"),
    # The fake kernel asks which implementation to choose.
    (sliding.convolution, "convolution"),
    # The fake kernel accepts one dtype only.
    (products.grouped_mm, "_grouped_mm"),
)
