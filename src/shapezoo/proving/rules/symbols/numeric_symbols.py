"""Symbols of sizes that behave as numbers do, where PyTorch's do not.

A model that runs on symbols must do what it would do on numbers, or the proof is about another run:

* ``6 // (n - 3)`` raises for 3, but PyTorch's symbols can be divided by zero. The divisor is asked.
* ``self.layers[str(n)]`` would look up ``"s0"``, and follow a path that no number takes. The text
  of a symbol is that of its number, and the region is then for this number only, unless the text
  is part of an error message (`messages`).
* ``table[n]`` compares hashes before keys (`symbol_keys`).
* ``n ** 5`` exceeds 64 bits at some size, where kernels raise; powers are computed with the number.
* Numbers that the data of arguments decide may be nan or infinite. sympy takes them for real
  numbers, and would prove ``x + 1 > x``.

`numeric` patches the methods of `torch.SymInt` and `torch.SymFloat` for the time of a run, because
PyTorch makes objects of these very classes in C++, so that a subclass would be lost.
"""

import contextlib
import math
import operator
import sys
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import torch

from shapezoo.contracts.matching.proof_mode import hint_of
from shapezoo.proving.rules.messages import is_message
from shapezoo.proving.rules.symbols.quotients import cheap_quotients
from shapezoo.proving.rules.symbols.symbol_keys import hash_of, without_cache_of_einops


def _with_reflected(*names: str) -> list[str]:
    """Return the methods of binary operators: ``__add__`` and ``__radd__`` for ``add``."""
    return [f"__{side}{name}__" for name in names for side in ("", "r")]


_DIVISIONS = _with_reflected("floordiv", "mod", "truediv")
_OPERATORS = [*_DIVISIONS, *_with_reflected("add", "sub", "mul", "pow")]
_COMPARISONS = [f"__{name}__" for name in ("eq", "ne", "lt", "le", "gt", "ge")]

MOST_EXPONENT = 2
"""Squares of sizes below 2**31 fit into 64 bits; higher powers need not, and ask for the number."""


@contextlib.contextmanager
def numeric() -> Iterator[list[torch.SymInt]]:
    """Let symbols behave as numbers do.

    Yields:
        The symbols whose text was asked for, apart from error messages: what follows is true of
        their numbers only.
    """
    asked: list[torch.SymInt] = []

    def text(self: torch.SymInt, spec: str = "") -> str:
        if not is_message(sys._getframe(1)):
            asked.append(self)
        return format(hint_of(self), spec)

    of_integers: dict[str, Any] = {
        **dict.fromkeys(["__str__", "__repr__", "__format__"], text),
        **{name: _divided(name) for name in _DIVISIONS},
        **{name: _powered(name) for name in _with_reflected("pow", "lshift")},
        "__hash__": hash_of,
    }
    of_floats: dict[str, Any] = {
        **{name: _calculated(name) for name in (*_OPERATORS, "__neg__", "__abs__")},
        **{name: _compared(name) for name in _COMPARISONS},
        "__round__": rounded,
    }
    with (
        without_cache_of_einops(),
        cheap_quotients(),
        patch.multiple(torch.SymInt, create=True, **_MISSING),
        patch.multiple(torch.SymInt, **of_integers),
        patch.multiple(torch.SymFloat, **of_floats),
    ):
        yield asked


_MISSING: dict[str, Any] = {
    "__divmod__": lambda left, right: (left // right, left % right),
    "__rdivmod__": lambda right, left: (left // right, left % right),
    "__invert__": lambda size: -size - 1,
    "bit_count": lambda size: int(size).bit_count(),
    "bit_length": lambda size: int(size).bit_length(),
    "to_bytes": lambda size, *args, **kwargs: int(size).to_bytes(*args, **kwargs),
    "real": property(lambda size: size),
    "numerator": property(lambda size: size),
    "imag": property(lambda size: 0),
    "denominator": property(lambda size: 1),
}
"""What numbers have and symbols lack."""


def rounded(number: torch.SymFloat, ndigits: int | None = None) -> Any:
    """Round as Python does, halves to even; where there are halves is asked.

    A quotient of integers is rounded by integers: its floating-point value is not exact.
    """
    if ndigits is not None:
        return round(float(number), ndigits)
    # `node` is not documented; no public attribute says that a number is a quotient
    expression = number.node.expr
    if type(expression).__name__ == "IntTrueDiv" and expression.args[1].is_positive:
        total, divisor = (_symbol(number, part) for part in expression.args)
        below, rest = total // divisor, 2 * (total % divisor) - divisor
    else:
        below = math.floor(number)
        rest = number - below - 0.5
    if rest < 0:
        return below
    return below + 1 if rest > 0 or below % 2 == 1 else below


def _symbol(like: torch.SymFloat, expression: Any) -> Any:
    if expression.is_Integer:
        return int(expression)
    environment: Any = like.node.shape_env
    hint = int(environment.guarding_hint_or_throw(expression))
    return environment.create_symintnode(expression, hint=hint)


def _calculated(name: str) -> Callable[..., Any]:
    """Return an operator of floats, whose result is another unknown number if an operand is."""
    calculate = getattr(torch.SymFloat, name)

    def calculated(self: torch.SymFloat, *others: Any) -> Any:
        environment: Any = self.node.shape_env
        if any(map(environment.is_of_items, (self, *others))):
            return environment.item(torch.float64)
        if name in _DIVISIONS:
            _require_divisor(self if name.startswith("__r") else others[0])
        if name.endswith("pow__") and not _is_small(*others):
            return getattr(float(self), name)(*map(float, others))
        return calculate(self, *others)

    return calculated


def _compared(name: str) -> Callable[..., Any]:
    """Return a comparison of floats, which may end either way if one of them is not known."""
    compare = getattr(torch.SymFloat, name)

    def compared(self: torch.SymFloat, other: Any) -> Any:
        environment: Any = self.node.shape_env
        is_number = isinstance(other, int | float | torch.SymInt | torch.SymFloat)
        if is_number and any(map(environment.is_of_items, (self, other))):
            return environment.compare(name, self, other)
        return compare(self, other)

    return compared


def _divided(name: str) -> Callable[..., Any]:
    """Return a division of integers that raises where the divisor is zero."""
    divide = getattr(torch.SymInt, name)

    def divided(self: torch.SymInt, other: Any) -> Any:
        _require_divisor(self if name.startswith("__r") else other)
        return divide(self, other)

    return divided


def _require_divisor(divisor: Any) -> None:
    is_symbol = isinstance(divisor, torch.SymInt | torch.SymFloat)
    if is_symbol and not divisor > 0 and divisor == 0:
        raise ZeroDivisionError("division by zero")


def _powered(name: str) -> Callable[..., Any]:
    """Return a power or shift that is computed with numbers where it may exceed 64 bits."""
    power = getattr(torch.SymInt, name)
    operate = operator.pow if name.endswith("pow__") else operator.lshift

    def powered(self: torch.SymInt, other: Any) -> Any:
        if name == "__pow__" and _is_small(other):
            return power(self, other)
        number, operand = int(self), int(other) if isinstance(other, torch.SymInt) else other
        return operate(operand, number) if name.startswith("__r") else operate(number, operand)

    return powered


def _is_small(exponent: Any) -> bool:
    return isinstance(exponent, int | float) and exponent <= MOST_EXPONENT
