"""Find readable conditions that say which sizes a model accepts.

The regions of an exploration say exactly which sizes are refused, but in the form in which the run
asked: ``(height - 3) // 2 * 4 + 4 < 8 and ...``. A person wants to read ``height >= 5``. So
conditions are derived from examples:

1. z3 names sizes that are refused although they meet all conditions so far.
2. Examples of accepted sizes suggest the shortest conditions that exclude these (`candidates`).
3. z3 shows that a suggestion follows from being accepted. Then it is a precondition. Otherwise z3
   names an accepted size that does not meet it, which is one more example.

If no short condition excludes a refused path, the guards of that path are negated and simplified
instead. In the end z3 has to show that the conditions together are exact, or that is not claimed.
It would be simpler to print the guards, but with dozens of regions nobody could read the result.
"""

import itertools
import keyword
import random
import re
from collections.abc import Iterator, Sequence
from typing import Any

import sympy
import z3

from shapezoo.contracts import ContractError
from shapezoo.contracts.language.conditions import Condition, all_of
from shapezoo.proving.effort import each_at_most
from shapezoo.proving.findings import Sizes
from shapezoo.proving.formulas import solving
from shapezoo.proving.formulas.algebra import settled
from shapezoo.proving.formulas.evaluating import compiled
from shapezoo.proving.formulas.printing import as_python
from shapezoo.proving.formulas.rewriting import are_same, forms
from shapezoo.proving.formulas.solving import Formula
from shapezoo.proving.limits.candidates import Term, conditions, of_pairs
from shapezoo.proving.paths.exploring import ExecutionPath, Exploration

LARGEST = 1 << 14
"""The largest limit that is searched for."""

MOST_CONDITIONS = 12
"""How many short conditions are looked for against one path."""

MOST_TRIES = 24
"""How many suggestions are tried against one refused point."""

QUICK = 1_000_000
"""How many steps of z3 a suggestion is worth."""

MOST_UNKNOWN = 6
"""After this many suggestions that z3 cannot decide, the search stops."""

RANGE = 192
"""How many sizes of each axis are tried around a start, or up to four times as many as the start.

So multiples of a number show as such, even where the start is the first of them.
"""

STARTS = 4
"""How many starts are used."""

RANDOM = 200
"""How many pairs of random sizes are tried for each start."""


def preconditions(exploration: Exploration) -> tuple[tuple[Condition, ...], bool]:
    """Return what sizes must meet to be accepted, and whether all sizes that meet it are.

    z3 has shown that each condition follows from being accepted; sizes about which nothing is known
    count as accepted. z3 has also shown that all conditions together describe exactly the accepted
    sizes, if that is claimed.

    Args:
        exploration: The explored paths.

    Raises:
        WorkOverError: The budget was used up before they were found.
    """
    refused = exploration.ending("raises", "breaks")
    depends_on_values = any(path.refusals for path in exploration.ending("holds"))
    is_closed = not exploration.gaps() and not depends_on_values
    if not refused:
        return (), is_closed
    sampled = exploration.sampled
    domain = [exploration.domain, *(solving.is_one_of(*item) for item in sampled.items())]
    domain += [z3.Not(path.region) for path in exploration.ending("void")]
    search = _Search(exploration, domain)
    if solving.is_possible(*search.accepted) is False:
        return (), False
    with each_at_most(QUICK):
        for path in refused:
            search.exclude(path)
        search.shorten()
    remaining = [path for path in refused if not search.is_excluded(path)]
    with each_at_most(QUICK):
        search.exclude_by_guards(remaining)
        search.conditions = _needed(search.conditions, domain)
    is_exact = all(search.is_excluded(path) for path in refused)
    # conditions on a sampled axis would describe the samples
    reported = [c for c in search.conditions if sampled.keys().isdisjoint(c.axes)]
    axes = exploration.axes
    reported.sort(key=lambda c: (len(c.axes), sorted(axes.index(axis) for axis in c.axes)))
    return tuple(reported), is_exact and is_closed


class _Search:
    """The conditions that were found so far.

    Args:
        exploration: The explored paths.
        domain: What holds for all sizes in question.
    """

    def __init__(self, exploration: Exploration, domain: Sequence[Formula]) -> None:
        # a condition is parsed as Python, where an axis called "in" could not be named
        self.axes = [axis for axis in exploration.axes if not keyword.iskeyword(axis)]
        self.domain = list(domain)
        self.refused = exploration.ending("raises", "breaks")
        self.accepted = [*domain, *(z3.Not(path.region) for path in self.refused)]
        self.conditions: list[Condition] = []
        self._all_axes = exploration.axes
        self._tests = [compiled(formula) for formula in self.accepted]
        self._examples: list[Sizes] = []
        self._tried: set[tuple[int, ...]] = set()
        starts = [path.smallest for path in exploration.ending("holds") if path.smallest]
        for start in starts[:STARTS]:
            for sizes in _around(exploration.axes, start):
                self._add_example(sizes)
        self._pairs = list(dict.fromkeys(_pairs(self.refused, self.axes)))
        self._rejected: set[str] = set()
        self._num_unknown = 0
        self._is_closed = not exploration.gaps()
        self._guards = [path.guards for path in exploration.ending("holds")]

    def _add_example(self, sizes: Sizes) -> None:
        """Add sizes to the examples, if they are accepted."""
        key = tuple(sizes[axis] for axis in self._all_axes)
        if key not in self._tried:
            self._tried.add(key)
            if all(test(sizes) for test in self._tests):
                self._examples.append(sizes)

    @property
    def met(self) -> list[Formula]:
        """What holds for all sizes that meet the conditions."""
        return [*self.domain, *map(_formula, self.conditions)]

    def is_excluded(self, path: ExecutionPath) -> bool:
        """Whether z3 shows that no size that meets the conditions takes a path."""
        for axis in self.axes:  # what concerns one axis alone is often enough, and decided quickly
            alone = [_formula(c) for c in self.conditions if c.axes == (axis,)]
            if solving.is_possible(*self.domain, *alone, *_about(path.guards, {axis})) is False:
                return True
        return solving.is_possible(*self.met, path.region) is False

    def exclude(self, path: ExecutionPath) -> None:
        """Add short conditions that exclude a path, as long as some are found."""
        for _ in range(MOST_CONDITIONS):
            point = self._refused_point(path)
            condition = self._against_point(point) if point else None
            if condition is None:
                return
            self.conditions.append(condition)

    def shorten(self) -> None:
        """Replace many conditions by the negated guards of one path, if that is shorter."""
        self.conditions = _needed(self.conditions, self.domain)
        for path in self.refused:
            axes = {axis for condition in self.conditions for axis in condition.axes}
            if len(self.conditions) <= len(axes):
                return
            if (negated := _negated_guards(path, self.domain)) is not None:
                shorter = _needed([negated, *self.conditions], self.domain)
                self.conditions = min(self.conditions, shorter, key=lambda each: len(all_of(each)))

    def exclude_by_guards(self, paths: Sequence[ExecutionPath]) -> None:
        """Add the negated guards of paths that no short condition excludes."""
        if not paths:
            return
        together = _outside_box(z3.Or(*(path.region for path in paths)), self.axes, self.met)
        if together is not None:
            self.conditions.append(together)
            return
        for path in paths:
            if not self.is_excluded(path) and (
                condition := _outside_box(path.region, self.axes, self.met)
                or _negated_guards(path, self.met)
            ):
                self.conditions.append(condition)

    def _refused_point(self, path: ExecutionPath) -> Sizes | None:
        """Return sizes that take a path although they meet all conditions so far."""
        smallest = path.smallest
        if smallest and all(condition.holds(smallest) for condition in self.conditions):
            return smallest
        return solving.example(*self.met, path.region, axes=self._all_axes)

    def _against_point(self, point: Sizes) -> Condition | None:
        """Return a short condition that accepted sizes meet and these do not."""
        for _ in range(MOST_TRIES):
            text = next(self._suggestions(point), None)
            if text is None or self._num_unknown > MOST_UNKNOWN:
                return None
            if self._follows(text):
                return Condition(text)
        return None

    def _suggestions(self, point: Sizes) -> Iterator[str]:
        """Yield conditions that all examples meet, but not this point."""
        texts = itertools.chain(
            *(conditions(Term(axis), self._examples, point) for axis in self.axes),
            *(of_pairs(*pair, self._examples, point) for pair in self._pairs),
        )
        return (text for text in texts if text not in self._rejected)

    def _follows(self, text: str) -> bool:
        """Whether all accepted sizes meet a condition; an accepted size that does not is kept."""
        self._rejected.add(text)
        solver = solving.solver(*self.accepted, z3.Not(solving.parse(text)))
        answer = solver.check()
        if answer == z3.sat:
            example: Sizes = solving.sizes_of(solver.model(), self._all_axes)
            # for a lower limit, go to the least accepted size at once instead of step by step
            if ">=" in text:
                example = solving.smallest_where(
                    *solver.assertions(), axes=self._all_axes, start=example
                )
            self._add_example(example)
        if answer == z3.unknown and self._follows_alone(Condition(text)):
            return True
        self._num_unknown += answer == z3.unknown
        return bool(answer == z3.unsat)

    def _follows_alone(self, condition: Condition) -> bool:
        """Whether a condition follows, on each accepted path, from the guards on its axes alone.

        Guards on other axes, and products of several, may keep z3 from an answer.
        """
        names, conclusion = {*condition.axes}, _formula(condition)
        return self._is_closed and all(
            solving.follows(conclusion, *self.domain, *_about(guards, names))
            for guards in self._guards
        )


def _about(guards: Sequence[Any], names: set[str]) -> list[Formula]:
    """Return the formulas of the guards on some axes alone."""
    own = [guard for guard in guards if {symbol.name for symbol in guard.free_symbols} <= names]
    return [*map(solving.translate, own), *_quotients(own)]


def _quotients(guards: Sequence[Any]) -> Iterator[Formula]:
    """Yield how quotients of one size by several numbers are related, which z3 finds slowly.

    They occur where a network halves its maps again and again: ``height//8 == height//4//2``.
    """
    parts = {part for guard in guards for part in guard.atoms(sympy.Function)}
    # torch's class is private
    found = [part for part in parts if type(part).__name__ == "FloorDiv"]
    for first, second in itertools.permutations(sorted(found, key=str), 2):
        (size, divisor), (other_size, multiple) = first.args, second.args
        if size == other_size and divisor.is_Integer and (multiple / divisor).is_Integer:
            ratio = z3.IntVal(int(multiple / divisor))
            yield solving.translate(second) == solving.floor_div(solving.translate(first), ratio)


def _around(axes: Sequence[str], sizes: Sizes) -> Iterator[Sizes]:
    """Yield sizes that differ from these in one axis, and some random ones."""
    yield sizes
    numbers = random.Random(0)
    for axis in axes:
        first = max(1, sizes[axis] - RANGE // 4)
        last = max(first + RANGE, 4 * sizes[axis])
        for size in {*range(1, RANGE // 2), *range(first, last)}:
            yield {**sizes, axis: size}
    for _ in range(RANDOM):
        most = numbers.choice((4, 16, 96))
        yield {**sizes, **{axis: numbers.randint(1, most) for axis in axes}}
        yield {**sizes, **dict.fromkeys(axes, numbers.randint(1, RANGE))}


def _pairs(refused: Sequence[ExecutionPath], axes: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield pairs of axes that occur in one guard."""
    for path in refused:
        for guard in path.guards:
            names = {symbol.name for symbol in guard.free_symbols}
            yield from itertools.combinations([axis for axis in axes if axis in names], 2)


def _outside_box(
    refused: Formula, axes: Sequence[str], premises: Sequence[Formula]
) -> Condition | None:
    """Return the condition to be outside of refused sizes, if these are a box of intervals."""
    inside, outside = [], []
    for axis in axes:
        size = z3.Int(axis)
        least = solving.least(size, *premises, refused, most=LARGEST)
        most = solving.greatest(size, *premises, refused, most=LARGEST)
        if least is not None and least == most:
            inside.append(size == least)
            outside.append(f"{axis} != {least}" if least > 1 else f"{axis} > 1")
            continue
        if least is not None and not solving.follows(size >= least, *premises):
            inside.append(size >= least)
            outside.append(f"{axis} < {least}")
        if most is not None and not solving.follows(size <= most, *premises):
            inside.append(size <= most)
            outside.append(f"{axis} > {most}")
    if not inside or not solving.follows(refused, *premises, *inside):
        return None
    return _limit(" or ".join(outside))


def _limit(text: str) -> Condition:
    """Return a condition, with a lone ``seq < 513`` written as ``seq <= 512``."""
    if strict := re.fullmatch(r"(\w+) ([<>]) (\d+)", text):
        axis, operator, number = strict.groups()
        text = f"{axis} {operator}= {int(number) + (1 if operator == '>' else -1)}"
    return Condition(text)


def _negated_guards(path: ExecutionPath, premises: Sequence[Formula]) -> Condition | None:
    """Return the condition that at least one guard of a path does not hold."""
    guards = list(path.guards)
    for guard in sorted(guards, key=lambda guard: -len(str(guard))):
        others = [solving.translate(other) for other in guards if other is not guard]
        if solving.follows(solving.translate(guard), *premises, *others):
            guards.remove(guard)
    parts = [_shortest(sympy.Not(guard), premises) for guard in guards]
    try:
        either: Any = sympy.Or  # sympy's types do not know evaluate
        return _limit(as_python(either(*parts, evaluate=False)))
    except ContractError:
        return None


def _shortest(condition: Any, premises: Sequence[Formula]) -> Any:
    """Return the shortest form of a condition that z3 shows to be equivalent."""
    if isinstance(condition, sympy.And | sympy.Or):
        parts = [_shortest(part, premises) for part in condition.args]
        join: Any = condition.func
        return join(*parts, evaluate=False)
    candidates = forms(settled(condition, *premises))
    for form in sorted(candidates, key=lambda form: len(as_python(form))):
        if form == condition or are_same(form, condition, *premises):
            return form
    return condition


def _needed(conditions: Sequence[Condition], premises: Sequence[Formula]) -> list[Condition]:
    """Return the conditions that do not follow from the others."""
    kept = list(conditions)
    for condition in reversed(conditions):
        others = [_formula(other) for other in kept if other is not condition]
        if solving.follows(_formula(condition), *premises, *others):
            kept.remove(condition)
    return kept


def _formula(condition: Condition) -> Formula:
    return solving.parse(condition.text)
