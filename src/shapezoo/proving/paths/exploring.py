"""Finding every path through a model, and the sizes that take it.

A run on symbols answers for all sizes that take one path, its region. z3 then names sizes that are
in no region yet, which the next run follows, until there are none.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import z3

from shapezoo.contracts.examples.arguments import free_axes
from shapezoo.contracts.examples.variants import Variant
from shapezoo.contracts.language.conditions import Condition
from shapezoo.contracts.language.vocabulary import LONG_AXES
from shapezoo.proving.effort import WorkOverError
from shapezoo.proving.findings import Outcome, Sizes
from shapezoo.proving.formulas import solving
from shapezoo.proving.formulas.algebra import all_settled
from shapezoo.proving.formulas.solving import Formula
from shapezoo.proving.paths.lemmas import Lemmas
from shapezoo.proving.paths.obstacles import obstacle_of, of_sampled_axis
from shapezoo.proving.paths.symbolic_run import SymbolicRun, run_symbolically
from shapezoo.proving.replays import Replay
from shapezoo.proving.rules.values.value_ranges import UndecidedError
from shapezoo.proving.subjects import Subject

FIRST = (3, 5, 7, 11, 13, 17, 19, 23)
"""Sizes of the first run; the largest region of a model is likely to have such."""

FIRST_LONG = (224, 256, 320)
"""The same for images and videos."""

SQUARES = (224, 256)
"""Sizes of square images that a model of one fixed size is likely to take."""


BOUNDS = (8, 64, 512, 4096)
"""Sizes to look for next are at most this, if there are such: they are cheap on real kernels."""

LARGE = 12
"""Sizes to look for first are at least this: a region of one small size tells little."""

MANY_GUARDS, MANY_PATHS = 24, 2
"""Where a run asks so much, or so many paths hold, modules in the model may multiply its paths."""

MOST_WAYS = 16
"""So many ways are followed where the data of arguments decide."""

_TOO_MANY_WAYS = "the values of arguments decide, in too many ways to follow all"

MOST_PINNED = 5
"""So many runs that each allow one size of an axis, as a loop does, and no other: it is sampled."""

MOST_PINNED_OF_ALL = 16
"""So many such runs beside others, and it is sampled too."""

SAMPLES = (1, 2, 3, 7)
"""Sizes that are tried of an axis that is sampled."""


@dataclass
class Path:
    """One path through a model; several runs where the data of arguments decide between them.

    Attributes:
        runs: What the symbols have shown.
        guards: What was asked of the sizes, in all runs, in sympy's terms.
        region: The sizes that take it.
        outcome: How it ends, on symbols and on all real kernels that were asked; unknown where
            they differ.
        error: What was raised, or how they differ.
        smallest: The smallest sizes that take it.
        replays: What real kernels have done; those at the smallest sizes first.
    """

    runs: tuple[SymbolicRun, ...]
    guards: tuple[Any, ...]
    region: Formula
    outcome: Outcome
    error: str = ""
    smallest: Sizes = field(default_factory=dict)
    replays: list[Replay] = field(default_factory=list)

    @property
    def shapes(self) -> list[list[tuple[Any, ...]]]:
        """The shapes of results, in sympy's terms, for each run that has one."""
        return [run.shapes for run in self.runs if run.outcome == "holds"]

    @property
    def modules(self) -> list[tuple[str, Outcome]]:
        """How each call of a module with a contract has ended."""
        return [item for run in self.runs for item in run.modules.items()]

    @property
    def refusals(self) -> list[SymbolicRun]:
        """The runs that raise, where others hold: the data decide."""
        raising = [run for run in self.runs if run.outcome == "raises"]
        return raising if self.shapes else []


@dataclass
class Exploration:
    """What is known of one variant.

    Attributes:
        variant: The variant.
        axes: What may have any size.
        domain: The sizes that were asked for.
        paths: The paths, in the order in which they were found.
        rest: What no path has taken.
        sampled: Axes of which only some sizes were tried, with these.
        places: For these axes, the line that allows one size at a time.
        wishes: Conditions on sizes that lead to cases inside modules, to be run on real kernels.
        open: Why there are sizes of which nothing is known; empty if there are none.
        tried: What real kernels have done where symbols do not reach.
    """

    variant: Variant
    axes: tuple[str, ...]
    domain: Formula
    paths: list[Path] = field(default_factory=list)
    rest: list[Formula] = field(default_factory=list)
    sampled: dict[str, tuple[int, ...]] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    wishes: list[Formula] = field(default_factory=list)
    open: str = ""
    tried: list[Replay] = field(default_factory=list)

    def ending(self, *outcomes: Outcome) -> list[Path]:
        """The paths that end so."""
        return [path for path in self.paths if path.outcome in outcomes]

    def gaps(self) -> list[str]:
        """Why there are sizes of which nothing is known; empty if there are none."""
        gaps = [path.error for path in self.ending("unknown")[:1]]
        gaps += [self.open] if self.open else []
        gaps += [str(of_sampled_axis(axis, place)) for axis, place in self.places.items()]
        return gaps + [f"{part} was tried at one size only" for part in self.variant.sampled]


def axes_of(subject: Subject, variant: Variant) -> tuple[str, ...]:
    """What may have any size: axes, and arguments of the constructor."""
    return tuple(dict.fromkeys([*free_axes(variant.contract), *subject.free]))


def explore(
    subject: Subject,
    variant: Variant,
    assumptions: Sequence[Condition],
    lemmas: Lemmas | None = None,
) -> Exploration:
    """Find every path through a model.

    Args:
        subject: What to explore.
        variant: What to give it.
        assumptions: What to assume of the sizes.
        lemmas: Proves modules in it once, where there are many paths.
    """
    axes = axes_of(subject, variant)
    domain = z3.And(
        *(z3.Int(axis) >= 1 for axis in axes),
        *(solving.parse(c.text) for c in assumptions if set(c.axes) <= set(axes)),
        True,
    )
    exploration = Exploration(variant, axes, domain, rest=[domain])
    try:
        _explore(subject, exploration, lemmas)
    except WorkOverError as error:
        exploration.open = str(error)
    return exploration


def _explore(subject: Subject, exploration: Exploration, lemmas: Lemmas | None) -> None:
    """Follow paths until they take all sizes, or until it is not known which they do not take."""
    pinned = _Pinned(exploration)
    axes, usual = exploration.axes, _usual(exploration.axes)
    point, exploration.open = _next(axes, exploration.rest, usual)
    if point is None and not exploration.open:
        exploration.open = "no sizes meet the assumptions"
    while point is not None:
        path = _path(exploration, _runs(subject, exploration, point, lemmas), point)
        exploration.paths.append(path)
        exploration.rest.append(z3.Not(path.region))
        if path.outcome == "breaks":  # only smaller sizes matter now
            exploration.rest.append(solving.total(axes) < sum(path.smallest.values()))
        pinned.note(path, point)
        point, exploration.open = _next(axes, exploration.rest, usual)


def _runs(
    subject: Subject, exploration: Exploration, point: Sizes, lemmas: Lemmas | None
) -> list[SymbolicRun]:
    """Run on symbols that go the way of these sizes, each way where the data decide."""
    runs: list[SymbolicRun] = []
    waiting: list[tuple[bool, ...]] = [()]
    while waiting:
        choices = waiting.pop()
        if len(runs) == MOST_WAYS:
            runs.append(SymbolicRun("unknown", error=UndecidedError(_TOO_MANY_WAYS)))
            break
        runs.append(_run(subject, exploration, point, choices, lemmas))
        taken = runs[-1].choices
        waiting += [(*taken[:i], not taken[i]) for i in range(len(choices), len(taken))]
    return runs


def _run(
    subject: Subject,
    exploration: Exploration,
    point: Sizes,
    choices: tuple[bool, ...],
    lemmas: Lemmas | None,
) -> SymbolicRun:
    """Run on symbols; learn lemmas once, if much is asked."""
    variant = exploration.variant
    if lemmas is None or subject.free:
        return run_symbolically(subject, variant, point, choices)
    run = run_symbolically(subject, variant, point, choices, lemmas.prepare)
    is_many = len(run.guards) >= MANY_GUARDS or len(exploration.ending("holds")) >= MANY_PATHS
    if run.outcome == "holds" and is_many and lemmas.learn(subject.make({})):
        run = run_symbolically(subject, variant, point, choices, lemmas.prepare)
    exploration.wishes += lemmas.wishes(run.symbols)
    return run


class _Pinned:
    """Notices axes whose sizes a model tells apart one by one, and has them sampled.

    A loop over an axis asks how long it is, so that each run is about one size and no other.
    """

    def __init__(self, exploration: Exploration) -> None:
        self.exploration = exploration
        self.sizes: dict[str, set[int]] = {axis: set() for axis in exploration.axes}
        self.has_others: set[str] = set()  # axes of which a path has taken several sizes

    def note(self, path: Path, point: Sizes) -> None:
        for axis in set(self.exploration.axes) - self.exploration.sampled.keys():
            if solving.follows(z3.Int(axis) == point[axis], path.region):
                self.sizes[axis].add(point[axis])
            elif path.outcome != "void":
                self.has_others.add(axis)
            most = MOST_PINNED_OF_ALL if axis in self.has_others else MOST_PINNED
            if len(self.sizes[axis]) == most:
                places = (run.places.get(axis) for run in path.runs)
                self._sample(axis, next(filter(None, places), ""))

    def _sample(self, axis: str, place: str) -> None:
        sizes = tuple(sorted({*SAMPLES, *self.sizes[axis]}))
        self.exploration.sampled[axis] = sizes
        self.exploration.places[axis] = place
        self.exploration.rest.append(z3.Or(*(z3.Int(axis) == size for size in sizes)))


def _usual(axes: Sequence[str]) -> list[Sizes]:
    """Sizes to begin with: all different first; then square images, which some models want."""
    long, other = iter(FIRST_LONG), iter(FIRST)
    different = {axis: next(long if axis in LONG_AXES else other, 29) for axis in axes}
    pictures = [axis for axis in axes if axis in LONG_AXES]
    squares = [different | dict.fromkeys(pictures, size) for size in SQUARES]
    return [different, *(squares if len(pictures) > 1 else [])]


def _next(
    axes: Sequence[str], rest: Sequence[Formula], usual: list[Sizes]
) -> tuple[Sizes | None, str]:
    """Sizes that no path has taken yet, or None, and why not if there may be some.

    Args:
        axes: What may have any size.
        rest: What no path has taken yet.
        usual: Sizes to try first, which are used up.
    """
    solver = solving.solver(*rest)
    while usual:
        sizes = usual.pop(0)
        if solver.check(*(z3.Int(axis) == size for axis, size in sizes.items())) == z3.sat:
            return sizes, ""
    large = [z3.Int(axis) >= LARGE for axis in axes]  # where regions are of many sizes
    if solver.check(*large, *(z3.Int(axis) <= BOUNDS[1] for axis in axes)) == z3.sat:
        return solving.sizes_of(solver.model(), axes), ""
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


def _path(exploration: Exploration, runs: Sequence[SymbolicRun], point: Sizes) -> Path:
    """The sizes that go the way of these runs."""
    asked = [guard for run in runs for guard in run.guards]
    guards = tuple(all_settled(asked, exploration.domain))
    formulas, failures = [], []
    for guard in guards:
        try:
            formulas.append(solving.translate(guard))
        except solving.UntranslatableError as error:
            failures.append(str(obstacle_of(error, _asked_at(runs, guard))))
    region = z3.And(exploration.domain, *formulas)
    if failures:  # more sizes than take this path, none of them known
        return Path(tuple(runs), guards, region, "unknown", failures[0], point)
    outcome = _outcome(runs)
    raised = next((run.error for run in runs if run.outcome == outcome), None)
    smallest = solving.smallest_where(region, axes=exploration.axes, start=point)
    text = first_line(raised)
    if outcome == "unknown" and raised is not None:
        text = str(obstacle_of(raised))
    return Path(tuple(runs), guards, region, outcome, text, smallest)


def _asked_at(runs: Sequence[SymbolicRun], guard: Any) -> str:
    """The last line that asked about an axis of a guard."""
    names = [symbol.name for symbol in guard.free_symbols]
    places = (run.places.get(name, "") for run in runs for name in names)
    return next(filter(None, places), "")


def _outcome(runs: Sequence[SymbolicRun]) -> Outcome:
    """How a path ends: what raises for some data holds, unless an index is out of range for them.

    A model's own check of its data says nothing about sizes; an index that is out of range does.
    """
    outcomes: set[Outcome] = {run.outcome for run in runs}
    order: tuple[Outcome, ...] = ("unknown", "breaks", "void", "holds", "raises")
    if outcomes == {"holds", "raises"} and any(
        run.is_for_some for run in runs if run.outcome == "raises"
    ):
        return "raises"
    return min(outcomes, key=order.index)


def first_line(error: Any) -> str:
    """The first line of an error, or its class if it has none."""
    if error is None:
        return ""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
