"""The records of a trace: calls of modules, the operations in them, and the shapes between them."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

Size = int | str
"""A number or, in a symbolic trace, an expression over the axes of the contract."""

NOWHERE = ""
"""The source of parameters and constants while a trace is recorded."""


@dataclass(frozen=True)
class Shape:
    """The shape of a tensor.

    Attributes:
        sizes: The sizes of its axes, in order.
        dtype: Its dtype, such as ``float32``.
        names: The name of each axis in the contract, or None where it has none; empty without a
            contract.
    """

    sizes: tuple[Size, ...]
    dtype: str
    names: tuple[str | None, ...] = ()

    def __str__(self) -> str:
        is_symbolic = any(isinstance(size, str) for size in self.sizes)
        names = () if is_symbolic else self.names  # expressions already contain the names
        axes = itertools.zip_longest(self.sizes, names)
        return " ".join(f"{name}={size}" if name else str(size) for size, name in axes) or "scalar"


@dataclass(frozen=True)
class Flow:
    """A tensor that an operation made and another one reads.

    Attributes:
        source: The id of the operation that made it.
        shape: The shape of the tensor.
        result: The index of the tensor in the results of that operation. The results of an
            operation with four or more all have index 0.
        is_carried: Whether it comes from an earlier iteration of a loop.
    """

    source: str
    shape: Shape
    result: Size = 0
    is_carried: bool = False


@dataclass(frozen=True)
class Operation:
    """A call of a function of torch.

    Attributes:
        id: What `Flow.source` refers to.
        name: The name of the function, such as ``conv2d``.
        inputs: The tensors that it read, except parameters and constants.
        outputs: The shapes of its results. Of four or more results, each shape is listed once.
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
        path: The path of the module in the model; empty for the model itself.
        kind: The name of its class.
        inputs: The shapes of its arguments; for a packed sequence, the shape of its data.
        outputs: The shapes of its results; empty if it failed.
        axes: The axis names that its contract bound, with their sizes.
        parameters: The number of its parameters, including those of its submodules.
        macs: The multiply-accumulate operations of all iterations, as torch's flop counter counts
            them: in matrix products, convolutions, recurrent layers and attention.
        activation_bytes: The bytes of all tensors that operations in it returned. Views and
            results written into an input count as 0; what a function allocates internally is
            not seen.
        times: How often it was called in a row, in a loop.
        steps: The calls and operations in it, in order.
        has_failed: Whether it ended with an exception.
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
        """Yield all operations in it, including those in inner calls, in order."""
        return operations_in(self.steps)

    def walk(self, depth: int = 0) -> Iterator[tuple[int, "Call"]]:
        """Yield this call and all calls in it, in order, each with its depth."""
        yield depth, self
        for call in self.calls:
            yield from call.walk(depth + 1)


Step = Call | Operation


def operations_in(steps: Iterable[Step]) -> Iterator[Operation]:
    """Yield all operations in some steps, including those in calls, in order."""
    for step in steps:
        if isinstance(step, Operation):
            yield step
        else:
            yield from operations_in(step.steps)


def require_depth(depth: int | None) -> None:
    """Raise a ValueError for a negative depth; 0 is the model itself."""
    if depth is not None and depth < 0:
        raise ValueError(f"depth must be 0, which is the model alone, or more, got {depth}")
