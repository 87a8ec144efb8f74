"""Find every path through a model, and the sizes that take it.

A symbolic run follows some sizes, and its guards describe all sizes that take the same path through
the code: its region. z3 then names sizes outside all regions so far, the next run follows those,
and so on until z3 shows that there are none left. At that point the regions cover every size, and
it is known for each of them how a call ends. Three things keep this from going on forever:

- The first sizes are chosen so that large regions come first (`_usual`, `_next`).
- A loop over an axis asks for its length, so that each run covers one size only. Such an axis is
  sampled after a few runs (`_sample_if_pinned`), and the proof is one in part.
- Branches of one module multiply with those of the next. If a run asks a lot, modules are explored
  by themselves first (`lemmas`).

Where the data of the arguments decide (``if mask.any()``), one path consists of several runs, one
for each way. A path whose guards cannot be translated, or whose run could not follow the model, has
the outcome ``unknown``.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import z3
from torch import nn

from shapezoo.contracts.language.axis_names import LONG_AXES
from shapezoo.contracts.language.conditions import Condition
from shapezoo.proving.causes import first_line
from shapezoo.proving.effort import WorkOverError
from shapezoo.proving.findings import Outcome, RestsOn, Sizes
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
"""The sizes of the first run; the largest region of a model is likely to contain them."""

FIRST_LONG = (224, 256, 320)
"""The same for axes of images and videos."""

SQUARES = (224, 256)
"""Sizes of square images, which a model of one fixed size is likely to accept."""

BOUNDS = (8, 64, 512, 4096)
"""Upper bounds for the next sizes, tried in turn: small sizes are cheap on real kernels."""

LARGE = 12
"""The next sizes are at least this, if possible: a region of one small size says little."""

MANY_GUARDS, MANY_PATHS = 24, 2
"""With this many guards in a run, or paths that hold, modules are explored by themselves."""

MOST_WAYS = 16
"""How many ways are followed where the data of arguments decide."""

MOST_PINNED = 5
"""An axis is sampled after this many runs that allow one size of it, if no run allows several."""

MOST_PINNED_OF_ALL = 16
"""An axis is sampled after this many such runs in any case."""

SAMPLES = (1, 2, 3, 7)
"""The sizes that are tried for an axis that is sampled."""


@dataclass
class ExecutionPath:
    """One path through a model; several runs where the data of arguments decide between them.

    Attributes:
        runs: The symbolic runs.
        guards: What they asked about the sizes, as sympy expressions.
        region: The sizes that take this path.
        outcome: How it ends, in the symbolic runs and on all real kernels that were tried; unknown
            if they differ.
        error: The error that was raised, or how they differ.
        smallest: The smallest sizes that take this path.
        replays: What real kernels have done, at the smallest sizes first.
    """

    runs: tuple[SymbolicRun, ...]
    guards: tuple[Any, ...]
    region: Formula
    outcome: Outcome
    error: str = ""
    smallest: Sizes = field(default_factory=dict)
    replays: list[Replay] = field(default_factory=list)

    @property
    def axes(self) -> tuple[str, ...]:
        """The names of the sizes."""
        return tuple(self.smallest)

    @property
    def shapes(self) -> list[list[tuple[Any, ...]]]:
        """The shapes of results, as sympy expressions, for each run that has one."""
        return [run.shapes for run in self.runs if run.outcome == "holds"]

    @property
    def modules(self) -> list[tuple[str, Outcome]]:
        """How each call of a module with a contract ended."""
        return [item for run in self.runs for item in run.modules.items()]

    @property
    def refusals(self) -> list[SymbolicRun]:
        """The runs that raise although others hold, since the data decide."""
        raising = [run for run in self.runs if run.outcome == "raises"]
        return raising if self.shapes else []


@dataclass
class Exploration:
    """All that is known about one variant of a subject.

    Attributes:
        subject: The variant.
        domain: The sizes in question.
        paths: The paths, in the order in which they were found.
        unexplored: Formulas for the sizes that no path has taken.
        pinned: For each axis, the sizes that a path takes without any other size of this axis.
        varying: Axes of which a path takes several sizes.
        sampled: Axes for which only some sizes are tried, with these sizes.
        sampled_at: For these axes, the line that allows one size at a time.
        lemma_cases: Conditions on sizes that lead to cases inside modules, to be run on real
            kernels.
        open_reason: Why there may be further paths; empty if there are none.
        probes: What real kernels have done apart from confirming paths.
        rests_on: What the verdict rests on besides sizes.
        conditions: The preconditions that were found.
        is_exact: Whether all sizes that meet these are accepted.
        call_gaps: Why nothing is known about some calls, apart from `gaps`.
    """

    subject: Subject
    domain: Formula
    paths: list[ExecutionPath] = field(default_factory=list)
    unexplored: list[Formula] = field(default_factory=list)
    pinned: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    varying: set[str] = field(default_factory=set)
    sampled: dict[str, tuple[int, ...]] = field(default_factory=dict)
    sampled_at: dict[str, str] = field(default_factory=dict)
    lemma_cases: list[Formula] = field(default_factory=list)
    open_reason: str = ""
    probes: list[Replay] = field(default_factory=list)
    rests_on: RestsOn = RestsOn("eval")  # noqa: RUF009  # it is frozen
    conditions: tuple[Condition, ...] = ()
    is_exact: bool = False
    call_gaps: tuple[str, ...] = ()

    @property
    def axes(self) -> tuple[str, ...]:
        """Everything that may have any size."""
        return self.subject.axes

    def replays(self) -> list[Replay]:
        """Return everything that real kernels have done."""
        return [*(each for path in self.paths for each in path.replays), *self.probes]

    def ending(self, *outcomes: Outcome) -> list[ExecutionPath]:
        """Return the paths with one of these outcomes."""
        return [path for path in self.paths if path.outcome in outcomes]

    def gaps(self) -> list[str]:
        """Return why nothing is known about some sizes; empty if there are none."""
        gaps = [path.error for path in self.ending("unknown")[:1]]
        gaps += [self.open_reason] if self.open_reason else []
        gaps += [of_sampled_axis(axis, line) for axis, line in self.sampled_at.items()]
        return gaps + [f"{part} was tried at one size only" for part in self.subject.sampled]


def explore(
    subject: Subject, assumptions: Sequence[Condition], lemmas: Lemmas | None = None
) -> Exploration:
    """Find every path through a model.

    Args:
        subject: What to explore.
        assumptions: What to assume about the sizes.
        lemmas: Explores modules inside it by themselves if there are many paths; None never does.
    """
    domain = z3.And(
        *(z3.Int(axis) >= 1 for axis in subject.axes),
        *(solving.parse(c.text) for c in assumptions if set(c.axes) <= set(subject.axes)),
        True,
    )
    exploration = Exploration(subject, domain, unexplored=[domain])
    try:
        _explore(exploration, lemmas)
    except WorkOverError as error:
        exploration.open_reason = str(error)
    return exploration


def _explore(exploration: Exploration, lemmas: Lemmas | None) -> None:
    """Follow paths until they cover all sizes, or until z3 cannot say which sizes are left."""
    axes, usual = exploration.axes, _usual(exploration.axes)
    point, exploration.open_reason = _next(axes, exploration.unexplored, usual)
    if point is None and not exploration.open_reason:
        exploration.open_reason = "no sizes meet the assumptions"
    while point is not None:
        path = _path(exploration, _runs(exploration, point, lemmas), point)
        exploration.paths.append(path)
        exploration.unexplored.append(z3.Not(path.region))
        if path.outcome == "breaks":  # it is refuted; only a smaller counterexample is of interest
            exploration.unexplored.append(solving.total(axes) < sum(path.smallest.values()))
        _sample_if_pinned(exploration, path, point)
        point, exploration.open_reason = _next(axes, exploration.unexplored, usual)


def _runs(exploration: Exploration, point: Sizes, lemmas: Lemmas | None) -> list[SymbolicRun]:
    """Run with these sizes as hints, once for each way where the data decide."""
    runs: list[SymbolicRun] = []
    waiting: list[tuple[bool, ...]] = [()]
    while waiting:
        choices = waiting.pop()
        if len(runs) == MOST_WAYS:
            error = UndecidedError("the values of arguments decide in too many ways to follow all")
            runs.append(SymbolicRun("unknown", error=error))
            break
        runs.append(_run(exploration, point, choices, lemmas))
        taken = runs[-1].choices
        waiting += [(*taken[:i], not taken[i]) for i in range(len(choices), len(taken))]
    return runs


def _run(
    exploration: Exploration, point: Sizes, choices: tuple[bool, ...], lemmas: Lemmas | None
) -> SymbolicRun:
    """Run once; if that asks a lot, learn lemmas and run again."""
    subject = exploration.subject
    if lemmas is None or not isinstance(subject.model, nn.Module):
        return run_symbolically(subject, point, choices)
    run = run_symbolically(subject, point, choices, lemmas.prepare)
    is_many = len(run.guards) >= MANY_GUARDS or len(exploration.ending("holds")) >= MANY_PATHS
    if run.outcome == "holds" and is_many and lemmas.learn(subject.model):
        run = run_symbolically(subject, point, choices, lemmas.prepare)
    exploration.lemma_cases += lemmas.cases(run.symbols)
    return run


def _sample_if_pinned(exploration: Exploration, path: ExecutionPath, point: Sizes) -> None:
    """Sample an axis from now on, if the model handles its sizes one by one.

    A loop over an axis asks how long it is, so that each run covers one size and no other.

    Args:
        exploration: The exploration.
        path: The path that was found last.
        point: The sizes that its run followed.
    """
    pinned, varying = exploration.pinned, exploration.varying
    for axis in set(exploration.axes) - exploration.sampled.keys():
        if solving.follows(z3.Int(axis) == point[axis], path.region):
            pinned[axis].add(point[axis])
        elif path.outcome != "void":
            varying.add(axis)
        if len(pinned[axis]) == (MOST_PINNED_OF_ALL if axis in varying else MOST_PINNED):
            sizes = tuple(sorted({*SAMPLES, *pinned[axis]}))
            exploration.sampled[axis] = sizes
            exploration.sampled_at[axis] = _asked_at(path.runs, [axis])
            exploration.unexplored.append(solving.is_one_of(axis, sizes))


def _usual(axes: Sequence[str]) -> list[Sizes]:
    """Return the sizes to begin with: all different, then square images, which some models need."""
    long, other = iter(FIRST_LONG), iter(FIRST)
    different = {axis: next(long if axis in LONG_AXES else other, 29) for axis in axes}
    pictures = [axis for axis in axes if axis in LONG_AXES]
    squares = [different | dict.fromkeys(pictures, size) for size in SQUARES]
    return [different, *(squares if len(pictures) > 1 else [])]


def _next(
    axes: Sequence[str], unexplored: Sequence[Formula], usual: list[Sizes]
) -> tuple[Sizes | None, str]:
    """Return sizes that no path has taken; or None, and why if there may be some.

    Args:
        axes: Everything that may have any size.
        unexplored: Formulas for the sizes that no path has taken.
        usual: Sizes to try first; they are removed from the list.
    """
    solver = solving.solver(*unexplored)
    while usual:
        sizes = usual.pop(0)
        if solver.check(*solving.at(sizes)) == z3.sat:
            return sizes, ""
    large = [z3.Int(axis) >= LARGE for axis in axes]
    if solver.check(*large, *(z3.Int(axis) <= BOUNDS[1] for axis in axes)) == z3.sat:
        return solving.sizes_of(solver.model(), axes), ""
    for bound in (*BOUNDS, None):
        solver.push()
        solver.add(*(z3.Int(axis) <= bound for axis in axes if bound is not None))
        answer = solver.check()
        if answer == z3.sat:
            return solving.sizes_of(solver.model(), axes), ""
        solver.pop()
    return None, "" if answer == z3.unsat else "z3 cannot decide whether there are more paths"


def _path(exploration: Exploration, runs: Sequence[SymbolicRun], point: Sizes) -> ExecutionPath:
    """Return the path that consists of these runs, with the sizes that take it."""
    asked = [guard for run in runs for guard in run.guards]
    guards = tuple(all_settled(asked, exploration.domain))
    formulas, failures = [], []
    for guard in guards:
        try:
            formulas.append(solving.translate(guard))
        except solving.UntranslatableError as error:
            names = [symbol.name for symbol in guard.free_symbols]
            failures.append(obstacle_of(error, _asked_at(runs, names)))
    region = z3.And(exploration.domain, *formulas)
    if failures:  # the region is too large without these guards, so nothing is known about it
        return ExecutionPath(tuple(runs), guards, region, "unknown", failures[0], point)
    outcome = _outcome(runs)
    raised = next((run.error for run in runs if run.outcome == outcome), None)
    smallest = solving.smallest_where(region, axes=exploration.axes, start=point)
    text = first_line(raised)
    if outcome == "unknown" and raised is not None:
        text = obstacle_of(raised)
    return ExecutionPath(tuple(runs), guards, region, outcome, text, smallest)


def _asked_at(runs: Sequence[SymbolicRun], axes: Sequence[str]) -> str:
    """Return the line that asked last about one of these axes, or an empty text."""
    lines = (run.source_lines.get(axis, "") for run in runs for axis in axes)
    return next(filter(None, lines), "")


def _outcome(runs: Sequence[SymbolicRun]) -> Outcome:
    """Return how a path ends, if its runs differ because the data of arguments decide.

    If some data raise and others hold, the path holds: a check of its data by the model says
    nothing about sizes. But an index that is out of range for some data does.
    """
    outcomes: set[Outcome] = {run.outcome for run in runs}
    order: tuple[Outcome, ...] = ("unknown", "breaks", "void", "holds", "raises")
    if outcomes == {"holds", "raises"} and any(
        run.is_for_some for run in runs if run.outcome == "raises"
    ):
        return "raises"
    return min(outcomes, key=order.index)
