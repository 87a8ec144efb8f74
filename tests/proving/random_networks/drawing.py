"""Draw a network with its annotation, and run its text."""

import functools
import linecache
from dataclasses import dataclass, field
from random import Random
from typing import Any

import torch
from tests.proving.random_networks import (
    choices,
    families,
    indices,
    kernels,
    layers,
    masks,
    sizes,
    state,
)
from tests.proving.random_networks.drafts import Draft, Input, Shape, Step

LAYERS: list[Step] = [layers.conv, layers.conv, layers.pool, layers.pool, layers.norm]
LAYERS += [layers.unbatched_conv, layers.transposed_conv, layers.adaptive_pool, layers.upsample]
LAYERS += [layers.pad, layers.linear, layers.linear, layers.attention, layers.recurrent]
LAYERS += [layers.positions, layers.skip, layers.shifted_windows, layers.pair]
BLOCKS: list[Step] = [layers.padded_blocks]
KERNELS: list[Step] = [kernels.kernel, kernels.kernel, kernels.view, kernels.einsum, layers.pair]
INDICES: list[Step] = [indices.looked_up]
SIZES: list[Step] = [sizes.sized, sizes.cut_by_size]
CHOICES: list[Step] = [
    choices.check,
    choices.check,
    choices.hidden_error,
    choices.branch,
    choices.option,
]
MASKS: list[Step] = [masks.masked, layers.attention]
STATE: list[Step] = [state.state]
WRITES: list[Step] = [state.written, state.written, state.learned, kernels.view]
LOOPS: list[Step] = [choices.loop]
FAMILIES: list[Step] = [families.convert]

THEMES: list[tuple[list[Step], int]] = [
    (LAYERS, 5),
    (BLOCKS, 1),
    (KERNELS, 5),
    (INDICES, 6),
    (SIZES, 3),
    (CHOICES, 3),
    (MASKS, 2),
    (STATE, 1),
    (WRITES, 2),
    (LOOPS, 1),
    (FAMILIES, 2),
]
"""Steps that belong together, and how often each theme is drawn."""

SHAPES = ["batch seq 4"] * 5 + ["batch 4 height width"] * 4 + ["batch channels height width"]
SHAPES += ["seq batch 4", "batch 4 seq", "batch seq", "batch seq", "seq", "seq 4", "height width"]
SHAPES += ["4 height width", "batch 4 height height", "batch 1 28 width", "batch 2 2 seq"]
SHAPES += ["1 seq 4"]
SHAPES += ["batch seq hidden", "batch height width", "batch frames 4"]

MOST_STEPS = 3

HEAD = """\
import math
import operator
import torch
from jaxtyping import Bool, Float, Float32, Int, Int64, Num, Shaped
from torch import Tensor, nn
from torch.nn import functional as F
from tests.proving.random_networks.blocks import Halved, Windows
"""


@dataclass(frozen=True)
class Network:
    """A network that was drawn, as text.

    Attributes:
        setup: Lines of the constructor.
        body: Lines of the forward, apart from its return.
        inputs: The arguments.
        flags: Names of boolean options.
        family: The dtypes that the annotation of the result allows.
        output: The shape in the annotation of the result.
        width: The name of a size that the constructor takes; empty if it takes none.
        marks: Sizes above the small ones at which something may change.
        is_function: Whether it is a function, and not a module.
        is_training: Whether the module is in training mode.
    """

    setup: tuple[str, ...]
    body: tuple[str, ...]
    inputs: tuple[Input, ...]
    flags: tuple[str, ...]
    family: str
    output: Shape
    width: str = ""
    marks: frozenset[int] = field(default_factory=frozenset)
    is_function: bool = False
    is_training: bool = False

    @property
    def axes(self) -> tuple[str, ...]:
        """The names of sizes that may be any, those of optional arguments too."""
        words = [axis for argument in self.inputs for axis in argument.shape]
        return tuple(dict.fromkeys(word for word in words if word.isidentifier()))

    @property
    def text(self) -> str:
        """The network as Python."""
        arguments = [*map(str, self.inputs), *(f"{flag}: bool = False" for flag in self.flags)]
        signature = ", ".join(arguments)
        returns = f'{self.family}[Tensor, "{" ".join(self.output)}"]'
        if self.width:
            signature, returns = (self._braced(text) for text in (signature, returns))
        body = [*self.body, "return x"]
        if self.is_function:
            return "\n".join([f"def network({signature}) -> {returns}:", *_indented(body, 1)])
        width = f", {self.width}: int" if self.width else ""
        kept = [f"self.{self.width} = {self.width}"] if self.width else []
        return "\n".join(
            [
                "class Network(nn.Module):",
                f"    def __init__(self{width}) -> None:",
                *_indented(["super().__init__()", *kept, *self.setup], 2),
                "",
                f"    def forward(self, {signature}) -> {returns}:",
                *_indented(body, 2),
            ]
        )

    def _braced(self, text: str) -> str:
        return text.replace(self.width, f"{{self.{self.width}}}")

    @functools.cached_property
    def names(self) -> dict[str, Any]:
        """The names that its text defines, as those of a module."""
        return run(HEAD + "\n" + self.text)

    def subject(self) -> Any:
        """Return what is to be proved: a function, a module, or a class with a free size."""
        torch.manual_seed(0)
        made = self.names
        if self.is_function:
            return made["network"]
        return made["Network"] if self.width else made["Network"]().train(self.is_training)


def _indented(lines: list[str], depth: int) -> list[str]:
    return ["    " * depth + line for line in lines]


def run(text: str) -> dict[str, Any]:
    """Run Python, whose lines can be read afterwards as those of a file."""
    name = f"<network {abs(hash(text)):x}>"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    names: dict[str, Any] = {"__name__": "network"}
    exec(compile(text, name, "exec"), names)
    return names


def draw(seed: int, theme: list[Step] | None = None) -> Network:
    """Draw a network; the same one for the same seed.

    Args:
        seed: Decides what is drawn.
        theme: The steps that it may have; None for one or two of the themes.
    """
    rng = Random(seed)
    shape = tuple(rng.choice(SHAPES).split())
    draft = Draft(rng, [Input("x", "Float", shape)], shape)
    themes = rng.choices([t for t, _ in THEMES], [w for _, w in THEMES], k=rng.choice([1, 1, 2]))
    themes = themes if theme is None else [theme]
    if FAMILIES in themes:
        draft.family = rng.choice(["Num", "Float", "Shaped", "Int"])
        draft.inputs = [Input("x", draft.family, shape)]
    elif FAMILIES not in themes and rng.random() < 0.1:
        draft.width = "hidden"
        draft.shape = shape = tuple("hidden" if size == "4" else size for size in shape)
        draft.inputs = [Input("x", "Float", shape)]
        draft.width = "hidden" if "hidden" in shape else ""
    _fill(draft, [step for theme in themes for step in theme])
    return _network(draft, rng)


def _fill(draft: Draft, steps: list[Step]) -> None:
    wanted = draft.rng.randint(1, MOST_STEPS)
    for _ in range(20 * wanted):
        if wanted and draft.shape and draft.rng.choice(steps)(draft):  # a number ends it
            wanted -= 1
    if draft.family in ("Float", "Float32") and draft.shape and draft.rng.random() < 0.1:
        dim = draft.dim()
        draft.become(f"x.sum({dim})", draft.at(dim))


def _network(draft: Draft, rng: Random) -> Network:
    body = list(draft.body)
    if len(body) > 1 and rng.random() < 0.1 and not any(line[-1] == ":" for line in body):
        del body[rng.randrange(len(body))]
    output = _spoilt(draft, rng) if rng.random() < 0.25 else draft.shape
    family = draft.family if draft.family != "Float32" or rng.random() < 0.05 else "Float"
    if rng.random() < 0.03:
        family = "Int64"
    needs_self = any("self." in line for line in body)
    return Network(
        setup=tuple(draft.setup),
        body=tuple(body),
        inputs=tuple(draft.inputs),
        flags=tuple(draft.flags),
        family=family,
        output=output,
        width=draft.width,
        marks=frozenset(draft.marks),
        is_function=not draft.width and not needs_self and not draft.setup and rng.random() < 0.5,
        is_training=rng.random() < 0.3,
    )


def _spoilt(draft: Draft, rng: Random) -> Shape:
    """Return a shape with something that a person may write by mistake."""
    if not draft.shape:
        return ("1",)
    dim = draft.dim()
    size = draft.shape[dim]
    axes = [axis for axis in draft.inputs[0].shape if not axis.isdigit()]
    ways = [f"{size}+1", f"{size}-1", f"({size})//2", rng.choice(axes), "4", size.replace("+1", "")]
    ways += [size.replace("min", "max"), size.replace("//2", "//3"), size.replace("-1", "")]
    if rng.random() < 0.1:
        return (*draft.shape, "1")
    return draft.at(dim, rng.choice([way for way in ways if way]))
