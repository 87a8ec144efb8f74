"""Tracing a model: with inputs, or with the shapes that its contract allows."""

import contextlib
import functools
import inspect
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.func import functional_call
from torch.nn.parameter import is_lazy

from shapezoo.contracts import ContractError, Signature, signature
from shapezoo.contracts.examples import example_arguments, free_axes
from shapezoo.tracing import table
from shapezoo.tracing.folding import fold
from shapezoo.tracing.recording import Recorder
from shapezoo.tracing.symbolic import DifferenceError, General, Sizes, generalise
from shapezoo.tracing.traces import SizesError, Trace, TraceError

IMAGE_AXES = ("height", "width", "frames")
UNITS = ((64, 2), (6720, 60), (64, 64), (8, 8), (1, 1))
"""Of what the sizes of image axes, and of others, are multiples in each attempt.

Many layers divide an image by powers of two, some (6720 is 64 * 3 * 5 * 7) by other numbers;
other axes may be stepped through one by one.
"""

FEW_UNITS = ((8, 2), (1, 1), (64, 2))
"""The same where a run costs time and memory."""

LAST_ROWS = 8
"""How many layers the error of a model that failed shows."""


def trace(
    model: nn.Module, *inputs: Any, sizes: Mapping[str, int] | None = None, **keywords: Any
) -> Trace:
    """Run a model once, and see every layer with the shapes that it takes and gives.

    Without inputs, the trace is symbolic: the shapes are expressions of the axes that the
    contract of the model names, such as ``batch 64 height/4 width/4``. They are found by runs at
    several sizes on the meta device, which computes nothing; where a model cannot run there, on
    zeros. In an integer argument ``lengths`` all sequences are as long as the axis ``seq``.

    The model is left as it was: gradients are off, buffers are copies, and torch's generators
    are put back.

    Args:
        model: The model. Modules without a contract are traced too.
        *inputs: What to call it with.
        sizes: Sizes for axes of the contract, in a trace without inputs. With a size for each
            axis the model runs once.
        **keywords: More of what to call it with, by name.

    Raises:
        TraceError: The model has failed. It has the trace up to that layer.
        ContractError: There are no inputs, and no contract to make them from.
        SizesError: The contract has no axis of this name, or the model calls other layers at
            other sizes and needs a size for each axis.
        TypeError: A module is one of TorchScript, which cannot be looked into, or has parameters
            that its first call will make.

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
    _require_plain(model)
    if inputs or keywords:
        if sizes:
            raise SizesError(f"sizes {dict(sizes)} are for a trace without inputs")
        return _run(model, inputs, keywords)
    contract = _contract(model)
    sizes = dict(sizes or {})
    axes = free_axes(contract)
    for axis, size in sizes.items():
        if axis not in axes:
            known = ", ".join(axes) or "none"
            raise SizesError(f"the contract has no axis {axis!r} of free size; it has: {known}")
        if size < 1:
            raise SizesError(f"the size of axis {axis!r} must be at least 1, got {size}")
    return _from_contract(model, contract, sizes, [axis for axis in axes if axis not in sizes])


def _require_plain(model: nn.Module) -> None:
    for path, module in model.named_modules():
        place = f"{path or 'the model'} ({type(module).__name__})"
        if isinstance(module, torch.jit.ScriptModule):
            raise TypeError(f"{place} is TorchScript, which cannot be traced")
        if any(map(is_lazy, [*module.parameters(recurse=False), *module.buffers(recurse=False)])):
            raise TypeError(f"{place} has no parameters yet; call the model once before")


def _contract(model: nn.Module) -> Signature:
    try:
        return signature(model)
    except ContractError as error:
        message = (
            f"there is no contract to make inputs from; give inputs: trace(model, ...)\n{error}"
        )
        raise ContractError(message) from error


def _from_contract(
    model: nn.Module, contract: Signature, sizes: Sizes, free: Sequence[str]
) -> Trace:
    """Trace with zeros of these sizes; a free axis stands for all of its sizes."""
    floating = (p.dtype for p in model.parameters() if p.is_floating_point())
    dtype = next(floating, torch.get_default_dtype())
    home = next((p.device for p in model.parameters()), torch.get_default_device())

    def run(device: torch.device, more: Sizes) -> Trace:
        args, kwargs = example_arguments(contract, sizes | more, device=device, dtype=dtype)
        is_trial = device != home
        return _run(model, args, kwargs, is_on_meta=is_trial, is_named=not free)

    found: list[General[Trace]] = []
    errors: list[Exception] = []
    for device in dict.fromkeys([torch.device("meta"), home]):
        for image, other in () if found else UNITS if device.type == "meta" else FEW_UNITS:
            units = {axis: image if axis in IMAGE_AXES else other for axis in free}
            try:
                found.append(generalise(functools.partial(run, device), units))
            except (TraceError, DifferenceError) as error:
                errors.append(error)
            else:
                if not found[-1].irregular:
                    break
    if not found:
        raise _refusal(errors[len(UNITS) if len(errors) > len(UNITS) else 0], free)
    best = min(found, key=lambda general: general.irregular)
    multiples = {axis: multiple for axis, multiple in best.multiples.items() if multiple > 1}
    return replace(best.value, multiples=multiples)


def _run(
    model: nn.Module,
    args: Sequence[Any],
    kwargs: dict[str, Any],
    *,
    is_on_meta: bool = False,
    is_named: bool = True,
) -> Trace:
    """Run a model once.

    Args:
        model: The model.
        args: Its arguments.
        kwargs: Its keywords.
        is_on_meta: Whether its parameters and buffers are put on the meta device for that.
        is_named: Whether sizes are told with the names that contracts give them.
    """
    parameters = dict(model.named_parameters()) if is_on_meta else {}
    state = {name: tensor.to("meta") for name, tensor in parameters.items()}
    for name, buffer in model.named_buffers():
        state[name] = buffer.to("meta") if is_on_meta else buffer.clone()
    recorder = Recorder(model, is_named=is_named)
    try:
        with _undisturbed(model), recorder.recording():
            recorder.name_inputs(_by_name(model, args, kwargs))
            functional_call(model, state, tuple(args), kwargs)
    except Exception as error:
        if recorder.call is None:
            raise
        raise _failure(_trace(recorder), error) from error
    return _trace(recorder)


def _trace(recorder: Recorder) -> Trace:
    assert recorder.call is not None
    inputs, call, outputs = fold(recorder.inputs, recorder.call, recorder.outputs)
    return Trace(call, inputs, outputs)


@contextlib.contextmanager
def _undisturbed(model: nn.Module) -> Iterator[None]:
    """Run without gradients or compilation, and put the generators back."""
    devices = {p.device.index for p in model.parameters() if p.device.type == "cuda"}
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        stack.enter_context(torch.random.fork_rng(devices=devices))
        if "torch._dynamo" in sys.modules:  # otherwise nothing is compiled
            stack.enter_context(torch.compiler.set_stance("force_eager"))
            stack.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("ignore", "Using `torch.compile")  # nothing is compiled
        yield


def _by_name(model: nn.Module, args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    try:
        return inspect.signature(model.forward).bind(*args, **kwargs).arguments
    except TypeError:  # the call will say so
        return {}


def _failure(trace: Trace, error: Exception) -> TraceError:
    """The error that says where a model has failed."""
    call = trace.call
    while call.calls and call.calls[-1].has_failed:
        call = call.calls[-1]
    place = f" in {call.path} ({call.kind})" if call.path else ""
    lines = [
        f"{trace.call.kind} failed{place}, which got {table.shapes(call.inputs) or 'no tensor'}",
        *f"{type(error).__name__}: {error}".splitlines(),
        "the last layers:",
        *table.text(table.rows(trace)[-LAST_ROWS:]).splitlines(),
    ]
    return TraceError("\n  ".join(lines), trace)


def _refusal(error: Exception, free: Sequence[str]) -> Exception:
    """The error of a trace for all sizes, with what to do about it."""
    if not free:
        return error
    give = f"trace(model, sizes={{{', '.join(f'{axis!r}: ...' for axis in free)}}})"
    if isinstance(error, TraceError):
        error.add_note(f"if the model takes certain sizes only, give them: {give}")
        return error
    return SizesError(f"the model does not call the same layers at all sizes; give some: {give}")
