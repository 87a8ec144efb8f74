"""Ask real kernels whether the results of the symbolic runs are true.

Symbolic runs follow PyTorch's fake kernels and shapezoo's own rules, and either can be wrong. So
each path is run on real kernels: at the smallest sizes of its region, at sizes where all axes
differ, and at random ones (`replay_sizes`). Limits are run on both sides later (`audit_limits`). If
a real kernel ends differently from the symbolic run, or raises at another line of the model, the
path becomes unknown, and nothing is claimed about its sizes.

Comparing outcomes alone would not be enough. A fake kernel may raise for a reason of its own where
the real one raises, at slightly different sizes, for another reason; then the limit that is
reported is wrong although both raise. Hence an error has to come from the same line of the model.
"""

import ast
import contextlib
import heapq
import itertools
import math
import random
from collections.abc import Iterator, Sequence
from typing import Any

import sympy
import z3

from shapezoo.contracts.language.conditions import Condition
from shapezoo.contracts.language.parsing import expression
from shapezoo.proving.audit.bounding import TooLargeError
from shapezoo.proving.audit.replay_sizes import SMALL, further_sizes
from shapezoo.proving.audit.replaying import replay, worst
from shapezoo.proving.causes import cause_of, first_line
from shapezoo.proving.effort import WorkOverError, used
from shapezoo.proving.findings import Outcome, Sizes, sizes_as_text
from shapezoo.proving.formulas import solving
from shapezoo.proving.formulas.solving import Formula
from shapezoo.proving.paths.exploring import ExecutionPath, Exploration
from shapezoo.proving.replays import CallSpec, Replay

FARTHEST = 1 << 14
"""The largest distance from a limit that is searched."""

MOST_NUMBERS = 1 << 27
"""How many numbers a tensor of the model may have at sizes that are not `SMALL`."""

MOST_WORK_FAR = 0.1
"""If a call at the smallest sizes takes more, only `replay_sizes.LEAST` and lemma cases run."""

TRIES = 20
"""At how many sizes the model runs on real kernels where the symbolic runs do not reach."""

MOST_SMALLER, LARGEST_SMALLER = 500, 16
"""How many smaller sizes are tried if real kernels have broken a contract there, and up to which
size of each axis."""


def audit(exploration: Exploration) -> None:
    """Run each path on real kernels; a path on which they end differently becomes unknown."""
    for path in exploration.ending("holds", "raises", "breaks"):
        try:
            _audit(exploration, path)
        except WorkOverError as error:
            path.outcome, path.error = "unknown", f"not run on real kernels: {error}"
    if not exploration.ending("holds"):
        with contextlib.suppress(WorkOverError, TooLargeError):
            _doubt_values(exploration)
    if exploration.open_reason or exploration.ending("unknown"):
        with contextlib.suppress(WorkOverError):
            exploration.probes.extend(_probes(exploration))


def _doubt_values(exploration: Exploration) -> None:
    """If every path raises, check whether each raises for other values of the arguments too."""
    for path in exploration.ending("raises"):
        ones = replay(exploration.subject, CallSpec(path.smallest, fill=1))
        if path.shapes or any(each.outcome == "holds" for each in ones):
            path.outcome = "unknown"
            path.error = "whether it raises depends on the values of the arguments"


def _audit(exploration: Exploration, path: ExecutionPath) -> None:
    before = used()
    confirm(exploration, path, path.smallest)
    is_cheap = used() - before <= MOST_WORK_FAR
    for sizes in further_sizes(exploration, path, is_cheap=is_cheap):
        if path.outcome == "unknown":
            return
        confirm(exploration, path, sizes)
    if not path.replays:
        path.outcome = "unknown"
        path.error = "there are sizes too large to be run on real kernels"


def confirm(exploration: Exploration, path: ExecutionPath, sizes: Sizes) -> bool:
    """Run a path on real kernels at some of its sizes.

    Returns:
        Whether that was possible.
    """
    if _is_too_large(path, sizes):
        return False
    try:
        is_first = sizes == path.smallest
        replays = replay(exploration.subject, CallSpec(sizes), is_repeated=is_first)
        files = exploration.subject.files(sizes)
        is_doubtful = not _agree(path, replays, sizes, files) or exploration.subject.has_indices
        if path.outcome in ("raises", "breaks") and is_doubtful:
            # zeros may fail to show it: an index of 0 is always in range
            replays += replay(exploration.subject, CallSpec(sizes, fill=1))
    except TooLargeError:
        return False
    path.replays += replays
    if not _agree(path, replays, sizes, files):
        path.error = _disagreement(path, replays, sizes)
        path.outcome, path.smallest = "unknown", sizes
    return True


def _is_too_large(path: ExecutionPath, sizes: Sizes) -> bool:
    """Whether the model makes a tensor on this path that is too large for the memory."""
    if sum(sizes.values()) < SMALL:
        return False
    for run in path.runs:
        numbers = {symbol: sizes[name.name] for symbol, name in run.symbols.items()}
        for shape in run.made:
            counts = (s if isinstance(s, int) else s.xreplace(numbers) for s in shape)
            total = sympy.sympify(math.prod(counts))
            # not a number if the values of a tensor decide one of the sizes
            if total.is_number and total > MOST_NUMBERS:
                return True
    return False


def _agree(
    path: ExecutionPath, replays: Sequence[Replay], sizes: Sizes, files: frozenset[str]
) -> bool:
    """Whether real kernels end like the symbolic run.

    It is enough that one of the replays raises or breaks, since the values of the arguments differ.
    """
    causes = [cause_of(run.error, files) for run in path.runs if run.outcome == "raises"]

    def raises(each: Replay) -> bool:
        return each.outcome == "raises" and each.cause in causes

    if path.outcome == "breaks":
        return any(each.outcome == "breaks" for each in replays)
    if any(each.outcome == "breaks" for each in replays):
        return False
    if path.outcome == "raises":
        return any(map(raises, replays))
    expected = [[tuple(_number(n, sizes) for n in shape) for shape in s] for s in path.shapes]
    return all(
        raises(each) or (each.outcome == "holds" and list(each.shapes) in expected)
        for each in replays
    )


def _number(size: Any, sizes: Sizes) -> int:
    symbols = {symbol: sympy.Integer(sizes[symbol.name]) for symbol in size.free_symbols}
    return int(size.xreplace(symbols))


def _disagreement(path: ExecutionPath, replays: Sequence[Replay], sizes: Sizes) -> str:
    real = worst(replays)
    symbolic = next(run for run in path.runs if run.outcome == path.outcome)
    return (
        f"at {sizes_as_text(sizes)} a call {_ending(real.outcome, real.error)}, but shapezoo's "
        f"symbolic run {_ending(symbolic.outcome, symbolic.error)}; either this is a bug in "
        "shapezoo, or it depends on the values of the arguments"
    )


def _ending(outcome: Outcome, error: Exception | None) -> str:
    endings = {"holds": "succeeds", "breaks": "breaks a contract", "void": "has no arguments"}
    return endings.get(outcome, outcome) + (f" ({first_line(error)})" if error else "")


def _probes(exploration: Exploration) -> Iterator[Replay]:
    """Run real kernels at random sizes about which nothing is known.

    They prove nothing, but may refute the contract where the symbolic runs could not follow.
    """
    numbers = random.Random(0)
    closed = exploration.ending("holds", "raises", "breaks", "void")
    solver = solving.solver(exploration.domain, *(z3.Not(path.region) for path in closed))
    tried: list[Sizes] = []
    for _ in range(4 * TRIES):
        largest = numbers.choice((3, 8, 64))
        sizes = {axis: numbers.randint(1, largest) for axis in exploration.axes}
        if sizes in tried or solver.check(*solving.at(sizes)) != z3.sat:
            continue
        tried.append(sizes)
        try:
            made = worst(replay(exploration.subject, CallSpec(sizes)))
        except TooLargeError:
            continue
        yield made
        if made.outcome == "breaks":
            yield from _smaller(exploration, sizes)
            return
        if len(tried) == TRIES:
            return


def _smaller(exploration: Exploration, sizes: Sizes) -> Iterator[Replay]:
    """Yield the first break at smaller sizes than these, if there is one."""
    ranges = [range(1, min(size, LARGEST_SMALLER) + 1) for size in sizes.values()]
    solver = solving.solver(exploration.domain)
    for numbers in heapq.nsmallest(MOST_SMALLER, itertools.product(*ranges), key=sum):
        fewer = dict(zip(sizes, numbers, strict=True))
        if solver.check(*solving.at(fewer)) == z3.sat:
            made = worst(replay(exploration.subject, CallSpec(fewer)))
            if made.outcome == "breaks":
                yield made
                return


def audit_limits(exploration: Exploration) -> list[str]:
    """Run both sides of each precondition on real kernels.

    A path on which they end differently becomes unknown.

    Returns:
        A reason for each limit that could not be run.
    """
    gaps = []
    for condition in exploration.conditions:
        for sizes in _beside(exploration, condition):
            path = _path_of(exploration, sizes)
            if path is not None and not confirm(exploration, path, sizes):
                gaps.append(f"{condition} lies at sizes too large to be run on real kernels")
                break
    return gaps


def _beside(exploration: Exploration, condition: Condition) -> Iterator[Sizes]:
    """Yield the sizes nearest to a limit, on both sides of it, that meet the other conditions."""
    others = [solving.parse(c.text) for c in exploration.conditions if c is not condition]
    is_met = solving.parse(condition.text)
    distances = _distances(condition) or [z3.IntVal(0)]
    for side, distance in itertools.product((is_met, z3.Not(is_met)), distances):
        formulas = [exploration.domain, *others, side]
        # `least` searches from 1 on, and a distance may be 0
        nearest = solving.least(distance + 1, *formulas, most=FARTHEST)
        if nearest is None:
            continue
        formulas.append(distance < nearest)
        start = solving.example(*formulas, axes=exploration.axes)
        if start is not None:
            yield solving.smallest_where(*formulas, axes=exploration.axes, start=start)


def _distances(condition: Condition) -> list[Formula]:
    """Return how far each comparison in a condition is from equality."""
    compared = [
        (node.left, node.comparators[0])
        for node in ast.walk(expression(condition.text))
        if isinstance(node, ast.Compare)
        and len(node.ops) == 1
        and not isinstance(node.ops[0], ast.In | ast.NotIn)
    ]
    pairs = [map(solving.formula_of, sides) for sides in compared]
    return [z3.If(left > right, left - right, right - left) for left, right in pairs]


def _path_of(exploration: Exploration, sizes: Sizes) -> ExecutionPath | None:
    """Return the explored path that sizes take, if there is one."""
    explored = exploration.ending("holds", "raises", "breaks")
    point = solving.at(sizes)
    return next((p for p in explored if solving.is_possible(p.region, *point)), None)
