"""Comparisons of sizes as a person would write them.

What a run asks has the form in which torch computes it, such as
``(width - 1) // 2 * ((height - 3) // 2 * 4 + 4) == 676``. Each step here is an equivalence for
whole numbers: constants move into divisions, common factors out of both sides. z3 is asked all the
same (`preconditions`), and what it cannot show is left as it was.
"""

import math
from collections.abc import Iterator
from typing import Any

import sympy
from sympy.core.relational import Relational

from shapezoo.proving.formulas.algebra import opaque
from shapezoo.proving.formulas.solving import Formula, follows, translate

_DIVISIONS = ("FloorDiv", "CleanDiv")
_REMAINDERS = ("Mod", "PythonMod")
_FLIPPED = {
    sympy.StrictLessThan: sympy.StrictGreaterThan,
    sympy.LessThan: sympy.GreaterThan,
    sympy.StrictGreaterThan: sympy.StrictLessThan,
    sympy.GreaterThan: sympy.LessThan,
}


def forms(condition: Any) -> Iterator[Any]:
    """Yield ways to write a condition, the given one among them.

    Args:
        condition: A condition in sympy's expressions.
    """
    waiting, seen = [condition], {condition}
    while waiting:
        yield (form := waiting.pop())
        found = set(_steps(form)) if isinstance(form, Relational) else set()
        waiting += sorted(found - seen, key=str)
        seen |= found


def _steps(condition: Any) -> Iterator[Any]:
    """Yield a condition after each simple step that changes it."""
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
    if name in _REMAINDERS and number == 0 and relation in (sympy.Eq, sympy.Ne):
        yield from _of_a_remainder(relation, *term.args)
    if name in _DIVISIONS and term.args[1].is_Integer and term.args[1] > 0:
        yield from _of_a_division(relation, term.args[0], int(term.args[1]), number)
    if not rest.is_number and (found := _balanced(relation, term - number)).args[1] != number:
        yield found
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
    """Yield that a smaller number divides a smaller product."""
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
    found = _balanced(relation, difference + constant)
    if _terms(found) < _terms(relation(left, right)):
        yield found


def _balanced(relation: Any, difference: Any) -> Any:
    """Return a comparison of the positive terms with the negative ones."""
    terms = sympy.Add.make_args(difference)
    negative = [-term for term in terms if term.could_extract_minus_sign()]
    positive = [term for term in terms if not term.could_extract_minus_sign()]
    return relation(sympy.Add(*positive), sympy.Add(*negative))


def _terms(condition: Any) -> int:
    return sum(len(sympy.Add.make_args(side)) for side in condition.args)


def are_same(left: Any, right: Any, *known: Formula) -> bool:
    """Return whether z3 shows that two conditions mean the same for such sizes.

    It gives up on products of divisions; so these are made alike first, one by one, which z3 shows
    too, and then count as unknown numbers.
    """
    numbers: dict[Any, Any] = {}
    plain = [
        side.replace(_is_division, lambda part: _as_number(part, numbers)) for side in (left, right)
    ]
    one, other = map(translate, plain)
    return follows(one == other) or follows(translate(left) == translate(right), *known)


def _is_division(part: Any) -> bool:
    return type(part).__name__ in _DIVISIONS and bool(part.args[1].is_Integer)


def _as_number(division: Any, numbers: dict[Any, Any]) -> Any:
    """Return an unknown number for a division, the same for those that differ by a constant."""
    part, divisor = division.args
    constant, rest = part.as_coeff_Add()
    if not constant.is_Integer or divisor < 1:
        return division
    shift, remainder = divmod(int(constant), int(divisor))
    least = type(division)(rest + remainder, divisor)
    if not follows(translate(division) == translate(least) + shift):
        return division
    return numbers.setdefault(least, sympy.Symbol(f"_{len(numbers)}", integer=True)) + shift


def factored(term: Any) -> tuple[int, Any]:
    """Return the number that divides a term, and the factors that are left, with no brackets open.

    Constants that are added to a division are taken into it: ``2*((h - 3)//2) + 2`` is 2 times
    ``(h - 1)//2``.
    """
    plain, stands_for = opaque(term)
    if not plain.is_polynomial() or plain.is_number:
        return 1, term
    found: Any = sympy.factor_list(plain)
    number, factors = found
    if not number.is_Integer:
        return 1, term
    product = [_absorbed(factor.xreplace(stands_for)) ** power for factor, power in factors]
    return int(number), sympy.Mul(*product)


def _absorbed(total: Any) -> Any:
    """Return a sum of a division and a number as one division."""
    number, rest = total.as_coeff_Add()
    factor, division = rest.as_coeff_Mul()
    is_division = type(division).__name__ in _DIVISIONS and factor.is_Integer
    if not is_division or not number.is_Integer or number == 0 or number % factor:
        return total
    part, divisor = division.args
    return factor * type(division)(part + number / factor * divisor, divisor)
