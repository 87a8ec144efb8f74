"""Seeing what happens in a model: every layer, with the shapes that it takes and gives."""

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
