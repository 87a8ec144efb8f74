"""Trace a model: with inputs, or symbolically, with arguments made from its contract."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from shapezoo._containers import tensors_of
from shapezoo._modules import device_of, floating_dtype, require_plain, uncompiled
from shapezoo.contracts import ContractError, Signature, signature
from shapezoo.contracts.examples.arguments import example_arguments, free_axes
from shapezoo.contracts.language.axis_names import LONG_AXES
from shapezoo.contracts.messages.describing import shown
from shapezoo.tracing.polynomials import CHECKS, DifferenceError, General, Sizes, generalise
from shapezoo.tracing.running import run_once
from shapezoo.tracing.traces import SizesError, Trace, TraceError

UNITS = ((64, 2), (26880, 60), (64, 64), (8, 8), (1, 1))
"""The units of long axes, and of other axes, in each attempt to find expressions.

Many layers divide an image by powers of two up to 64, some by others (26880 is 256 * 3 * 5 * 7);
code may also loop over the positions of other axes, which takes small numbers.
"""

FEW_UNITS = ((8, 2), (1, 1), (64, 1))
FEW_CHECKS = (1, 5)
"""The same as `UNITS` and `CHECKS` where a run costs time and memory."""


def trace(
    model: nn.Module, /, *inputs: Any, sizes: Mapping[str, int] | None = None, **keywords: Any
) -> Trace:
    """Run a model once, and return every layer with the shapes of its inputs and outputs.

    Without inputs, the trace is symbolic: the shapes are expressions of the axes that the
    contract of the model names, such as ``batch 64 height/4 width/4``. They are found by runs at
    several sizes on the meta device, which computes no values. A model that cannot run there, and
    one for which all sizes are given, runs on zeros instead. An integer argument ``lengths`` is
    filled with the size of the axis that it counts, such as ``seq``.

    The model is left unchanged: gradients are off, buffers are copied, and attributes and torch's
    default generators are restored.

    Args:
        model: The model; it need not have a contract if there are inputs.
        *inputs: The positional arguments of the model.
        sizes: Sizes for axes of the contract, in a trace without inputs. With a size for each
            axis the model runs once. (An argument of the model with this name has to be passed
            by position.)
        **keywords: The keyword arguments of the model. Those without tensors may also be passed
            in a symbolic trace.

    Raises:
        TraceError: The model failed. The error has the trace up to the layer that failed.
        ContractError: There are no inputs, and no contract to make them from.
        SizesError: The contract has no axis of this name, or the model does different things at
            different sizes, such as calling more layers, and needs a size for each axis.
        TypeError: The model is not a module, or the sizes are not a mapping, or a module in the
            model cannot be traced: one of TorchScript, an `nn.DataParallel`, or one that creates
            its parameters in its first call.

    Example:
        ```pycon
        >>> import torch
        >>> from shapezoo import trace
        >>> from shapezoo.models import lenet
        >>> trace(lenet(), torch.zeros(8, 1, 28, 28)).call.outputs[0].sizes
        (8, 10)
        >>> trace(lenet()).call.outputs[0].sizes
        ('batch', 10)

        ```
    """
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"trace takes a module, got {shown(model)}; a builder has to be called first"
        )
    if sizes is not None and not isinstance(sizes, Mapping):
        raise TypeError(f"sizes must be a mapping from axes to sizes, got {shown(sizes)}")
    model = uncompiled(model)
    require_plain(model)
    if inputs or any(True for _ in tensors_of(keywords)):
        if sizes:
            raise SizesError(f"sizes {dict(sizes)} are for a trace without inputs")
        return run_once(model, inputs, keywords)
    try:
        return _from_contract(model, dict(sizes or {}), keywords)
    except ContractError as error:
        hint = "to trace it all the same, give inputs: trace(model, ...)"
        raise ContractError(f"{error}\n  {hint}") from error


def _from_contract(model: nn.Module, sizes: Sizes, keywords: dict[str, Any]) -> Trace:
    """Trace a model on zeros, symbolically in the axes without a size."""
    contract = signature(model)
    rest = tuple(argument for argument in contract.inputs if argument.name not in keywords)
    contract = replace(contract, inputs=rest)
    free = [axis for axis in _free_axes(contract, sizes) if axis not in sizes]
    dtype, home = floating_dtype(model), device_of(model) or torch.get_default_device()

    def run(device: torch.device, more: Sizes) -> Trace:
        try:
            args, kwargs = example_arguments(contract, sizes | more, device=device, dtype=dtype)
        except ContractError:
            raise
        except (OverflowError, RuntimeError, TypeError) as error:  # out of memory or range
            raise SizesError(
                f"no tensors of these sizes: {_listed(sizes | more)}\n  {error}"
            ) from error
        if keywords:  # arguments before a keyword argument cannot be passed by position
            kwargs |= keywords | {a.name: arg for a, arg in zip(rest, args, strict=False)}
            args = []
        try:
            return run_once(model, args, kwargs, on_meta=device != home)
        except TraceError as error:
            message = f"{error}\n  it was tried with {_listed(sizes | more)}"
            raise TraceError(message, error.trace) from error.__cause__

    best: General[Trace] | None = None
    errors: list[Exception] = []
    for device in dict.fromkeys([torch.device("meta"), home]) if free else [home]:
        attempts, checks = (UNITS, CHECKS) if device.type == "meta" else (FEW_UNITS, FEW_CHECKS)
        errors.clear()  # the errors of the model's own device are easier to understand
        for long, other in attempts if free else attempts[:1]:
            units = {axis: long if axis in LONG_AXES else other for axis in free}
            try:
                found = generalise(functools.partial(run, device), units, checks)
            except (ContractError, DifferenceError, TraceError) as error:
                errors.append(error)
                continue
            if best is None or found.irregular < best.irregular:
                best = found
            if not best.irregular:
                break
        if best:
            multiples = {axis: n for axis, n in best.multiples.items() if n > 1}
            return replace(best.value, multiples=multiples)
    raise _refusal(errors[0], free) from errors[0].__cause__


def _free_axes(contract: Signature, sizes: Sizes) -> tuple[str, ...]:
    """Return the axes that may have any size.

    Raises:
        SizesError: One of the sizes is for another axis, or is not a positive integer.
    """
    axes = free_axes(contract)
    for axis, size in sizes.items():
        if axis not in axes:
            free = ", ".join(axes) or "none"
            raise SizesError(f"the contract has no axis {axis!r} of free size; it has: {free}")
        if not isinstance(size, int) or size < 1:
            raise SizesError(f"the size of axis {axis!r} must be 1 or more, got {size!r}")
    return axes


def _listed(sizes: Sizes) -> str:
    return ", ".join(f"{axis}={size}" for axis, size in sizes.items())


def _refusal(error: Exception, free: Sequence[str]) -> Exception:
    """Return the error of a trace without inputs, with what to do about it."""
    give = f"trace(model, sizes={{{', '.join(f'{axis!r}: ...' for axis in free)}}})"
    match error:
        case DifferenceError():
            return SizesError(
                f"the model does not do the same at all sizes: {error}\n  give some: {give}"
            )
        case TraceError() if free:
            hint = (
                f"if the model accepts certain sizes only, which a proof finds, give them: {give}"
            )
            return TraceError(f"{error}\n  {hint}", error.trace)
    return error
