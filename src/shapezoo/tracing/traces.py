"""A trace, and the error that carries one."""

import dataclasses
import os
from dataclasses import dataclass, field
from typing import Any

from shapezoo._files import replacing
from shapezoo.tracing import diagram, table
from shapezoo.tracing.blocks import Graph, graph_of
from shapezoo.tracing.records import Call, Flow, Operation, Size


@dataclass(frozen=True, repr=False)
class Trace:
    """What happened in a model when it ran once.

    It prints as a table, and shows itself in a notebook.

    Attributes:
        call: The call of the model, with the calls and operations in it.
        inputs: What the model was called with, each as an operation that gives it.
        outputs: What the model returned, and from where; empty if it failed.
        multiples: In a symbolic trace, what the sizes of some axes must be multiples of for the
            expressions to hold.
    """

    call: Call
    inputs: tuple[Operation, ...]
    outputs: tuple[Flow, ...]
    multiples: dict[str, int] = field(default_factory=dict)

    @property
    def parameters(self) -> int:
        """The number of parameters of the model."""
        return self.call.parameters

    @property
    def macs(self) -> Size:
        """The multiply-accumulate operations, as in `Call.macs`."""
        return self.call.macs

    @property
    def activation_bytes(self) -> Size:
        """Bytes of all tensors that operations in the model returned."""
        return self.call.activation_bytes

    def __str__(self) -> str:
        return self.to_text()

    __repr__ = __str__

    def to_text(self, *, depth: int | None = None, width: int | None = None) -> str:
        """The table as plain text.

        Columns that do not fit are left out: first the bytes of activations, then the
        multiply-accumulate operations, then the inputs. What is still too wide is wrapped.

        Args:
            depth: How deep to go into the model; 0 is the model alone. By default to the end.
            width: How many characters a line may have; by default as many as the terminal has
                or, where the output goes elsewhere, as many as the table needs.

        Raises:
            ValueError: The depth is negative.
        """
        rows = table.rows(self.call, depth)
        return f"{table.text(rows, width)}\n\n{table.summary(self.call, self.multiples)}"

    def to_markdown(self, *, depth: int | None = None) -> str:
        """The table in Markdown.

        Args:
            depth: How deep to go into the model; 0 is the model alone. By default to the end.

        Raises:
            ValueError: The depth is negative.
        """
        return table.markdown(self.call, self.multiples, depth)

    def to_dict(self) -> dict[str, Any]:
        """The trace as JSON-ready data; calls and operations tell their type."""
        data: dict[str, Any] = _data(self)
        return data

    def to_mermaid(self, *, depth: int | None = None) -> str:
        """The model as a flowchart in Mermaid's language, with a shape on each arrow.

        Args:
            depth: How deep to go into the model; 0 is the model alone. By default as deep as a
                picture of 40 blocks allows.

        Raises:
            ValueError: The depth is negative.
        """
        return diagram.mermaid(self._graph(depth))

    def to_svg(self, *, depth: int | None = None) -> str:
        """The model as a block diagram, with a shape on each arrow.

        It has no background, and the ink of the page around it; on its own, that of the system's
        light or dark mode.

        Args:
            depth: How deep to go into the model; 0 is the model alone. By default as deep as a
                picture of 40 blocks allows.

        Raises:
            ValueError: The depth is negative.
            ImportError: graphlay is not installed, which lays it out.
        """
        return diagram.svg(self._graph(depth), f"block diagram of {self.call.kind}")

    def save_svg(self, path: str | os.PathLike[str], *, depth: int | None = None) -> None:
        """Write the block diagram of `to_svg` to a file.

        Args:
            path: Where to write it.
            depth: How deep to go into the model.

        Raises:
            ValueError: The depth is negative.
            ImportError: graphlay is not installed, which lays it out.
            OSError: The file cannot be written.
        """
        content = self.to_svg(depth=depth)
        with replacing(path) as temporary:
            temporary.write_text(content, encoding="utf-8")

    def _graph(self, depth: int | None) -> Graph:
        return graph_of(self.call, self.inputs, self.outputs, depth)

    def _repr_html_(self) -> str:
        """The table and the diagram, for notebooks."""
        parts = [table.html(self.call, self.multiples)]
        try:
            parts.append(self.to_svg())
        except ImportError:
            parts.append("<p>For a diagram: <code>pip install 'shapezoo[diagrams]'</code></p>")
        return "\n".join(parts)


class TraceError(RuntimeError):
    """A model failed while it was traced.

    The message names the module, what it got, what went wrong, and the last layers before it.
    What the model raised is its cause.

    Attributes:
        trace: The trace up to there. An error that was rebuilt from its message alone has none.
    """

    __module__ = "shapezoo"  # where users import it from, and what tracebacks show

    trace: Trace

    def __init__(self, message: str, trace: Trace | None = None) -> None:
        super().__init__(message)
        if trace is not None:
            self.trace = trace


class SizesError(ValueError):
    """The sizes that a trace was asked for do not suit the model; the message says why."""

    __module__ = "shapezoo.tracing"


def _data(value: object) -> Any:
    """A record as JSON-ready data."""
    if isinstance(value, tuple):
        return [_data(part) for part in value]
    if not dataclasses.is_dataclass(value):
        return value
    types = {"type": type(value).__name__.lower()} if isinstance(value, Call | Operation) else {}
    names = [field.name for field in dataclasses.fields(value)]
    return types | {name: _data(getattr(value, name)) for name in names}
