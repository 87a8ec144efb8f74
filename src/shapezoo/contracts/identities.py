"""Deciding that two symbolic sizes are equal for all values of their symbols, without a guard.

A contract says ``(height+3)//4`` where PyTorch computed ``(height-1)//4+1``. The two are always
equal, but PyTorch's simplifier does not know it: ``==`` becomes a guard. `torch.export` refuses
such a guard for an axis with a named ``Dim``, whose solver cannot decide it either.

Two sizes are equal where their difference is zero. The differences that are decided here are made
of whole numbers and symbols by sums, products, powers, and floor division and remainder by a
positive constant. For such an expression there is a period ``P`` for each symbol, so that with
``symbol = P*k + r`` it is a polynomial in the ``k``, with integer coefficients, for each choice of
the ``r``:

- A symbol has ``P = 1`` and degree 1. Sums and products of polynomials are polynomials; what holds
  for a period holds for its multiples, so operands of different periods meet at the least common
  multiple. Degrees add up in a product.
- Division by ``c`` multiplies the periods by ``c``: with ``k = c*m + t``, each term of the
  polynomial that has an ``m`` in it has a coefficient that ``c`` divides. So the quotient is those
  terms divided by ``c``, plus the floor of a constant: a polynomial in the ``m`` of the same
  degree, again with integer coefficients. The remainder is a constant.

A polynomial of degree ``d`` in a variable that is zero at ``d + 1`` values of it, for each such
choice of the others, is zero. So the difference is zero everywhere if it is zero at the first
``P * (d + 1)`` values of each symbol. This includes negative values, for which PyTorch's ``//`` and
``%`` round as Python's do. It uses no range of a symbol, so an equality that holds only for some
sizes is left to a guard, like all that is built otherwise: by ``min``, by division by a symbol.

PyTorch has variants of ``//`` and ``%`` for operands that it knows more of: `CleanDiv` (without a
remainder), `Mod` (not negative). Where they are defined, they have the values of Python's.
"""

import functools
import itertools
import math
from typing import Any

import torch

MAX_POINTS = 20_000
"""How often an expression is evaluated at most, which takes some 10 milliseconds."""


def is_always_equal(one: object, other: object) -> bool:
    """Whether two sizes are known to be equal, whatever their symbols stand for."""
    from sympy import sympify

    left, right = _expression(one), _expression(other)
    if left is None or right is None:
        return False
    return bool(left == right) or _is_zero(sympify(left - right))


def _expression(size: object) -> Any:
    """The sympy expression of a size; None if it has none, as a ragged axis of a nested tensor."""
    if isinstance(size, torch.SymInt):
        return getattr(size.node, "expr", None)
    return size if type(size) is int else None


@functools.lru_cache(1024)
def _is_zero(difference: Any) -> bool:
    from torch.utils._sympy.printers import PythonPrinter

    try:
        symbols = _periods_and_degrees(difference)
    except TypeError:
        return False
    counts = [period * (degree + 1) for period, degree in symbols.values()]
    if math.prod(counts) > MAX_POINTS:
        return False
    names = ", ".join(map(str, symbols))
    value = eval(f"lambda {names}: {PythonPrinter().doprint(difference)}")  # as guards are run
    return not any(itertools.starmap(value, itertools.product(*map(range, counts))))


def _periods_and_degrees(expression: Any) -> dict[Any, tuple[int, int]]:
    """A period of each symbol, and the most that the degree in it can be.

    Raises:
        TypeError: The expression has a part of another kind.
    """
    from torch.utils._sympy.functions import CleanDiv, FloorDiv, Mod, PythonMod

    if expression.is_Integer:
        return {}
    if expression.is_Symbol and expression.is_integer:
        return {expression: (1, 1)}
    parts = [_periods_and_degrees(part) for part in expression.args]
    if expression.is_Add or expression.is_Mul:
        combine = sum if expression.is_Mul else max
        return {
            symbol: (
                math.lcm(*(part[symbol][0] for part in parts if symbol in part)),
                combine(part[symbol][1] for part in parts if symbol in part),
            )
            for symbol in dict.fromkeys(itertools.chain(*parts))
        }
    constant = expression.args[-1] if expression.args else None
    if constant is None or not constant.is_Integer or constant <= 0:
        raise TypeError(expression)
    if expression.is_Pow:
        return {s: (period, int(constant) * degree) for s, (period, degree) in parts[0].items()}
    if expression.func in (FloorDiv, CleanDiv):
        return {s: (int(constant) * period, degree) for s, (period, degree) in parts[0].items()}
    if expression.func in (PythonMod, Mod):
        return {s: (int(constant) * period, 0) for s, (period, _) in parts[0].items()}
    raise TypeError(expression)
