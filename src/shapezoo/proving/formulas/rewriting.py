"""Rewrite comparisons of sizes as a person would write them.

Guards have the form in which torch computes them, such as
``(width - 1) // 2 * ((height - 3) // 2 * 4 + 4) == 676``. Each step here is an equivalence for
integers: constants move into divisions, common factors out of both sides. z3 checks each result all
the same (`preconditions`), and one that it cannot show to be equivalent is not used.
"""

import math
from collections.abc import Iterator
from typing import Any

import sympy
from sympy.core.relational import Relational

from shapezoo.proving.formulas.algebra import (
    DIVISIONS,
    REMAINDERS,
    factor_list,
    opaque,
    positive_and_negative,
)
from shapezoo.proving.formulas.solving import Formula, follows, translate

_FLIPPED = {
    sympy.StrictLessThan: sympy.StrictGreaterThan,
    sympy.LessThan: sympy.GreaterThan,
    sympy.StrictGreaterThan: sympy.StrictLessThan,
    sympy.GreaterThan: sympy.LessThan,
}


def forms(condition: Any) -> Iterator[Any]:
    """Yield equivalent forms of a condition, including the given one.

    Args:
        condition: A condition as a sympy expression.
    """
    waiting, reached = [condition], {condition}
    while waiting:
        yield (form := waiting.pop())
        next_forms = set(_steps(form)) if isinstance(form, Relational) else set()
        waiting += sorted(next_forms - reached, key=str)
        reached |= next_forms


def _steps(condition: Any) -> Iterator[Any]:
    """Yield the condition after each single step that changes it."""
    left, right = condition.args
    if left.is_number and not right.is_number:
        relation = _FLIPPED.get(condition.func, condition.func)
        yield relation(right, left)
    elif right.is_number and right.is_Integer:
        yield from _against_a_number(condition.func, left, int(right))
    else:
        yield from _of_two_sides(condition.func, left, right)


def _against_a_number(relation: Any, term: Any, number: int) -> Iterator[Any]:
    constant, rest = term.as_coeff_Add()
    name = type(term).__name__
    if constant.is_Integer and constant and not rest.is_number:
        yield relation(rest, number - int(constant))
    if name in REMAINDERS and number == 0 and relation in (sympy.Eq, sympy.Ne):
        yield from _of_a_remainder(relation, *term.args)
    if name in DIVISIONS and term.args[1].is_Integer and term.args[1] > 0:
        yield from _of_a_division(relation, term.args[0], int(term.args[1]), number)
    if not rest.is_number and (form := _balanced(relation, term - number)).args[1] != number:
        yield form
    factor, product = factored(term)
    if factor < 0 and product.could_extract_minus_sign() is False:
        yield _FLIPPED.get(relation, relation)(-factor * product, -number)
    if factor > 1:
        yield from _divided(relation, product, number, factor)
    elif factor == 1 and product != term:
        yield relation(product, number)


def _divided(relation: Any, product: Any, number: int, factor: int) -> Iterator[Any]:
    """Yield a comparison of ``factor * product`` without the factor."""
    if relation in (sympy.Eq, sympy.Ne):
        if number % factor == 0:
            yield relation(product, number // factor)
    elif relation in (sympy.StrictLessThan, sympy.GreaterThan):
        yield relation(product, -(-number // factor))
    else:
        yield relation(product, number // factor)


def _of_a_remainder(relation: Any, term: Any, divisor: Any) -> Iterator[Any]:
    """Yield the condition that a smaller number divides a smaller product."""
    factor, product = factored(term)
    if not divisor.is_Integer or divisor < 1:
        return
    least = int(divisor) // math.gcd(factor, int(divisor))
    if least > 1 and product != term:
        yield relation(sympy.Mod(product, least, evaluate=False), 0)


def _of_a_division(relation: Any, term: Any, divisor: int, number: int) -> Iterator[Any]:
    """Yield a comparison of ``term // divisor`` without the division."""
    if relation in (sympy.GreaterThan, sympy.StrictLessThan):
        yield relation(term, number * divisor)
    elif relation is sympy.StrictGreaterThan:
        yield sympy.Ge(term, (number + 1) * divisor)
    elif relation is sympy.LessThan:
        yield sympy.Lt(term, (number + 1) * divisor)


def _of_two_sides(relation: Any, left: Any, right: Any) -> Iterator[Any]:
    """Yield a comparison with all numbers on the right, and no common factor."""
    constant, difference = (left - right).as_coeff_Add()
    if not constant.is_Integer:
        return
    if difference.is_number:
        yield relation(constant, 0)
        return
    factor, _ = factored(difference)
    if abs(factor) > 1 and constant % factor == 0:
        difference, constant = sympy.expand(difference / abs(factor)), constant / abs(factor)
        yield _balanced(relation, difference + constant)
    form = _balanced(relation, difference + constant)
    if _num_terms(form) < _num_terms(relation(left, right)):
        yield form


def _balanced(relation: Any, difference: Any) -> Any:
    """Return a comparison of the positive terms with the negative ones."""
    return relation(*positive_and_negative(difference))


def _num_terms(condition: Any) -> int:
    return sum(len(sympy.Add.make_args(side)) for side in condition.args)


def are_same(left: Any, right: Any, *premises: Formula) -> bool:
    """Whether z3 shows that two conditions are equivalent for sizes that satisfy the premises.

    z3 gives up on products of divisions. So divisions are first reduced to a common form, one by
    one, which z3 can check, and then replaced by unknowns.
    """
    unknowns: dict[Any, Any] = {}
    first, second = (
        translate(side.replace(_is_division, lambda part: _as_unknown(part, unknowns)))
        for side in (left, right)
    )
    return follows(first == second) or follows(translate(left) == translate(right), *premises)


def _is_division(part: Any) -> bool:
    return type(part).__name__ in DIVISIONS and bool(part.args[1].is_Integer)


def _as_unknown(division: Any, unknowns: dict[Any, Any]) -> Any:
    """Return an unknown for a division; divisions that differ by a constant share one."""
    part, divisor = division.args
    constant, rest = part.as_coeff_Add()
    if not constant.is_Integer or divisor < 1:
        return division
    shift, remainder = divmod(int(constant), int(divisor))
    least = type(division)(rest + remainder, divisor)
    if not follows(translate(division) == translate(least) + shift):
        return division
    return unknowns.setdefault(least, sympy.Symbol(f"_{len(unknowns)}", integer=True)) + shift


def factored(term: Any) -> tuple[int, Any]:
    """Return the integer that divides a term, and the product of the factors that are left.

    A constant that is added to a division moves into it: ``2*((h - 3)//2) + 2`` is 2 times
    ``(h - 1)//2``.
    """
    polynomial, stands_for = opaque(term)
    if not polynomial.is_polynomial() or polynomial.is_number:
        return 1, term
    number, factors = factor_list(polynomial)
    if not number.is_Integer:
        return 1, term
    product = [_absorbed(factor.xreplace(stands_for)) ** power for factor, power in factors]
    return int(number), sympy.Mul(*product)


def _absorbed(total: Any) -> Any:
    """Return a sum of a division and a number as one division."""
    number, rest = total.as_coeff_Add()
    factor, division = rest.as_coeff_Mul()
    is_division = type(division).__name__ in DIVISIONS and factor.is_Integer
    if not is_division or not number.is_Integer or number == 0 or number % factor:
        return total
    part, divisor = division.args
    return factor * type(division)(part + number / factor * divisor, divisor)
