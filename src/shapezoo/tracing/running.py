"""Running a model once, undisturbed, to see what happens in it."""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn
from torch.func import functional_call

from shapezoo.tracing import table
from shapezoo.tracing.folding import fold
from shapezoo.tracing.recording import Recorder
from shapezoo.tracing.records import Call
from shapezoo.tracing.traces import Trace, TraceError

LAST_ROWS = 8
"""How many layers the error of a model that failed shows."""


def run_once(
    model: nn.Module, args: Sequence[Any], kwargs: dict[str, Any], *, on_meta: bool = False
) -> Trace:
    """Run a model once.

    Args:
        model: The model.
        args: Its arguments.
        kwargs: Its keywords.
        on_meta: Whether its parameters and buffers are put on the meta device for that.

    Raises:
        TraceError: It has failed.
    """
    parameters = dict(model.named_parameters()) if on_meta else {}
    state = {name: tensor.to("meta") for name, tensor in parameters.items()}
    for name, buffer in model.named_buffers():
        state[name] = buffer.to("meta") if on_meta else buffer.clone()
    recorder = Recorder(model)
    try:
        with _undisturbed(model), recorder.recording():
            functional_call(model, state, tuple(args), kwargs)
    except Exception as error:
        if recorder.call is None:
            raise
        failed = recorder.failed if recorder.error is error else None
        raise _failure(_trace(recorder), failed or recorder.call, error) from error
    return _trace(recorder)


def _trace(recorder: Recorder) -> Trace:
    assert recorder.call is not None
    inputs, call, outputs = fold(recorder.inputs, recorder.call, recorder.outputs)
    return Trace(call, inputs, outputs)


@contextlib.contextmanager
def _undisturbed(model: nn.Module) -> Iterator[None]:
    """Run without gradients or compilation, and put generators and attributes back."""
    attributes = [(module, dict(vars(module))) for module in model.modules()]
    devices = {p.device.index for p in model.parameters() if p.device.type == "cuda"}
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        stack.enter_context(torch.random.fork_rng(devices=devices))
        if "torch._dynamo" in sys.modules:  # otherwise nothing is compiled
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        try:
            yield
        finally:
            for module, before in attributes:  # some keep tensors, as those of positions
                vars(module).clear()
                vars(module).update(before)


def _failure(trace: Trace, call: Call, error: Exception) -> TraceError:
    """The error that says in which call a model has failed."""
    place = f" in {call.path} ({call.kind})" if call.path else ""
    lines = [
        f"{trace.call.kind} failed{place}, which got {table.shapes(call.inputs) or 'no tensor'}",
        *f"{type(error).__name__}: {error}".splitlines(),
        "the last layers:",
        *table.text(table.rows(trace)[-LAST_ROWS:]).splitlines(),
    ]
    return TraceError("\n  ".join(lines), trace)
