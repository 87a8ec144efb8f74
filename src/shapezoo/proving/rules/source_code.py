"""The source code that a frame runs: which part of which line, and the syntax tree of its file."""

import ast
import itertools
import linecache
from types import FrameType

Positions = tuple[int | None, int | None, int | None, int | None]
"""First line, last line, first column and last column, in the order of `dis.Positions`."""


def positions_of(frame: FrameType) -> Positions:
    """Return the positions of the expression that a frame is evaluating."""
    # instructions are two bytes
    return next(itertools.islice(frame.f_code.co_positions(), frame.f_lasti // 2, None))


def tree_of(filename: str) -> ast.Module:
    """Return the syntax tree of a file; an empty one where its source is not available."""
    try:
        return ast.parse("".join(linecache.getlines(filename)))
    except SyntaxError:
        return ast.Module([], [])
