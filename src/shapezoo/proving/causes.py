"""Why a run raised: where in the model's own code, and whether two runs raised for one reason.

Fake kernels word their errors differently from real ones, and check in a different order. So it
proves little that both raise. If both raise at the same line of the model, or if the same check in
the model's own code raises in both, they hit the same limit.
"""

import dis
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from os import sep
from types import TracebackType
from typing import Any

from torch import nn

from shapezoo._frames import is_library

_LAYERS = f"torch{sep}nn{sep}modules{sep}"

_LONGEST_CHAIN = 10


@dataclass(frozen=True)
class Cause:
    """Where and how a run raised. Two runs with equal causes raised for the same reason.

    Attributes:
        line: The innermost line of the model's own code, as ``file:number``; the line of the
            PyTorch layer if the model has no code of its own; empty if there is neither.
        check: The class of the error if a line of the model's own code raised it; None if a kernel
            or a library did.
    """

    line: str
    check: type[BaseException] | None = None


NOWHERE = Cause("")


def cause_of(error: BaseException | None, files: frozenset[str]) -> Cause:
    """Find where an error was raised.

    Args:
        error: The error, with its traceback.
        files: The files of the model's own code, from `own_files`.
    """
    if error is None:
        return NOWHERE
    steps = list(_steps(error.__traceback__))
    own = [step for step in steps if step.tb_frame.f_code.co_filename in files]
    layers = [step for step in steps if _LAYERS in step.tb_frame.f_code.co_filename]
    if not own:
        return Cause(_line(layers[-1]) if layers else "")
    is_check = own[-1] is steps[-1] and _has_raised(own[-1])
    return Cause(_line(own[-1]), type(error) if is_check else None)


def _steps(step: TracebackType | None) -> Iterator[TracebackType]:
    while step is not None:
        yield step
        step = step.tb_next


def _line(step: TracebackType) -> str:
    return f"{step.tb_frame.f_code.co_filename}:{step.tb_lineno}"


def _has_raised(step: TracebackType) -> bool:
    """Whether this frame itself ran ``raise`` or ``assert``, rather than what it called."""
    return step.tb_frame.f_code.co_code[step.tb_lasti] == dis.opmap["RAISE_VARARGS"]


def own_files(target: Callable[..., Any]) -> frozenset[str]:
    """Return the files of a model's own code: its modules that do not belong to a library.

    Args:
        target: A module or a function.
    """
    modules = target.modules() if isinstance(target, nn.Module) else ()
    functions = [type(module).forward for module in modules] or [target]
    if isinstance(target, nn.Module) and "forward" in vars(target):
        functions.append(target.forward)  # a method that is proved in place of forward
    codes = (getattr(inspect.unwrap(function), "__code__", None) for function in functions)
    files = {code.co_filename for code in codes if code is not None}
    return frozenset(file for file in files if not is_library(file))


def chain_of(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and the errors that led to it."""
    for _ in range(_LONGEST_CHAIN):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


def first_line(error: BaseException | None) -> str:
    """Return the first line of an error's message, or its class name if it has none."""
    if error is None:
        return ""
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__
