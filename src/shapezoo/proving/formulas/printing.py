"""Print sympy expressions of sizes as Python expressions."""

import ast
import functools
from typing import Any

import sympy

from shapezoo.contracts.language.conditions import unparse

_OPERATORS: dict[str, type[ast.AST]] = {
    "Add": ast.Add,
    "Mul": ast.Mult,
    "FloorDiv": ast.FloorDiv,
    "CleanDiv": ast.FloorDiv,
    "Mod": ast.Mod,
    "PythonMod": ast.Mod,
    "Pow": ast.Pow,
    "PowByNatural": ast.Pow,
    "IntTrueDiv": ast.Div,
    "FloatTrueDiv": ast.Div,
    "Equality": ast.Eq,
    "Unequality": ast.NotEq,
    "StrictLessThan": ast.Lt,
    "LessThan": ast.LtE,
    "StrictGreaterThan": ast.Gt,
    "GreaterThan": ast.GtE,
    "And": ast.And,
    "Or": ast.Or,
}


def as_python(expression: Any) -> str:
    """Return a sympy expression as Python code, with ``(h - 1)//2 + 1`` as ``(h + 1) // 2``."""
    rounded = expression.replace(lambda part: isinstance(part, sympy.Add), _rounded_up)
    return unparse(_node(rounded))


def _node(expression: Any) -> ast.expr:
    name, args = type(expression).__name__, expression.args
    if expression.is_Integer:
        return ast.Constant(int(expression))
    if name == "Mul" and args[0].is_Integer and args[0] < 0:
        return ast.UnaryOp(ast.USub(), _node(-expression))
    if name == "Add":
        first, *rest = sorted(
            args, key=lambda term: (term.is_number, term.could_extract_minus_sign())
        )
        return functools.reduce(_added, rest, _node(first))
    if name == "Mul":
        args = sorted(args, key=lambda factor: (not factor.is_number, str(factor)))
    if name in ("Equality", "Unequality") and args[0].is_number:
        args = args[::-1]
    match _OPERATORS[name]() if name in _OPERATORS and args else None:
        case ast.operator() as operator:
            return functools.reduce(lambda x, y: ast.BinOp(x, operator, y), map(_node, args))
        case ast.cmpop() as comparison:
            return ast.Compare(_node(args[0]), [comparison], [_node(args[1])])
        case ast.boolop() as conjunction:
            return ast.BoolOp(conjunction, [_node(part) for part in args])
    if name == "Not":
        return ast.UnaryOp(ast.Not(), _node(args[0]))
    if name in ("Max", "Min"):
        return ast.Call(ast.Name(name.lower()), [_node(part) for part in args], [])
    return ast.Name(str(expression))


def _added(left: ast.expr, term: Any) -> ast.expr:
    if term.could_extract_minus_sign():
        return ast.BinOp(left, ast.Sub(), _node(-term))
    return ast.BinOp(left, ast.Add(), _node(term))


def _rounded_up(total: Any) -> Any:
    divisions = [term for term in total.args if type(term).__name__ == "FloorDiv"]
    numbers = [term for term in total.args if term.is_Integer]
    if len(divisions) != 1 or len(numbers) != 1 or numbers[0] <= 0:
        return total
    (division,), (number,) = divisions, numbers
    numerator, divisor = division.args
    others = [term for term in total.args if term not in (division, number)]
    return sympy.Add(type(division)(numerator + number * divisor, divisor), *others)
