"""Algebra on conditions of sizes, for products that z3 gives up on.

That ``4704*b*(p//7)*(q//7) == 96*b*p*q`` holds wherever 7 divides p and q, z3 cannot tell: it has
no method for products of unknown numbers. It can tell that 7 divides p and q, which are linear.
So z3 is asked which divisions are exact; these become fractions, and both sides polynomials, which
sympy can compare and factor. Functions that are not polynomials count as unknown numbers.
"""

from collections.abc import Iterable, Iterator
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

_DIVISIONS = ("FloorDiv", "CleanDiv")
_REMAINDERS = ("Mod", "PythonMod")


def settled(condition: Any, *premises: Formula) -> Any:
    """Return what a condition comes to for sizes that meet the premises.

    It is true or false where algebra can tell; a simpler condition where positive factors can be
    divided out of both sides; and the condition itself otherwise.

    Args:
        condition: A condition in sympy's expressions.
        *premises: What holds of the sizes.
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
    found = condition.func(*_sides(numerator, fractions))
    if degree(found) < degree(condition):
        return found
    return _each_is_one(condition, fractions)


def all_settled(conditions: Iterable[Any], *premises: Formula) -> Iterator[Any]:
    """Yield conditions that hold together just where the given ones do, for such sizes.

    Each is settled where those before it hold; what is true is left out.
    """
    known = list(premises)
    for condition in dict.fromkeys(conditions):
        found = settled(condition, *known)
        if found != sympy.true:
            yield found
        try:
            known.append(translate(condition))
        except UntranslatableError:
            continue


def degree(expression: Any) -> int:
    """Return how many unknown numbers are multiplied in an expression at most."""
    if isinstance(expression, Relational):
        return max(map(degree, expression.args))
    expanded = sympy.expand(opaque(expression)[0])
    return max((_factors(term) for term in sympy.Add.make_args(expanded)), default=0)


def opaque(expression: Any) -> tuple[Any, dict[Any, Any]]:
    """Return a polynomial with symbols for all that is none, and what they stand for."""
    stands_for: dict[Any, Any] = {}

    def visit(part: Any) -> Any:
        if part.is_Symbol or part.is_Rational:
            return part
        if part.is_Add or part.is_Mul or (part.is_Pow and _is_natural(part.args[1])):
            return part.func(*map(visit, part.args))
        return stands_for.setdefault(part, sympy.Dummy())

    found = visit(expression)
    return found, {symbol: part for part, symbol in stands_for.items()}


class _Fractions:
    """Replaces divisions that are exact by fractions.

    Args:
        premises: What holds of the sizes.
    """

    def __init__(self, premises: Iterable[Formula]) -> None:
        self._premises = tuple(premises)
        self._known: dict[Any, bool] = {}

    def __call__(self, part: Any) -> Any:
        """Return an expression that has the same value."""
        name = type(part).__name__
        if name in ("Add", "Mul"):
            return part.func(*map(self, part.args))
        if name == "Pow" and _is_natural(part.args[1]):
            return self(part.args[0]) ** part.args[1]
        if name in _DIVISIONS and self._is_exact(*part.args):
            return self(part.args[0]) / self(part.args[1])
        if name in _REMAINDERS and self._is_exact(*part.args):
            return sympy.Integer(0)
        return part

    def is_positive(self, part: Any) -> bool:
        """Return whether an expression is above zero for these sizes, as far as z3 can tell."""
        if part.is_positive:
            return True
        return degree(part) < 2 and self._holds(part, lambda size: size > 0)

    def _is_exact(self, part: Any, divisor: Any) -> bool:
        if not self.is_positive(divisor):
            return False
        by = translate(divisor)
        return self._holds((part, divisor), lambda size, _: size == by * floor_div(size, by))

    def _holds(self, parts: Any, claim: Any) -> bool:
        if parts not in self._known:
            terms = parts if isinstance(parts, tuple) else (parts,)
            try:
                self._known[parts] = follows(claim(*map(translate, terms)), *self._premises)
            except UntranslatableError:
                self._known[parts] = False
        return self._known[parts]


def _sides(difference: Any, fractions: _Fractions) -> tuple[Any, Any]:
    """Return two sides whose difference has the same sign, without positive factors."""
    plain, stands_for = opaque(difference)
    plain = sympy.expand(plain)
    if plain.is_number:
        return plain, sympy.Integer(0)
    listed: Any = sympy.factor_list(plain)
    number, factors = listed
    kept = sympy.sign(number)  # zero, if the sides are equal
    for factor, power in factors:
        original = factor.xreplace(stands_for)
        if not fractions.is_positive(original):
            kept *= original**power
    terms = sympy.Add.make_args(sympy.expand(kept))
    right = [-term for term in terms if term.could_extract_minus_sign()]
    left = [term for term in terms if not term.could_extract_minus_sign()]
    return sympy.Add(*left), sympy.Add(*right)


def _each_is_one(condition: Any, fractions: _Fractions) -> Any:
    """Return that each factor is 1, if that is what a condition says of a product.

    Where an average over 7x7 has to leave one pixel, the product of two quotients is 1; z3 can
    tell much of each, and little of their product.
    """
    product, number = sorted(condition.args, key=lambda side: side.is_Integer)
    if condition.func not in (sympy.Eq, sympy.Ne) or not number.is_Integer:
        return condition
    plain, stands_for = opaque(product)
    if sympy.expand(plain).is_number:
        return condition
    listed: Any = sympy.factor_list(plain)
    content, factors = listed
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
