"""Code that only makes the message of an error, or what is printed or logged.

What such code reads of the sizes decides nothing but words.
"""

import ast
import functools
import itertools
import linecache
import sys
from collections.abc import Iterator
from types import FrameType

from shapezoo.proving.rules.common import LIBRARIES

Place = tuple[int, int]
"""A line and a column."""


def is_in_message() -> bool:
    """Whether the innermost line that is not a library's makes the message of an error or a log."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(LIBRARIES):
        frame = frame.f_back
    return frame is None or is_message(frame)


def is_message(frame: FrameType) -> bool:
    """Whether a text is asked for by a library, or for an error or a log."""
    name = frame.f_code.co_filename
    if name.startswith(LIBRARIES):
        return True
    positions = itertools.islice(frame.f_code.co_positions(), frame.f_lasti // 2, None)
    return is_within_message(name, *next(positions))


def is_within_message(
    filename: str, first: int | None, last: int | None, start: int | None, end: int | None
) -> bool:
    """Return whether code from a line and column to another only makes a message.

    Args:
        filename: The file of the code.
        first: The line where it begins; None if it is not known.
        last: The line where it ends.
        start: The column where it begins.
        end: The column where it ends.
    """
    if first is None or last is None or start is None or end is None:
        return False
    return any((first, start) >= span[0] and (last, end) <= span[1] for span in _messages(filename))


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
    """Values in a block that get a name, after which nothing happens but that it is raised."""
    for block in (getattr(node, name, None) for name in ("body", "orelse", "finalbody")):
        statements = block if isinstance(block, list) else []
        for at, last in enumerate(statements):
            if isinstance(last, ast.Raise):
                used = set(_names_in(last))
                for part in itertools.takewhile(_only_names, reversed(statements[:at])):
                    named = [p for p in ast.walk(part) if isinstance(p, ast.Assign | ast.AugAssign)]
                    for value in (p.value for p in named if _targets(p) <= used):
                        used.update(_names_in(value))
                        yield value


def _only_names(statement: ast.stmt) -> bool:
    """Whether all that a statement does is to give names to values, on some condition perhaps."""
    match statement:
        case ast.Assign() | ast.AugAssign():
            return "" not in _targets(statement)
        case ast.If(body=body, orelse=orelse):
            return all(map(_only_names, [*body, *orelse]))
    return False


def _targets(statement: ast.Assign | ast.AugAssign) -> set[str]:
    """The names that get a value; with an empty one for what is not a name."""
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    each = (t.elts if isinstance(t, ast.Tuple) else [t] for t in targets)
    return {t.id if isinstance(t, ast.Name) else "" for t in itertools.chain.from_iterable(each)}


def _names_in(node: ast.AST) -> Iterator[str]:
    return (part.id for part in ast.walk(node) if isinstance(part, ast.Name))


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
