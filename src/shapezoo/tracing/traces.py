"""The result of `trace`, and its errors."""

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
    """The calls and operations of one run of a model.

    It prints as a table, and as a table and a diagram in a notebook.

    Attributes:
        call: The call of the model, with the calls and operations in it.
        inputs: The arguments of the model, each as an operation without inputs.
        outputs: The results of the model, with the operations that made them; empty if the model
            failed.
        multiples: In a symbolic trace, the numbers that the sizes of some axes must be multiples
            of for the expressions to hold.
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
        """The number of multiply-accumulate operations, as in `Call.macs`."""
        return self.call.macs

    @property
    def activation_bytes(self) -> Size:
        """The bytes of all tensors that operations in the model returned."""
        return self.call.activation_bytes

    def __str__(self) -> str:
        return self.to_text()

    __repr__ = __str__

    def to_text(self, *, depth: int | None = None, width: int | None = None) -> str:
        """Return the table as plain text.

        Columns that do not fit are left out: first the bytes of activations, then the
        multiply-accumulate operations, then the inputs. Cells that are still too wide are wrapped.

        Args:
            depth: The number of levels of submodules to show; 0 is the model alone. By default
                all of them.
            width: The largest number of characters in a line. By default the width of the terminal
                or, if the output does not go to a terminal, as much as the table needs.

        Raises:
            ValueError: The depth is negative.
        """
        rows = table.rows(self.call, depth)
        return f"{table.text(rows, width)}\n\n{table.summary(self.call, self.multiples)}"

    def to_markdown(self, *, depth: int | None = None) -> str:
        """Return the table in Markdown.

        Args:
            depth: The number of levels of submodules to show; 0 is the model alone. By default
                all of them.

        Raises:
            ValueError: The depth is negative.
        """
        return table.markdown(self.call, self.multiples, depth)

    def to_dict(self) -> dict[str, Any]:
        """Return the trace as JSON-ready data; a ``type`` tells calls from operations."""
        data: dict[str, Any] = _data(self)
        return data

    def to_mermaid(self, *, depth: int | None = None) -> str:
        """Return the model as a flowchart in Mermaid's language, with a shape on each arrow.

        Args:
            depth: The number of levels of submodules to show; 0 is the model alone. By default as
                many as fit into 40 blocks.

        Raises:
            ValueError: The depth is negative.
        """
        return diagram.mermaid(self._graph(depth))

    def to_svg(self, *, depth: int | None = None) -> str:
        """Return the model as a block diagram in SVG, with a shape on each arrow.

        The picture has no background. Its text has the colour of the page around it, or that of
        the system's light or dark mode if it is opened on its own.

        Args:
            depth: The number of levels of submodules to show; 0 is the model alone. By default as
                many as fit into 40 blocks.

        Raises:
            ValueError: The depth is negative.
            ImportError: graphlay is not installed, which computes the layout.
        """
        return diagram.svg(self._graph(depth), f"block diagram of {self.call.kind}")

    def save_svg(self, path: str | os.PathLike[str], *, depth: int | None = None) -> None:
        """Write the block diagram of `to_svg` to a file.

        Args:
            path: The path of the file.
            depth: The number of levels of submodules to show, as in `to_svg`.

        Raises:
            ValueError: The depth is negative.
            ImportError: graphlay is not installed, which computes the layout.
            OSError: The file cannot be written.
        """
        content = self.to_svg(depth=depth)
        with replacing(path) as temporary:
            temporary.write_text(content, encoding="utf-8")

    def _graph(self, depth: int | None) -> Graph:
        return graph_of(self.call, self.inputs, self.outputs, depth)

    def _repr_html_(self) -> str:
        """Return the table and the diagram, for notebooks."""
        parts = [table.html(self.call, self.multiples)]
        try:
            parts.append(self.to_svg())
        except ImportError:
            parts.append("<p>For a diagram: <code>pip install 'shapezoo[diagrams]'</code></p>")
        return "\n".join(parts)


class TraceError(RuntimeError):
    """A model failed while it was traced.

    The message names the module that failed, its inputs, the error, and the last layers before it.
    The cause (``__cause__``) is the error that the model raised.

    Attributes:
        trace: The trace up to the failure. An error that was made from a message alone has none.
    """

    __module__ = "shapezoo"  # where users import it from; tracebacks show it

    trace: Trace

    def __init__(self, message: str, trace: Trace | None = None) -> None:
        super().__init__(message)
        if trace is not None:
            self.trace = trace


class SizesError(ValueError):
    """The sizes given to a trace do not fit the model; the message says why."""

    __module__ = "shapezoo.tracing"


def _data(value: object) -> Any:
    """Return a record as JSON-ready data."""
    if isinstance(value, tuple):
        return [_data(item) for item in value]
    if not dataclasses.is_dataclass(value):
        return value
    types = {"type": type(value).__name__.lower()} if isinstance(value, Call | Operation) else {}
    names = [field.name for field in dataclasses.fields(value)]
    return types | {name: _data(getattr(value, name)) for name in names}
