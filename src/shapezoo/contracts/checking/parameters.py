"""Functions with the parameters of another function, so that Python itself binds a call."""

import inspect
from collections.abc import Callable
from typing import Any


def helper_name(name: str, function: Callable[..., Any]) -> str:
    """Return a helper name that no parameter of a function has: it is longer than all of them."""
    longest = max(map(len, inspect.signature(function).parameters), default=0)
    return f"_{name}".ljust(longest + 1, "_")


def with_parameters_of(
    function: Callable[..., Any], expression: str, **names: object
) -> Callable[..., Any]:
    """Return a function with the parameters and defaults of another that returns an expression.

    It binds the arguments of a call about twenty times faster than `inspect.Signature.bind`, and
    `torch.compile` can trace it.

    Args:
        function: The other function.
        expression: Python code over its parameters.
        **names: Other values that the expression uses, under names that no parameter has
            (see `helper_name`).
    """
    parameters = list(inspect.signature(function).parameters.values())
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
    named = {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}
    bare = inspect.Signature([p.replace(annotation=p.empty, default=p.empty) for p in parameters])
    source = f"lambda {str(bare)[1:-1]}: {expression}"
    filename = f"<contract of {function.__module__}.{function.__qualname__}>"
    made: Callable[..., Any] = eval(compile(source, filename, "eval"), dict(names))
    made.__defaults__ = tuple(v for k, v in defaults.items() if k not in named)
    made.__kwdefaults__ = {k: v for k, v in defaults.items() if k in named}
    made.__qualname__ = function.__qualname__
    return made
