"""Where a module stands in a model."""

import inspect
import sys
from types import FrameType
from typing import Any

from torch import nn

_READ_THEIR_LOCALS = {"locals", "vars", "eval", "exec"}


def place_of(owner: object) -> str:
    """Where a module stands in the outermost module that is being called, if that is another."""
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
    """The ``self`` of a frame that runs a method; None in any other."""
    return locals_of(frame).get("self") if "self" in frame.f_code.co_varnames[:1] else None


def locals_of(frame: FrameType) -> dict[str, Any]:
    """The local variables of a function's frame; none where it runs no function.

    Up to Python 3.12, ``f_locals`` is a copy that the frame keeps as long as it lives, and with it
    every tensor that was in a variable at that moment. So the copy is emptied again, unless the
    code of the frame has a way to it, or a debugger, whose copy is written back to the variables.
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
    """Whether PyTorch put this module around the user's, as compile, export and DDP do."""
    package = type(module).__module__
    return package.startswith("torch.") and not package.startswith("torch.nn.modules.")
