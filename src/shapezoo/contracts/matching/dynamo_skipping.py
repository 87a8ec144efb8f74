"""Mark functions that Dynamo, the front end of `torch.compile`, runs without compiling.

Dynamo looks at the code object of each frame that starts to run. Its C code keeps two flags per
code object: what to do with the frame itself, and with the frames of its callees. These functions
set the flags. Without them, each check would be traced, and would break the graph.

`torch.compiler.disable` does the same for a function and its callees, but it imports Dynamo, which
takes seconds. With ``recursive=False`` it skips a function alone, but a compiled caller then breaks
its graph there instead of inlining the function.
"""

from collections.abc import Callable
from typing import Any, TypeVar

# private: the public functions import Dynamo, and skip more than is wanted (see above)
from torch._C._dynamo.eval_frame import (
    _FrameAction,
    _FrameExecStrategy,
    set_code_exec_strategy,
)

F = TypeVar("F", bound=Callable[..., Any])
_SKIP = _FrameAction.SKIP


def skip_by_dynamo(function: F) -> F:
    """Skip this function and its callees in Dynamo."""
    set_code_exec_strategy(function.__code__, _FrameExecStrategy(_SKIP, _SKIP))
    return function


def skip_frame_only(function: F) -> F:
    """Skip the frame of this function in Dynamo, but compile its callees.

    A compiled function that calls it still traces it. So a graph break below it remains a single
    graph break, as if the caller called its callees directly.
    """
    set_code_exec_strategy(function.__code__, _FrameExecStrategy(_SKIP, _FrameAction.DEFAULT))
    return function
