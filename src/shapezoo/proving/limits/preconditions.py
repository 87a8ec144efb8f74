"""Readable conditions that say which sizes a model accepts.

z3 names sizes that are refused though they meet all conditions so far; examples of accepted sizes
suggest the shortest condition that tells the two apart; z3 shows that it follows from being
accepted, or names an accepted size that does not meet it, which is one more example. Where no short
condition does, the answers that the refused run was given are written out instead.
"""

import itertools
import keyword
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import sympy
import z3

from shapezoo.contracts import ContractError
from shapezoo.contracts.language.conditions import Condition, all_of
from shapezoo.proving.effort import each_at_most
from shapezoo.proving.findings import Sizes
from shapezoo.proving.formulas import solving
from shapezoo.proving.formulas.algebra import settled
from shapezoo.proving.formulas.printing import as_python
from shapezoo.proving.formulas.rewriting import are_same, forms
from shapezoo.proving.formulas.solving import Formula
from shapezoo.proving.limits.candidates import Term, conditions, of_pairs
from shapezoo.proving.limits.points import Points
from shapezoo.proving.paths.exploring import Exploration, Path

LARGEST = 1 << 14
"""Limits are looked for up to here."""

MOST_CONDITIONS = 12
"""So many short conditions are tried against one region."""

MOST_TRIES = 24
"""So many suggestions are tried against one refused point."""

QUICK = 300_000
"""How many steps of z3 a suggestion is worth."""

MOST_UNKNOWN = 6
"""After so many suggestions that z3 cannot decide, no more are made."""


def preconditions(exploration: Exploration) -> tuple[tuple[Condition, ...], bool]:
    """Return what sizes must meet to be accepted, and whether all that meet it are.

    Each condition follows from being accepted, as z3 shows; sizes of which nothing is known
    count as accepted. That all of them together say just which sizes are accepted, z3 shows too,
    or it is not claimed.

    Args:
        exploration: What is known.

    Raises:
        WorkOverError: The work was over before they were found.
    """
    refused = exploration.ending("raises", "breaks")
    depends_on_values = any(path.refusals for path in exploration.ending("holds"))
    is_closed = not exploration.gaps() and not depends_on_values
    if not refused:
        return (), is_closed
    known = [exploration.domain, *_sampled(exploration)]
    known += [z3.Not(path.region) for path in exploration.ending("void")]
    search = _Search(exploration, known, refused)
    if solving.is_possible(*search.accepted) is False:
        return (), False
    with each_at_most(QUICK):
        for path in refused:
            search.against(path)
        search.shorten()
    left = [path for path in refused if not search.is_excluded(path)]
    with each_at_most(QUICK):
        search.against_all(left)
        search.found = _needed(search.found, known)
    is_exact = all(search.is_excluded(path) for path in refused)
    told = [c for c in search.found if not exploration.sampled.keys() & {*c.axes}]
    return tuple(sorted(told, key=_order(exploration.axes))), is_exact and is_closed


def _order(axes: Sequence[str]) -> Callable[[Condition], tuple[int, list[int]]]:
    """Return the key that puts conditions on one axis first, and the axes in their order."""
    return lambda c: (len(c.axes), sorted(axes.index(axis) for axis in c.axes))


def _sampled(exploration: Exploration) -> list[Formula]:
    return [
        z3.Or(*(z3.Int(axis) == size for size in sizes))
        for axis, sizes in exploration.sampled.items()
    ]


class _Search:
    """The conditions that were found so far.

    Args:
        exploration: What is known.
        known: What holds for all sizes that are asked about.
        refused: The paths that are refused.
    """

    def __init__(
        self,
        exploration: Exploration,
        known: Sequence[Formula],
        refused: Sequence[Path],
    ) -> None:
        self.axes = [axis for axis in exploration.axes if not keyword.iskeyword(axis)]
        self.known = list(known)
        self.refused = refused
        self.accepted = [*known, *(z3.Not(path.region) for path in refused)]
        self.found: list[Condition] = []
        self._all_axes = exploration.axes
        starts = [path.smallest for path in exploration.ending("holds") if path.smallest]
        self._points = Points(exploration.axes, self.accepted, starts)
        self._pairs = list(dict.fromkeys(_pairs(refused, self.axes)))
        self._rejected: set[str] = set()
        self._unknown = 0

    @property
    def met(self) -> list[Formula]:
        """What holds for all sizes that meet the conditions."""
        return [*self.known, *map(_formula, self.found)]

    def is_excluded(self, path: Path) -> bool:
        """Return whether no size that meets the conditions takes a path."""
        return solving.is_possible(*self.met, path.region) is False

    def against(self, path: Path) -> None:
        """Add short conditions against a path, as long as they are found."""
        for _ in range(MOST_CONDITIONS):
            point = self._refused_point(path)
            condition = self._against_point(point) if point else None
            if condition is None:
                return
            self.found.append(condition)

    def shorten(self) -> None:
        """Put the negated answers of a path in the place of many conditions, if that is shorter."""
        self.found = _needed(self.found, self.known)
        for path in self.refused:
            axes = {axis for condition in self.found for axis in condition.axes}
            if len(self.found) <= len(axes):
                return
            whole = _against_answers(path, self.known)
            others = _needed([whole, *self.found], self.known) if whole else self.found
            self.found = min(self.found, others, key=lambda found: len(all_of(found)))

    def against_all(self, paths: Sequence[Path]) -> None:
        """Add the negated answers of paths that no short condition excludes."""
        if not paths:
            return
        whole = _outside_box(z3.Or(*(path.region for path in paths)), self.axes, self.met)
        if whole is not None:
            self.found.append(whole)
            return
        for path in paths:
            if not self.is_excluded(path) and (
                condition := _outside_box(path.region, self.axes, self.met)
                or _against_answers(path, self.met)
            ):
                self.found.append(condition)

    def _refused_point(self, path: Path) -> Sizes | None:
        """Return sizes that take a path though they meet all conditions so far."""
        smallest = path.smallest
        if smallest and all(condition.holds(smallest) for condition in self.found):
            return smallest
        return solving.example(*self.met, path.region, axes=self._all_axes)

    def _against_point(self, point: Sizes) -> Condition | None:
        """Return a short condition that accepted sizes meet and these do not."""
        for _ in range(MOST_TRIES):
            text = next(self._suggestions(point), None)
            if text is None or self._unknown > MOST_UNKNOWN:
                return None
            if self._follows(text):
                return Condition(text)
        return None

    def _suggestions(self, point: Sizes) -> Iterator[str]:
        """Yield conditions that all known examples meet, but not this point."""
        texts = itertools.chain(
            *(
                conditions(Term(axis), self._points.values(Term(axis)), point[axis])
                for axis in self.axes
            ),
            *(of_pairs(*pair, self._points.all, point) for pair in self._pairs),
        )
        return (text for text in texts if text not in self._rejected)

    def _follows(self, text: str) -> bool:
        """Return whether all accepted sizes meet a condition; keep one that does not."""
        self._rejected.add(text)
        asked = solving.solver(*self.accepted, z3.Not(solving.parse(text)))
        answer = asked.check()
        if answer == z3.sat:
            example: Sizes = solving.sizes_of(asked.model(), self._all_axes)
            if ">=" in text:  # straight to the least one, not by many steps
                example = solving.smallest_where(
                    *asked.assertions(), axes=self._all_axes, start=example
                )
            self._points.add(example)
        self._unknown += answer == z3.unknown
        return bool(answer == z3.unsat)


def _pairs(refused: Sequence[Path], axes: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield axes that one question was about."""
    for path in refused:
        for guard in path.guards:
            together = {symbol.name for symbol in guard.free_symbols}
            yield from itertools.combinations([axis for axis in axes if axis in together], 2)


def _outside_box(
    refused: Formula, axes: Sequence[str], known: Sequence[Formula]
) -> Condition | None:
    """Return a condition against refused sizes, if they are all between limits of each axis."""
    inside, outside = [], []
    for axis in axes:
        size = z3.Int(axis)
        least = solving.least(size, *known, refused, most=LARGEST)
        most = solving.greatest(size, *known, refused, most=LARGEST)
        if least is not None and least == most:
            inside.append(size == least)
            outside.append(f"{axis} != {least}" if least > 1 else f"{axis} > 1")
            continue
        if least is not None and not solving.follows(size >= least, *known):
            inside.append(size >= least)
            outside.append(f"{axis} < {least}")
        if most is not None and not solving.follows(size <= most, *known):
            inside.append(size <= most)
            outside.append(f"{axis} > {most}")
    if not inside or not solving.follows(refused, *known, *inside):
        return None
    return Condition(_as_a_limit(outside[0]) if len(outside) == 1 else " or ".join(outside))


def _as_a_limit(text: str) -> str:
    """Write ``seq < 513`` as ``seq <= 512``, as a limit that stands alone is written."""
    axis, operator, number = text.split()
    if operator == "<":
        return f"{axis} <= {int(number) - 1}"
    return f"{axis} >= {int(number) + 1}" if operator == ">" else text


def _against_answers(path: Path, known: Sequence[Formula]) -> Condition | None:
    """Return a condition that refuses the sizes of a path, from what was asked of them there."""
    guards = list(path.guards)
    for guard in sorted(guards, key=lambda guard: -len(str(guard))):
        others = [solving.translate(other) for other in guards if other is not guard]
        if solving.follows(solving.translate(guard), *known, *others):
            guards.remove(guard)
    parts = [_shortest(sympy.Not(guard), known) for guard in guards]
    try:
        either: Any = sympy.Or  # sympy's types do not know evaluate
        text = as_python(either(*parts, evaluate=False))
        return Condition(_as_a_limit(text) if re.fullmatch(r"\w+ [<>] \d+", text) else text)
    except ContractError:
        return None


def _shortest(condition: Any, known: Sequence[Formula]) -> Any:
    """Return the shortest way to write a condition that z3 shows to mean the same."""
    if isinstance(condition, sympy.And | sympy.Or):
        parts = [_shortest(part, known) for part in condition.args]
        join: Any = condition.func
        return join(*parts, evaluate=False)
    found = forms(settled(condition, *known))
    for form in sorted(found, key=lambda form: len(as_python(form))):
        if form == condition or are_same(form, condition, *known):
            return form
    return condition


def _needed(conditions: Sequence[Condition], known: Sequence[Formula]) -> list[Condition]:
    """Return the conditions that do not follow from the others."""
    kept = list(conditions)
    for condition in reversed(conditions):
        others = [_formula(other) for other in kept if other is not condition]
        if solving.follows(_formula(condition), *known, *others):
            kept.remove(condition)
    return kept


def _formula(condition: Condition) -> Formula:
    return solving.parse(condition.text)
