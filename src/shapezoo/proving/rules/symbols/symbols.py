"""Symbols of sizes that do what numbers do, where torch's do not.

torch's symbols can be divided by zero, and their text is a name. A model that asks for a text
(the key of a dictionary, an attribute) would be followed down a way that no number takes.
"""

import contextlib
import math
import operator
import sys
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import torch

from shapezoo.contracts.matching.proof_mode import hint_of
from shapezoo.proving.rules.messages import is_message
from shapezoo.proving.rules.symbols.keys import hash_of, without_cache_of_einops
from shapezoo.proving.rules.symbols.quotients import cheap_quotients

_DIVISIONS = ("__floordiv__", "__mod__", "__truediv__")

_OF_FLOATS = {*_DIVISIONS, *(name.replace("__", "__r", 1) for name in _DIVISIONS)}

MOST_EXPONENT = 2
"""Sizes are below 2**31, so that their squares are below 2**63."""


@contextlib.contextmanager
def numeric() -> Iterator[list[torch.SymInt]]:
    """Let symbols refuse a division by zero, and have the text of their number.

    Yields:
        The symbols whose text was asked for, apart from messages of errors: what follows is true
        of their numbers only.
    """
    asked: list[torch.SymInt] = []

    def text(self: torch.SymInt) -> str:
        if not is_message(sys._getframe(1)):
            asked.append(self)
        return str(hint_of(self))

    def formatted(self: torch.SymInt, spec: str) -> str:
        if not is_message(sys._getframe(1)):
            asked.append(self)
        return format(hint_of(self), spec)

    with contextlib.ExitStack() as stack:
        stack.enter_context(without_cache_of_einops())
        stack.enter_context(cheap_quotients())
        for name, method in (("__str__", text), ("__repr__", text), ("__format__", formatted)):
            stack.enter_context(patch.object(torch.SymInt, name, method))
        for name in _DIVISIONS:
            reflected = name.replace("__", "__r", 1)
            stack.enter_context(patch.object(torch.SymInt, name, _divided(name, is_by_self=False)))
            stack.enter_context(
                patch.object(torch.SymInt, reflected, _divided(reflected, is_by_self=True))
            )
        for name in ("__pow__", "__rpow__", "__lshift__", "__rlshift__"):
            stack.enter_context(patch.object(torch.SymInt, name, _powered(name)))
        for name, method in _MISSING.items():
            stack.enter_context(patch.object(torch.SymInt, name, method, create=True))
        stack.enter_context(patch.object(torch.SymInt, "__hash__", hash_of))
        stack.enter_context(patch.object(torch.SymFloat, "__round__", rounded))
        for name, method in _of_items():
            stack.enter_context(patch.object(torch.SymFloat, name, method))
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

    A quotient of whole numbers is rounded by whole numbers: its floating-point value is not exact.
    """
    if ndigits is not None:
        return round(float(number), ndigits)
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


def _of_items() -> Iterator[tuple[str, Any]]:
    """Methods of floating-point numbers, some of which the data of arguments decide.

    sympy takes those for real numbers, of which ``k + 1 > k`` and ``k == k`` are true. They may be
    rounded, infinite, or not a number: what is made of one is another one, of which nothing is
    known, and every comparison may end either way.
    """
    for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow"):
        yield f"__{name}__", _calculated(f"__{name}__")
        yield f"__r{name}__", _calculated(f"__r{name}__")
    for name in ("neg", "abs"):
        yield f"__{name}__", _calculated(f"__{name}__")
    for name in ("eq", "ne", "lt", "le", "gt", "ge"):
        yield f"__{name}__", _compared(f"__{name}__")


def _calculated(name: str) -> Any:
    calculate = getattr(torch.SymFloat, name)

    def calculated(self: torch.SymFloat, *others: Any) -> Any:
        environment: Any = self.node.shape_env
        if any(map(environment.is_of_items, (self, *others))):
            return environment.item(torch.float64)
        if name in _OF_FLOATS:
            _require_divisor(self if name.startswith("__r") else others[0])
        if name.endswith("pow__") and not _is_small(*others):
            return getattr(float(self), name)(*map(float, others))
        return calculate(self, *others)

    return calculated


def _compared(name: str) -> Any:
    compare = getattr(torch.SymFloat, name)

    def compared(self: torch.SymFloat, other: Any) -> Any:
        environment: Any = self.node.shape_env
        is_number = isinstance(other, int | float | torch.SymInt | torch.SymFloat)
        if is_number and any(map(environment.is_of_items, (self, other))):
            return environment.compare(name, self, other)
        return compare(self, other)

    return compared


def _symbol(like: torch.SymFloat, expression: Any) -> Any:
    if expression.is_Integer:
        return int(expression)
    environment: Any = like.node.shape_env
    hint = int(environment.guarding_hint_or_throw(expression))
    return environment.create_symintnode(expression, hint=hint)


def _divided(name: str, *, is_by_self: bool) -> Any:
    divide = getattr(torch.SymInt, name)

    def divided(self: torch.SymInt, other: Any) -> Any:
        _require_divisor(self if is_by_self else other)
        return divide(self, other)

    return divided


def _require_divisor(divisor: Any) -> None:
    is_symbol = isinstance(divisor, torch.SymInt | torch.SymFloat)
    if is_symbol and not divisor > 0 and divisor == 0:
        raise ZeroDivisionError("division by zero")


def _powered(name: str) -> Any:
    """Compute with numbers where a power may be larger than 64 bits, which kernels refuse."""
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
