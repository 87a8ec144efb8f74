"""What a trace records: calls of modules, the operations in them, and the shapes between."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

Size = int | str
"""A number or, in a symbolic trace, an expression over the axes of the contract."""

NOWHERE = ""
"""The source of parameters and constants, while a trace is recorded."""


@dataclass(frozen=True)
class Shape:
    """The shape of a tensor.

    Attributes:
        sizes: The sizes of its axes, in order.
        dtype: Its dtype, such as ``float32``.
        names: What the contract calls each axis, or None where it does not; empty without a
            contract.
    """

    sizes: tuple[Size, ...]
    dtype: str
    names: tuple[str | None, ...] = ()

    def __str__(self) -> str:
        is_symbolic = any(isinstance(size, str) for size in self.sizes)
        names = () if is_symbolic else self.names  # expressions say themselves what they are
        axes = itertools.zip_longest(self.sizes, names)
        return " ".join(f"{name}={size}" if name else str(size) for size, name in axes) or "scalar"


@dataclass(frozen=True)
class Flow:
    """A tensor on its way from the operation that made it.

    Attributes:
        source: The id of that operation.
        shape: The shape of the tensor.
        result: Which of the results of the operation it is, counted from 0; of four and more
            they are not told apart.
        is_carried: Whether it comes from an earlier round of a loop.
    """

    source: str
    shape: Shape
    result: Size = 0
    is_carried: bool = False


@dataclass(frozen=True)
class Operation:
    """A call of one of torch's functions.

    Attributes:
        id: What `Flow.source` refers to.
        name: The name of the function, such as ``conv2d``.
        inputs: The tensors that it read, apart from parameters and constants.
        outputs: The shapes of what it returned, of four and more each once.
        times: How often it was called in a row, in a loop.
    """

    id: str
    name: str
    inputs: tuple[Flow, ...]
    outputs: tuple[Shape, ...]
    times: Size = 1


@dataclass(frozen=True)
class Call:
    """A call of a module.

    Attributes:
        path: Where the module stands in the model; empty for the model itself.
        kind: The name of its class.
        inputs: The shapes of its arguments. Of packed sequences it is that of the packed data.
        outputs: The shapes of its results; empty if it failed.
        axes: The axis names that its contract bound, with their sizes.
        parameters: The number of its parameters, those of the modules in it included.
        macs: Multiply-accumulate operations of all its rounds, as torch's flop counter counts
            them: those of matrix products, convolutions, recurrent layers and attention.
        activation_bytes: Bytes of all tensors that operations in it returned. Views and results
            written into an input take none; what a function keeps inside is not seen.
        times: How often it was called in a row, in a loop.
        steps: The calls and operations in it, in order.
        has_failed: Whether an error ended it.
    """

    path: str
    kind: str
    inputs: tuple[Shape, ...]
    outputs: tuple[Shape, ...]
    axes: dict[str, Size]
    parameters: int
    macs: Size
    activation_bytes: Size
    times: Size = 1
    steps: tuple["Call | Operation", ...] = field(default=(), repr=False)
    has_failed: bool = False

    @property
    def calls(self) -> tuple["Call", ...]:
        """The calls of modules in it, in order."""
        return tuple(step for step in self.steps if isinstance(step, Call))

    def operations(self) -> Iterator[Operation]:
        """All operations in it, those in other calls included, in order."""
        for step in self.steps:
            if isinstance(step, Operation):
                yield step
            else:
                yield from step.operations()

    def walk(self, depth: int = 0) -> Iterator[tuple[int, "Call"]]:
        """This call and all calls in it, in order, each with its depth."""
        yield depth, self
        for call in self.calls:
            yield from call.walk(depth + 1)


def require_depth(depth: int | None) -> None:
    """Refuse a depth below that of the model itself, which is 0."""
    if depth is not None and depth < 0:
        raise ValueError(f"depth must be 0, which is the model alone, or more, got {depth}")
