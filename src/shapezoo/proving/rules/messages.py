"""Finds code that only makes the message of an error, or what is printed or logged.

``raise ValueError(f"{x.shape[0]} rows")`` reads a size, but the text decides nothing. If it counted
as a question, each size that raises would be a region of its own, and hardly any model that checks
its input could be proved.

So the line that asks for the text is looked up in the syntax tree of its file: is it inside a
``raise``, an ``assert`` or a call of a function that only shows its arguments? The opposite mistake
makes wrong proofs: a text that is read after all (``layers[str(n)]``, ``int(str(error))`` in an
``except``) taken for a message is followed for one size and proved for all. Hence:

* Only what certainly is a message counts: a function is looked up by name, and the object found
  there must be known to only show or raise what it is given (`_is_reporter`).
* A message that the model may catch and read does not count (`_is_caught`).
* A variable counts only if nothing but the ``raise`` follows (`_named_before_raise`).
"""

import ast
import builtins
import functools
import itertools
import logging
import sys
import warnings
from collections.abc import Iterator
from types import FrameType, FunctionType
from typing import Any

from shapezoo._frames import is_installed, is_library
from shapezoo.proving.rules.source_code import Positions, positions_of, tree_of

Message = tuple[ast.expr, ast.expr | None]
"""An expression, and the function that it is passed to; None if it is raised."""


def is_in_message() -> bool:
    """Whether the innermost line outside of libraries makes the message of an error or a log."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and is_library(frame.f_code.co_filename):
        frame = frame.f_back
    return frame is None or is_message(frame)


def is_message(frame: FrameType) -> bool:
    """Whether a library asks for a text, or it is for an error or a log that nothing reads."""
    filename = frame.f_code.co_filename
    if is_library(filename):
        return True
    functions = _functions_around(filename, positions_of(frame))
    return any(_is_reporter(f, frame) for f in functions) and not _is_caught(frame)


def is_within_error(filename: str, *positions: *Positions) -> bool:
    """Return whether code only makes the message of an error.

    Args:
        filename: The file of the code.
        *positions: Its first line, last line, first column and last column; None if not known.
    """
    is_raised = None in _functions_around(filename, positions)
    return is_raised and positions[0] is not None and not _is_guarded(filename, positions[0])


def _functions_around(filename: str, positions: Positions) -> list[ast.expr | None]:
    """Return the functions that the messages around some code are passed to; None for `raise`."""
    first, last, start, end = positions
    if first is None or last is None or start is None or end is None:
        return []
    return [
        function
        for message, function in _messages(filename)
        if (message.lineno, message.col_offset) <= (first, start) and (last, end) <= _end(message)
    ]


def _end(node: ast.expr) -> tuple[int, int]:
    return node.end_lineno or node.lineno, node.end_col_offset or node.col_offset


def _is_caught(frame: FrameType | None) -> bool:
    """Whether an error raised here may be caught by the model, which could read its message.

    Installed packages are trusted not to read sizes in it.
    """
    while frame is not None and frame.f_code.co_name != "run_symbolically":
        filename = frame.f_code.co_filename
        is_trusted = is_library(filename) or is_installed(filename)
        if not is_trusted and _is_guarded(filename, frame.f_lineno):
            return True
        frame = frame.f_back
    return False


def _is_guarded(filename: str, line: int) -> bool:
    return any(first <= line <= last for first, last in _guarded(filename))


@functools.cache
def _guarded(filename: str) -> list[tuple[int, int]]:
    """Return the lines of a file in a ``try`` after whose ``except`` the model may continue."""
    return [
        (node.body[0].lineno, node.body[-1].end_lineno or node.body[-1].lineno)
        for node in ast.walk(tree_of(filename))
        if isinstance(node, ast.Try | ast.TryStar) and not all(map(_only_raises, node.handlers))
    ]


def _only_raises(handler: ast.ExceptHandler) -> bool:
    """Whether a handler only raises an error, perhaps with another message."""
    *before, last = handler.body
    return isinstance(last, ast.Raise) and all(map(_only_assigns, before))


def _is_reporter(function: ast.expr | None, frame: FrameType) -> bool:
    """Whether a function that is passed a message only shows or raises it."""
    if function is None:
        return True
    value = _value_of(function, frame)
    if isinstance(function, ast.Attribute):
        # logging.getLogger(__name__).info, or an attribute of a logger
        made_by = function.value.func if isinstance(function.value, ast.Call) else function.value
        holder = _value_of(made_by, frame)
        is_logger = isinstance(holder, logging.Logger | logging.LoggerAdapter)
        if is_logger or holder in (logging, logging.getLogger):
            return True
    if value in (print, warnings.warn):
        return True
    filename = frame.f_code.co_filename
    if isinstance(value, FunctionType) and value.__code__.co_filename == filename:
        return isinstance(function, ast.Name) and value.__name__ in _reporters(filename)
    return str(getattr(value, "__module__", "")).startswith("torch")


def _value_of(expression: ast.expr, frame: FrameType) -> Any:
    """Return what a name or an attribute of one stands for; None where it is not known."""
    if isinstance(expression, ast.Attribute):
        return getattr(_value_of(expression.value, frame), expression.attr, None)
    if isinstance(expression, ast.Name):
        spaces = (frame.f_locals, frame.f_globals, vars(builtins))
        return next((space[expression.id] for space in spaces if expression.id in space), None)
    return None


@functools.cache
def _messages(filename: str) -> list[Message]:
    """Return what may be messages of errors and logs in a file."""
    own = _reporters(filename)
    messages: list[tuple[ast.expr | None, ast.expr | None]] = []
    for node in ast.walk(tree_of(filename)):
        match node:
            case ast.Raise(exc=message) | ast.Assert(msg=message):
                messages.append((message, None))
            case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name) as function, args=args):
                is_shown = name in _REPORTING and not any(k.arg == "file" for k in node.keywords)
                if name in _CHECKING:
                    messages += [(each, function) for each in args[1:]]
                elif is_shown or name in own:
                    messages += [(each, function) for each in args]
        messages += [(value, None) for value in _named_before_raise(node)]
    return [(message, function) for message, function in messages if message is not None]


def _named_before_raise(node: ast.AST) -> Iterator[ast.expr]:
    """Yield values in a block that get a name, after which the only thing to happen is a raise."""
    for block in (getattr(node, name, None) for name in ("body", "orelse", "finalbody")):
        statements = block if isinstance(block, list) else []
        for at, last in enumerate(statements):
            if isinstance(last, ast.Raise):
                used = set(_names_in(last))
                for part in itertools.takewhile(_only_assigns, reversed(statements[:at])):
                    named = [p for p in ast.walk(part) if isinstance(p, ast.Assign | ast.AugAssign)]
                    for value in (p.value for p in named if _targets(p) <= used):
                        used.update(_names_in(value))
                        yield value


def _only_assigns(statement: ast.stmt) -> bool:
    """Whether a statement only gives names to values, perhaps on some condition."""
    match statement:
        case ast.Assign() | ast.AugAssign():
            return "" not in _targets(statement)
        case ast.If(body=body, orelse=orelse):
            return all(map(_only_assigns, [*body, *orelse]))
    return False


def _targets(statement: ast.Assign | ast.AugAssign) -> set[str]:
    """Return the names that get a value, with an empty one for what is not a name."""
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    each = (t.elts if isinstance(t, ast.Tuple) else [t] for t in targets)
    return {t.id if isinstance(t, ast.Name) else "" for t in itertools.chain.from_iterable(each)}


def _names_in(node: ast.AST) -> Iterator[str]:
    return (part.id for part in ast.walk(node) if isinstance(part, ast.Name))


@functools.cache
def _reporters(filename: str) -> set[str]:
    """Return the functions of a file that do nothing but raise, warn or log."""
    nodes = (n for n in ast.walk(tree_of(filename)) if isinstance(n, ast.FunctionDef))
    return {node.name for node in nodes if all(map(_only_reports, node.body))}


def _only_reports(statement: ast.stmt) -> bool:
    match statement:
        case ast.Raise() | ast.Import() | ast.ImportFrom() | ast.Pass():
            return True
        case ast.Expr(value=ast.Constant()):
            return True
        case ast.Expr(value=ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name))):
            return name in _REPORTING
        case ast.If(test=ast.Name() | ast.UnaryOp(operand=ast.Name())):
            return all(map(_only_reports, [*statement.body, *statement.orelse]))
    return False


_CHECKING = {"_assert", "_check", "_check_value", "_check_type", "_check_index"}
"""Functions that take a condition, and then a message (of `torch` and its `torch._check`)."""

_REPORTING = {"print", "warn", "debug", "info", "warning", "error", "log"}
"""Functions that show their arguments, unless they are given a file to write to."""
