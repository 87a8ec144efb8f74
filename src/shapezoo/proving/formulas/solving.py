"""Questions about sizes, answered by z3; torch's expressions of sizes, in its language.

Effort is bounded by z3's own count of steps, not by time, so that an answer does not depend on the
machine; see `shapezoo.proving.effort`.
"""

import ast
import contextlib
import fractions
import functools
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

import sympy
import z3

from shapezoo.contracts.language.conditions import Condition
from shapezoo.contracts.language.parsing import expression
from shapezoo.proving.effort import MeteredSolver

Formula = Any
"""A condition on sizes, of z3, which has no types."""


class UntranslatableError(Exception):
    """An expression that there is no formula for."""


def translate(expression: Any) -> Formula:
    """The formula of an expression of sympy, in the functions that torch adds to it.

    Raises:
        UntranslatableError: There is none.
    """
    if expression.is_Symbol:
        return z3.Int(expression.name)
    if expression in (sympy.true, sympy.false):
        return z3.BoolVal(bool(expression))
    if expression.is_Integer:
        return z3.IntVal(int(expression))
    name = type(expression).__name__
    if expression.is_Float:
        return _exact(fractions.Fraction(float(expression)))
    if expression.is_Rational:
        return _exact(fractions.Fraction(int(expression.p), int(expression.q)))
    if name in _ROUNDED and not _is_power_of_two(expression.args[1]):
        raise UntranslatableError(f"{expression} is rounded, which no formula tells")
    if name not in _FUNCTIONS:
        raise UntranslatableError(f"no formula for {name}, in {expression}")
    if name in ("Pow", "PowByNatural") and not expression.args[1].is_Integer:
        raise UntranslatableError(f"no formula for {expression}")
    if name in _TO_INTEGER and type(expression.args[0]).__name__ == "IntTrueDiv":
        quotient = _true_div(*map(translate, expression.args[0].args))  # near enough to be exact
        return _FUNCTIONS[name](quotient)
    return _FUNCTIONS[name](*map(translate, expression.args))


_ROUNDED = ("IntTrueDiv", "FloatTrueDiv")
_TO_INTEGER = ("FloorToInt", "CeilToInt", "TruncToInt")
_MOST_EXACT = 1 << 20


def _exact(number: fractions.Fraction) -> Formula:
    """A number whose products with sizes are not rounded by floating-point arithmetic."""
    if number.denominator & (number.denominator - 1) or number.denominator > _MOST_EXACT:
        raise UntranslatableError(f"{float(number)} is rounded, which no formula tells")
    return z3.RealVal(str(number))


def _is_power_of_two(number: Any) -> bool:
    if not number.is_number or not float(number).is_integer():
        return False
    return int(number) > 0 and not int(number) & (int(number) - 1)


def parse(text: str) -> Formula:
    """Return the formula of a condition over the names of axes, as `Condition.holds` reads it.

    Where Python would divide by zero it does not hold.

    Raises:
        UntranslatableError: There is none.
    """
    tree = expression(text)
    conditions = list(_divides_by_no_zero(tree))
    return z3.And(_parse(tree), *conditions) if conditions else _parse(tree)


def parse_size(text: str) -> Formula:
    """Return the formula of a Python expression that gives a size, such as ``height//2``.

    Raises:
        UntranslatableError: There is none.
    """
    return _parse(expression(text))


def _divides_by_no_zero(node: ast.expr) -> Iterator[Formula]:
    """Yield what must hold for Python to divide by no zero; it skips what it need not compute."""
    match node:
        case ast.BoolOp(op=op, values=[first, *rest]) if rest:
            after = rest[0] if len(rest) == 1 else ast.BoolOp(op, rest)
            is_needed = z3.Not(_parse(first)) if isinstance(op, ast.Or) else _parse(first)
            yield from _divides_by_no_zero(first)
            yield from (z3.Implies(is_needed, need) for need in _divides_by_no_zero(after))
        case ast.Compare(left=left, ops=[op, *ops], comparators=[middle, *rest]) if rest:
            first, after = ast.Compare(left, [op], [middle]), ast.Compare(middle, ops, rest)
            yield from _divides_by_no_zero(first)
            needs = _divides_by_no_zero(after)
            yield from (z3.Implies(_parse(first), need) for need in needs)
        case _:
            for part in ast.iter_child_nodes(node):
                if isinstance(part, ast.expr):
                    yield from _divides_by_no_zero(part)
    match node:
        case ast.BinOp(op=ast.FloorDiv() | ast.Mod(), right=right) if (
            not isinstance(right, ast.Constant)  # `Condition` has refused the constant 0
        ):
            yield _parse(right) != 0


def _parse(node: ast.expr) -> Formula:
    match node:
        case ast.Name(id=name):
            return z3.Int(name)
        case ast.Constant(value=bool() as value):
            return z3.BoolVal(value)
        case ast.Constant(value=int() as value):
            return z3.IntVal(value)
        case ast.UnaryOp(op=ast.Not()):
            return z3.Not(_parse(node.operand))
        case ast.UnaryOp(op=ast.USub()):
            return -_parse(node.operand)
        case ast.BoolOp(op=op, values=values):
            return (z3.And if isinstance(op, ast.And) else z3.Or)(*map(_parse, values))
        case ast.Compare(left=left, ops=[ast.In()], comparators=[ast.Tuple(elts=numbers)]):
            return z3.Or(*(_parse(left) == _parse(number) for number in numbers))
        case ast.Compare(left=left, ops=[ast.NotIn()], comparators=[ast.Tuple(elts=numbers)]):
            return z3.And(*(_parse(left) != _parse(number) for number in numbers))
        case ast.BinOp(op=op) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_parse(node.left), _parse(node.right))
        case ast.Compare() if all(type(op) in _OPERATORS for op in node.ops):
            terms = [_parse(term) for term in (node.left, *node.comparators)]
            pairs = zip(node.ops, terms, terms[1:], strict=False)
            return z3.And(*(_OPERATORS[type(op)](left, right) for op, left, right in pairs))
    raise UntranslatableError(f"no formula for {ast.unparse(node)}")


def floor_div(left: Formula, right: Formula) -> Formula:
    """Division of whole numbers that rounds down, as Python's; z3's does for divisors above 0."""
    if z3.is_int_value(right):
        return left / right if right.as_long() > 0 else -left / -right
    return z3.If(right > 0, left / right, -left / -right)


def _mod(left: Formula, right: Formula) -> Formula:
    return left - right * floor_div(left, right)


def _real(term: Formula) -> Formula:
    return z3.ToReal(term) if term.is_int() else term


def _true_div(left: Formula, right: Formula) -> Formula:
    return _real(left) / _real(right)


def _floor(term: Formula) -> Formula:
    return z3.ToInt(_real(term))


def _ceil(term: Formula) -> Formula:
    return -z3.ToInt(-_real(term))


def _power(base: Formula, exponent: Formula) -> Formula:
    if exponent.as_long() < 1:
        raise UntranslatableError(f"no formula for a power of {exponent}")
    return z3.Product([base] * exponent.as_long())


def _choose(better: Callable[[Any, Any], Formula]) -> Callable[..., Formula]:
    def choose(*terms: Formula) -> Formula:
        return functools.reduce(lambda a, b: z3.If(better(a, b), a, b), terms)

    return choose


_FUNCTIONS: Mapping[str, Callable[..., Formula]] = {
    "Add": lambda *terms: z3.Sum(list(terms)),
    "Mul": lambda *terms: z3.Product(list(terms)),
    "Pow": _power,
    "PowByNatural": _power,
    "FloorDiv": floor_div,
    "CleanDiv": floor_div,
    "CeilDiv": lambda left, right: -floor_div(-left, right),
    "Mod": _mod,
    "PythonMod": _mod,
    "ModularIndexing": lambda base, divisor, modulus: _mod(floor_div(base, divisor), modulus),
    "ToFloat": _real,
    "IntTrueDiv": _true_div,
    "FloatTrueDiv": _true_div,
    "FloorToInt": _floor,
    "CeilToInt": _ceil,
    "TruncToInt": lambda term: z3.If(_real(term) >= 0, _floor(term), _ceil(term)),
    "Max": _choose(operator.ge),
    "Min": _choose(operator.le),
    "Abs": lambda term: z3.If(term >= 0, term, -term),
    "Where": z3.If,
    "Equality": operator.eq,
    "Unequality": operator.ne,
    "StrictLessThan": operator.lt,
    "LessThan": operator.le,
    "StrictGreaterThan": operator.gt,
    "GreaterThan": operator.ge,
    "And": z3.And,
    "Or": z3.Or,
    "Not": z3.Not,
}
"""By the name of the class: torch's classes are private, and some have two homes."""

_OPERATORS: Mapping[type[ast.AST], Callable[[Any, Any], Formula]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: floor_div,
    ast.Mod: _mod,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


def solver(*formulas: Formula) -> MeteredSolver:
    """Return a solver that bounds the steps of each question, and draws from the effort."""
    found = MeteredSolver()
    found.add(*formulas)
    return found


def is_possible(*formulas: Formula) -> bool | None:
    """Whether there are sizes for which all of these hold; None if z3 does not know."""
    answer = solver(*formulas).check()
    return None if answer == z3.unknown else bool(answer == z3.sat)


def example(*formulas: Formula, axes: Sequence[str]) -> Mapping[str, int] | None:
    """Return sizes for which all of these hold; None if there are none, or z3 finds none."""
    asked = solver(*formulas)
    return sizes_of(asked.model(), axes) if asked.check() == z3.sat else None


def follows(conclusion: Formula, *premises: Formula) -> bool:
    """Whether this holds for all sizes for which the premises do, as far as z3 can tell."""
    return is_possible(*premises, z3.Not(conclusion)) is False


def are_equivalent(left: Iterable[Condition], right: Iterable[Condition]) -> bool:
    """Whether the same sizes meet all conditions of both, as far as z3 can tell."""
    sides = [list(left), list(right)]
    sizes = [z3.Int(axis) >= 1 for side in sides for c in side for axis in c.axes]
    one, other = (z3.And(*(parse(condition.text) for condition in side), True) for side in sides)
    return follows(one, *sizes, other) and follows(other, *sizes, one)


def smallest_where(
    *formulas: Formula, axes: Sequence[str], start: Mapping[str, int]
) -> Mapping[str, int]:
    """Sizes of the least sum for which all of these hold, as far as z3 can tell.

    Args:
        *formulas: What must hold.
        axes: The names of the sizes.
        start: Sizes for which all hold.
    """
    asked = solver(*formulas)
    low, found = len(axes) - 1, start  # bisection: z3's own optimisation can lose its way
    while sum(found.values()) - low > 1:
        middle = (low + sum(found.values())) // 2
        asked.push()
        asked.add(total(axes) <= middle)
        if asked.check() == z3.sat:
            found = sizes_of(asked.model(), axes)
        else:
            low = middle
        asked.pop()
    return found


def least(term: Formula, *formulas: Formula, most: int) -> int | None:
    """The least value of a term where all of these hold; None above `most`, or if z3 gives up."""
    asked = solver(*formulas)
    low, high = 0, most + 1
    while high - low > 1:
        middle = (low + high) // 2
        answer = asked.check(term <= middle)
        if answer == z3.unknown:
            return None
        low, high = (low, middle) if answer == z3.sat else (middle, high)
    return high if high <= most else None


def greatest(term: Formula, *formulas: Formula, most: int) -> int | None:
    """The greatest value of a term where all of these hold; None where it can exceed `most`.

    That no greater one is possible, z3 has shown.
    """
    asked = solver(*formulas)
    if asked.check(term > most) != z3.unsat:
        return None
    low, high = 0, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if asked.check(term > middle) == z3.unsat else (middle, high)
    return high


def total(axes: Iterable[str]) -> Any:
    """The sum of sizes."""
    return z3.Sum([z3.IntVal(0), *map(z3.Int, axes)])


def sizes_of(model: Any, axes: Iterable[str]) -> dict[str, int]:
    """The sizes that z3 has found."""
    return {axis: model.eval(z3.Int(axis), model_completion=True).as_long() for axis in axes}


@contextlib.contextmanager
def sound_sympy() -> Iterator[None]:
    """Keep sympy 1.14 from claiming that ``(4*s + 4)*t/6`` is a whole number for all s and t.

    It looks at the power of two in the divisor only. torch would take a reshape for possible
    that is not. The claim is made in one handler of sympy's, which is private.
    """
    handlers = cast(Any, sympy.Mul)._prop_handler
    claim = handlers["integer"]

    def is_integer(product: Any) -> bool | None:
        claimed: bool | None = claim(product)
        factor = product.as_coeff_Mul()[0]
        is_doubtful = claimed and factor.is_Rational and factor.q & (factor.q - 1)
        return None if is_doubtful else claimed

    handlers["integer"] = is_integer
    sympy.core.cache.clear_cache()
    try:
        yield
    finally:
        handlers["integer"] = claim
        sympy.core.cache.clear_cache()
