"""Code that Dynamo, the front end of `torch.compile`, runs as it is.

`torch.compiler.disable` does this for a function and all that it calls, but imports Dynamo, and
has no form that leaves alone what the function calls.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from torch._C._dynamo.eval_frame import (
    _FrameAction,
    _FrameExecStrategy,
    set_code_exec_strategy,
)

F = TypeVar("F", bound=Callable[..., Any])
_SKIP = _FrameAction.SKIP


def unseen(function: F) -> F:
    """Mark a function so that Dynamo compiles neither it nor what it calls."""
    set_code_exec_strategy(function.__code__, _FrameExecStrategy(_SKIP, _SKIP))
    return function


def passed_over(function: F) -> F:
    """Mark a function so that Dynamo does not compile it by itself, but does what it calls.

    As a part of another function it is traced all the same. So a graph break inside is one graph
    break, as if the function did not stand between its caller and what it calls.
    """
    set_code_exec_strategy(function.__code__, _FrameExecStrategy(_SKIP, _FrameAction.DEFAULT))
    return function
