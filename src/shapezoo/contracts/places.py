"""Find the path of a module in its model."""

import inspect
import sys
from types import FrameType
from typing import Any

from torch import nn

_READ_THEIR_LOCALS = {"locals", "vars", "eval", "exec"}


def place_of(owner: object) -> str:
    """Return the path of a module in the outermost module being called, if that is another one."""
    place, frame = "", inspect.currentframe() if isinstance(owner, nn.Module) else None
    while frame is not None:
        caller = self_of(frame)
        if isinstance(caller, nn.Module) and not _is_wrapper(caller):
            names = (name for name, module in caller.named_modules() if module is owner)
            if name := next(names, ""):
                place = f"{name} of {type(caller).__name__}"
        frame = frame.f_back
    return place


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


def _is_wrapper(module: nn.Module) -> bool:
    """Whether this is PyTorch's wrapper around a user's module, from compile, export or DDP."""
    package = type(module).__module__
    return package.startswith("torch.") and not package.startswith("torch.nn.modules.")
