"""Traces: every layer that a model calls, with the shapes of its inputs and outputs.

docs/internals/traces.md explains where the formulas of a trace come from.
"""

from shapezoo.tracing.records import Call, Flow, Operation, Shape, Size
from shapezoo.tracing.traces import SizesError, Trace, TraceError
from shapezoo.tracing.tracing import trace

__all__ = [
    "Call",
    "Flow",
    "Operation",
    "Shape",
    "Size",
    "SizesError",
    "Trace",
    "TraceError",
    "trace",
]
