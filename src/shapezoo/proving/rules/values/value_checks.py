"""Kernels that refuse some values: a probability above 1, a matrix that cannot be inverted.

Fake tensors have no values, so their kernels refuse none. Where such values may depend on sizes, a
run is undecided: `torch.bernoulli(ones * (n / 40))` raises from 41 on. Where a caller's values
decide, both ways are followed. Constants are the same at all sizes, at which kernels are run.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from shapezoo._containers import tensors_of
from shapezoo.proving.rules.intervals import ValueRange, known
from shapezoo.proving.rules.values.constants import Constant
from shapezoo.proving.rules.values.scalars import divides_whole
from shapezoo.proving.rules.values.value_ranges import ValueRanges

Limits = tuple[int | None, int | None]
"""The least and the greatest value that is taken; None where any finite one is."""

ANY: Limits = (None, None)
PROBABILITY: Limits = (0, 1)
POSITIVE: Limits = (1, None)


def may_refuse(ranges: ValueRanges, name: str, arguments: Mapping[str, Any]) -> bool:
    """Whether a kernel refuses some values that a caller may give; where sizes decide, give up.

    Args:
        ranges: What is known of values.
        name: The name of the kernel.
        arguments: Its arguments by name.

    Raises:
        UndecidedError: Sizes may decide whether it raises.
    """
    is_callers = False
    short = name.removesuffix("_")
    checked = _CHECKED.get(short, {})
    if short == "bernoulli" and "p" in arguments:  # then self is only written to
        checked = {"p": PROBABILITY}
    if divides_whole(short, arguments):
        checked = {"other": POSITIVE}
    for argument, limits in checked.items():
        for tensor in tensors_of(arguments.get(argument)):
            if not _is_taken(ranges, tensor, limits):
                ranges.give_up(f"values that are not known decide whether {name} raises")
            values = ranges.of(tensor)
            is_callers |= isinstance(values, ValueRange) and values.is_caller
    return is_callers


def _is_taken(ranges: ValueRanges, tensor: Tensor, limits: Limits | None) -> bool:
    values = ranges.of(tensor)
    if isinstance(values, Constant):
        return values.is_whole
    return values.is_caller or (limits is not None and _is_within(values, *limits))


def _is_within(values: ValueRange, least: int | None, most: int | None) -> bool:
    if not values.is_known or values.doubts:
        return False
    is_above = least is None or known(values.low >= least)
    return is_above and (most is None or known(values.high <= most))


_CHECKED: dict[str, dict[str, Limits | None]] = {
    "bernoulli": {"self": PROBABILITY, "p": PROBABILITY},
    "binary_cross_entropy": {"self": PROBABILITY},
    "multinomial": {"self": POSITIVE},  # zeros alone are refused
    "poisson": {"self": (0, None)},
    "binomial": {"count": (0, None), "prob": PROBABILITY},
    "normal": {"std": (0, None)},
    **{name: {"self": ANY} for name in ("histc", "histogram")},
    **{name: {"self": ANY} for name in ("linalg_eig", "_linalg_eigvals", "linalg_lstsq")},
    **{name: {"A": ANY} for name in ("_linalg_svd", "_linalg_eigh")},
    "_linalg_check_errors": {"info": None},
    "_ctc_loss": {"targets": None, "input_lengths": None, "target_lengths": None},
    "lu_unpack": {"LU_pivots": None},
    "repeat_interleave": {"repeats": (0, None)},
    "searchsorted": {"sorter": None},
    "_assert_async": {"self": None},
    "linalg_lu_solve": {"pivots": None},
}
"""The arguments whose values a kernel checks, and what it takes; None if no bounds tell."""
