"""Quotients of sizes, whose common factors are cancelled in a cheap way.

torch calls `sympy.simplify` for each quotient of two products with a common factor, to cancel it.
That function tries all that sympy knows. Where the factor is in every term, the terms are divided
one by one; in a model of windowed attention this takes a quarter of the time or less.
"""

import contextlib
import types
from collections.abc import Iterator
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


@contextlib.contextmanager
def cheap_quotients() -> Iterator[None]:
    """Let torch cancel factors so."""
    module = types.ModuleType("sympy")
    vars(module).update(vars(sympy), simplify=cancelled)
    with patch.object(functions, "sympy", module):
        yield
