"""Checks of Python numbers that are made from sizes, which real kernels convert and fake ones keep.

``torch.zeros(3, dtype=torch.int8).fill_(n)`` raises from 128 on, and ``x // (60 - n)`` at 60 if `x`
holds integers. Without these checks both are proved for all sizes.
"""

from typing import Any

import torch
from torch import Tensor

from shapezoo.proving.rules.shape_rules import Arguments, require

_SYMBOLS = (torch.SymInt, torch.SymFloat)

_DIVISIONS = ("floor_divide", "div", "remainder", "fmod")

_OPERANDS = {
    *_DIVISIONS,
    *("add", "sub", "mul", "rsub", "eq", "ne", "lt", "le", "gt", "ge", "arange", "pow"),
    *("bitwise_and", "bitwise_or", "bitwise_xor", "true_divide", "xlogy"),
}
"""Kernels that take any number as an operand; others convert it to the dtype of their tensor."""

_MOST = {torch.int8: 127, torch.uint8: 255, torch.int16: 32767, torch.float16: 65504}
"""Largest values of narrow dtypes; those of others exceed every size."""


def check_numbers(schema: Any, name: str, arguments: Arguments) -> None:
    """Check the numbers among the arguments of a kernel, as far as they are made from sizes.

    Args:
        schema: The schema of the kernel, in which values are ``number`` and sizes ``int``.
        name: Its name.
        arguments: Its arguments by name.

    Raises:
        RuntimeError: The real kernel would raise.
    """
    short = name.removesuffix("_")
    names = [argument.name for argument in schema.arguments if "number" in str(argument.type)]
    numbers = {key: value for key in names if isinstance(value := arguments[key], _SYMBOLS)}
    other = arguments.get("other")
    if isinstance(other, torch.SymInt) and is_integer_division(short, arguments):
        require(other != 0, "ZeroDivisionError")
    x = next((value for value in arguments.values() if isinstance(value, Tensor)), None)
    exponent = numbers.get("exponent")
    if isinstance(exponent, torch.SymInt) and short == "pow" and _is_integer(x):
        require(exponent >= 0, "Integers to negative integer powers are not allowed.")
    if short == "celu" and "alpha" in numbers:
        require(numbers["alpha"] != 0, "ZeroDivisionError: alpha cannot be 0 for CELU")
    dtype = arguments.get("dtype") or (None if x is None else x.dtype)
    for key, value in numbers.items():
        if short not in _OPERANDS or key in ("alpha", "value"):
            require_fit(value, dtype)


def require_fit(value: Any, dtype: torch.dtype | None) -> None:
    """Require that a number made from sizes can be converted to a dtype.

    Raises:
        RuntimeError: It cannot, as real kernels say.
    """
    most = None if dtype is None else _MOST.get(dtype)
    if most is not None and isinstance(value, _SYMBOLS):
        # uint8 takes negative numbers too, which wrap
        least = -most if dtype in (torch.uint8, torch.float16) else -most - 1
        can_convert = bool(value <= most) and bool(value >= least)
        require(can_convert, "value cannot be converted to type {} without overflow", dtype)


def is_integer_division(short: str, arguments: Arguments) -> bool:
    """Whether a kernel divides integers by integers to integers, which raises for zeros.

    Args:
        short: The name of the kernel, without the underscore of in-place ones.
        arguments: Its arguments by name.
    """
    if short not in _DIVISIONS or (short == "div" and arguments.get("rounding_mode") is None):
        return False
    return all(map(_is_integer, (arguments.get("self"), arguments.get("other"))))


def _is_integer(value: Any) -> bool:
    if isinstance(value, Tensor):
        return not value.is_floating_point() and not value.is_complex()
    return isinstance(value, int | torch.SymInt)
