"""Verdicts about random networks, against real kernels at all small sizes.

A network and its annotation are drawn together: each layer says what it makes of the sizes that it
gets. Then, often, something is spoilt.
"""

import functools
import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from shapezoo import Proof, Proved, ProvedInPart, Refuted, Unknown, checked, prove
from shapezoo.proving import Region

FEW, NETWORKS = 12, 150
"""How many networks are tried in the ordinary checks, and how many in all."""

LAYERS = 3
"""How many layers a network has at most."""

Shape = tuple[str, ...]
"""Expressions over the names of axes."""

Drawn = tuple[nn.Module, Shape]
"""A layer, and the shape of its result."""

Rule = Callable[[Random, Shape], Drawn | None]
"""Draws a layer for an input of some shape; None where it does not fit."""


class Apply(nn.Module):
    def __init__(self, function: Callable[..., Tensor], *parts: nn.Module) -> None:
        super().__init__()
        self.function = function
        self.parts = nn.ModuleList(parts)

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.function(*inputs, *self.parts)


def number(text: str) -> str:
    """The number that an expression is, if no axis is in it."""
    is_open = any(name in text for name in RANGES)
    return text if is_open else str(eval(text))


def window(
    size: str, kernel: int, stride: int = 1, pad: int = 0, dilation: int = 1, *, ceil: bool = False
) -> str:
    reach = 2 * pad - dilation * (kernel - 1) - 1
    if not ceil:
        return number(f"({size}{reach:+d})//{stride}+1")
    return number(
        f"min(({size}{reach + stride - 1:+d})//{stride}+1,({size}{pad - 1:+d})//{stride}+1)"
    )


def product(*sizes: str) -> str:
    return number("*".join(size if size.isalnum() else f"({size})" for size in sizes))


def conv(rng: Random, shape: Shape) -> Drawn | None:
    if len(shape) not in (3, 4) or not shape[1].isdigit():
        return None
    kernel, stride = rng.choice([1, 2, 3, 4]), rng.choice([1, 1, 2, 3])
    pad, dilation = rng.choice([0, 1, 2]), rng.choice([1, 1, 2])
    channels, wide = int(shape[1]), rng.choice([1, 4, 6])
    kind: Any = nn.Conv1d if len(shape) == 3 else nn.Conv2d
    layer = kind(channels, wide, kernel, stride, pad, dilation)
    after = (window(size, kernel, stride, pad, dilation) for size in shape[2:])
    return layer, (shape[0], str(wide), *after)


def unbatched_conv(rng: Random, shape: Shape) -> Drawn | None:
    if len(shape) != 3 or not shape[0].isdigit():
        return None
    kernel = rng.choice([1, 2, 3])
    after = (window(size, kernel, 2, 1) for size in shape[1:])
    return nn.Conv2d(int(shape[0]), 4, kernel, 2, 1), ("4", *after)


def transposed_conv(rng: Random, shape: Shape) -> Drawn | None:
    if len(shape) != 4 or not shape[1].isdigit():
        return None
    kernel, stride, pad = rng.choice([2, 3, 4]), rng.choice([1, 2]), rng.choice([0, 1])
    layer = nn.ConvTranspose2d(int(shape[1]), 4, kernel, stride, pad, output_padding=stride - 1)
    grown = kernel - 2 * pad + stride - 1
    return layer, (shape[0], "4", *(number(f"({s}-1)*{stride}{grown:+d}") for s in shape[2:]))


def pool(rng: Random, shape: Shape) -> Drawn | None:
    if len(shape) not in (3, 4):
        return None
    kernel, stride, ceil = rng.choice([2, 3]), rng.choice([1, 2, 3]), rng.random() < 0.4
    pad = rng.choice([0, 1])
    kinds: Any = [(nn.MaxPool1d, nn.AvgPool1d), (nn.MaxPool2d, nn.AvgPool2d)][len(shape) - 3]
    layer = rng.choice(kinds)(kernel, stride, pad, ceil_mode=ceil)
    after = (window(size, kernel, stride, pad, ceil=ceil) for size in shape[2:])
    return layer, (*shape[:2], *after)


def adaptive_pool(rng: Random, shape: Shape) -> Drawn | None:
    if len(shape) != 4:
        return None
    kind: Any = rng.choice([nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d])
    target = rng.choice([(1, 1), (2, 3), (None, 2)])
    after = (s if t is None else str(t) for s, t in zip(shape[2:], target, strict=True))
    return kind(target), (*shape[:2], *after)


def norm(rng: Random, shape: Shape) -> Drawn | None:
    if len(shape) < 2:
        return None
    if len(shape) in (3, 4) and shape[1].isdigit():
        channels = int(shape[1])
        if len(shape) == 3:
            return nn.BatchNorm1d(channels), shape
        kinds: list[nn.Module] = [nn.BatchNorm2d(channels), nn.GroupNorm(1, channels)]
        return rng.choice([*kinds, nn.InstanceNorm2d(channels)]), shape
    return (nn.LayerNorm(int(shape[-1])), shape) if shape[-1].isdigit() else None


def upsample(rng: Random, shape: Shape) -> Drawn | None:
    if len(shape) != 4:
        return None
    if rng.random() < 0.3:
        return nn.Upsample(size=(4, 5)), (*shape[:2], "4", "5")
    mode = rng.choice(["nearest", "bilinear"])
    return nn.Upsample(scale_factor=2, mode=mode), (
        *shape[:2],
        *(product("2", s) for s in shape[2:]),
    )


def pad(rng: Random, shape: Shape) -> Drawn | None:
    if len(shape) != 4:
        return None
    left, right = rng.choice([-1, 0, 1, 2]), rng.choice([0, 1, 2])
    after = number(f"{shape[-1]}{left + right:+d}")
    if rng.random() < 0.5:
        return nn.ZeroPad2d((left, right, 0, 0)), (*shape[:-1], after)
    kind: Any = rng.choice([nn.ReflectionPad2d, nn.ReplicationPad2d, nn.CircularPad2d])
    left = abs(left)
    return kind((left, right, 0, 0)), (*shape[:-1], number(f"{shape[-1]}{left + right:+d}"))


def shuffle(rng: Random, shape: Shape) -> Drawn | None:
    if len(shape) != 4 or not shape[1].isdigit():
        return None
    channels = int(shape[1])
    if channels % 4 == 0 and rng.random() < 0.5:
        grown = (product("2", size) for size in shape[2:])
        return nn.PixelShuffle(2), (shape[0], str(channels // 4), *grown)
    return nn.PixelUnshuffle(2), (shape[0], str(4 * channels), *(f"({s})//2" for s in shape[2:]))


def flatten(rng: Random, shape: Shape) -> Drawn | None:
    if len(shape) < 3:
        return None
    start = rng.choice([1, len(shape) - 2])
    return nn.Flatten(start), (*shape[:start], product(*shape[start:]))


def linear(rng: Random, shape: Shape) -> Drawn | None:
    wide = rng.choice([4, 6])
    if shape[-1].isdigit() and int(shape[-1]) > 0:
        return nn.Linear(int(shape[-1]), wide), (*shape[:-1], str(wide))
    return (nn.Linear(16, wide), (*shape[:-1], str(wide))) if rng.random() < 0.2 else None


def chunk(rng: Random, shape: Shape) -> Drawn | None:
    if len(shape) < 2:
        return None
    dim, which = rng.randrange(1, len(shape)), rng.choice([0, 1])
    halves = number(f"({shape[dim]}{1 - which:+d})//2")
    after = (*shape[:dim], halves, *shape[dim + 1 :])
    if rng.random() < 0.3:
        return Apply(lambda x: x.split(2, dim)[0]), (*shape[:dim], "2", *shape[dim + 1 :])
    return Apply(lambda x: x.chunk(2, dim)[which]), after


def cut(rng: Random, shape: Shape) -> Drawn | None:
    dim = rng.randrange(len(shape))
    size = shape[dim]
    part, after = rng.choice(
        [
            (slice(1, None), f"{size}-1"),
            (slice(2, None), f"max({size}-2,0)"),
            (slice(None, None, 2), f"({size}+1)//2"),
            (slice(1, None, 2), f"({size})//2"),
            (slice(None, -1), f"{size}-1"),
            (slice(None, 3), f"min({size},3)"),
            (slice(-2, None), f"min({size},2)"),
            (slice(1, 3), f"min({size}-1,2)"),
        ]
    )
    index = (*(slice(None),) * dim, part)
    return Apply(lambda x: x[index]), (*shape[:dim], number(after), *shape[dim + 1 :])


def select(rng: Random, shape: Shape) -> Drawn | None:
    if len(shape) < 2:
        return None
    dim, index = rng.randrange(len(shape)), rng.choice([0, -1, 1])
    return Apply(lambda x: x.select(dim, index)), shape[:dim] + shape[dim + 1 :]


def swap(rng: Random, shape: Shape) -> Drawn | None:
    order = list(range(len(shape)))
    rng.shuffle(order)
    return Apply(lambda x: x.permute(order)), tuple(shape[axis] for axis in order)


def reduce(rng: Random, shape: Shape) -> Drawn | None:
    if len(shape) < 2:
        return None
    dim, keep = rng.randrange(len(shape)), rng.random() < 0.3
    function: Any = rng.choice([Tensor.mean, Tensor.sum, Tensor.amax, Tensor.logsumexp])
    after = (*shape[:dim], *(["1"] if keep else []), *shape[dim + 1 :])
    return Apply(lambda x: function(x, dim, keepdim=keep)), after


def squeeze(rng: Random, shape: Shape) -> Drawn | None:
    if rng.random() < 0.4:
        dim = rng.randrange(len(shape) + 1)
        return Apply(lambda x: x.unsqueeze(dim)), (*shape[:dim], "1", *shape[dim:])
    dims = [dim for dim, size in enumerate(shape) if size == "1"]
    dim = rng.choice(dims or list(range(len(shape))))
    after = shape[:dim] + shape[dim + 1 :] if dims and len(shape) > 1 else shape
    return Apply(lambda x: x.squeeze(dim)), after


def regroup(rng: Random, shape: Shape) -> Drawn | None:
    if len(shape) < 2:
        return None
    first, second, *rest = shape
    way = rng.choice(["join", "rest", "split", "pairs", "view"])
    if way == "join":
        return (
            Apply(lambda x: x.reshape(x.shape[0] * x.shape[1], *x.shape[2:])),
            (product(first, second), *rest),
        )
    if way == "rest":
        return Apply(lambda x: x.reshape(x.size(0), -1)), (first, product(*shape[1:]))
    if way == "pairs":
        return Apply(lambda x: x.reshape(-1, 2)), (number(f"{product(*shape)}//2"), "2")
    if way == "view":
        return Apply(lambda x: x.view(-1, x.shape[-1])), (product(*shape[:-1]), shape[-1])
    after = (*shape[:-1], "2", number(f"({shape[-1]})//2"))
    return Apply(lambda x: x.unflatten(-1, (2, -1))), after


def pointwise(rng: Random, shape: Shape) -> Drawn | None:
    functions: list[Callable[[Tensor], Tensor]] = [
        functional.relu,
        functional.gelu,
        lambda x: x + 1,
        lambda x: x * torch.arange(x.shape[-1]),
        lambda x: x.softmax(-1),
        lambda x: x.masked_fill(x > 0, 0.0),
        lambda x: torch.where(x > 0, x, -x),
        lambda x: x - x.mean(-1, keepdim=True),
        lambda x: x.roll(1, 0).flip(-1).cumsum(0),
        lambda x: torch.einsum("...i,i->...i", x, x.flatten(0, -2).sum(0) if x.dim() > 1 else x),
        lambda x: x.contiguous().clone(),
        lambda x: functional.hardtanh(x, 0.0, 6.0),
    ]
    return Apply(rng.choice(functions)), shape


def repeat(rng: Random, shape: Shape) -> Drawn | None:
    dim = rng.randrange(len(shape))
    after = (*shape[:dim], product("2", shape[dim]), *shape[dim + 1 :])
    way = rng.choice(["cat", "stack", "repeat", "expand"])
    if way == "stack":
        return Apply(lambda x: torch.stack([x, -x], dim)), (*shape[:dim], "2", *shape[dim:])
    if way == "repeat":
        return Apply(lambda x: x.repeat_interleave(2, dim)), after
    if way == "expand":
        return Apply(lambda x: x.expand(3, *x.shape)), ("3", *shape)
    return Apply(lambda x: torch.cat([x, x], dim)), after


def attention(rng: Random, shape: Shape) -> Drawn | None:
    if len(shape) != 3 or shape[2] != "4":
        return None
    if rng.random() < 0.3:
        layer = nn.MultiheadAttention(4, 2, batch_first=True)
        return Apply(lambda x, attend: attend(x, x, x)[0], layer), shape
    if rng.random() < 0.3:
        return nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), shape
    if rng.random() < 0.3:
        return Apply(lambda x: functional.scaled_dot_product_attention(x, x, x)), shape
    weigh = nn.Linear(4, 4)
    return Apply(lambda x, w: (w(x) @ x.transpose(1, 2)).softmax(-1) @ x, weigh), shape


def scores(rng: Random, shape: Shape) -> Drawn | None:
    if len(shape) < 2:
        return None
    return Apply(lambda x: x @ x.mT), (*shape[:-1], shape[-2])


def recurrent(rng: Random, shape: Shape) -> Drawn | None:
    if len(shape) != 3 or not shape[2].isdigit() or shape[2] == "0":
        return None
    kind: Any = rng.choice([nn.LSTM, nn.GRU, nn.RNN])
    two, is_first = rng.random() < 0.3, rng.random() < 0.7
    layer = kind(int(shape[2]), 4, bidirectional=two, batch_first=is_first)
    return Apply(lambda x, run: run(x)[0], layer), (*shape[:2], "8" if two else "4")


def positions(rng: Random, shape: Shape) -> Drawn | None:
    if len(shape) != 3 or shape[2] != "4":
        return None
    table = nn.Embedding(rng.choice([5, 12]), 4)
    return Apply(lambda x, table: x + table.weight[: x.shape[1]], table), shape


def unfold(rng: Random, shape: Shape) -> Drawn | None:
    if len(shape) < 2:
        return None
    size, step = rng.choice([2, 3]), rng.choice([1, 2])
    return Apply(lambda x: x.unfold(1, size, step)), (
        shape[0],
        window(shape[1], size, step),
        *shape[2:],
        str(size),
    )


def skip(rng: Random, shape: Shape) -> Drawn | None:
    if len(shape) != 4:
        return None
    if rng.random() < 0.3:
        resize = functional.interpolate
        return Apply(lambda x: x + resize(x[..., ::2, ::2], size=x.shape[2:])), shape
    down = nn.Sequential(nn.MaxPool2d(2, ceil_mode=rng.random() < 0.3), nn.Upsample(scale_factor=2))
    doubled = (shape[0], product("2", shape[1]), *shape[2:])
    return Apply(lambda x, down: torch.cat([x, down(x)], 1), down), doubled


def branching(rules: list[Rule]) -> Rule:
    def branches(rng: Random, shape: Shape) -> Drawn | None:
        dim = rng.randrange(len(shape))
        (left, one), (right, other) = draw(rng, shape, 1, rules), draw(rng, shape, 1, rules)
        if len(one) != len(other) or dim >= len(one):
            return None
        if rng.random() < 0.5:
            return Apply(lambda x, a, b: a(x) + b(x), left, right), one
        both = number(f"{one[dim]}+{other[dim]}")
        after = (*one[:dim], both, *one[dim + 1 :])
        return Apply(lambda x, a, b: torch.cat([a(x), b(x)], dim), left, right), after

    return branches


IMAGE: list[Rule] = [conv, conv, unbatched_conv, transposed_conv, pool, pool, adaptive_pool, norm]
IMAGE += [upsample, pad, shuffle, chunk, cut, swap, reduce, squeeze, pointwise, skip]
IMAGE += [flatten, linear, branching(IMAGE)]
SEQUENCE: list[Rule] = [linear, attention, recurrent, conv, pool, norm, cut, select, swap, reduce]
SEQUENCE += [positions, repeat, scores, pointwise, unfold, chunk]
SEQUENCE += [branching(SEQUENCE)]
FUNCTION: list[Rule] = [cut, select, swap, reduce, squeeze, regroup, regroup, pointwise, repeat]
FUNCTION += [chunk, flatten, scores, unfold]
FUNCTION += [branching(FUNCTION)]
INPUTS: list[tuple[list[Rule], list[str]]] = [
    (IMAGE, ["batch 4 height width"] * 4 + ["4 height width", "batch 4 height height"]),
    (IMAGE, ["batch channels height width", "batch 1 28 width", "height width"]),
    (SEQUENCE, ["batch seq 4", "batch seq 4", "batch 4 seq", "seq batch 4", "1 seq 4"]),
    (FUNCTION, ["batch height width", "height width", "height", "batch height 4", "batch 2 2 seq"]),
]
RANGES = {"batch": 2, "channels": 4} | dict.fromkeys(["height", "width", "seq", "kv_seq"], 12)
"""How large the sizes of each axis are that are tried."""


def draw(rng: Random, shape: Shape, most: int, rules: list[Rule]) -> Drawn:
    layers: list[nn.Module] = []
    wanted = rng.randint(1, most)
    while len(layers) < wanted:
        drawn = rng.choice(rules)(rng, shape)
        if drawn and len(drawn[1]) <= 5 and all(len(size) < 60 for size in drawn[1]):
            layer, shape = drawn
            layers.append(layer)
    return nn.Sequential(*layers), shape


def pair(rng: Random) -> tuple[nn.Module, list[str], Shape]:
    """A layer of two inputs."""
    two, joined = ["batch seq 4", "batch kv_seq 4"], ("batch", "seq+kv_seq", "4")
    options: list[tuple[Callable[[Tensor, Tensor], Tensor], list[str], Shape]] = [
        (lambda x, y: torch.cat([x, y], 1), two, joined),
        (lambda x, y: x @ y.mT, two, ("batch", "seq", "kv_seq")),
        (lambda x, y: x + y, ["seq 4", "kv_seq 4"], ("max(seq,kv_seq)", "4")),
        (lambda x, y: x[:, None] * y, ["seq", "kv_seq"], ("seq", "kv_seq")),
        (lambda x, y: x @ y, ["height seq", "kv_seq width"], ("height", "width")),
        (lambda x, y: x.masked_fill(y > 0, 0.0), ["batch seq", "1 kv_seq"], ("batch", "seq")),
        (lambda x, y: x[: y.shape[0]], ["seq 4", "kv_seq"], ("min(seq,kv_seq)", "4")),
        (lambda x, y: x.expand_as(y), ["seq 1", "kv_seq width"], ("kv_seq", "width")),
    ]
    function, inputs, shape = rng.choice(options)
    return Apply(function), inputs, shape


@dataclass
class Sample:
    layers: nn.Module
    inputs: list[str]
    output: Shape
    dtype: Any
    network: Any

    @property
    def axes(self) -> list[str]:
        words = " ".join(self.inputs).split()
        return list(dict.fromkeys(word for word in words if not word.isdigit()))

    def grid(self) -> Iterator[dict[str, int]]:
        for sizes in itertools.product(*(range(1, RANGES[axis] + 1) for axis in self.axes)):
            yield dict(zip(self.axes, sizes, strict=True))

    def run(self, sizes: Mapping[str, int]) -> str:
        """What real kernels do."""
        shapes = [[sizes.get(word) or int(word) for word in text.split()] for text in self.inputs]
        try:
            result = self.layers(*map(torch.zeros, shapes))
        except (RuntimeError, ValueError, IndexError, TypeError, AssertionError):
            return "raises"
        wanted = tuple(eval(size, dict(sizes)) for size in self.output)
        is_right = tuple(result.shape) == wanted and result.dtype == torch.float32
        return "holds" if is_right and self.dtype is Float else "breaks"


def spoilt(rng: Random, shape: Shape, axes: list[str]) -> Shape:
    """Something that a person may write by mistake."""
    if not shape:
        return ("1",)
    dim = rng.randrange(len(shape))
    size = shape[dim]
    ways = [f"{size}+1", f"{size}-1", f"({size})//2", rng.choice(axes), "4", size.replace("+1", "")]
    ways += [size.replace("min", "max"), size.replace("//2", "//3"), size.replace("-1", "")]
    if rng.random() < 0.1:
        return (*shape, "1")
    return (*shape[:dim], rng.choice([w for w in ways if w]), *shape[dim + 1 :])


def made(forward: Callable[..., Any], inputs: list[str], output: Any) -> Callable[..., Any]:
    names = ("x", "y")[: len(inputs)]
    kinds = {name: Float[Tensor, text] for name, text in zip(names, inputs, strict=True)}
    forward.__annotations__ = {**kinds, "return": output}
    return checked(forward)


def sample(seed: int) -> Sample:
    rng = Random(seed)
    torch.manual_seed(seed)
    rules, starts = rng.choice(INPUTS)
    if rng.random() < 0.15:
        first, inputs, shape = pair(rng)
        rest, shape = draw(rng, shape, 2, FUNCTION)
        layers: nn.Module = Apply(lambda x, y, first, rest: rest(first(x, y)), first, rest)
        rules = FUNCTION
    else:
        inputs = [rng.choice(starts)]
        layers, shape = draw(rng, tuple(inputs[0].split()), LAYERS, rules)
        if rng.random() < 0.15 and isinstance(layers, nn.Sequential) and len(layers) > 1:
            del layers[rng.randrange(len(layers))]
    axes = [word for word in " ".join(inputs).split() if not word.isdigit()]
    shape = spoilt(rng, shape, axes) if rng.random() < 0.4 else shape
    dtype: Any = Int64 if rng.random() < 0.02 else Float
    output = dtype[Tensor, " ".join(shape)]
    if rules is FUNCTION and len(inputs) == 1 and rng.random() < 0.5:
        network: Any = made(lambda x: layers(x), inputs, output)
    else:
        two: Any = lambda self, x, y: self.layers(x, y)  # noqa: E731
        forward = made(two if len(inputs) == 2 else lambda self, x: self.layers(x), inputs, output)
        network = type("Network", (nn.Module,), {"forward": forward})()
        network.layers = layers
        network.train(rng.random() < 0.5)
    layers.train(isinstance(network, nn.Module) and network.training)
    return Sample(layers, inputs, shape, dtype, network)


@functools.cache
def proof_of(seed: int) -> tuple[Sample, Proof]:
    drawn = sample(seed)
    return drawn, prove(drawn.network, budget=8.0)


def disagreements(drawn: Sample, proof: Proof) -> Iterator[str]:
    """Where a verdict says other than real kernels."""
    found = {tuple(sizes.items()): drawn.run(sizes) for sizes in drawn.grid()}
    for items, outcome in found.items():
        sizes = dict(items)
        region = next((r for r in proof.regions if is_in(r, sizes)), None)
        if region and region.outcome in ("holds", "raises", "breaks") and region.outcome != outcome:
            yield f"{sizes} is in a region that {region.outcome}, and {outcome}"
        if isinstance(proof, Refuted | Unknown):
            continue
        meets = all(condition.holds(sizes) for condition in proof.preconditions)
        if outcome == "holds" and not meets:
            yield f"{sizes} holds, but is refused by {proof.preconditions}"
        if isinstance(proof, Proved) and outcome == "breaks":
            yield f"proved, but {sizes} breaks"
        if isinstance(proof, Proved) and proof.is_exact and meets and outcome != "holds":
            yield f"{sizes} should be accepted, but {outcome}"
        if isinstance(proof, Proved) and region is None:
            yield f"no region has {sizes}"
    if isinstance(proof, Refuted):
        yield from wrongly_refuted(drawn, proof, found)


def is_in(region: Region, sizes: Mapping[str, int]) -> bool:
    return all(eval(guard, dict(sizes)) for guard in region.guards)


def wrongly_refuted(
    drawn: Sample, proof: Refuted, found: Mapping[tuple[tuple[str, int], ...], str]
) -> Iterator[str]:
    sizes = proof.counterexample.sizes
    if "all sizes" in proof.reason:
        if {*found.values(), drawn.run(sizes)} != {"raises"}:
            yield f"refuted because {proof.reason}, but some hold"
        return
    if drawn.run(sizes) != "breaks":
        yield f"refuted, but {sizes} {drawn.run(sizes)}"
    is_closed = all(case.gaps == () for case in proof.cases)
    smaller = [dict(items) for items, outcome in found.items() if outcome == "breaks"]
    smaller = [other for other in smaller if sum(other.values()) < sum(sizes.values())]
    if smaller and is_closed:
        yield f"refuted with {sizes}, but {smaller[0]} breaks too"


@pytest.mark.parametrize(
    "seed",
    [
        *range(FEW),
        *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(FEW, NETWORKS)),
    ],
)
def test_a_verdict_agrees_with_real_kernels_at_all_small_sizes(seed: int) -> None:
    drawn, proof = proof_of(seed)
    assert not list(disagreements(drawn, proof)), f"{drawn.layers}\n{proof}"


@pytest.mark.slow
def test_a_refutation_can_be_replayed() -> None:
    for drawn, proof in map(proof_of, range(NETWORKS)):
        if isinstance(proof, Refuted) and isinstance(drawn.network, nn.Module):
            with pytest.raises(type(proof.counterexample.error)):
                proof.counterexample.replay(model=drawn.network)


@pytest.mark.slow
def test_most_networks_get_a_verdict() -> None:
    counts = Counter(type(proof) for _, proof in map(proof_of, range(NETWORKS)))
    assert counts[Proved] > NETWORKS // 3
    assert counts[Refuted] > NETWORKS // 5
    assert counts[Unknown] + counts[ProvedInPart] < NETWORKS // 4


def viewed_after_transpose(
    x: Float[Tensor, "height width"],
) -> Float[Tensor, "height*width"]:
    return (x @ x).mT.relu().view(-1)


def looked_up(x: Float[Tensor, "seq 4"]) -> Float[Tensor, "seq 4"]:
    return x + functional.embedding(torch.arange(x.shape[0]), torch.zeros(64, 4))


def divided(x: Float[Tensor, "seq"]) -> Float[Tensor, "seq"]:
    return x * (1 / (x.shape[0] // 8))


def cut_by_quotient(x: Float[Tensor, "seq"]) -> Float[Tensor, "min(seq,8//(seq-1))"]:
    return x[: 8 // (x.shape[0] - 1)]


@pytest.mark.parametrize(
    ("function", "sizes"),
    [
        (viewed_after_transpose, (2, 2)),
        (looked_up, (65, 4)),
        (divided, (8,)),
        (cut_by_quotient, (1,)),
    ],
)
def test_a_verdict_agrees_with_real_kernels_where_it_once_did_not(
    function: Callable[[Tensor], Tensor], sizes: tuple[int, ...]
) -> None:
    proof = prove(function)
    try:
        function(torch.zeros(sizes))
    except (RuntimeError, IndexError, ZeroDivisionError):
        named = dict(zip(proof.axes, sizes, strict=False))
        refuses = not all(condition.holds(named) for condition in proof.preconditions)
        assert refuses or not (isinstance(proof, Proved) and proof.is_exact)
        assert not isinstance(proof, Unknown)
    else:
        assert not isinstance(proof, Refuted)
