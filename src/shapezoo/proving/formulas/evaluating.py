"""Compile z3 formulas to Python functions, which evaluate numbers a thousand times faster.

They only suggest what to ask: whatever is claimed has been shown by z3.
"""

import fractions
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import z3

from shapezoo.proving.formulas.solving import Formula

Evaluate = Callable[[Mapping[str, int]], bool | None]
"""Whether a formula holds at some sizes; None if it divides by zero there."""


def compiled(formula: Formula) -> Evaluate:
    """Return a Python function that evaluates a formula at some sizes."""
    names: dict[int, str] = {}
    body = "\n".join(f"        {line}" for line in _lines(formula, names))
    scope: dict[str, Any] = {"divide": _divide, "Fraction": fractions.Fraction}
    exec(_FUNCTION.format(body=body, result=names[formula.get_id()]), scope)
    evaluate: Evaluate = scope["evaluate"]
    return evaluate


_FUNCTION = """
def evaluate(sizes):
    try:
{body}
        return bool({result})
    except ZeroDivisionError:
        return None
"""


def _lines(formula: Formula, names: dict[int, str]) -> Iterator[str]:
    """Yield one assignment for each part of a formula, however often the part occurs."""
    waiting = [formula]
    while waiting:
        part = waiting[-1]
        missing = [child for child in part.children() if child.get_id() not in names]
        waiting += missing
        if not missing:
            waiting.pop()
            if part.get_id() not in names:
                names[part.get_id()] = f"_{len(names)}"
                operands = [names[child.get_id()] for child in part.children()]
                yield f"{names[part.get_id()]} = {_code(part, operands)}"


def _code(part: Formula, operands: Sequence[str]) -> str:
    if z3.is_int_value(part):
        return str(part.as_long())
    if z3.is_rational_value(part):
        return f"Fraction({part.numerator_as_long()}, {part.denominator_as_long()})"
    operation = part.decl().kind()
    if operation == z3.Z3_OP_UNINTERPRETED:
        return f"sizes[{part.decl().name()!r}]"
    if operation in _JOINED:
        return f" {_JOINED[operation]} ".join(operands)
    return _PATTERNS[operation].format(*operands)


def _divide(left: int, right: int) -> int:
    """Divide like z3, whose remainders are never negative."""
    return left // right if right > 0 else -(left // -right)


_JOINED = {
    z3.Z3_OP_ADD: "+",
    z3.Z3_OP_SUB: "-",
    z3.Z3_OP_MUL: "*",
    z3.Z3_OP_AND: "and",
    z3.Z3_OP_OR: "or",
}
_PATTERNS = {
    z3.Z3_OP_TRUE: "True",
    z3.Z3_OP_FALSE: "False",
    z3.Z3_OP_UMINUS: "-{}",
    z3.Z3_OP_IDIV: "divide({}, {})",
    z3.Z3_OP_MOD: "{0} - {1} * divide({0}, {1})",
    z3.Z3_OP_DIV: "Fraction({}) / {}",
    z3.Z3_OP_TO_REAL: "{}",
    z3.Z3_OP_TO_INT: "{} // 1",
    z3.Z3_OP_ITE: "{1} if {0} else {2}",
    z3.Z3_OP_LE: "{} <= {}",
    z3.Z3_OP_LT: "{} < {}",
    z3.Z3_OP_GE: "{} >= {}",
    z3.Z3_OP_GT: "{} > {}",
    z3.Z3_OP_EQ: "{} == {}",
    z3.Z3_OP_DISTINCT: "{} != {}",
    z3.Z3_OP_NOT: "not {}",
    z3.Z3_OP_IMPLIES: "{1} if {0} else True",
}
