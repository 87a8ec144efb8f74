"""Print sympy expressions of sizes as Python expressions."""

import ast
import functools
from typing import Any

import sympy

from shapezoo.contracts.language.conditions import unparse

_BINARY: dict[str, type[ast.operator]] = {
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
}
_COMPARISONS: dict[str, type[ast.cmpop]] = {
    "Equality": ast.Eq,
    "Unequality": ast.NotEq,
    "StrictLessThan": ast.Lt,
    "LessThan": ast.LtE,
    "StrictGreaterThan": ast.Gt,
    "GreaterThan": ast.GtE,
}
_LOGIC: dict[str, type[ast.boolop]] = {"And": ast.And, "Or": ast.Or}


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
    if name in _BINARY and args:
        if name == "Mul":
            args = sorted(args, key=lambda factor: (not factor.is_number, str(factor)))
        nodes = map(_node, args)
        return functools.reduce(lambda left, right: ast.BinOp(left, _BINARY[name](), right), nodes)
    if name in _COMPARISONS:
        left, right = args
        if left.is_number and name in ("Equality", "Unequality"):
            left, right = right, left
        return ast.Compare(_node(left), [_COMPARISONS[name]()], [_node(right)])
    if name in _LOGIC:
        return ast.BoolOp(_LOGIC[name](), [_node(part) for part in args])
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
