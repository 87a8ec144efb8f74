"""Run networks on real kernels, and find where a verdict contradicts them."""

import copy
import itertools
import math
import operator
import re
import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Literal
from unittest.mock import patch

import torch
from tests.proving.random_networks.drafts import Input
from tests.proving.random_networks.drawing import Network
from tests.proving.random_networks.families import ALLOWED
from torch import Tensor, nn

from shapezoo import Proof, Proved, ProvedInPart, Refuted
from shapezoo.proving import Case, Region

Sizes = Mapping[str, int]
Outcome = Literal["void", "holds", "raises", "breaks"]
Kind = Literal["wrong", "state", "dtype", "layout", "gradients", "values", "replay", "division"]
"""What shows that a verdict is wrong: an ordinary call; a call after another one; another dtype of
the family than the usual one; an argument that is not contiguous; gradients switched off; values
other than all zeros or ones. Or the counterexample cannot be replayed, or a condition cannot be
evaluated."""

WORST: tuple[Outcome, ...] = ("void", "holds", "raises", "breaks")

SMALL, MOST_POINTS, MOST_LARGE = 12, 150, 60
"""Up to which size all are tried, at how many points at most, and at how many larger ones."""

MOST_NUMBERS = 3_000_000
"""How many numbers the arguments may hold."""


@dataclass(frozen=True)
class How:
    """How a network is called, apart from sizes.

    Attributes:
        values: The values of the arguments; ``others`` are ones for masks, decreasing lengths, and
            zeros for everything else.
        given: The optional arguments that are passed, and the flags that are set.
        dtype: The dtype of arguments whose family allows several.
        is_transposed: Whether the axes of the data are in reverse order in memory.
        is_grad: Whether gradients are on.
    """

    values: Literal["zeros", "ones", "others", "random"] = "zeros"
    given: frozenset[str] = frozenset()
    dtype: str = ""
    is_transposed: bool = False
    is_grad: bool = True


@dataclass(frozen=True)
class Finding:
    """A contradiction between a verdict and real kernels."""

    kind: Kind
    text: str


class Trial:
    """Runs one network on real kernels."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.subject = network.subject()
        self.has_choices = any(argument.role != "data" for argument in network.inputs)
        self.is_random = any("rand" in line for line in (*network.setup, *network.body))
        self.keeps = any("kept" in line for line in network.setup)
        self._outcomes: dict[Any, Outcome] = {}
        self._models: dict[Any, Any] = {}

    def outcome(self, sizes: Sizes, given: frozenset[str] = frozenset()) -> Outcome:
        """Run with zeros, and with the other masks and lengths; return the worse outcome."""
        key = (*sizes.items(), given)
        if key not in self._outcomes:
            hows = [How("zeros", given), How("others", given)][: 1 + self.has_choices]
            self._outcomes[key] = max((self.run(sizes, how) for how in hows), key=WORST.index)
        return self._outcomes[key]

    def run(self, sizes: Sizes, how: How, after: Sizes | None = None) -> Outcome:
        """Run once on real kernels, after a call with other sizes if there are any."""
        torch.default_generator.manual_seed(0)
        model = self._model(sizes, how.dtype)
        if after is not None:
            self._call(model, after, how)
        return self._call(model, sizes, how)

    def _model(self, sizes: Sizes, dtype: str) -> Any:
        width = self.network.width
        key = (sizes[width] if width else 0, dtype if dtype in ALLOWED["Float"] else "")
        if key not in self._models or self.keeps:
            model = self.subject(sizes[width]).eval() if width else copy.deepcopy(self.subject)
            if isinstance(model, nn.Module) and key[1]:
                model = model.to(getattr(torch, dtype))
            self._models[key] = model
        return self._models[key]

    def _call(self, model: Any, sizes: Sizes, how: How) -> Outcome:
        arguments = dict(self._arguments(sizes, how))
        flags = {flag: True for flag in self.network.flags if flag in how.given}
        try:
            with torch.set_grad_enabled(how.is_grad):
                result = model(**arguments, **flags)
        except Exception:
            return "raises"
        return "holds" if self._is_right(result, sizes) else "breaks"

    def _arguments(self, sizes: Sizes, how: How) -> Iterator[tuple[str, Tensor]]:
        numbers = torch.Generator().manual_seed(sum(sizes.values()))
        for argument in self.network.inputs:
            if argument.presence == "required" or argument.name in how.given:
                yield argument.name, _filled(argument, sizes, how, numbers)

    def _is_right(self, result: Any, sizes: Sizes) -> bool:
        wanted = tuple(eval(size, dict(sizes)) for size in self.network.output)
        dtype = str(result.dtype).removeprefix("torch.")
        return tuple(result.shape) == wanted and dtype in ALLOWED[self.network.family]


def _filled(argument: Input, sizes: Sizes, how: How, numbers: torch.Generator) -> Tensor:
    shape = [sizes[axis] if axis in sizes else int(axis) for axis in argument.shape]
    if argument.role == "lengths":
        return _lengths(shape[0], sizes["seq"], how, numbers)
    allowed = ALLOWED[argument.family]
    dtype = getattr(torch, how.dtype if how.dtype in allowed else allowed[0])
    order = [*range(len(shape))][::-1] if how.is_transposed and argument.role == "data" else []
    made = [shape[axis] for axis in order] or shape
    match how.values:
        case "random" if dtype.is_floating_point:
            value = torch.randn(made, generator=numbers).to(dtype)
        case "random":
            value = torch.randint(argument.rows, made, generator=numbers).to(dtype)
        case values:
            is_one = values == "ones" or (values == "others" and argument.role == "mask")
            value = torch.full(made, is_one).to(dtype)
    back = [order.index(axis) for axis in range(len(order))]
    return value.permute(back) if back else value


def _lengths(count: int, longest: int, how: How, numbers: torch.Generator) -> Tensor:
    match how.values:
        case "zeros":
            return torch.full((count,), longest)
        case "ones" | "others":
            return torch.arange(count, 0, -1).clamp(max=longest)
    return torch.randint(1, longest + 1, (count,), generator=numbers)


def findings(network: Network, proof: Proof, most: int = MOST_POINTS) -> Iterator[Finding]:
    """Compare a verdict with real kernels at small sizes, at its limits and beyond.

    Args:
        network: The network that was proved.
        proof: The verdict.
        most: How many small sizes of each case are tried.
    """
    trial, rng = Trial(network), Random(0)
    for case in proof.cases:
        given = given_in(network, case)
        points = list(_points(network, case, rng, most))
        for sizes in points:
            yield from _at(trial, proof, case, sizes, given)
        if isinstance(proof, Proved | ProvedInPart):
            few = rng.sample(points, min(12, len(points)))
            yield from _otherwise(trial, proof, case, few, given)
    if isinstance(proof, Refuted):
        yield from _refuted(trial, proof, rng)


def given_in(network: Network, case: Case) -> frozenset[str]:
    """Return the optional arguments that a case passes, and the flags that it sets."""
    labels = case.label.split(", ")
    options = [a.name for a in network.inputs if a.presence == "optional"]
    return frozenset(
        [name for name in options if f"{name} given" in labels]
        + [flag for flag in network.flags if f"{flag}=True" in labels]
    )


def _at(
    trial: Trial, proof: Proof, case: Case, sizes: Sizes, given: frozenset[str]
) -> Iterator[Finding]:
    try:
        claim = claim_of(proof, case, sizes)
    except ZeroDivisionError as error:
        yield Finding("division", f"{sizes}: {error} in a condition or guard")
        return
    found = trial.outcome(sizes, given)
    if found == "holds" and found not in claim.allowed:  # for zeros, as it need not for ones
        found = trial.run(sizes, How("ones", given))
    if found == "holds" and "raises" in claim.allowed and trial.is_random:
        return
    if found != "void" and found not in claim.allowed:
        yield Finding("wrong", f"{_words(sizes, given)}: {claim.text}, but it {found}")


@dataclass(frozen=True)
class Claim:
    """How calls at some sizes may end, according to a verdict."""

    allowed: frozenset[Outcome]
    text: str


ANY: frozenset[Outcome] = frozenset(WORST)


def claim_of(proof: Proof, case: Case, sizes: Sizes) -> Claim:
    """Return what a verdict says about some sizes.

    Raises:
        ZeroDivisionError: A condition or guard divides by zero.
    """
    allowed, texts = set(ANY), []
    region = next((r for r in case.regions if _is_in(r, sizes)), None)
    if region is not None and region.outcome in WORST[1:]:
        depends = region.outcome == "breaks" or (  # of values that lead to an index in range
            region.outcome == "holds" and proof.rests_on.checks
        )
        allowed &= {region.outcome, "raises"} if depends else {region.outcome}
        texts.append(f"in a region that {region.outcome} ({' and '.join(region.guards)})")
    if isinstance(proof, Proved | ProvedInPart):
        meets = all(condition.holds(sizes) for condition in case.preconditions)
        if isinstance(proof, Proved):
            allowed -= {"breaks"}
        if isinstance(proof, Proved) and region is None:
            allowed, texts = set(), [*texts, "in no region of a proof"]
        if not meets:
            allowed -= {"holds"}
        elif isinstance(proof, Proved) and case.is_exact:
            allowed &= {"holds"}
        texts.append(f"{proof.verdict}, meets={meets}, exact={case.is_exact}")
    return Claim(frozenset(allowed), "; ".join(texts))


def _is_in(region: Region, sizes: Sizes) -> bool:
    return all(_holds(guard, sizes) for guard in region.guards)


def _holds(guard: str, sizes: Sizes) -> bool:
    """Whether a guard holds; True if it uses a function that is not known here."""
    try:
        return bool(eval(guard, FUNCTIONS, dict(sizes)))
    except NameError:
        return True


FUNCTIONS = {
    "Abs": abs,
    "Mod": operator.mod,
    "PythonMod": operator.mod,
    "TruncToInt": math.trunc,
    "FloorToInt": math.floor,
    "CeilToInt": math.ceil,
    "RoundToInt": round,
    "ToFloat": float,
    "IntTrueDiv": operator.truediv,
    "FloatTrueDiv": operator.truediv,
}
"""Functions in guards that are not Python's own."""


def _points(network: Network, case: Case, rng: Random, most: int = MOST_POINTS) -> Iterator[Sizes]:
    """Yield small sizes, and sizes at which a verdict or a network may change."""
    axes = case.axes
    small = range(1, SMALL + 1)
    grid: Iterable[tuple[int, ...]] = itertools.product(small, repeat=len(axes))
    if SMALL ** len(axes) > most:
        grid = [tuple(rng.choice(small) for _ in axes) for _ in range(most)]
    for point in grid:
        yield dict(zip(axes, point, strict=True))
    marks = sorted(_marks(network, case))
    large = [(axis, mark) for axis in axes for mark in marks]
    for axis, mark in rng.sample(large, min(MOST_LARGE, most, len(large))):
        sizes = {other: rng.choice([1, 2, 3, 5]) for other in axes} | {axis: mark}
        if rng.random() < 0.3:
            sizes |= {rng.choice(axes): mark}
        if _count(network, sizes) <= MOST_NUMBERS:
            yield sizes


def _marks(network: Network, case: Case) -> set[int]:
    text = " ".join([*map(str, case.preconditions), *(g for r in case.regions for g in r.guards)])
    limits = {*map(int, re.findall(r"\d+", text)), *network.marks}
    found = {limit + step for limit in limits for step in (-1, 0, 1, 2)}
    found |= {size for limit in limits for size in (2 * limit, 2 * limit + 1)}
    return {size for size in found if 1 <= size <= 4100}


def _count(network: Network, sizes: Sizes) -> int:
    shapes = [[sizes.get(axis, 4) for axis in argument.shape] for argument in network.inputs]
    largest = max(sizes.values())
    return max(math.prod(shape) for shape in shapes) * (largest if largest > 300 else 1)


def _otherwise(
    trial: Trial, proof: Proof, case: Case, points: list[Sizes], given: frozenset[str]
) -> Iterator[Finding]:
    """Yield findings from calls after other calls, with other values, dtypes and layouts."""
    for sizes, before in itertools.pairwise(points):
        try:
            claim = claim_of(proof, case, sizes)
        except ZeroDivisionError:
            continue
        usual = trial.outcome(sizes, given)
        if usual == "void" or usual not in claim.allowed:
            continue
        for kind, how, after in _ways(trial.network, given, before):
            if rests_on(proof, kind, how):
                continue
            found = trial.run(sizes, how, after)
            if kind != "values" and found == trial.run(sizes, How(how.values, given)):
                continue  # an ordinary call does the same; of two masks, the worse one counted
            if found not in claim.allowed and (kind, found, usual) != ("values", "holds", "raises"):
                text = f"{_words(sizes, given)}: {claim.text}, but it {found} ({how}, {after=})"
                yield Finding(kind, text)


def _ways(
    network: Network, given: frozenset[str], before: Sizes
) -> Iterator[tuple[Kind, How, Sizes | None]]:
    if not network.width and not network.is_function:
        yield "state", How("zeros", given), before
    yield "values", How("ones", given), None
    yield "values", How("random", given), None
    yield "layout", How("zeros", given, is_transposed=True), None
    yield "gradients", How("zeros", given, is_grad=False), None
    families = {argument.family for argument in network.inputs if argument.role == "data"}
    dtypes = {dtype for family in families for dtype in ALLOWED[family][1:]}
    has_floats = any("nn." in line for line in network.setup)
    for dtype in sorted(dtypes):
        if dtype in ALLOWED["Float"] or not has_floats:
            yield "dtype", How("zeros", given, dtype), None


def rests_on(proof: Proof, kind: Kind, how: How) -> bool:
    """Whether a verdict states that it does not cover such calls."""
    stated = proof.rests_on
    if any("were not tried" in gap for case in proof.cases for gap in case.gaps):
        return kind in ("state", "layout", "gradients", "dtype")
    match kind:
        case "state":
            return stated.calls == "first"
        case "layout":
            return bool(stated.contiguous)
        case "gradients":
            return bool(stated.gradients)
        case "dtype":
            return bool(stated.dtypes) and how.dtype not in stated.dtypes
    return False


def _refuted(trial: Trial, proof: Refuted, rng: Random) -> Iterator[Finding]:
    example = proof.counterexample
    case = next(case for case in proof.cases if case.label == example.case)
    given = given_in(trial.network, case)
    found = trial.outcome(example.sizes, given)
    if "all sizes" in proof.reason:
        for point in [*_points(trial.network, case, rng), example.sizes]:
            if trial.outcome(point, given) == "holds":
                yield Finding("wrong", f"refuted: {proof.reason}, but {_words(point, given)} holds")
                return
    is_plain = not re.search(
        "dtype=|[.]to[(]|transpose|permute|mT|set_grad_enabled", example.snippet
    )
    is_first = example.snippet.count("model(") < 2
    is_broken = "all sizes" not in proof.reason
    if found != "breaks":  # zeros do not show it, but ones may, as in the snippet
        found = trial.run(example.sizes, How("ones", given))
    if is_broken and found != "breaks" and is_plain and is_first:
        text = f"refuted: {proof.reason}, but {_words(example.sizes, given)} {found}"
        yield Finding("wrong", text)
    yield from _replayed(trial, proof)


def _replayed(trial: Trial, proof: Refuted) -> Iterator[Finding]:
    """Run the snippet of a refutation, and yield a finding if it does not raise the error."""
    example = proof.counterexample
    names = {} if trial.network.width else {"model": copy.deepcopy(trial.subject)}
    module = types.ModuleType("network")
    vars(module).update(trial.network.names)
    try:
        with patch.dict(sys.modules, network=module):
            example.replay(**names)
    except type(example.error):
        return
    except Exception as error:
        yield Finding("replay", f"{example.snippet} raises {error!r}, not {example.error!r}")
        return
    yield Finding("replay", f"{example.snippet} does not raise")


def _words(sizes: Sizes, given: frozenset[str]) -> str:
    return f"{dict(sizes)}" + (f" with {', '.join(sorted(given))}" if given else "")
