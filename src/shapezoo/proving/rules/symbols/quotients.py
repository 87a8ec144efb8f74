"""Quotients of sizes, written so that they are cheap to reason about.

PyTorch calls `sympy.simplify` for each quotient of two products with a common factor, to cancel it.
That function tries all that sympy knows. Where the factor is in every term, the terms are divided
one by one; in a model of windowed attention this takes a quarter of the time or less.

``math.ceil(height / 2)`` goes through a float, which the solver cannot follow, but it equals
``(height + 1) // 2`` below 2**53.
"""

import contextlib
import types
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import sympy
from torch.utils._sympy import functions


def cancelled(quotient: Any) -> Any:
    """Return an equal expression, without a fraction if there is one without."""
    factors = sympy.Mul.make_args(quotient)
    sums = [factor for factor in factors if factor.is_Add]
    if len(sums) == 1:
        others = sympy.Mul(*(factor for factor in factors if factor is not sums[0]))
        quotient = sympy.Add(*(others * term for term in sums[0].args))
    is_whole = all(sympy.fraction(term)[1] == 1 for term in sympy.Add.make_args(quotient))
    return quotient if is_whole else sympy.simplify(quotient)


def _rounded(function: Callable[[Any], Any], name: str) -> Callable[[Any], Any]:
    """Return a function that rounds a quotient of integers by one division of integers."""

    def rounded(number: Any) -> Any:
        if not isinstance(number, functions.IntTrueDiv):
            return function(number)
        arguments: Any = number.args
        total, divisor = arguments
        is_plain = divisor.is_Integer and divisor > 0
        # below zero, truncation rounds up
        if not is_plain or (name == "TruncToInt" and not total.is_nonnegative):
            return function(number)
        return functions.FloorDiv(total + divisor - 1 if name == "CeilToInt" else total, divisor)

    return rounded


@contextlib.contextmanager
def cheap_quotients() -> Iterator[None]:
    """Let PyTorch cancel factors and round quotients so.

    Its functions for sympy are private. They are where symbols are divided, and there is no hook.
    """
    module = types.ModuleType("sympy")
    vars(module).update(vars(sympy), simplify=cancelled)
    names = ("CeilToInt", "FloorToInt", "TruncToInt")
    rounded: dict[str, Any] = {name: _rounded(getattr(functions, name), name) for name in names}
    with patch.multiple(functions, sympy=module, **rounded):
        yield
