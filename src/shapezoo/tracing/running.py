"""Run a model once without side effects, and turn what happened into a trace."""

from collections.abc import Sequence
from typing import Any

from torch import nn
from torch.func import functional_call

from shapezoo._frames import users_line
from shapezoo._modules import undisturbed
from shapezoo.tracing import table
from shapezoo.tracing.folding import fold
from shapezoo.tracing.recording import Recorder
from shapezoo.tracing.records import Call, Operation
from shapezoo.tracing.traces import Trace, TraceError

LAST_ROWS = 8
"""How many layers the error of a model that failed shows."""


def run_once(
    model: nn.Module, args: Sequence[Any], kwargs: dict[str, Any], *, on_meta: bool = False
) -> Trace:
    """Run a model once and return the trace.

    Args:
        model: The model.
        args: Its positional arguments.
        kwargs: Its keyword arguments.
        on_meta: Whether to run it with its parameters and buffers on the meta device.

    Raises:
        TraceError: The model failed.
    """
    # Buffers are replaced in any case: batch normalisation updates its statistics in place.
    parameters = dict(model.named_parameters()) if on_meta else {}
    state = {name: tensor.to("meta") for name, tensor in parameters.items()}
    for name, buffer in model.named_buffers():
        state[name] = buffer.to("meta") if on_meta else buffer.clone()
    recorder = Recorder(model)
    try:
        with undisturbed(model), recorder.recording():
            functional_call(model, state, tuple(args), kwargs)
    except Exception as error:
        if recorder.call is None:  # it failed before the model was called
            raise
        failed = recorder.failed if recorder.error is error else None
        raise _failure(_trace(recorder), failed or recorder.call, error) from error
    return _trace(recorder)


def _trace(recorder: Recorder) -> Trace:
    assert recorder.call is not None
    return Trace(*fold(recorder.call, recorder.inputs, recorder.outputs))


def _failure(trace: Trace, call: Call, error: Exception) -> TraceError:
    """Return the error that names the layer in which a model failed.

    Args:
        trace: The trace up to the failure.
        call: The call that failed.
        error: The error that was raised in it.
    """
    layer = f" in {call.path} ({call.kind}), which got" if call.path else ", called with"
    lines = [
        f"{trace.call.kind} failed{layer} {table.shapes(call.inputs) or 'no tensor'}",
        *f"{type(error).__name__}: {error}".splitlines(),
    ]
    last = call.steps[-1] if call.steps else None
    if isinstance(last, Operation) and not last.outputs:
        lines.append(f"of: {last.name}, which got {table.shapes([f.shape for f in last.inputs])}")
    if line := users_line(error, needs_file=False):
        lines.append(f"at: {line}")
    rows = table.rows(trace.call)
    first = len(rows) - LAST_ROWS
    shown = [row for number, row in enumerate(rows) if number >= first or row.call.has_failed]
    lines += ["the last layers:", *table.text(shown).splitlines()]
    return TraceError("\n  ".join(lines), trace)
