"""Finding every path through a model, and the sizes that take it."""

import heapq
import itertools
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import sympy
import z3

from shapezoo.contracts.conditions import Condition
from shapezoo.contracts.examples import free_axes
from shapezoo.proving import solving
from shapezoo.proving.proofs import Outcome, Sizes
from shapezoo.proving.replaying import Replay, TooLargeError, replay
from shapezoo.proving.solving import Formula
from shapezoo.proving.subjects import Subject
from shapezoo.proving.symbolic import SymbolicRun, run_symbolically
from shapezoo.proving.variants import Variant

FIRST = (3, 5, 7, 11, 13, 17, 19, 23)
"""Sizes of the first run; the largest region of a model is likely to have such."""

FIRST_LONG = (224, 256, 320)
"""The same for images and videos."""

LONG_AXES = ("height", "width", "frames")

BOUNDS = (8, 64, 512, 4096)
"""Sizes to look for next are at most this, if there are such: they are cheap on real kernels."""

MOST_PINNED = 4
"""So many runs that each allow one size of an axis, as a loop does, and no other: it is sampled."""

MOST_PINNED_OF_ALL = 16
"""So many such runs beside others, and it is sampled too."""

LEAST = (2, 12)
"""Each path is also run at sizes of at least this, if it has such."""

SAMPLES = (1, 2, 3, 7)
"""Sizes that are tried of an axis that is sampled."""

MOST_SMALLER, LARGEST_SMALLER = 500, 16
"""How many smaller sizes are tried where real kernels have broken a contract, and up to which."""

TRIES = 20
"""How many sizes are run on real kernels where symbols do not reach."""


@dataclass
class Path:
    """One path through a model.

    Attributes:
        run: What the symbols have shown.
        region: The sizes that take it.
        outcome: How it ends, on symbols and real kernels alike; unknown where they differ.
        error: What was raised.
        smallest: The smallest sizes that take it, tried on real kernels; None where that was not
            possible.
        found: What real kernels have done there.
    """

    run: SymbolicRun
    region: Formula
    outcome: Outcome
    error: str = ""
    smallest: Sizes | None = None
    found: Replay | None = None


@dataclass
class Exploration:
    """What is known of one variant.

    Attributes:
        variant: The variant.
        axes: What may have any size.
        domain: The sizes that were asked for.
        paths: The paths, in the order in which they were found.
        sampled: Axes of which only some sizes were tried, with these.
        places: For these axes, the line that allows one size at a time.
        open: Why there are sizes of which nothing is known; empty if there are none.
        tried: Sizes that real kernels were run at where symbols do not reach.
    """

    variant: Variant
    axes: tuple[str, ...]
    domain: Formula
    paths: list[Path] = field(default_factory=list)
    sampled: dict[str, tuple[int, ...]] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    open: str = ""
    tried: list[tuple[Sizes, Replay]] = field(default_factory=list)

    def ending(self, *outcomes: Outcome) -> list[Path]:
        """The paths that end so."""
        return [path for path in self.paths if path.outcome in outcomes]

    def gaps(self) -> list[str]:
        """Why there are sizes of which nothing is known; empty if there are none."""
        gaps = [path.error for path in self.ending("unknown")[:1]]
        gaps += [self.open] if self.open else []
        large = [p for p in self.ending("holds", "raises", "breaks") if p.smallest is None]
        gaps += ["a path is too large to be run on real kernels"] if large else []
        gaps += [
            f"{axis} was tried at some sizes only, because of {place}"
            for axis, place in self.places.items()
        ]
        return gaps + [f"{part} was tried at one size only" for part in self.variant.sampled]


def axes_of(subject: Subject, variant: Variant) -> tuple[str, ...]:
    """What may have any size: axes, and arguments of the constructor."""
    return tuple(dict.fromkeys([*free_axes(variant.contract), *subject.free]))


def explore(
    subject: Subject, variant: Variant, assumptions: Sequence[Condition], deadline: float
) -> Exploration:
    """Find every path through a model, and what happens there.

    Args:
        subject: What to explore.
        variant: What to give it.
        assumptions: What to assume of the sizes.
        deadline: When to stop, in seconds of `time.perf_counter`.
    """
    axes = axes_of(subject, variant)
    domain = z3.And(
        *(z3.Int(axis) >= 1 for axis in axes),
        *(solving.parse(c.text) for c in assumptions if set(c.axes) <= set(axes)),
        True,
    )
    exploration = Exploration(variant, axes, domain)
    rest: list[Formula] = [domain]  # what no path has taken yet
    pins: dict[str, set[int]] = {axis: set() for axis in axes}
    has_others: set[str] = set()  # axes of which a path has taken several sizes
    point, exploration.open = _first(axes, rest)
    if point is None and not exploration.open:
        exploration.open = "no sizes meet the assumptions"
    while point is not None:
        if time.perf_counter() > deadline:
            exploration.open = "the time is over; a larger budget gives more"
            break
        path = _follow(subject, exploration, point)
        exploration.paths.append(path)
        rest.append(z3.Not(path.region))
        if path.outcome == "breaks" and path.smallest is not None:  # only smaller ones matter now
            rest.append(solving.total(axes) < sum(path.smallest.values()))
        for axis in set(axes) - exploration.sampled.keys():
            if solving.follows(z3.Int(axis) == point[axis], path.region):
                pins[axis].add(point[axis])
            elif path.outcome != "void":
                has_others.add(axis)
            if len(pins[axis]) == (MOST_PINNED_OF_ALL if axis in has_others else MOST_PINNED):
                sizes = tuple(sorted({*SAMPLES, *pins[axis]}))
                exploration.sampled[axis] = sizes
                exploration.places[axis] = path.run.places.get(axis, "")
                rest.append(z3.Or(*(z3.Int(axis) == size for size in sizes)))
        point, exploration.open = _next(axes, rest)
    if exploration.open or exploration.ending("unknown"):
        exploration.tried = _try(subject, exploration, rest, deadline)
    return exploration


def _first(axes: Sequence[str], rest: Sequence[Formula]) -> tuple[Sizes | None, str]:
    """Usual sizes, if they are allowed; otherwise as `_next`."""
    long, other = iter(FIRST_LONG), iter(FIRST)
    sizes = {axis: next(long if axis in LONG_AXES else other, 29) for axis in axes}
    usual = [z3.Int(axis) == size for axis, size in sizes.items()]
    return (sizes, "") if solving.is_possible(*rest, *usual) else _next(axes, rest)


def _next(axes: Sequence[str], rest: Sequence[Formula]) -> tuple[Sizes | None, str]:
    """Sizes that no path has taken yet, or None, and why not if there may be some."""
    solver = solving.solver(*rest)
    for bound in BOUNDS:
        solver.push()
        solver.add(*(z3.Int(axis) <= bound for axis in axes))
        if solver.check() == z3.sat:
            return solving.sizes_of(solver.model(), axes), ""
        solver.pop()
    found = solver.check()
    if found == z3.sat:
        return solving.sizes_of(solver.model(), axes), ""
    return None, "" if found == z3.unsat else "z3 cannot tell whether there are more paths"


def _follow(subject: Subject, exploration: Exploration, point: Sizes) -> Path:
    """Run on symbols that go the way of these sizes, and again on real kernels."""
    variant, axes = exploration.variant, exploration.axes
    run = run_symbolically(subject, variant, point)
    guards, failures = [], []
    for guard in run.guards:
        try:
            guards.append(solving.translate(guard))
        except solving.UntranslatableError as error:
            failures.append(str(error))
    region = z3.And(exploration.domain, *guards)
    if failures:  # more sizes than take this path, none of them known
        return Path(run, region, "unknown", failures[0])
    path = Path(run, region, run.outcome, _first_line(run.error))
    if path.outcome in ("unknown", "void"):
        return path
    smallest = solving.smallest_where(region, axes=axes, start=point)
    for sizes in (smallest, *(_varied(region, axes, smallest, least) for least in LEAST)):
        try:
            found = replay(subject, variant, sizes)
        except TooLargeError:
            continue
        if path.smallest is None:
            path.smallest, path.found = sizes, found
        expected = [tuple(_number(size, sizes) for size in shape) for shape in run.shapes]
        is_same = found.outcome == run.outcome
        if not is_same or (found.outcome == "holds" and expected != list(found.shapes)):
            path.outcome, path.smallest, path.found = "unknown", sizes, found
            path.error = (
                f"at {dict(sizes)} symbols say {_words(run.outcome, run.error)}, real kernels "
                f"{_words(found.outcome, found.error)}"
            )
            return path
    return path


def _varied(region: Formula, axes: Sequence[str], smallest: Sizes, least: int) -> Sizes:
    """Other small sizes of a region: all of some size, and no two equal, as far as it has such."""
    terms = [z3.Int(axis) for axis in axes]
    bound = 2 * max(smallest.values(), default=0) + 2 * least + len(axes)
    asked = solving.solver(region, *(term <= bound for term in terms))
    wishes = [term >= least for term in terms]
    wishes += [left != right for left, right in itertools.combinations(terms, 2)]
    wishes += [term != smallest[axis] for term, axis in zip(terms, axes, strict=True)]
    sizes = smallest
    for wish in wishes:
        asked.push()
        asked.add(wish)
        if asked.check() == z3.sat:
            sizes = solving.sizes_of(asked.model(), axes)
        else:
            asked.pop()
    return sizes


def _number(size: Any, sizes: Sizes) -> int:
    symbols = {symbol: sympy.Integer(sizes[symbol.name]) for symbol in size.free_symbols}
    return int(size.xreplace(symbols))


def _words(outcome: Outcome, error: Exception | None) -> str:
    return f"it {outcome} ({_first_line(error)})" if error else f"it {outcome}"


def _first_line(error: Exception | None) -> str:
    if error is None:
        return ""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _try(
    subject: Subject, exploration: Exploration, rest: Sequence[Formula], deadline: float
) -> list[tuple[Sizes, Replay]]:
    """Run real kernels at sizes of which nothing is known."""
    numbers = random.Random(0)
    unknown = [path.region for path in exploration.ending("unknown")]
    asked = solving.solver(z3.Or(z3.And(*rest), *unknown))
    tried: list[tuple[Sizes, Replay]] = []
    for _ in range(4 * TRIES):
        largest = numbers.choice((3, 8, 64))
        sizes = {axis: numbers.randint(1, largest) for axis in exploration.axes}
        is_new = all(sizes != other for other, _ in tried)
        here = [z3.Int(axis) == size for axis, size in sizes.items()]
        if not is_new or asked.check(*here) != z3.sat:
            continue
        try:
            found = replay(subject, exploration.variant, sizes)
        except TooLargeError:
            continue
        tried.append((sizes, found))
        if found.outcome == "breaks":
            return [*tried, *_smaller(subject, exploration, sizes)]
        if len(tried) == TRIES or time.perf_counter() > deadline:
            break
    return tried


def _smaller(
    subject: Subject, exploration: Exploration, sizes: Sizes
) -> Iterator[tuple[Sizes, Replay]]:
    """Smaller sizes than those that break a contract, until one does too."""
    ranges = [range(1, min(size, LARGEST_SMALLER) + 1) for size in sizes.values()]
    asked = solving.solver(exploration.domain)
    for numbers in heapq.nsmallest(MOST_SMALLER, itertools.product(*ranges), key=sum):
        fewer = dict(zip(sizes, numbers, strict=True))
        here = [z3.Int(axis) == size for axis, size in fewer.items()]
        if asked.check(*here) == z3.sat:
            found = replay(subject, exploration.variant, fewer)
            if found.outcome == "breaks":
                yield fewer, found
                return
