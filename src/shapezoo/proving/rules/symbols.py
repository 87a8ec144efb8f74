"""Symbols of sizes that do what numbers do, where torch's do not.

torch's symbols can be divided by zero, and their text is a name. A model that asks for a text
(the key of a dictionary, an attribute) would be followed down a way that no number takes.
"""

import ast
import contextlib
import functools
import itertools
import linecache
import math
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any
from unittest.mock import patch

import torch

from shapezoo.contracts.symbolic_runs import hint_of
from shapezoo.proving.rules.common import LIBRARIES
from shapezoo.proving.rules.keys import hash_of, without_cache_of_einops
from shapezoo.proving.rules.quotients import cheap_quotients

Place = tuple[int, int]
"""A line and a column."""

_DIVISIONS = ("__floordiv__", "__mod__", "__truediv__")


@contextlib.contextmanager
def numeric() -> Iterator[list[torch.SymInt]]:
    """Let symbols refuse a division by zero, and have the text of their number.

    Yields:
        The symbols whose text was asked for, apart from messages of errors: what follows is true
        of their numbers only.
    """
    asked: list[torch.SymInt] = []

    def text(self: torch.SymInt) -> str:
        if not _is_message(sys._getframe(1)):
            asked.append(self)
        return str(hint_of(self))

    def formatted(self: torch.SymInt, spec: str) -> str:
        if not _is_message(sys._getframe(1)):
            asked.append(self)
        return format(hint_of(self), spec)

    with contextlib.ExitStack() as stack:
        stack.enter_context(without_cache_of_einops())
        stack.enter_context(cheap_quotients())
        for name, method in (("__str__", text), ("__repr__", text), ("__format__", formatted)):
            stack.enter_context(patch.object(torch.SymInt, name, method))
        for name in _DIVISIONS:
            reflected = name.replace("__", "__r", 1)
            stack.enter_context(patch.object(torch.SymInt, name, _divided(name, is_by_self=False)))
            stack.enter_context(
                patch.object(torch.SymInt, reflected, _divided(reflected, is_by_self=True))
            )
        for name, method in _MISSING.items():
            stack.enter_context(patch.object(torch.SymInt, name, method, create=True))
        stack.enter_context(patch.object(torch.SymInt, "__hash__", hash_of))
        stack.enter_context(patch.object(torch.SymFloat, "__round__", rounded))
        for name, method in _of_items():
            stack.enter_context(patch.object(torch.SymFloat, name, method))
        yield asked


def is_in_message() -> bool:
    """Whether the innermost line that is not a library's makes the message of an error or a log."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(LIBRARIES):
        frame = frame.f_back
    return frame is None or _is_message(frame)


def _is_message(frame: FrameType) -> bool:
    """Whether a text is asked for by a library, or for an error or a log."""
    name = frame.f_code.co_filename
    if name.startswith(LIBRARIES):
        return True
    positions = itertools.islice(frame.f_code.co_positions(), frame.f_lasti // 2, None)
    first, last, start, end = next(positions)
    return any((first, start) >= span[0] and (last, end) <= span[1] for span in _messages(name))


@functools.cache
def _messages(filename: str) -> list[tuple[Place, Place]]:
    """Where the messages of errors and logs begin and end in a file."""
    try:
        tree = ast.parse("".join(linecache.getlines(filename)))
    except SyntaxError:
        return []
    nodes = list(ast.walk(tree))
    found: list[ast.expr | None] = []
    telling = _TELLING | {
        n.name for n in nodes if isinstance(n, ast.FunctionDef) and _only_tells(n)
    }
    for node in nodes:
        match node:
            case ast.Raise(exc=message) | ast.Assert(msg=message):
                found.append(message)
            case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name), args=args) if (
                name in _CHECKING
            ):
                found += args[1:]
            case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name), args=args) if (
                name in telling
            ):
                found += args
        found += _raised_next(node)
    return [
        ((n.lineno, n.col_offset), (n.end_lineno or n.lineno, n.end_col_offset or n.col_offset))
        for n in found
        if n is not None
    ]


def _raised_next(node: ast.AST) -> Iterator[ast.expr]:
    """Texts in a block that get a name, after which nothing happens but that it is raised."""
    for block in (getattr(node, name, None) for name in ("body", "orelse", "finalbody")):
        statements = block if isinstance(block, list) else []
        for at, last in enumerate(statements):
            if isinstance(last, ast.Raise):
                used = {part.id for part in ast.walk(last) if isinstance(part, ast.Name)}
                before = itertools.takewhile(_only_names, reversed(statements[:at]))
                for part in itertools.chain.from_iterable(map(ast.walk, before)):
                    if isinstance(part, ast.Assign | ast.AugAssign) and _names_in(part) <= used:
                        yield part.value


def _only_names(statement: ast.stmt) -> bool:
    """Whether all that a statement does is to give names to values, on some condition perhaps."""
    match statement:
        case ast.Assign() | ast.AugAssign():
            return "" not in _names_in(statement)
        case ast.If(body=body, orelse=orelse):
            return all(map(_only_names, [*body, *orelse]))
    return False


def _names_in(statement: ast.Assign | ast.AugAssign) -> set[str]:
    """The names that get a value; with an empty one for what is not a name."""
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    return {target.id if isinstance(target, ast.Name) else "" for target in targets}


def _only_tells(function: ast.FunctionDef) -> bool:
    """Whether all that a function does is to raise, warn or log."""
    return all(map(_tells, function.body))


def _tells(statement: ast.stmt) -> bool:
    match statement:
        case ast.Raise() | ast.Import() | ast.ImportFrom() | ast.Pass():
            return True
        case ast.Expr(value=ast.Constant()):
            return True
        case ast.Expr(value=ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name))):
            return name in _TELLING
        case ast.If(test=ast.Name() | ast.UnaryOp(operand=ast.Name())):
            return all(map(_tells, [*statement.body, *statement.orelse]))
    return False


_CHECKING = {"_assert", "_check", "_check_value", "_check_type", "_check_index"}
"""Functions whose first argument is a condition, and whose second tells of it."""

_TELLING = {"print", "warn", "debug", "info", "warning", "error", "log"}


_MISSING: dict[str, Any] = {
    "__divmod__": lambda left, right: (left // right, left % right),
    "__rdivmod__": lambda right, left: (left // right, left % right),
    "__invert__": lambda size: -size - 1,
    "bit_count": lambda size: int(size).bit_count(),
    "bit_length": lambda size: int(size).bit_length(),
    "to_bytes": lambda size, *args, **kwargs: int(size).to_bytes(*args, **kwargs),
    "real": property(lambda size: size),
    "numerator": property(lambda size: size),
    "imag": property(lambda size: 0),
    "denominator": property(lambda size: 1),
}
"""What numbers have and symbols lack."""


def rounded(number: torch.SymFloat, ndigits: int | None = None) -> Any:
    """Round as Python does, halves to even; where there are halves is asked.

    A quotient of whole numbers is rounded by whole numbers: its floating-point value is not exact.
    """
    if ndigits is not None:
        return round(float(number), ndigits)
    expression = number.node.expr
    if type(expression).__name__ == "IntTrueDiv" and expression.args[1].is_positive:
        total, divisor = (_symbol(number, part) for part in expression.args)
        below, rest = total // divisor, 2 * (total % divisor) - divisor
    else:
        below = math.floor(number)
        rest = number - below - 0.5
    if rest < 0:
        return below
    return below + 1 if rest > 0 or below % 2 == 1 else below


def _of_items() -> Iterator[tuple[str, Any]]:
    """Methods of floating-point numbers, some of which the data of arguments decide.

    sympy takes those for real numbers, of which ``k + 1 > k`` and ``k == k`` are true. They may be
    rounded, infinite, or not a number: what is made of one is another one, of which nothing is
    known, and every comparison may end either way.
    """
    for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow"):
        yield f"__{name}__", _calculated(f"__{name}__")
        yield f"__r{name}__", _calculated(f"__r{name}__")
    for name in ("neg", "abs"):
        yield f"__{name}__", _calculated(f"__{name}__")
    for name in ("eq", "ne", "lt", "le", "gt", "ge"):
        yield f"__{name}__", _compared(f"__{name}__")


def _calculated(name: str) -> Any:
    calculate = getattr(torch.SymFloat, name)

    def calculated(self: torch.SymFloat, *others: Any) -> Any:
        environment: Any = self.node.shape_env
        if any(map(environment.is_of_items, (self, *others))):
            return environment.item(torch.float64)
        return calculate(self, *others)

    return calculated


def _compared(name: str) -> Any:
    compare = getattr(torch.SymFloat, name)

    def compared(self: torch.SymFloat, other: Any) -> Any:
        environment: Any = self.node.shape_env
        is_number = isinstance(other, int | float | torch.SymInt | torch.SymFloat)
        if is_number and any(map(environment.is_of_items, (self, other))):
            return environment.compare(name, self, other)
        return compare(self, other)

    return compared


def _symbol(like: torch.SymFloat, expression: Any) -> Any:
    if expression.is_Integer:
        return int(expression)
    environment: Any = like.node.shape_env
    hint = int(environment.guarding_hint_or_throw(expression))
    return environment.create_symintnode(expression, hint=hint)


def _divided(name: str, *, is_by_self: bool) -> Any:
    divide = getattr(torch.SymInt, name)

    def divided(self: torch.SymInt, other: Any) -> Any:
        divisor = self if is_by_self else other
        if isinstance(divisor, torch.SymInt) and not divisor > 0 and divisor == 0:
            raise ZeroDivisionError("integer division or modulo by zero")
        return divide(self, other)

    return divided
