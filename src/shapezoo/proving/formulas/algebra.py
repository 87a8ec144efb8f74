"""Simplify conditions with products of sizes, on which z3 gives up.

z3 cannot show that ``4704*b*(p//7)*(q//7) == 96*b*p*q`` holds wherever 7 divides p and q: it has no
method for products of unknowns. But it can show that 7 divides p and q, since these questions are
linear. So the work is divided:

1. z3 says which divisions are exact. These become fractions, and both sides polynomials.
2. sympy subtracts one side from the other, and factors the difference. Factors that z3 shows to be
   positive are dropped: they change neither the sign nor whether it is zero.
3. What is left is true, false, or a condition of lower degree, which z3 may be able to decide.

Parts that are not polynomials, such as a division that is not exact, count as unknowns (`opaque`).
Without this, models with windowed attention could not be proved: their reshapes ask such questions.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import sympy
from sympy.core.relational import Relational

from shapezoo.proving.formulas.solving import (
    Formula,
    UntranslatableError,
    floor_div,
    follows,
    translate,
)

DIVISIONS = ("FloorDiv", "CleanDiv")
"""The names of torch's and sympy's classes for division that rounds down."""

REMAINDERS = ("Mod", "PythonMod")
"""The names of their classes for remainders."""


def settled(condition: Any, *premises: Formula) -> Any:
    """Return an equivalent of a condition for sizes that meet the premises.

    The result is true or false if algebra can decide it; a simpler condition if both sides have
    positive factors in common; and the condition itself otherwise.

    Args:
        condition: A condition as a sympy expression.
        *premises: What holds for the sizes.
    """
    if not isinstance(condition, Relational) or condition.atoms(sympy.Float):
        return condition
    if not any(map(_has_product, condition.args)):
        return condition
    fractions = _Fractions(premises)
    left, right = map(fractions, condition.args)
    numerator, denominator = sympy.fraction(sympy.together(left - right))
    if not fractions.is_positive(denominator):
        return condition
    simplified = condition.func(*_sides(numerator, fractions))
    if degree(simplified) < degree(condition):
        return simplified
    return _each_is_one(condition, fractions)


def all_settled(conditions: Iterable[Any], *premises: Formula) -> Iterator[Any]:
    """Yield conditions that together are equivalent to the given ones, for such sizes.

    Each is settled under the premise that those before it hold; what is true is left out.
    """
    facts = list(premises)
    for condition in dict.fromkeys(conditions):
        result = settled(condition, *facts)
        if result != sympy.true:
            yield result
        with contextlib.suppress(UntranslatableError):
            facts.append(translate(condition))


def degree(expression: Any) -> int:
    """Return how many unknowns an expression multiplies at most."""
    if isinstance(expression, Relational):
        return max(map(degree, expression.args))
    expanded = sympy.expand(opaque(expression)[0])
    return max((_factors(term) for term in sympy.Add.make_args(expanded)), default=0)


def opaque(expression: Any) -> tuple[Any, dict[Any, Any]]:
    """Replace all parts that are not polynomial by symbols.

    Returns:
        The polynomial, and what each new symbol stands for.
    """
    stands_for: dict[Any, Any] = {}

    def visit(part: Any) -> Any:
        if part.is_Symbol or part.is_Rational:
            return part
        if part.is_Add or part.is_Mul or (part.is_Pow and _is_natural(part.args[1])):
            return part.func(*map(visit, part.args))
        return stands_for.setdefault(part, sympy.Dummy())

    polynomial = visit(expression)
    return polynomial, {symbol: part for part, symbol in stands_for.items()}


class _Fractions:
    """Replaces exact divisions by fractions.

    Args:
        premises: What holds for the sizes.
    """

    def __init__(self, premises: Iterable[Formula]) -> None:
        self._premises = tuple(premises)
        self._shown: dict[Any, bool] = {}

    def __call__(self, part: Any) -> Any:
        """Return an expression with the same value, in which exact divisions are fractions."""
        name = type(part).__name__
        if name in ("Add", "Mul"):
            return part.func(*map(self, part.args))
        if name == "Pow" and _is_natural(part.args[1]):
            return self(part.args[0]) ** part.args[1]
        if name in DIVISIONS and self._is_exact(*part.args):
            return self(part.args[0]) / self(part.args[1])
        if name in REMAINDERS and self._is_exact(*part.args):
            return sympy.Integer(0)
        return part

    def is_positive(self, part: Any) -> bool:
        """Whether an expression is shown to be above zero for these sizes."""
        if part.is_positive:
            return True
        return degree(part) < 2 and self._holds((part,), lambda size: size > 0)

    def _is_exact(self, part: Any, divisor: Any) -> bool:
        if not self.is_positive(divisor):
            return False
        by = translate(divisor)
        return self._holds((part, divisor), lambda size, _: size == by * floor_div(size, by))

    def _holds(self, parts: tuple[Any, ...], claim: Callable[..., Formula]) -> bool:
        if parts not in self._shown:
            try:
                self._shown[parts] = follows(claim(*map(translate, parts)), *self._premises)
            except UntranslatableError:
                self._shown[parts] = False
        return self._shown[parts]


def _sides(difference: Any, fractions: _Fractions) -> tuple[Any, Any]:
    """Return two sides whose difference has the same sign as the given one, but fewer factors."""
    polynomial, stands_for = opaque(difference)
    polynomial = sympy.expand(polynomial)
    if polynomial.is_number:
        return polynomial, sympy.Integer(0)
    number, factors = factor_list(polynomial)
    kept = sympy.sign(number)  # zero, if the sides are equal
    for factor, power in factors:
        original = factor.xreplace(stands_for)
        if not fractions.is_positive(original):
            kept *= original**power
    return positive_and_negative(sympy.expand(kept))


def positive_and_negative(total: Any) -> tuple[Any, Any]:
    """Return the sum of the positive terms, and that of the negative ones with their sign changed.

    The two sides compare like the total and zero.
    """
    terms = sympy.Add.make_args(total)
    negative = [-term for term in terms if term.could_extract_minus_sign()]
    positive = [term for term in terms if not term.could_extract_minus_sign()]
    return sympy.Add(*positive), sympy.Add(*negative)


def factor_list(polynomial: Any) -> tuple[Any, list[tuple[Any, int]]]:
    """Return the content of a polynomial, and its factors with their powers."""
    factored: Any = sympy.factor_list(polynomial)  # sympy's types do not know the result
    number, factors = factored
    return number, factors


def _each_is_one(condition: Any, fractions: _Fractions) -> Any:
    """Return the condition that each factor of a product is 1, if the product has to be 1.

    If an average over 7x7 has to leave one pixel, the product of two quotients is 1; z3 can show
    much about each of them, and little about their product.
    """
    product, number = sorted(condition.args, key=lambda side: side.is_Integer)
    if condition.func not in (sympy.Eq, sympy.Ne) or not number.is_Integer:
        return condition
    polynomial, stands_for = opaque(product)
    if sympy.expand(polynomial).is_number:
        return condition
    content, factors = factor_list(polynomial)
    each = [factor.xreplace(stands_for) for factor, power in factors if power == 1]
    if content != number or len(each) < len(factors) or not all(map(fractions.is_positive, each)):
        return condition
    is_one: list[Any] = [condition.func(factor, 1) for factor in each]
    return sympy.And(*is_one) if condition.func is sympy.Eq else sympy.Or(*is_one)


def _has_product(expression: Any) -> bool:
    return any(
        sum(not factor.is_number for factor in part.args) > 1 or part.is_Pow
        for part in expression.atoms(sympy.Mul, sympy.Pow)
    )


def _factors(term: Any) -> int:
    powers = (factor.as_base_exp() for factor in sympy.Mul.make_args(term))
    return sum(int(power) for base, power in powers if not base.is_number)


def _is_natural(exponent: Any) -> bool:
    return bool(exponent.is_Integer and exponent > 0)
