"""Run a network at many sizes, and compare each outcome with the verdict.

A call holds (it satisfies its contract), raises, or breaks the contract of its result. The sizes
are those at which outcomes are likely to change: both sides of each limit that the verdict states;
the smallest sizes of its regions; the sizes that the network is designed for, and one more and one
less; and random sizes.
"""

import copy
import random
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from shapezoo import Proof, Proved, ProvedInPart, Refuted, ShapeError, signature, unchecked
from shapezoo.contracts.examples.arguments import example_arguments, free_axes
from shapezoo.proving import Region

Sizes = Mapping[str, int]

ANY = ("holds", "raises", "breaks")

MOST_TRIED = 40
LARGEST_INPUT = 4_000_000
SMALL = (1, 2, 3, 4, 5, 7, 8, 9, 13, 15, 16, 17, 20)
POOLS = {
    "batch": (1, 2, 3),
    "height": (1, 2, 7, 8, 14, 16, 28, 29, 31, 32, 33, 48, 56, 63, 64, 65, 75, 96, 97, 128, 224),
    "seq": (*SMALL, 31, 32, 33, 37, 38, 39, 40, 41, 42, 48, 64, 65, 100),
    "samples": (1, 10, 100, 399, 400, 401, 719, 720, 721, 1000, 1039, 1040, 3200, 4000, 16000),
    "frames": (*SMALL, 31, 32, 33, 64, 79, 80, 81, 82, 100),
    "depth": (1, 2, 7, 8, 15, 16, 17, 24, 31, 32, 33, 48),
}
SAME_AS = {"width": "height", "target_seq": "seq"}


@dataclass
class Truth:
    """The outcomes of the calls, compared with the verdict.

    Attributes:
        tried: Number of sizes at which the network was run.
        accepted: Number of sizes that the network accepts.
        wrong: Descriptions of the sizes at which the verdict is wrong.
    """

    tried: int = 0
    accepted: int = 0
    wrong: list[str] = field(default_factory=list)


def truth(model: nn.Module, usual: Sizes, proof: Proof, seconds: float) -> Truth:
    """Run a model at many sizes, and compare the outcomes with the verdict.

    Args:
        model: The model.
        usual: Sizes that the model is designed for.
        proof: The verdict.
        seconds: CPU seconds after which no more sizes are tried.
    """
    with torch.set_grad_enabled(proof.rests_on.gradients == "on"):
        return _compared(model, usual, proof, seconds)


def _compared(model: nn.Module, usual: Sizes, proof: Proof, seconds: float) -> Truth:
    found = Truth()
    until = time.process_time() + seconds
    if isinstance(proof, Refuted):
        found.wrong += _counterexample(model, proof)
    is_first = proof.rests_on.calls == "first"  # the verdict does not cover later calls
    for sizes in _candidates(model, usual, proof):
        outcome = _outcome(copy.deepcopy(model) if is_first else model, sizes)
        if outcome is None:
            continue
        found.tried += 1
        found.accepted += outcome == "holds"
        expected = claims(proof, sizes)
        if outcome not in expected:
            found.wrong.append(f"{dict(sizes)}: {outcome}, not {' or '.join(expected)}")
        if found.tried == MOST_TRIED or time.process_time() > until:
            break
    return found


def claims(proof: Proof, sizes: Sizes) -> tuple[str, ...]:
    """Return the possible outcomes of a call with these sizes, according to the verdict."""
    if isinstance(proof, Refuted):
        return ("raises", "breaks") if "all sizes" in proof.reason else ANY
    if not isinstance(proof, Proved | ProvedInPart):
        return ANY
    if any(axis in sizes and sizes[axis] not in tried for axis, tried in proof.sampled.items()):
        return ANY
    if not all(condition.holds(sizes) for condition in proof.preconditions):
        return ("raises",)
    if proof.is_exact and isinstance(proof, Proved):
        return ("holds",)
    outcome = _of_region(proof.regions, sizes)
    if outcome in ANY:
        return (outcome,)
    return ("holds", "raises") if isinstance(proof, Proved) else ANY


def _of_region(regions: Iterable[Region], sizes: Sizes) -> str:
    """Return the outcome of the first region that contains these sizes, or "" if unknown."""
    for region in regions:
        try:
            is_inside = all(eval(guard, {}, dict(sizes)) for guard in region.guards)
        except Exception:  # Python cannot evaluate some guards
            return ""
        if is_inside:
            return region.outcome
    return ""


def _counterexample(model: nn.Module, proof: Refuted) -> list[str]:
    """Return why the counterexample is wrong: it must raise unchecked, or break its contract."""
    sizes = proof.counterexample.sizes
    with unchecked():
        raw = _outcome(model, sizes, kinds=(0,))
    if raw == "raises":
        return []
    outcome = _outcome(model, sizes, kinds=(0,))
    return [] if outcome == "breaks" else [f"counterexample {dict(sizes)}: {outcome}"]


def _outcome(model: nn.Module, sizes: Sizes, kinds: tuple[int, ...] = (0, 1, 2)) -> str | None:
    """Return the worst outcome over several kinds of inputs, or None if they are too large."""
    worst = "holds"
    for kind in kinds:
        outcome = _run(model, sizes, kind)
        if outcome is None:
            return None
        if outcome == "breaks" or worst == "holds":
            worst = outcome
        if worst != "holds" or not _has_kinds(model):
            break
    return worst


def _has_kinds(model: nn.Module) -> bool:
    return any(not _is_floating(t) for t in _arguments(model, {}))


def _run(model: nn.Module, sizes: Sizes, kind: int) -> str | None:
    try:
        inputs = _arguments(model, sizes)
        if any(value.numel() > LARGEST_INPUT for value in inputs):
            return None
        model(*(_filled(value, kind) for value in inputs))
    except ShapeError as error:
        return "breaks" if re.match(r"return\b", error.argument) else "raises"
    except MemoryError:
        return None
    except Exception as error:
        return None if "allocate" in str(error) else "raises"
    return "holds"


def _arguments(model: nn.Module, sizes: Sizes) -> list[Tensor]:
    contract = signature(model)
    every = dict.fromkeys(free_axes(contract), 1) | dict(sizes)
    return list(example_arguments(contract, every, device="meta")[0])


def _is_floating(value: Tensor) -> bool:
    return value.is_floating_point()


def _filled(value: Tensor, kind: int) -> Tensor:
    """Return an input of one of three kinds: random, constant, or (for masks) half true."""
    numbers = torch.Generator().manual_seed(kind)
    if value.is_floating_point():
        return torch.randn(value.shape, generator=numbers)
    if value.dtype == torch.bool:
        ahead = torch.arange(value.shape[-1]) < max(1, value.shape[-1] // 2)
        return (torch.ones(value.shape), torch.zeros(value.shape), ahead.expand(value.shape))[
            kind
        ].bool()
    same = torch.full(value.shape, kind)
    return torch.randint(3, 50, value.shape, generator=numbers) if kind == 0 else same


def _candidates(model: nn.Module, usual: Sizes, proof: Proof) -> Iterator[Sizes]:
    """Yield sizes to try without repetition; the most informative ones come first."""
    axes = free_axes(signature(model))
    usual = {axis: usual[axis] for axis in axes}
    seen: set[tuple[int, ...]] = set()
    for sizes in _in_order(axes, usual, proof):
        key = tuple(sizes.get(axis, 1) for axis in axes)
        if min(key) >= 1 and key not in seen:
            seen.add(key)
            yield dict(zip(axes, key, strict=True))


def _in_order(axes: tuple[str, ...], usual: Sizes, proof: Proof) -> Iterator[Sizes]:
    numbers = random.Random(0)
    yield usual
    limits = list(_limits(axes, usual, proof))
    numbers.shuffle(limits)
    yield from limits[: MOST_TRIED // 2]
    for axis in axes:
        yield from ({**usual, axis: usual[axis] + step} for step in (1, -1))
    for _ in range(4 * MOST_TRIED):
        sizes = {axis: numbers.choice(_pool(axis)) for axis in axes}
        if "width" in sizes and numbers.random() < 0.5:
            sizes["width"] = sizes["height"]
        yield sizes


def _pool(axis: str) -> tuple[int, ...]:
    return POOLS.get(SAME_AS.get(axis, axis), SMALL)


def _limits(axes: tuple[str, ...], usual: Sizes, proof: Proof) -> Iterator[Sizes]:
    """Yield sizes on both sides of each limit of the verdict, and around each region's smallest."""
    for condition in proof.preconditions:
        named = [axis for axis in condition.axes if axis in axes]
        for number in {int(text) for text in re.findall(r"\d+", condition.text)}:
            for size in (number - 1, number, number + 1, 2 * number):
                yield {**usual, **dict.fromkeys(named, size)}
                for axis in named:
                    yield {**usual, axis: size}
    for region in proof.regions[:20]:
        if region.smallest:
            yield region.smallest
            for axis, size in region.smallest.items():
                yield from ({**region.smallest, axis: size + step} for step in (1, -1))
