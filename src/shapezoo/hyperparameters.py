"""Checking the arguments of a model builder against the types in its signature.

PyTorch's layers accept ``num_classes=True`` silently, and fail far from the cause for other values.
All builders go through this one check, which follows the annotation of each argument: an ``int`` is
a count or a size, a ``float`` is a finite number, ``Sequence[int]`` is a list of sizes.
"""

import inspect
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, SupportsFloat, SupportsIndex

import numpy as np
import torch

from shapezoo.contracts.messages.describing import shown

Convert = Callable[[Any], Any]
"""Returns a value as a plain Python number, or raises TypeError or ValueError."""


class Hyperparameters:
    """The arguments of a builder, with a check for each.

    Args:
        builder: A function with annotated arguments.
    """

    def __init__(self, builder: Callable[..., object]) -> None:
        self._name = builder.__name__
        parameters = inspect.signature(builder, eval_str=True).parameters.values()
        self._checks = {
            parameter.name: _BY_NAME.get(parameter.name, _CHECKS[parameter.annotation])
            for parameter in parameters
            if parameter.annotation in _CHECKS
        }

    def checked(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Check arguments, and return them with NumPy's numbers as Python's.

        Args:
            arguments: Arguments by name; the builder itself refuses names that it does not have.

        Raises:
            TypeError: An argument has another type than its annotation.
            ValueError: A size is less than 1, or a number is infinite or NaN.
        """
        return {name: self._check(name, value) for name, value in arguments.items()}

    def _check(self, name: str, value: Any) -> Any:
        if name not in self._checks or isinstance(value, torch.SymInt | torch.SymFloat):
            return value  # comparing a symbol or converting it would fix its size
        expected, convert = self._checks[name]
        try:
            return convert(value)
        except (TypeError, ValueError) as error:
            problem = f"{self._name}(): {name} must be {expected}, got {shown(value)}"
            raise type(error)(f"{problem}{_hint(name, value, convert)}") from None


def _size(value: Any) -> int:
    if _is_not_a_number(value) or not isinstance(value, SupportsIndex):
        raise TypeError
    size = operator.index(value)
    if size < 1:
        raise ValueError
    return size


def _number(value: Any) -> float:
    if _is_not_a_number(value) or isinstance(value, str) or not isinstance(value, SupportsFloat):
        raise TypeError
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


def _probability(value: Any) -> float:
    number = _number(value)
    if not 0 <= number <= 1:
        raise ValueError
    return number


def _is_not_a_number(value: Any) -> bool:
    """Whether a value converts to a number, but is not meant as one."""
    is_tensor = isinstance(value, torch.Tensor) and (value.dtype == torch.bool or value.ndim > 0)
    return is_tensor or isinstance(value, bool | np.bool_)


def _bool(value: Any) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise TypeError
    return bool(value)


def _sizes(value: Any) -> tuple[int, ...]:
    if isinstance(value, str | bytes) or not isinstance(value, Sequence | np.ndarray):
        raise TypeError
    return tuple(map(_size, value))


def _four_sizes(value: Any) -> tuple[int, ...]:
    sizes = _sizes(value)
    if len(sizes) != 4:
        raise ValueError
    return sizes


_CHECKS: dict[Any, tuple[str, Convert]] = {
    int: ("an int of at least 1", _size),
    float: ("a finite number", _number),
    bool: ("True or False", _bool),
    Sequence[int]: ("a sequence of ints of at least 1", _sizes),
    tuple[int, int, int, int]: ("four ints of at least 1", _four_sizes),
}


_BY_NAME: dict[str, tuple[str, Convert]] = dict.fromkeys(
    ("dropout", "stochastic_depth"), ("a probability from 0 to 1", _probability)
)


def _hint(name: str, value: Any, convert: Convert) -> str:
    """Suggest an accepted value, if the intention is clear."""
    if name == "image_size" and isinstance(value, tuple | list) and value:
        return f"; images are square: pass one number, such as {name}={value[0]!r}"
    if name == "num_classes" and value == 0:  # as timm spells it
        return "; for a model without its last layer use shapezoo.models.Headless"
    try:
        number = float(value) if isinstance(value, str | float) else math.nan
        number = int(number) if number.is_integer() else number
        return f"; pass {name}={convert(number)!r}"
    except (TypeError, ValueError):
        return ""
