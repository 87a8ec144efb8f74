"""Turn a trace into a graph: blocks with arrows between them."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from shapezoo.tracing.records import Call, Flow, Operation, Size, require_depth

MOST_BLOCKS = 40
"""The largest number of blocks in a diagram without a given depth."""

CASTS = ("to", "type", "type_as", "float", "double", "half", "bfloat16", "int", "long", "bool")
MOVES = ("cpu", "cuda", "contiguous", "clone", "detach", "data", "requires_grad_")
SELECTIONS = ("getitem", "unbind", "select")
SKIPPED = frozenset({*CASTS, *MOVES, *SELECTIONS})
"""Functions that a diagram leaves out, because they compute nothing."""


BlockType = Literal["input", "layer", "failed", "function", "tensor", "output"]
"""What a block stands for; also the class of its CSS style."""

Result = tuple[str, Size]
"""A tensor: the operation that made it, and the index of the tensor in its results."""


@dataclass(frozen=True)
class Block:
    """A block of a diagram.

    Attributes:
        type_: What it stands for.
        name: The name of an argument, the path of a module, the name of a function, or the shape
            of a tensor that several blocks read.
        detail: The class of a module.
    """

    type_: BlockType
    name: str
    detail: str = ""

    @property
    def lines(self) -> list[str]:
        """The lines of its text."""
        return [self.name, self.detail] if self.detail else [self.name]


@dataclass(frozen=True)
class Arrow:
    """An arrow from one block to another.

    Attributes:
        source: The index of the first block.
        target: The index of the second block.
        label: The shape of the tensor; empty if one of the blocks shows it.
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
        inputs: Its arguments, as in `Trace.inputs`.
        outputs: Its results, as in `Trace.outputs`.
        depth: The number of levels of submodules to show; by default as many as fit into
            `MOST_BLOCKS`.
    """
    require_depth(depth)
    deepest = max(level for level, _ in call.walk())
    for level in range(deepest, 1, -1) if depth is None else ():
        graph = _Builder(level).graph(call, inputs, outputs)
        if sum(block.type_ != "tensor" for block in graph.blocks) <= MOST_BLOCKS:
            return graph
    return _Builder(1 if depth is None else depth).graph(call, inputs, outputs)


class _Builder:
    """Makes blocks of the calls at a depth, and of the operations above it."""

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._blocks: list[Block] = []
        self._repeated: set[int] = set()
        self._origins: dict[str, set[int]] = {}  # from an operation to the blocks of its results
        self._arrivals: list[tuple[Flow, int]] = []

    def graph(self, call: Call, inputs: Sequence[Operation], outputs: Sequence[Flow]) -> Graph:
        for operation in inputs:
            self._origins[operation.id] = {self._add(Block("input", operation.name))}
        if self._depth > 0:
            self._open(call, 0)
        if self._depth == 0 or not self._blocks:  # a model without tensors has no other blocks
            self._close(call, self._add(Block("layer", call.kind)))
        if outputs:
            output = self._add(Block("output", "output"))
            self._arrivals += [(flow, output) for flow in outputs]
        arrows = dict.fromkeys(
            (Arrow(source, target, str(flow.shape)), (flow.source, flow.result))
            for flow, target in self._arrivals
            for source in sorted(self._origins[flow.source])
            if source != target or (flow.is_carried and target in self._repeated)
        )
        kept: Sequence[int] = range(len(self._blocks))
        if outputs:
            kept = _without_dead_ends(self._blocks, [arrow for arrow, _ in arrows])
        return _with_tensors(self._blocks, kept, arrows)

    def _add(self, block: Block, times: Size = 1) -> int:
        if times != 1:
            self._repeated.add(len(self._blocks))
            block = replace(block, name=f"{block.name} ×{times}")
        self._blocks.append(block)
        return len(self._blocks) - 1

    def _open(self, call: Call, level: int) -> None:
        """Add the contents of a call as blocks."""
        for step in call.steps:
            if isinstance(step, Operation):
                sources = [self._origins.get(flow.source, set()) for flow in step.inputs]
                origins = set[int]().union(*sources)
                if step.name.startswith("new_") or step.name.endswith("_like"):
                    origins = set()  # it reads only the dtype, device and shape of a tensor
                elif origins and step.name not in SKIPPED:
                    type_: BlockType = "function" if step.outputs else "failed"
                    block = self._add(Block(type_, step.name), step.times)
                    self._arrivals += [(flow, block) for flow in step.inputs]
                    origins = {block}
                self._origins[step.id] = origins
            elif step.calls and level + 1 < self._depth:
                self._open(step, level + 1)
            elif step.steps or step.has_failed:  # nn.Identity has no steps
                type_ = "failed" if step.has_failed else "layer"
                self._close(step, self._add(Block(type_, step.path, step.kind), step.times))

    def _close(self, call: Call, block: int) -> None:
        """Put all contents of a call into one block."""
        for operation in call.operations():
            self._origins[operation.id] = {block}
            self._arrivals += [(flow, block) for flow in operation.inputs]


def _without_dead_ends(blocks: Sequence[Block], arrows: Iterable[Arrow]) -> list[int]:
    """Return the blocks except functions whose results nothing uses, such as checks of values."""
    sources: dict[int, set[int]] = defaultdict(set)
    for arrow in arrows:
        sources[arrow.target].add(arrow.source)
    used: set[int] = set()
    waiting = [i for i, block in enumerate(blocks) if block.type_ != "function"]
    while waiting:
        target = waiting.pop()
        if target not in used:
            used.add(target)
            waiting += sources[target]
    return sorted(used)


def _with_tensors(
    all_blocks: Sequence[Block], kept: Sequence[int], arrows: Iterable[tuple[Arrow, Result]]
) -> Graph:
    """Return a graph of some blocks, with one more for each tensor that several of them read.

    The label of such a tensor is then shown once.
    """
    new = {old: index for index, old in enumerate(kept)}
    blocks = [all_blocks[old] for old in kept]
    loops: dict[int, list[str]] = defaultdict(list)
    readers: dict[tuple[int, str, Result], list[int]] = defaultdict(list)
    for arrow, result in arrows:
        if arrow.target not in new:
            continue
        source, target = new[arrow.source], new[arrow.target]
        if source == target:
            loops[source].append(arrow.label)
        else:
            readers[source, arrow.label, result].append(target)
    drawn = [Arrow(block, block, ", ".join(labels)) for block, labels in loops.items()]
    for (source, label, _), targets in readers.items():
        if len(targets) == 1:
            drawn.append(Arrow(source, targets[0], label))
            continue
        blocks.append(Block("tensor", label))
        drawn.append(Arrow(source, len(blocks) - 1))
        drawn += [Arrow(len(blocks) - 1, target) for target in targets]
    return Graph(tuple(blocks), tuple(drawn))
