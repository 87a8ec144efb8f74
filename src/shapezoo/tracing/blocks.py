"""A trace as blocks with arrows between them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import NamedTuple

from shapezoo.tracing.records import Call, Flow, Operation, Size, require_depth

MOST_BLOCKS = 40
"""How many blocks a diagram may have whose depth nobody chose."""

CASTS = ("to", "type", "type_as", "float", "double", "half", "bfloat16", "int", "long", "bool")
MOVES = ("cpu", "cuda", "contiguous", "clone", "detach", "data", "requires_grad_")
PARTS = ("getitem", "unbind", "select")
QUIET = frozenset({*CASTS, *MOVES, *PARTS})
"""Functions that a diagram leaves out: they compute nothing."""


class Kind(Enum):
    """What a block stands for."""

    INPUT = "input"
    LAYER = "layer"
    FAILED = "failed"
    FUNCTION = "function"
    TENSOR = "tensor"
    OUTPUT = "output"


@dataclass(frozen=True)
class Block:
    """A block of a diagram.

    Attributes:
        kind: What it stands for.
        name: The name of an argument, the path of a module, the name of a function, or the shape
            of a tensor that several blocks read.
        detail: The class of a module.
    """

    kind: Kind
    name: str
    detail: str = ""


@dataclass(frozen=True)
class Arrow:
    """An arrow from one block to another.

    Attributes:
        source: The position of the first block.
        target: The position of the second.
        label: The shape of the tensor, if no block tells it.
    """

    source: int
    target: int
    label: str = ""


@dataclass(frozen=True)
class Graph:
    """The blocks of a diagram, in order, and its arrows."""

    blocks: tuple[Block, ...]
    arrows: tuple[Arrow, ...]


def graph_of(
    call: Call, inputs: Sequence[Operation], outputs: Sequence[Flow], depth: int | None
) -> Graph:
    """Return the blocks of a trace, and the arrows between them.

    Args:
        call: The call of the model.
        inputs: What it was called with.
        outputs: What it returned.
        depth: How many levels of the model to show; by default as many as `MOST_BLOCKS` allow.
    """
    if depth is not None:
        require_depth(depth)
        return _Builder(depth).graph(call, inputs, outputs)
    deepest = max(level for level, _ in call.walk())
    graphs = (_Builder(level).graph(call, inputs, outputs) for level in range(deepest, 1, -1))
    shown = next(filter(_is_small, graphs), None)
    return shown or _Builder(1).graph(call, inputs, outputs)


def _is_small(graph: Graph) -> bool:
    return sum(block.kind is not Kind.TENSOR for block in graph.blocks) <= MOST_BLOCKS


class _Builder:
    """Makes blocks of the calls at a depth, and of the operations above it."""

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._blocks: list[Block] = []
        self._repeated: set[int] = set()
        self._homes: dict[str, set[int]] = {}  # operation to blocks that its results come from
        self._arrivals: list[tuple[Flow, int]] = []

    def graph(self, call: Call, inputs: Sequence[Operation], outputs: Sequence[Flow]) -> Graph:
        for operation in inputs:
            self._homes[operation.id] = {self._add(Block(Kind.INPUT, operation.name))}
        if self._depth > 0:
            self._open(call, 0)
        if self._depth == 0 or not self._blocks:  # a model that has nothing to do with tensors
            self._close(call, self._add(Block(Kind.LAYER, call.kind)))
        if outputs:
            output = self._add(Block(Kind.OUTPUT, "output"))
            self._arrivals += [(flow, output) for flow in outputs]
        arrows = [
            _Arrow(source, target, str(flow.shape), (flow.source, flow.result))
            for flow, target in self._arrivals
            for source in sorted(self._homes[flow.source])
            if source != target or (flow.is_carried and target in self._repeated)
        ]
        blocks, arrows = self._blocks, list(dict.fromkeys(arrows))
        if outputs:
            blocks, arrows = _without_dead_ends(blocks, arrows)
        return _with_tensors(blocks, arrows)

    def _add(self, block: Block, times: Size = 1) -> int:
        if times != 1:
            self._repeated.add(len(self._blocks))
            block = replace(block, name=f"{block.name} ×{times}")
        self._blocks.append(block)
        return len(self._blocks) - 1

    def _open(self, call: Call, level: int) -> None:
        """Add what is in a call: operations one by one."""
        for step in call.steps:
            if isinstance(step, Operation):
                homes = set[int]().union(*(self._homes.get(f.source, set()) for f in step.inputs))
                if _is_constant(step.name):
                    homes = set()
                elif homes and step.name not in QUIET:  # others compute nothing, or a constant
                    kind = Kind.FUNCTION if step.outputs else Kind.FAILED
                    block = self._add(Block(kind, step.name), step.times)
                    self._arrivals += [(flow, block) for flow in step.inputs]
                    homes = {block}
                self._homes[step.id] = homes
            elif step.calls and level + 1 < self._depth:
                self._open(step, level + 1)
            elif step.steps or step.has_failed:  # nn.Identity does nothing
                kind = Kind.FAILED if step.has_failed else Kind.LAYER
                self._close(step, self._add(Block(kind, step.path, step.kind), step.times))

    def _close(self, call: Call, block: int) -> None:
        """Put all that is in a call into one block."""
        for step in call.steps:
            if isinstance(step, Operation):
                self._homes[step.id] = {block}
                self._arrivals += [(flow, block) for flow in step.inputs]
            else:
                self._close(step, block)


def _is_constant(name: str) -> bool:
    """Whether a function reads of a tensor only what kind it is."""
    return name.startswith("new_") or name.endswith("_like")


class _Arrow(NamedTuple):
    """An arrow of a graph that is being built."""

    source: int
    target: int
    label: str
    tensor: tuple[str, Size]
    """The operation that the tensor comes from, and which of its results it is."""


def _without_dead_ends(
    blocks: list[Block], arrows: list[_Arrow]
) -> tuple[list[Block], list[_Arrow]]:
    """What is left without functions whose results nothing uses, such as checks of values."""
    sources: dict[int, set[int]] = {}
    for arrow in arrows:
        sources.setdefault(arrow.target, set()).add(arrow.source)
    used: set[int] = set()
    waiting = [i for i, block in enumerate(blocks) if block.kind is not Kind.FUNCTION]
    while waiting:
        target = waiting.pop()
        if target not in used:
            used.add(target)
            waiting += sources.get(target, ())
    new = {old: position for position, old in enumerate(sorted(used))}
    left = [
        arrow._replace(source=new[arrow.source], target=new[arrow.target])
        for arrow in arrows
        if arrow.target in new
    ]
    return [blocks[old] for old in new], left


def _with_tensors(blocks: list[Block], arrows: list[_Arrow]) -> Graph:
    """The graph with a block for each tensor that several others read: one label for all."""
    loops: dict[int, list[str]] = {}
    readers: dict[tuple[int, str, tuple[str, Size]], list[int]] = {}
    for source, target, label, tensor in arrows:
        if source == target:
            loops.setdefault(source, []).append(label)
        else:
            readers.setdefault((source, label, tensor), []).append(target)
    blocks = list(blocks)
    drawn = [Arrow(block, block, ", ".join(labels)) for block, labels in loops.items()]
    for (source, label, _), targets in readers.items():
        if len(targets) == 1:
            drawn.append(Arrow(source, targets[0], label))
            continue
        blocks.append(Block(Kind.TENSOR, label))
        drawn.append(Arrow(source, len(blocks) - 1))
        drawn += [Arrow(len(blocks) - 1, target) for target in targets]
    return Graph(tuple(blocks), tuple(drawn))
