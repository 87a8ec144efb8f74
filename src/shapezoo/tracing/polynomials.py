"""Find expressions for all sizes from runs at a few sizes.

A symbolic trace is interpolated: the model runs at several sizes, and every number that differs
between these runs becomes the polynomial through its values. Sizes of layers are polynomials of the
axes (a quotient such as ``height//4`` is one where the height is a multiple of 4), parameters and
costs are products of such sizes.

The runs lie on a grid with three points along each axis, at 2, 3 and 4 units, which determines a
polynomial of degree two in that axis. A unit is a number that many layers can divide, such as 64.
Then the polynomials are held against runs at other sizes. A number that does not pass is called
*irregular* and shown as ``f(height)``.

Finally the expressions are refined. If all their coefficients give whole numbers at multiples of 4
already, and runs at such sizes agree, the expressions hold at multiples of 4 instead of 64.

The prover's symbolic run is not used here: a trace must also work for models that it cannot run,
and a check at a few more sizes is enough for a table.
"""

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


class DifferenceError(ValueError):
    """Runs at different sizes differ in more than integers."""


@dataclasses.dataclass(frozen=True)
class General(Generic[T]):
    """The result of a function for all sizes.

    Attributes:
        value: The result of a run, with expressions instead of the integers that differ.
        multiples: What the size of each axis must be a multiple of for the expressions to hold.
        irregular: How many different integers are not polynomials; they are ``f(height)`` instead.
    """

    value: T
    multiples: Sizes
    irregular: int


def generalise(
    run: Callable[[Sizes], T], units: Mapping[str, int], checks: Sequence[int] = CHECKS
) -> General[T]:
    """Return the result of a function for all sizes of some axes.

    The function is called on a grid of sizes, where its results may only differ in integers. Each
    integer becomes the polynomial over the axes through its values on the grid, of degree two at
    most in each axis, and is checked at other sizes.

    Args:
        run: The function, from sizes to a dataclass.
        units: The distance of the points of the grid along each axis; all sizes on it are
            multiples of that.
        checks: The sizes of the other points, in units.

    Raises:
        DifferenceError: The results differ in more than integers.
    """
    run_once = functools.cache(lambda *sizes: run(dict(zip(units, sizes, strict=True))))
    few = _Grid(run_once, units, is_full=False).generalised(checks)
    return _Grid(run_once, units, is_full=True).generalised(checks) if few.irregular else few


class _Grid(Generic[T]):
    """Sizes at which a function is known, and polynomials through its values there.

    The coordinates of a point are the units of each axis above its smallest size. With each point,
    all points below it are in the grid, as Newton's formula requires.

    Args:
        run: The function, of the size of each axis.
        units: The distance of the points along each axis.
        is_full: Whether several axes may be two units above at once; otherwise one axis may, with
            all others at their smallest size. That is enough unless a number has a term such as
            ``height**2*width``.
    """

    def __init__(self, run: Callable[..., T], units: Mapping[str, int], *, is_full: bool) -> None:
        self._run = run
        self._units = dict(units)
        self._polynomial = functools.cache(self._interpolated)
        points = itertools.product(range(3), repeat=len(units))
        self._points = [
            point
            for point in points
            if sum(map(bool, point)) <= 3
            and (is_full or max(point, default=0) < 2 or sum(point) == 2)
        ]
        grid = [self._scaled([2 + n for n in point]) for point in self._points]
        self._results = [run(*sizes.values()) for sizes in grid]

    def generalised(self, checks: Sequence[int]) -> General[T]:
        """Return the result for all sizes, for the smallest multiples that pass the checks."""
        beyond = self._off_grid(checks)
        try:
            coarse = self._general(beyond, self._units)
        except DifferenceError:  # at small sizes, two shapes of a recurrent layer may be equal
            beyond = self._off_grid(checks[1:])
            coarse = self._general(beyond, self._units)
        multiples = self._multiples()
        if multiples == self._units:
            return coarse
        least = {axis: 2 * multiple for axis, multiple in multiples.items()}
        between = self._between(multiples)
        # At the least sizes a loop may have two iterations, which may not be folded.
        for points in [least, *between], between:
            with contextlib.suppress(DifferenceError):
                fine = self._general([*beyond, *points], multiples)
                return fine if fine.irregular <= coarse.irregular else coarse
        return coarse

    def _scaled(self, numbers: Sequence[int]) -> Sizes:
        """Return sizes that are given in units."""
        sizes = (n * unit for n, unit in zip(numbers, self._units.values(), strict=True))
        return dict(zip(self._units, sizes, strict=True))

    def _off_grid(self, checks: Sequence[int]) -> list[Sizes]:
        """Return points off the grid: each axis takes the checks in a different order."""
        axes = range(len(self._units))
        shifts = range(len(checks)) if self._units else ()
        return [self._scaled([checks[(s + n) % len(checks)] for n in axes]) for s in shifts]

    def _between(self, multiples: Sizes) -> list[Sizes]:
        """Return points a few multiples above the smallest sizes, other numbers for each axis.

        The first one is at four multiples: shorter loops may not be folded.
        """
        axes = list(enumerate(self._units.items(), 1))
        others = (
            {axis: 2 * unit + (1 + n * step % 4) * multiples[axis] for n, (axis, unit) in axes}
            for step in (1, 2, 3)
        )
        return [{axis: 4 * multiple for axis, multiple in multiples.items()}, *others]

    def _interpolated(self, values: tuple[int, ...]) -> Any:
        """Return the polynomial with these values on the grid, by Newton's divided differences."""
        import sympy  # takes 0.3 s

        at = dict(zip(self._points, values, strict=True))
        steps = [sympy.Symbol(axis) / unit - 2 for axis, unit in self._units.items()]
        basis = [(1, t, t * (t - 1) / 2) for t in steps]
        total = sympy.Integer(0)
        for point in self._points:
            difference = 0
            for below in itertools.product(*(range(n + 1) for n in point)):
                pairs = zip(point, below, strict=True)
                factors = ((-1) ** (n - m) * math.comb(n, m) for n, m in pairs)
                difference += at[below] * math.prod(factors)
            total += difference * math.prod(b[n] for b, n in zip(basis, point, strict=True))
        return sympy.expand(total)

    def _multiples(self) -> Sizes:
        """Return what the sizes must be multiples of for all polynomials to be integers."""
        multiples = dict.fromkeys(self._units, 1)
        terms: list[tuple[dict[str, int], int]] = []

        def collect(values: tuple[int, ...]) -> None:
            for term, coefficient in self._polynomial(values).as_coefficients_dict().items():
                powers = {str(s): int(n) for s, n in term.as_powers_dict().items() if s.is_Symbol}
                terms.append((powers, int(coefficient.q)))

        _merge(self._results, functools.cache(collect))
        # Terms of low degree first: they leave no choice of the axis that has to divide.
        for powers, denominator in sorted(terms, key=lambda term: sum(term[0].values())):
            if math.prod(multiples[axis] ** n for axis, n in powers.items()) % denominator:
                multiples |= {axis: math.lcm(multiples[axis], denominator) for axis in powers}
        return {axis: min(multiple, self._units[axis]) for axis, multiple in multiples.items()}

    def _general(self, checked: Sequence[Sizes], multiples: Sizes) -> General[T]:
        """Merge the results on the grid with those at other points.

        Args:
            checked: The other points. Those that the function does not take are skipped.
            multiples: What all sizes are multiples of.

        Raises:
            DifferenceError: The results differ in more than integers.
        """
        others: list[Sizes] = []
        results = list(self._results)
        for sizes in checked:
            with contextlib.suppress(Exception):  # some models have a smallest or largest size
                results.append(self._run(*sizes.values()))
                others.append(sizes)
        irregular = 0

        @functools.cache
        def text(values: tuple[int, ...]) -> str:
            nonlocal irregular
            polynomial = self._polynomial(values[: len(self._points)])
            rest = zip(others, values[len(self._points) :], strict=True)
            if all(polynomial.subs(sizes) == value for sizes, value in rest):
                return _text(polynomial)
            irregular += 1
            return f"f({','.join(self._varying(values))})"

        return General(_merge(results, text), multiples, irregular)

    def _varying(self, values: Sequence[int]) -> list[str]:
        """Return the axes on which values on the grid depend, or all if none shows there."""
        at = dict(zip(self._points, values, strict=False))
        varying = [
            axis
            for number, axis in enumerate(self._units)
            if any(at[point] != at[(*point[:number], 0, *point[number + 1 :])] for point in at)
        ]
        return varying or list(self._units)


def _text(polynomial: "sympy.Expr") -> str:
    """Return the shorter of two ways to write a polynomial, without spaces."""
    import sympy

    texts = (str(form).replace(" ", "") for form in (polynomial, sympy.factor(polynomial)))
    return min(texts, key=len)


def _merge(values: Sequence[Any], number: Callable[[tuple[int, ...]], object]) -> Any:
    """Merge values of the same structure, with a function for the integers that differ."""
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
            merged = {n: _merge([getattr(v, n) for v in values], number) for n in names}
            return dataclasses.replace(first, **merged)
    raise DifferenceError(
        f"{first} at some sizes, {next(v for v in values if v != first)} at others"
    )
