"""Choose the sizes at which the paths of a model are run on real kernels.

The smallest sizes of a region are cheap, and say little: many axes are 1 there, and equal to each
other, which hides mistakes. So z3 is asked for more sizes of the region that meet as many
preferences as possible: no two axes equal, all above some size, random ones, or those that lead to
a case inside a module that was proved by itself.
"""

import itertools
import random
from collections.abc import Iterator, Sequence

import z3

from shapezoo.contracts.language.axis_names import BATCH
from shapezoo.proving.audit.replaying import count_numbers
from shapezoo.proving.findings import Sizes
from shapezoo.proving.formulas import solving
from shapezoo.proving.formulas.evaluating import compiled
from shapezoo.proving.formulas.solving import Formula
from shapezoo.proving.paths.exploring import ExecutionPath, Exploration
from shapezoo.proving.replays import CallSpec

LEAST, LEAST_FAR = 2, 12
"""Each region is also run at sizes of at least `LEAST_FAR`, and one that holds at `LEAST` too."""

MOST_BATCH = 4
"""A batch exceeds its smallest size by at most this: a larger one would show nothing new."""

RANDOM = 2
"""The number of random points of each region that holds."""

SPREAD = 16
"""How far random points may lie above the smallest sizes."""

MOST_CASES = 24
"""How many cases inside modules are run as parts of the model, if no other point leads to them."""

FOR_INDICES = (16,) * 8 + (64,) * 2 + (256,)
"""The spreads of random points if an index is out of range: symbols know only its outer bounds."""

NEXT = 16
"""On such a path, each axis also takes this many sizes above its smallest, one axis at a time."""

SMALL = 256
"""Sizes with a sum below this are taken to be cheap."""

MOST_NUMBERS_FAR = 1 << 18
"""How many numbers arguments may hold at sizes other than the smallest."""


def further_sizes(
    exploration: Exploration, path: ExecutionPath, *, is_cheap: bool
) -> Iterator[Sizes]:
    """Yield sizes of a region to run besides its smallest.

    Args:
        exploration: All that is known about the model.
        path: The path.
        is_cheap: Whether a call at the smallest sizes was cheap; if not, there are fewer.
    """
    points = [path.smallest]
    if is_cheap:
        points += [s for s in _far(path) if not _is_slow(exploration, s)]
    if path.outcome == "holds" or len(points) == 1:
        points.append(_varied(path, LEAST))
    if path.outcome == "holds":
        points += _of_lemma_cases(path, exploration.lemma_cases, points)
    return (sizes for i, sizes in enumerate(points) if i and sizes not in points[:i])


def narrow(exploration: Exploration, path: ExecutionPath) -> Iterator[Sizes]:
    """Yield sizes of a region where one axis is 1, and the others are large and differ."""
    for axis in path.axes:
        others = [z3.Int(other) for other in path.axes if other != axis]
        preferences = [z3.Int(axis) == 1, *(other >= LEAST_FAR for other in others)]
        sizes = _preferred(path, [*preferences, *_all_different(others)])
        if sizes[axis] == 1 and not _is_slow(exploration, sizes):
            yield sizes


def _is_slow(exploration: Exploration, sizes: Sizes) -> bool:
    """Whether a call may take long, judged by how many numbers its arguments hold."""
    if sum(sizes.values()) < SMALL or exploration.subject.free:
        return False
    return count_numbers(exploration.subject, CallSpec(sizes)) > MOST_NUMBERS_FAR


def _far(path: ExecutionPath) -> Iterator[Sizes]:
    numbers = random.Random(0)
    yield _varied(path, LEAST_FAR)
    if path.outcome == "holds":
        yield from (_random(path, numbers, SPREAD) for _ in range(RANDOM))
    if path.outcome == "raises" and any(run.is_out_of_range for run in path.runs):
        yield from (_random(path, numbers, spread, least=1) for spread in FOR_INDICES)
        yield from _next_to(path)


def _varied(path: ExecutionPath, least: int) -> Sizes:
    """Return small sizes of a region: all above some size, and no two equal, as far as possible."""
    terms = {axis: z3.Int(axis) for axis in path.axes}
    bound = 2 * max(path.smallest.values(), default=0) + 2 * least + len(terms)
    preferences = [
        term >= (min(least, path.smallest[axis] + MOST_BATCH) if axis == BATCH else least)
        for axis, term in terms.items()
    ]
    preferences += _all_different(list(terms.values()))
    preferences += [term != path.smallest[axis] for axis, term in terms.items()]
    return _preferred(path, preferences, [term <= bound for term in terms.values()])


def _all_different(terms: Sequence[Formula]) -> list[Formula]:
    return [left != right for left, right in itertools.combinations(terms, 2)]


def _random(
    path: ExecutionPath, numbers: random.Random, spread: int, least: int | None = None
) -> Sizes:
    """Return random sizes of a region, at most `spread` above its smallest.

    They start at the smallest sizes, or at `least` if it is given.
    """
    preferences = []
    for axis in numbers.sample(path.axes, len(path.axes)):
        smallest = path.smallest[axis]
        if axis == BATCH and least is None:
            size = smallest + numbers.randint(0, MOST_BATCH)
        else:
            size = numbers.randint(smallest if least is None else least, smallest + spread)
        preferences += [z3.Int(axis) >= size, z3.Int(axis) == size]
    return _preferred(path, preferences)


def _next_to(path: ExecutionPath) -> Iterator[Sizes]:
    """Yield the sizes of a region that exceed its smallest in one axis, by at most `NEXT`."""
    is_inside = compiled(path.region)
    for axis, more in itertools.product(path.axes, range(1, NEXT + 1)):
        sizes = {**path.smallest, axis: path.smallest[axis] + more}
        if is_inside(sizes):
            yield sizes


def _of_lemma_cases(
    path: ExecutionPath, cases: Sequence[Formula], points: Sequence[Sizes]
) -> list[Sizes]:
    """Return sizes of a region for the lemma cases that no point reaches, one for each case."""
    added: list[Sizes] = []
    for case in {case.get_id(): case for case in cases}.values():  # several runs ask for the same
        is_reached = compiled(case)
        if not any(map(is_reached, [*points, *added])):
            added.append(_preferred(path, [case]))  # the smallest sizes, if it cannot be reached
    return [sizes for sizes in added if sizes != path.smallest][:MOST_CASES]


def _preferred(
    path: ExecutionPath, preferences: Sequence[Formula], bounds: Sequence[Formula] = ()
) -> Sizes:
    """Return the smallest sizes of a region that meet as many preferences as possible.

    Each preference is added if it can be met together with the ones before it.
    """
    met = [path.region, *bounds]
    sizes = path.smallest
    solver = solving.solver(*met)
    for preference in preferences:
        solver.push()
        solver.add(preference)
        if solver.check() == z3.sat:
            met.append(preference)
            sizes = solving.sizes_of(solver.model(), path.axes)
        else:
            solver.pop()
    return solving.smallest_where(*met, axes=path.axes, start=sizes)
