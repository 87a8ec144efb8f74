"""Ask z3 about sizes, and translate torch's and Python's expressions of sizes for it.

Every condition on sizes becomes a formula over z3 integers, named like the axes. z3 then finds
sizes that satisfy formulas (`example`), shows that there are none (`follows`), or gives up. Giving
up is never an answer: `follows` is False then, and `is_possible` None, so that whatever is claimed
has been shown. z3 is bounded by its own count of steps, not by time, so that an answer does not
depend on the machine (`shapezoo.proving.effort`).

Some translations need care. z3's division rounds differently from Python's if the divisor is
negative (`floor_div`). Floating-point numbers are rounded at every step, which z3's real numbers
are not; so an expression is only translated if no step of it rounds. And where Python would divide
by zero, a condition does not hold (`parse`), while z3 could choose any value for the quotient.
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
"""A z3 expression, usually a condition on sizes. z3 has no types."""


class UntranslatableError(Exception):
    """There is no formula for an expression."""


def translate(expression: Any) -> Formula:
    """Return the formula of a sympy expression, which may use the functions that torch adds.

    Raises:
        UntranslatableError: There is no formula for it.
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
        raise UntranslatableError(f"{expression} is rounded, which no formula describes")
    if name not in _FUNCTIONS:
        raise UntranslatableError(f"no formula for {name}, in {expression}")
    if name in ("Pow", "PowByNatural") and not expression.args[1].is_Integer:
        raise UntranslatableError(f"no formula for {expression}")
    if name in _TO_INTEGER and type(expression.args[0]).__name__ == "IntTrueDiv":
        # the rounding error of a quotient is too small to reach the next integer
        quotient = _true_div(*map(translate, expression.args[0].args))
        return _FUNCTIONS[name](quotient)
    return _FUNCTIONS[name](*map(translate, expression.args))


_ROUNDED = ("IntTrueDiv", "FloatTrueDiv")
_TO_INTEGER = ("FloorToInt", "CeilToInt", "TruncToInt")
_MOST_EXACT = 1 << 20


def _exact(number: fractions.Fraction) -> Formula:
    """Return a number whose products with sizes floating-point arithmetic does not round."""
    if number.denominator & (number.denominator - 1) or number.denominator > _MOST_EXACT:
        raise UntranslatableError(f"{float(number)} is rounded, which no formula describes")
    return z3.RealVal(str(number))


def _is_power_of_two(number: Any) -> bool:
    if not number.is_number or not float(number).is_integer():
        return False
    return int(number) > 0 and not int(number) & (int(number) - 1)


def parse(text: str) -> Formula:
    """Return the formula of a condition on axes, with the meaning of `Condition.holds`.

    Where Python would divide by zero, it does not hold.

    Raises:
        UntranslatableError: There is no formula for it.
    """
    tree = expression(text)
    conditions = list(_divides_by_no_zero(tree))
    return z3.And(formula_of(tree), *conditions) if conditions else formula_of(tree)


def _divides_by_no_zero(node: ast.expr) -> Iterator[Formula]:
    """Yield what must hold for Python not to divide by zero, given that it evaluates lazily."""
    match node:
        case ast.BoolOp(op=op, values=[first, *rest]) if rest:
            after = rest[0] if len(rest) == 1 else ast.BoolOp(op, rest)
            is_needed = z3.Not(formula_of(first)) if isinstance(op, ast.Or) else formula_of(first)
            yield from _divides_by_no_zero(first)
            yield from (z3.Implies(is_needed, need) for need in _divides_by_no_zero(after))
        case ast.Compare(left=left, ops=[op, *ops], comparators=[middle, *rest]) if rest:
            pair = ast.Compare(left, [op], [middle]), ast.Compare(middle, ops, rest)
            yield from _divides_by_no_zero(ast.BoolOp(ast.And(), [*pair]))
        case _:
            for part in ast.iter_child_nodes(node):
                if isinstance(part, ast.expr):
                    yield from _divides_by_no_zero(part)
    match node:
        case ast.BinOp(op=ast.FloorDiv() | ast.Mod(), right=right) if (
            not isinstance(right, ast.Constant)  # `Condition` has refused the constant 0
        ):
            yield formula_of(right) != 0


def formula_of(node: ast.expr) -> Formula:
    """Return the formula of a parsed Python expression, such as ``height//2 > width``.

    Raises:
        UntranslatableError: There is no formula for it.
    """
    match node:
        case ast.Name(id=name):
            return z3.Int(name)
        case ast.Constant(value=bool() as value):
            return z3.BoolVal(value)
        case ast.Constant(value=int() as value):
            return z3.IntVal(value)
        case ast.UnaryOp(op=ast.Not()):
            return z3.Not(formula_of(node.operand))
        case ast.UnaryOp(op=ast.USub()):
            return -formula_of(node.operand)
        case ast.BoolOp(op=op, values=values):
            return (z3.And if isinstance(op, ast.And) else z3.Or)(*map(formula_of, values))
        case ast.Compare(left=left, ops=[op], comparators=[ast.Tuple(elts=numbers)]):
            is_one = z3.Or(*(formula_of(left) == formula_of(number) for number in numbers))
            return is_one if isinstance(op, ast.In) else z3.Not(is_one)
        case ast.BinOp(op=op) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](formula_of(node.left), formula_of(node.right))
        case ast.Compare() if all(type(op) in _OPERATORS for op in node.ops):
            terms = [formula_of(term) for term in (node.left, *node.comparators)]
            pairs = zip(node.ops, terms, terms[1:], strict=False)
            return z3.And(*(_OPERATORS[type(op)](left, right) for op, left, right in pairs))
    raise UntranslatableError(f"no formula for {ast.unparse(node)}")


def floor_div(left: Formula, right: Formula) -> Formula:
    """Return a quotient rounded down like Python's; z3 rounds so for positive divisors only."""
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


def _larger(left: Formula, right: Formula) -> Formula:
    return z3.If(left >= right, left, right)


def _smaller(left: Formula, right: Formula) -> Formula:
    return z3.If(left <= right, left, right)


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
    "Max": lambda *terms: functools.reduce(_larger, terms),
    "Min": lambda *terms: functools.reduce(_smaller, terms),
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
"""By class name: torch's classes are private, and some exist in two modules."""

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
    """Return a solver with these formulas, whose steps are bounded and counted as work."""
    made = MeteredSolver()
    made.add(*formulas)
    return made


def is_possible(*formulas: Formula) -> bool | None:
    """Return whether there are sizes that satisfy all formulas; None if z3 gives up."""
    answer = solver(*formulas).check()
    return None if answer == z3.unknown else bool(answer == z3.sat)


def example(*formulas: Formula, axes: Sequence[str]) -> Mapping[str, int] | None:
    """Return sizes that satisfy all formulas; None if there are none, or z3 finds none."""
    query = solver(*formulas)
    return sizes_of(query.model(), axes) if query.check() == z3.sat else None


def follows(conclusion: Formula, *premises: Formula) -> bool:
    """Whether z3 shows that this holds for all sizes that satisfy the premises."""
    return is_possible(*premises, z3.Not(conclusion)) is False


def are_equivalent(left: Iterable[Condition], right: Iterable[Condition]) -> bool:
    """Whether z3 shows that the same sizes meet all conditions on both sides."""
    sides = [list(left), list(right)]
    positive = [z3.Int(axis) >= 1 for side in sides for c in side for axis in c.axes]
    first, second = (z3.And(*(parse(c.text) for c in side), True) for side in sides)
    return follows(first, *positive, second) and follows(second, *positive, first)


def smallest_where(
    *formulas: Formula, axes: Sequence[str], start: Mapping[str, int]
) -> Mapping[str, int]:
    """Return the sizes with the least sum that satisfy all formulas, as far as z3 can find.

    Args:
        *formulas: What must hold.
        axes: The names of the sizes.
        start: Sizes that satisfy all formulas.
    """
    query = solver(*formulas)
    low, smallest = len(axes) - 1, start
    # bisection, since z3's own optimisation may not end
    while sum(smallest.values()) - low > 1:
        middle = (low + sum(smallest.values())) // 2
        query.push()
        query.add(total(axes) <= middle)
        if query.check() == z3.sat:
            smallest = sizes_of(query.model(), axes)
        else:
            low = middle
        query.pop()
    return smallest


def least(term: Formula, *formulas: Formula, most: int) -> int | None:
    """Return the least value of a term under these formulas.

    The result is None if that is above `most`, or if z3 gives up.
    """
    query = solver(*formulas)
    low, high = 0, most + 1
    while high - low > 1:
        middle = (low + high) // 2
        answer = query.check(term <= middle)
        if answer == z3.unknown:
            return None
        low, high = (low, middle) if answer == z3.sat else (middle, high)
    return high if high <= most else None


def greatest(term: Formula, *formulas: Formula, most: int) -> int | None:
    """Return a bound of a term under these formulas; None if the term may exceed `most`.

    z3 has shown that no greater value is possible.
    """
    query = solver(*formulas)
    if query.check(term > most) != z3.unsat:
        return None
    low, high = 0, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if query.check(term > middle) == z3.unsat else (middle, high)
    return high


def at(sizes: Mapping[str, int]) -> list[Formula]:
    """Return formulas that say that each axis has its size."""
    return [z3.Int(axis) == size for axis, size in sizes.items()]


def is_one_of(axis: str, sizes: Iterable[int]) -> Formula:
    """Return the formula that an axis has one of these sizes."""
    return z3.Or(*(z3.Int(axis) == size for size in sizes))


def total(axes: Iterable[str]) -> Any:
    """Return the sum of sizes."""
    return z3.Sum([z3.IntVal(0), *map(z3.Int, axes)])


def sizes_of(model: Any, axes: Iterable[str]) -> dict[str, int]:
    """Return the sizes in a model of z3, which is what it calls a solution."""
    return {axis: model.eval(z3.Int(axis), model_completion=True).as_long() for axis in axes}


@contextlib.contextmanager
def sound_sympy() -> Iterator[None]:
    """Keep sympy 1.14 from claiming that ``(4*s + 4)*t/6`` is an integer for all s and t.

    It considers only the power of two in the divisor. torch would conclude that a reshape is
    possible which is not.
    """
    # the claim is made in this handler; there is no public way to replace it
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
