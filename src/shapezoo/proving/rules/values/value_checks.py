"""Kernels that refuse some values: a probability above 1, a matrix that cannot be inverted.

Fake tensors have no values, so their kernels refuse none, and ``torch.bernoulli(ones * (n / 40))``
would be proved for sizes from 41 on, where it raises. Three cases differ:

* Values that may depend on sizes make the run undecided, unless their bounds are accepted.
* The caller's values may be accepted or refused: both ways are followed.
* Constants are the same at all sizes, and the audit runs the real kernel on them at some.
"""

from shapezoo._containers import tensors_of
from shapezoo.proving.rules.shape_rules import Arguments, rule_table
from shapezoo.proving.rules.values.constants import Constant, Values
from shapezoo.proving.rules.values.scalar_checks import is_integer_division
from shapezoo.proving.rules.values.value_ranges import ValueRanges

Limits = tuple[int | None, int | None]
"""The least and the greatest value that is accepted; None where any finite value is."""

FINITE: Limits = (None, None)
PROBABILITY: Limits = (0, 1)
NOT_NEGATIVE: Limits = (0, None)
POSITIVE: Limits = (1, None)


def may_refuse(ranges: ValueRanges, name: str, arguments: Arguments) -> bool:
    """Whether a kernel refuses some of the values that a caller may pass.

    Args:
        ranges: The values of tensors.
        name: The name of the kernel.
        arguments: Its arguments by name.

    Raises:
        UndecidedError: Sizes may decide whether it raises.
    """
    is_callers = False
    short = name.removesuffix("_")
    checked = _CHECKED.get(short, {})
    if short == "bernoulli" and "p" in arguments:
        # self is only written to
        checked = {"p": PROBABILITY}
    if is_integer_division(short, arguments):
        checked = {"other": POSITIVE}
    for argument, limits in checked.items():
        for tensor in tensors_of(arguments.get(argument)):
            values = ranges.of(tensor)
            if not _is_accepted(values, limits):
                ranges.give_up(f"whether {name} raises depends on values that are not known")
            is_callers |= values.is_caller
    return is_callers


def _is_accepted(values: Values, limits: Limits | None) -> bool:
    if isinstance(values, Constant):
        return values.is_whole
    is_fit = limits is not None and values.is_bounded and values.is_within(*limits)
    return values.is_caller or is_fit


_CHECKED: dict[str, dict[str, Limits | None]] = rule_table(
    # Distributions check their parameters; a multinomial refuses zeros alone.
    ({"self": PROBABILITY, "p": PROBABILITY}, "bernoulli"),
    ({"self": PROBABILITY}, "binary_cross_entropy"),
    ({"self": POSITIVE}, "multinomial"),
    ({"self": NOT_NEGATIVE}, "poisson"),
    ({"count": NOT_NEGATIVE, "prob": PROBABILITY}, "binomial"),
    ({"std": NOT_NEGATIVE}, "normal"),
    ({"repeats": NOT_NEGATIVE}, "repeat_interleave"),
    # These refuse nan and infinity.
    ({"self": FINITE}, "histc histogram linalg_eig _linalg_eigvals linalg_lstsq"),
    ({"A": FINITE}, "_linalg_svd _linalg_eigh"),
    # No bounds say which values these accept.
    ({"info": None}, "_linalg_check_errors"),
    ({"targets": None, "input_lengths": None, "target_lengths": None}, "_ctc_loss"),
    ({"LU_pivots": None}, "lu_unpack"),
    ({"pivots": None}, "linalg_lu_solve"),
    ({"sorter": None}, "searchsorted"),
    ({"self": None}, "_assert_async"),
)
"""The arguments whose values a kernel checks, and the values that it accepts."""
