"""Stack frames: which lines are the user's own, and the values of their variables."""

import inspect
import os
import sys
import traceback
from importlib.util import find_spec
from types import FrameType
from typing import Any


def _folder(package: str) -> str:
    spec = find_spec(package)  # without importing it: sympy alone takes 0.3 s
    return os.path.dirname((spec and spec.origin) or "") + os.sep


SHAPEZOO = os.path.dirname(__file__) + os.sep
"""The folder of the package."""

CONTRACTS = os.path.join(SHAPEZOO, "contracts", "")
"""The folder of the code that enforces contracts."""

LIBRARIES = (
    *(os.path.join(SHAPEZOO, package, "") for package in ("contracts", "proving", "tracing")),
    *map(_folder, ("beartype", "jaxtyping", "sympy", "torch")),
    "<contract of ",  # functions that contracts compile
)
"""Beginnings of the paths of files that never contain a line of the user's model."""

_INSTALLED = tuple(os.sep + name + os.sep for name in ("site-packages", "dist-packages"))
_READ_THEIR_LOCALS = {"locals", "vars", "eval", "exec"}


def is_library(filename: str) -> bool:
    """Whether a file belongs to `LIBRARIES`, and so is not a line of the user's model."""
    return filename.startswith(LIBRARIES)


def is_installed(filename: str) -> bool:
    """Whether a file belongs to an installed package, which may be that of a model."""
    return any(folder in filename for folder in _INSTALLED)


def users_line(error: BaseException, *, needs_file: bool = True) -> str:
    """Return the innermost line of the user's code in a traceback, as ``file:number``.

    The result is empty if there is none.

    Args:
        error: The error.
        needs_file: Whether code without a file, such as that of a dataclass or of an interactive
            session, does not count.
    """
    skipped = (*LIBRARIES, "<") if needs_file else LIBRARIES
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith(skipped)]
    return f"{own[-1].filename}:{own[-1].lineno}" if own else ""


def self_of(frame: FrameType) -> object:
    """Return the ``self`` of a frame that runs a method; None for any other frame."""
    return locals_of(frame).get("self") if "self" in frame.f_code.co_varnames[:1] else None


def locals_of(frame: FrameType) -> dict[str, Any]:
    """Return the local variables of a function's frame; empty for any other frame.

    Up to Python 3.12, ``f_locals`` is a copy that lives as long as the frame, and keeps every
    tensor alive that was in a variable at that moment. So the copy is cleared again, unless the
    code of the frame can access it, or a debugger is active, which writes the copy back to the
    variables.
    """
    if not frame.f_code.co_flags & inspect.CO_OPTIMIZED:
        return {}
    snapshot = frame.f_locals
    variables = dict(snapshot)
    is_copy = type(snapshot) is dict and sys.gettrace() is None
    if is_copy and _READ_THEIR_LOCALS.isdisjoint(frame.f_code.co_names):
        snapshot.clear()
    return variables
