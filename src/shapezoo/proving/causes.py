"""Why a run raised: where in the model's own code, and whether two runs raised for one reason.

Fake kernels word their errors in other ways than real ones, and check in another order. That both
raise says little; that both raise at one line of the model, or that one check of the model's own
raises in both, says that it is the same limit.
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


@dataclass(frozen=True)
class Cause:
    """Where and how a run raised.

    Attributes:
        line: The innermost line of the model's own code, as file and number; that of the layer of
            PyTorch where the model has no code of its own; empty if there is neither.
        check: The class of the error, if a line of the model's own raised it; None if a kernel or
            a library did.
    """

    line: str
    check: type[BaseException] | None = None

    def is_same(self, other: "Cause") -> bool:
        """Whether two runs raised for one reason."""
        return self == other


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
    """Whether this frame ran ``raise`` or ``assert``, and did not call what has raised."""
    return step.tb_frame.f_code.co_code[step.tb_lasti] == dis.opmap["RAISE_VARARGS"]


def own_files(made: Callable[..., Any]) -> frozenset[str]:
    """Find the files of a model's own code: that of its modules which are not a library's.

    Args:
        made: The module or function.
    """
    modules = made.modules() if isinstance(made, nn.Module) else ()
    functions = [type(module).forward for module in modules] or [made]
    if isinstance(made, nn.Module) and "forward" in vars(made):
        functions.append(made.forward)  # a method that is proved in its place
    codes = (getattr(inspect.unwrap(function), "__code__", None) for function in functions)
    files = {code.co_filename for code in codes if code is not None}
    return frozenset(file for file in files if not is_library(file))
