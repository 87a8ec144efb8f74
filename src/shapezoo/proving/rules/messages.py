"""Code that only makes the message of an error, or what is printed or logged.

What such code reads of the sizes decides nothing but words.
"""

import ast
import builtins
import functools
import itertools
import linecache
import logging
import sys
import warnings
from collections.abc import Iterator
from types import FrameType, FunctionType
from typing import Any

from shapezoo._frames import is_installed, is_library

Place = tuple[int, int]
"""A line and a column."""

Message = tuple[Place, Place, ast.expr | None]
"""Where the code of a message begins and ends, and the function that it is given to, if any."""


def is_in_message() -> bool:
    """Whether the innermost line that is not a library's makes the message of an error or a log."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and is_library(frame.f_code.co_filename):
        frame = frame.f_back
    return frame is None or is_message(frame)


def is_message(frame: FrameType) -> bool:
    """Whether a text is asked for by a library, or for an error or a log that nothing reads."""
    name = frame.f_code.co_filename
    if is_library(name):
        return True
    positions = itertools.islice(frame.f_code.co_positions(), frame.f_lasti // 2, None)
    found = _messages_at(name, *next(positions))
    return any(_is_told(function, frame) for function in found) and not _is_caught(frame)


def is_within_error(
    filename: str, first: int | None, last: int | None, start: int | None, end: int | None
) -> bool:
    """Return whether code from a line and column to another only makes the message of an error.

    Args:
        filename: The file of the code.
        first: The line where it begins; None if it is not known.
        last: The line where it ends.
        start: The column where it begins.
        end: The column where it ends.
    """
    is_raised = None in _messages_at(filename, first, last, start, end)
    return is_raised and first is not None and not _is_guarded(filename, first)


def _messages_at(
    filename: str, first: int | None, last: int | None, start: int | None, end: int | None
) -> list[ast.expr | None]:
    """The functions that the messages around some code are given to; None for `raise`."""
    if first is None or last is None or start is None or end is None:
        return []
    messages = _messages(filename)
    return [f for begin, stop, f in messages if begin <= (first, start) and (last, end) <= stop]


def _is_caught(frame: FrameType | None) -> bool:
    """Whether an error raised here may be caught by the model, which could read its message.

    Installed packages are trusted to read no sizes in it.
    """
    while frame is not None and frame.f_code.co_name != "run_symbolically":
        name = frame.f_code.co_filename
        is_trusted = is_library(name) or is_installed(name)
        if not is_trusted and _is_guarded(name, frame.f_lineno):
            return True
        frame = frame.f_back
    return False


def _is_guarded(filename: str, line: int) -> bool:
    return any(first <= line <= last for first, last in _guarded(filename))


@functools.cache
def _guarded(filename: str) -> list[tuple[int, int]]:
    """The lines of a file that are in a ``try`` with an ``except`` that may go on."""
    return [
        (node.body[0].lineno, node.body[-1].end_lineno or node.body[-1].lineno)
        for node in ast.walk(_tree(filename))
        if isinstance(node, ast.Try | ast.TryStar) and not all(map(_only_raises, node.handlers))
    ]


def _only_raises(handler: ast.ExceptHandler) -> bool:
    """Whether all that a handler does is to raise an error, perhaps with another message."""
    *before, last = handler.body
    return isinstance(last, ast.Raise) and all(map(_only_names, before))


def _is_told(function: ast.expr | None, frame: FrameType) -> bool:
    """Whether a function that is given a message does nothing but show or raise it."""
    if function is None:
        return True
    found = _value_of(function, frame)
    if isinstance(function, ast.Attribute):
        made_by = function.value.func if isinstance(function.value, ast.Call) else function.value
        holder = _value_of(made_by, frame)
        if isinstance(holder, logging.Logger | logging.LoggerAdapter):
            return True
        if holder in (logging, logging.getLogger):
            return True
    if found in (print, warnings.warn):
        return True
    file = frame.f_code.co_filename
    if isinstance(found, FunctionType) and found.__code__.co_filename == file:
        return isinstance(function, ast.Name) and found.__name__ in _telling(file)
    return str(getattr(found, "__module__", "")).startswith("torch")


def _value_of(expression: ast.expr, frame: FrameType) -> Any:
    """What a name stands for, or an attribute of one; None where neither is known."""
    if isinstance(expression, ast.Attribute):
        return getattr(_value_of(expression.value, frame), expression.attr, None)
    if isinstance(expression, ast.Name):
        spaces = (frame.f_locals, frame.f_globals, vars(builtins))
        return next((space[expression.id] for space in spaces if expression.id in space), None)
    return None


def _tree(filename: str) -> ast.Module:
    try:
        return ast.parse("".join(linecache.getlines(filename)))
    except SyntaxError:
        return ast.Module([], [])


@functools.cache
def _telling(filename: str) -> set[str]:
    """The functions of a file that do nothing but raise, warn or log."""
    nodes = ast.walk(_tree(filename))
    return {n.name for n in nodes if isinstance(n, ast.FunctionDef) and _only_tells(n)}


@functools.cache
def _messages(filename: str) -> list[Message]:
    """The messages of errors and logs in a file."""
    nodes = list(ast.walk(_tree(filename)))
    own = _telling(filename)
    found: list[tuple[ast.expr | None, ast.expr | None]] = []
    for node in nodes:
        match node:
            case ast.Raise(exc=message) | ast.Assert(msg=message):
                found.append((message, None))
            case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name) as function, args=args):
                is_shown = name in _TELLING and not any(k.arg == "file" for k in node.keywords)
                if name in _CHECKING:
                    found += [(each, function) for each in args[1:]]
                elif is_shown or name in own:
                    found += [(each, function) for each in args]
        found += [(value, None) for value in _raised_next(node)]
    return [
        (
            (n.lineno, n.col_offset),
            (n.end_lineno or n.lineno, n.end_col_offset or n.col_offset),
            function,
        )
        for n, function in found
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
