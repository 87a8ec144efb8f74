"""Decide whether two symbolic sizes are equal for all values of their symbols, without guards.

A contract says ``(height+3)//4`` where PyTorch computed ``(height-1)//4+1``. The two are always
equal, but PyTorch's simplifier does not know it: ``==`` becomes a guard. `torch.export` rejects
such a guard for an axis with a named ``Dim``, because its solver cannot decide it either.

Two sizes are equal if their difference is zero. The differences that are decided here consist of
integers and symbols, sums, products, powers, and floor division and remainder by a positive
constant. For such an expression there is a period ``P`` for each symbol, so that with
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
sizes is left to a guard, as is any other expression, such as ``min`` or division by a symbol.

PyTorch has variants of ``//`` and ``%`` for operands with known properties: `CleanDiv` (no
remainder) and `Mod` (nonnegative operands). Where they are defined, they equal Python's.
"""

import functools
import itertools
import math
from typing import Any

import torch

MAX_POINTS = 20_000
"""The maximal number of points at which an expression is evaluated, in about 10 milliseconds."""


def is_always_equal(left: object, right: object) -> bool:
    """Whether two sizes can be shown to be equal for all values of their symbols."""
    from sympy import sympify

    first, second = _expression(left), _expression(right)
    if first is None or second is None:
        return False
    return bool(first == second) or _is_zero(sympify(first - second))


def _expression(size: object) -> Any:
    """Return the sympy expression of a size; None for a ragged axis of a nested tensor."""
    if isinstance(size, torch.SymInt):
        # private: there is no public way from a SymInt to its expression
        return getattr(size.node, "expr", None)
    return size if type(size) is int else None


@functools.lru_cache(1024)
def _is_zero(difference: Any) -> bool:
    # private: PyTorch's printer and functions of symbolic sizes have no public names
    from torch.utils._sympy.printers import PythonPrinter

    try:
        symbols = _periods_and_degrees(difference)
    except TypeError:
        return False
    counts = [period * (degree + 1) for period, degree in symbols.values()]
    if math.prod(counts) > MAX_POINTS:
        return False
    names = ", ".join(map(str, symbols))
    # printed and evaluated as PyTorch does with guards
    value = eval(f"lambda {names}: {PythonPrinter().doprint(difference)}")
    return not any(itertools.starmap(value, itertools.product(*map(range, counts))))


def _periods_and_degrees(expression: Any) -> dict[Any, tuple[int, int]]:
    """Return a period for each symbol, and an upper bound on its degree.

    Raises:
        TypeError: The expression has a part that is not one of those above.
    """
    # private, as above
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
