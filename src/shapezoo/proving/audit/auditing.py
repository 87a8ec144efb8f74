"""Asking real kernels whether what symbols have shown is true.

Symbols follow PyTorch's fake kernels and the rules of shapezoo, which can be wrong. Each region is
run at its smallest sizes, at sizes where all axes differ, and at random ones (limits: `limits`). A
path on which a real kernel ends otherwise, or raises at another line of the model, is unknown from
then on.
"""

import contextlib
import heapq
import itertools
import math
import random
from collections.abc import Iterator, Sequence
from typing import Any

import sympy
import z3

from shapezoo.contracts.language.vocabulary import BATCH
from shapezoo.proving.audit.bounding import TooLargeError
from shapezoo.proving.audit.replaying import count_numbers, has_indices, replay, worst
from shapezoo.proving.causes import cause_of
from shapezoo.proving.effort import WorkOverError, remaining
from shapezoo.proving.findings import Outcome, Sizes, sizes_as_text
from shapezoo.proving.formulas import solving
from shapezoo.proving.formulas.evaluating import compiled
from shapezoo.proving.formulas.solving import Formula
from shapezoo.proving.paths.exploring import Exploration, Path, first_line
from shapezoo.proving.replays import Call, Replay
from shapezoo.proving.subjects import Subject

LEAST, LEAST_FAR = 2, 12
"""Each region is also run at sizes of at least this, if it has such; those that hold at both."""

MOST_BATCH = 4
"""There, batches are at most so much larger than the smallest: their examples are alike."""

RANDOM = 2
"""At so many random points inside, each region that holds is run."""

MOST_WISHES = 24
"""So many cases inside modules that no other point leads to are run as parts of the whole model."""

SPREAD = 16
"""So far above the smallest sizes are random points."""

FOR_INDICES = (16,) * 8 + (64,) * 2 + (256,)
"""The same for paths on which an index is out of range: of that, symbols know outer bounds only."""

NEXT = 16
"""There each axis also has each of so many sizes above its smallest, the others their smallest."""

SMALL, MOST_NUMBERS = 256, 1 << 27
"""Sizes of this sum are taken to be small; from there on, no tensor may have so many numbers."""

MOST_NUMBERS_FAR = 1 << 18
"""Sizes other than the smallest are run if arguments have at most so many numbers."""

MOST_WORK_FAR = 0.1
"""And only if a call at the smallest takes at most so much work."""

TRIES = 20
"""How many sizes are run on real kernels where symbols do not reach."""

MOST_SMALLER, LARGEST_SMALLER = 500, 16
"""How many smaller sizes are tried where real kernels have broken a contract, and up to which."""


def audit(subject: Subject, exploration: Exploration) -> None:
    """Run each path on real kernels; a path on which they end otherwise becomes unknown."""
    for path in exploration.ending("holds", "raises", "breaks"):
        try:
            _audit(subject, exploration, path)
        except WorkOverError as error:
            path.outcome, path.error = "unknown", f"not run on real kernels: {error}"
    if not exploration.ending("holds"):
        with contextlib.suppress(WorkOverError, TooLargeError):
            _doubt_values(subject, exploration)
    if exploration.open or exploration.ending("unknown"):
        with contextlib.suppress(WorkOverError):
            exploration.tried.extend(_tried(subject, exploration))


def _doubt_values(subject: Subject, exploration: Exploration) -> None:
    """Where every path raises, see whether one raises for other values of arguments too."""
    for path in exploration.ending("raises"):
        ones = replay(subject, exploration.variant, Call(path.smallest, fill=1))
        if path.shapes or any(one.outcome == "holds" for one in ones):
            path.outcome = "unknown"
            path.error = "the values of arguments decide whether it raises"


def _audit(subject: Subject, exploration: Exploration, path: Path) -> None:
    before = remaining()
    confirm(subject, exploration, path, path.smallest)
    is_cheap = before == math.inf or before - remaining() <= MOST_WORK_FAR
    for sizes in _points(subject, exploration, path, is_cheap=is_cheap):
        if path.outcome == "unknown":
            return
        confirm(subject, exploration, path, sizes)
    if not path.replays:
        path.outcome = "unknown"
        path.error = "there are sizes too large to be run on real kernels"


def confirm(subject: Subject, exploration: Exploration, path: Path, sizes: Sizes) -> bool:
    """Run a path on real kernels at some of its sizes.

    Returns:
        Whether that was possible.
    """
    if _is_too_large(path, sizes):
        return False
    try:
        is_first = sizes == path.smallest
        found = replay(subject, exploration.variant, Call(sizes), is_plain=is_first)
        files = subject.files(sizes)
        is_doubtful = not _agree(path, found, sizes, files) or has_indices(exploration.variant)
        if path.outcome in ("raises", "breaks") and is_doubtful:
            found += replay(subject, exploration.variant, Call(sizes, fill=1))
    except TooLargeError:
        return False
    path.replays += found
    if not _agree(path, found, sizes, files):
        path.error = _disagreement(path, found, sizes)
        path.outcome, path.smallest = "unknown", sizes
    return True


def _is_too_large(path: Path, sizes: Sizes) -> bool:
    """Whether a tensor that the model makes on this path is too large to be made."""
    if sum(sizes.values()) < SMALL:
        return False
    for run in path.runs:
        numbers = {symbol: sizes[name.name] for symbol, name in run.symbols.items()}
        for shape in run.made:
            counts = (s if isinstance(s, int) else s.xreplace(numbers) for s in shape)
            total = sympy.sympify(math.prod(counts))
            if total.is_number and total > MOST_NUMBERS:  # not where the data decide a size
                return True
    return False


def _agree(path: Path, found: Sequence[Replay], sizes: Sizes, files: frozenset[str]) -> bool:
    """Whether real kernels end as the symbols did; of raising, one kind of values is enough."""
    causes = [cause_of(run.error, files) for run in path.runs if run.outcome == "raises"]

    def raises(one: Replay) -> bool:
        return one.outcome == "raises" and any(map(one.cause.is_same, causes))

    if path.outcome == "breaks":
        return any(one.outcome == "breaks" for one in found)
    if any(one.outcome == "breaks" for one in found):
        return False
    if path.outcome == "raises":
        return any(map(raises, found))
    expected = [_numbers(shapes, sizes) for shapes in path.shapes]
    return all(
        raises(one) or (one.outcome == "holds" and list(one.shapes) in expected) for one in found
    )


def _numbers(shapes: Sequence[Sequence[sympy.Expr]], sizes: Sizes) -> list[tuple[int, ...]]:
    return [tuple(_number(size, sizes) for size in shape) for shape in shapes]


def _number(size: Any, sizes: Sizes) -> int:
    symbols = {symbol: sympy.Integer(sizes[symbol.name]) for symbol in size.free_symbols}
    return int(size.xreplace(symbols))


def _disagreement(path: Path, found: Sequence[Replay], sizes: Sizes) -> str:
    real, said = worst(found), next(run for run in path.runs if run.outcome == path.outcome)
    return (
        f"at {sizes_as_text(sizes)} the model {_ending(real.outcome, real.error)}, but shapezoo's "
        f"run on symbols {_ending(said.outcome, said.error)}; this is a fault of shapezoo, or the "
        "values of arguments decide"
    )


def _ending(outcome: Outcome, error: Exception | None) -> str:
    return _ENDINGS[outcome] + (f" ({first_line(error)})" if error else "")


_ENDINGS: dict[Outcome, str] = {
    "holds": "gives a result that fits its contract",
    "raises": "raises",
    "breaks": "breaks a contract",
    "void": "has no such arguments",
    "unknown": "is not known to end",
}


def _points(
    subject: Subject, exploration: Exploration, path: Path, *, is_cheap: bool
) -> Iterator[Sizes]:
    """More sizes of a region that are run: some where all differ; random ones if it is cheap."""
    axes, points = exploration.axes, [path.smallest]
    if is_cheap:
        points += [s for s in _far(path, axes) if not _is_slow(subject, exploration, s)]
    if path.outcome == "holds" or len(points) == 1:
        points.append(_varied(path, axes, LEAST))
    if path.outcome == "holds":
        points += _for_wishes(path, axes, exploration.wishes, points)
    return (sizes for i, sizes in enumerate(points) if i and sizes not in points[:i])


def _far(path: Path, axes: Sequence[str]) -> Iterator[Sizes]:
    numbers = random.Random(0)
    yield _varied(path, axes, LEAST_FAR)
    if path.outcome == "holds":
        yield from (_random(path, axes, numbers, SPREAD) for _ in range(RANDOM))
    if path.outcome == "raises" and any(run.is_out_of_range for run in path.runs):
        yield from (_random(path, axes, numbers, spread, least=1) for spread in FOR_INDICES)
        yield from _next_to(path, axes)


def narrow(subject: Subject, exploration: Exploration, path: Path) -> Iterator[Sizes]:
    """Sizes of a region where one axis is 1, and the others are large and differ."""
    for axis in exploration.axes:
        others = [z3.Int(other) for other in exploration.axes if other != axis]
        wishes = [z3.Int(axis) == 1, *(other >= LEAST_FAR for other in others)]
        wishes += [left != right for left, right in itertools.combinations(others, 2)]
        sizes = _wished(path, exploration.axes, [], wishes)
        if sizes[axis] == 1 and not _is_slow(subject, exploration, sizes):
            yield sizes


def _is_slow(subject: Subject, exploration: Exploration, sizes: Sizes) -> bool:
    """Whether a call may take long, judged by how many numbers its arguments hold."""
    if sum(sizes.values()) < SMALL or subject.free:
        return False
    return count_numbers(subject, exploration.variant, Call(sizes)) > MOST_NUMBERS_FAR


def _for_wishes(
    path: Path, axes: Sequence[str], wishes: Sequence[Formula], points: Sequence[Sizes]
) -> list[Sizes]:
    """Sizes of a region for the wishes that none of its points meet, one for each of them."""
    found: list[Sizes] = []
    for wish in {wish.get_id(): wish for wish in wishes}.values():  # runs wish for the same
        is_met = compiled(wish, axes)
        if not any(map(is_met, [*points, *found])):
            found.append(_wished(path, axes, [], [wish]))  # the smallest, if it cannot be met
    return [sizes for sizes in found if sizes != path.smallest][:MOST_WISHES]


def _varied(path: Path, axes: Sequence[str], least: int) -> Sizes:
    """Small sizes of a region: all of some size, and no two equal, as far as it has such."""
    terms = [z3.Int(axis) for axis in axes]
    bound = 2 * max(path.smallest.values(), default=0) + 2 * least + len(axes)
    wishes = [
        term >= (min(least, path.smallest[axis] + MOST_BATCH) if axis == BATCH else least)
        for axis, term in zip(axes, terms, strict=True)
    ]
    wishes += [left != right for left, right in itertools.combinations(terms, 2)]
    wishes += [term != path.smallest[axis] for term, axis in zip(terms, axes, strict=True)]
    return _wished(path, axes, [term <= bound for term in terms], wishes)


def _random(
    path: Path, axes: Sequence[str], numbers: random.Random, spread: int, least: int | None = None
) -> Sizes:
    """Random sizes of a region, from its smallest or from some least on, at most so far above."""
    wishes = []
    for axis in numbers.sample(axes, len(axes)):
        smallest = path.smallest[axis]
        if axis == BATCH and least is None:
            size = smallest + numbers.randint(0, MOST_BATCH)
        else:
            size = numbers.randint(smallest if least is None else least, smallest + spread)
        wishes += [z3.Int(axis) >= size, z3.Int(axis) == size]
    return _wished(path, axes, [], wishes)


def _next_to(path: Path, axes: Sequence[str]) -> Iterator[Sizes]:
    """The sizes of a region that differ from its smallest in one axis, by not much."""
    is_inside = compiled(path.region, axes)
    for axis, more in itertools.product(axes, range(1, NEXT + 1)):
        sizes = {**path.smallest, axis: path.smallest[axis] + more}
        if is_inside(sizes):
            yield sizes


def _wished(
    path: Path, axes: Sequence[str], bounds: Sequence[Formula], wishes: Sequence[Formula]
) -> Sizes:
    """The smallest sizes of a region that meet as many wishes, in turn, as can be met together."""
    met = [path.region, *bounds]
    sizes = path.smallest
    asked = solving.solver(*met)
    for wish in wishes:
        asked.push()
        asked.add(wish)
        if asked.check() == z3.sat:
            met.append(wish)
            sizes = solving.sizes_of(asked.model(), axes)
        else:
            asked.pop()
    return solving.smallest_where(*met, axes=axes, start=sizes)


def _tried(subject: Subject, exploration: Exploration) -> Iterator[Replay]:
    """Run real kernels at sizes of which nothing is known."""
    numbers = random.Random(0)
    closed = exploration.ending("holds", "raises", "breaks", "void")
    asked = solving.solver(exploration.domain, *(z3.Not(path.region) for path in closed))
    seen: list[Sizes] = []
    for _ in range(4 * TRIES):
        largest = numbers.choice((3, 8, 64))
        sizes = {axis: numbers.randint(1, largest) for axis in exploration.axes}
        here = [z3.Int(axis) == size for axis, size in sizes.items()]
        if sizes in seen or asked.check(*here) != z3.sat:
            continue
        seen.append(sizes)
        try:
            found = worst(replay(subject, exploration.variant, Call(sizes)))
        except TooLargeError:
            continue
        yield found
        if found.outcome == "breaks":
            yield from _smaller(subject, exploration, sizes)
            return
        if len(seen) == TRIES:
            return


def _smaller(subject: Subject, exploration: Exploration, sizes: Sizes) -> Iterator[Replay]:
    """Smaller sizes than those that break a contract, until one does too."""
    ranges = [range(1, min(size, LARGEST_SMALLER) + 1) for size in sizes.values()]
    asked = solving.solver(exploration.domain)
    for numbers in heapq.nsmallest(MOST_SMALLER, itertools.product(*ranges), key=sum):
        fewer = dict(zip(sizes, numbers, strict=True))
        here = [z3.Int(axis) == size for axis, size in fewer.items()]
        if asked.check(*here) == z3.sat:
            found = worst(replay(subject, exploration.variant, Call(fewer)))
            if found.outcome == "breaks":
                yield found
                return
