"""What holds for all sizes, from runs at a few of them."""

import contextlib
import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    import sympy

T = TypeVar("T")

Sizes = dict[str, int]

CHECKS = (1, 5, 8, 13, 21)
"""The sizes, in units, at which polynomials through those of 2 to 4 units are checked.

The first may be left out.
"""

FEW_CHECKS = (1, 5)
"""The same where a run costs time and memory."""


class DifferenceError(ValueError):
    """Runs at different sizes differ in more than whole numbers."""


@dataclasses.dataclass(frozen=True)
class General(Generic[T]):
    """What holds for all sizes.

    Attributes:
        value: What a run gave, with expressions in the place of numbers that differ.
        multiples: What the size of each axis must be a multiple of for them to hold.
        irregular: How many different numbers are no polynomial; they stand as ``f(height)``.
    """

    value: T
    multiples: Sizes
    irregular: int


def generalise(
    run: Callable[[Sizes], T], units: Mapping[str, int], checks: Sequence[int] = CHECKS
) -> General[T]:
    """What a function gives for all sizes of some axes.

    The function is called on a grid of sizes, where its results must be alike but for whole
    numbers. Each number becomes the polynomial over the axes that goes through these points, of
    degree two at most in each axis, and is held against other points.

    Args:
        run: The function, from sizes to a dataclass.
        units: The distance of the points of the grid along each axis; all sizes on it are
            multiples of that.
        checks: The sizes of other points, in units.

    Raises:
        DifferenceError: The results differ in more than whole numbers.
    """
    known: dict[tuple[int, ...], T] = {}

    def run_once(sizes: Sizes) -> T:
        key = tuple(sizes.values())
        if key not in known:
            known[key] = run(sizes)
        return known[key]

    few = _through(run_once, _Grid(units, is_full=False), checks)
    return _through(run_once, _Grid(units, is_full=True), checks) if few.irregular else few


def _through(run: Callable[[Sizes], T], grid: "_Grid", checks: Sequence[int]) -> General[T]:
    """What a function gives by the polynomials through its values on a grid."""
    results = [run(sizes) for sizes in grid.sizes]
    beyond = grid.beyond(checks) if grid.units else []
    try:
        coarse = grid.general(results, *_where_it_runs(run, beyond), dict(grid.units))
    except DifferenceError:  # at small sizes, two shapes of a recurrent layer may be the same
        beyond = grid.beyond(checks[1:])
        coarse = grid.general(results, *_where_it_runs(run, beyond), dict(grid.units))
    multiples = grid.multiples(results)
    if multiples == grid.units:
        return coarse
    least = [{axis: 2 * multiple for axis, multiple in multiples.items()}]
    between = grid.between(multiples)
    for points in [*least, *between], between:  # a loop of two rounds need not be seen as one
        with contextlib.suppress(DifferenceError):
            fine = grid.general(results, *_where_it_runs(run, [*beyond, *points]), multiples)
            return fine if fine.irregular <= coarse.irregular else coarse
    return coarse


def _where_it_runs(
    run: Callable[[Sizes], T], points: Sequence[Sizes]
) -> tuple[list[Sizes], list[T]]:
    """Those of some points that a function takes, and its results."""
    taken: list[Sizes] = []
    results: list[T] = []
    for sizes in points:
        with contextlib.suppress(Exception):  # some models begin or end at a size
            results.append(run(sizes))
            taken.append(sizes)
    return taken, results


class _Grid:
    """Sizes at which a function is known, and polynomials through its values there.

    A point tells how many units each axis is above its least size; with each point, all below
    it are in the grid.

    Args:
        units: The distance of the points along each axis.
        is_full: Whether several axes may be two units above at once; otherwise one axis may, with
            all others at their least.
    """

    def __init__(self, units: Mapping[str, int], *, is_full: bool) -> None:
        self.units = units
        self.polynomial = functools.cache(self._polynomial)
        points = itertools.product(range(3), repeat=len(units))
        self._points = [
            point
            for point in points
            if sum(map(bool, point)) <= 3
            and (is_full or max(point, default=0) < 2 or sum(point) == 2)
        ]
        self.sizes = [
            {axis: (2 + n) * unit for n, (axis, unit) in zip(point, units.items(), strict=True)}
            for point in self._points
        ]

    def beyond(self, checks: Sequence[int]) -> list[Sizes]:
        """Points off the grid, by their sizes in units; each axis takes these in its own order."""
        return [
            {
                axis: checks[(start + number) % len(checks)] * unit
                for number, (axis, unit) in enumerate(self.units.items())
            }
            for start in range(len(checks))
        ]

    def between(self, multiples: Sizes) -> list[Sizes]:
        """Points a few multiples above the least sizes, of other numbers for each axis.

        The first is of four multiples, fewer rounds than which need not be seen as a loop.
        """
        return [
            {axis: 4 * multiple for axis, multiple in multiples.items()},
            *(
                {
                    axis: 2 * unit + (1 + number * step % 4) * multiples[axis]
                    for number, (axis, unit) in enumerate(self.units.items(), 1)
                }
                for step in (1, 2, 3)
            ),
        ]

    def _polynomial(self, values: tuple[int, ...]) -> Any:
        """The polynomial that has these values on the grid: Newton's divided differences."""
        import sympy

        at = dict(zip(self._points, values, strict=True))
        steps = [sympy.Symbol(axis) / unit - 2 for axis, unit in self.units.items()]
        basis = [(1, t, t * (t - 1) / 2) for t in steps]
        total = sympy.Integer(0)
        for point in self._points:
            difference = 0
            for below in itertools.product(*(range(n + 1) for n in point)):
                pairs = list(zip(point, below, strict=True))
                difference += at[below] * math.prod(
                    (-1) ** (n - m) * math.comb(n, m) for n, m in pairs
                )
            total += difference * math.prod(b[n] for b, n in zip(basis, point, strict=True))
        return sympy.expand(total)

    def multiples(self, results: Sequence[object]) -> Sizes:
        """What the sizes must be multiples of for all polynomials to be whole numbers."""
        found = dict.fromkeys(self.units, 1)
        terms: list[tuple[dict[str, int], int]] = []

        def look(values: tuple[int, ...]) -> None:
            for term, coefficient in self.polynomial(values).as_coefficients_dict().items():
                powers = {str(s): int(n) for s, n in term.as_powers_dict().items() if s.is_Symbol}
                terms.append((powers, int(coefficient.q)))

        _merge(results, functools.cache(look))
        for powers, denominator in sorted(terms, key=lambda term: sum(term[0].values())):
            if math.prod(found[axis] ** n for axis, n in powers.items()) % denominator:
                found |= {axis: math.lcm(found[axis], denominator) for axis in powers}
        return {axis: min(multiple, self.units[axis]) for axis, multiple in found.items()}

    def general(
        self,
        results: Sequence[T],
        checked: Sequence[Sizes],
        checks: Sequence[T],
        multiples: Sizes,
    ) -> General[T]:
        """The results in one, with polynomials for numbers that differ.

        Args:
            results: Those on the grid.
            checked: Other points.
            checks: The results there.
            multiples: Of what all these sizes are multiples.

        Raises:
            DifferenceError: The results differ in more than whole numbers.
        """
        irregular = 0

        @functools.cache
        def text(values: tuple[int, ...]) -> str:
            nonlocal irregular
            polynomial = self.polynomial(values[: len(self._points)])
            others = zip(checked, values[len(self._points) :], strict=True)
            if all(polynomial.subs(sizes) == value for sizes, value in others):
                return _text(polynomial)
            irregular += 1
            return f"f({','.join(self._varying(values))})"

        return General(_merge([*results, *checks], text), multiples, irregular)

    def _varying(self, values: Sequence[int]) -> list[str]:
        """The axes on which values on the grid depend, or all where none is seen to."""
        at = dict(zip(self._points, values, strict=False))
        varying = [
            axis
            for number, axis in enumerate(self.units)
            if any(at[point] != at[(*point[:number], 0, *point[number + 1 :])] for point in at)
        ]
        return varying or list(self.units)


def _text(polynomial: "sympy.Expr") -> str:
    """The shorter of two ways to write a polynomial, without blanks."""
    import sympy

    texts = (str(form).replace(" ", "") for form in (polynomial, sympy.factor(polynomial)))
    return min(texts, key=len)


def _merge(values: Sequence[Any], number: Callable[[tuple[int, ...]], object]) -> Any:
    """Values of one structure as one, with whole numbers that differ given to a function."""
    first = values[0]
    if all(value == first for value in values):
        return first
    if all(type(value) is int for value in values):
        return number(tuple(values))
    if len({type(value) for value in values}) == 1:
        if isinstance(first, tuple) and len({len(value) for value in values}) == 1:
            return tuple(_merge(column, number) for column in zip(*values, strict=True))
        if isinstance(first, dict) and all(value.keys() == first.keys() for value in values):
            return {key: _merge([value[key] for value in values], number) for key in first}
        if dataclasses.is_dataclass(first) and not isinstance(first, type):
            names = [field.name for field in dataclasses.fields(first)]
            parts = {n: _merge([getattr(v, n) for v in values], number) for n in names}
            return dataclasses.replace(first, **parts)
    raise DifferenceError(
        f"{first} at some sizes, {next(v for v in values if v != first)} at others"
    )
