"""Values that break a contract in one place, for hypothesis and for results."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from hypothesis import reject
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from torch import Tensor

from shapezoo.contracts import ShapeError
from shapezoo.contracts.language.axes import Extent, differences
from shapezoo.testing.calls import Call
from shapezoo.testing.finding import Place, bind
from shapezoo.testing.inputs import Target, inputs

What = Literal["axis", "rank", "dtype"]

DTYPES = (torch.float32, torch.int64, torch.bool, torch.float16, torch.uint8, torch.complex64)


@dataclass(frozen=True, eq=False, repr=False)
class Violation:
    """A call that breaks its contract in one place. Calling it makes the call.

    Attributes:
        call: The call.
        argument: The path of the tensor that is wrong: ``states[1]``.
        axis: The position of the axis that is wrong, or None where it is the dtype or the number
            of axes, or where several types are allowed.
        what: What is wrong with it.
    """

    call: Call
    argument: str
    axis: int | None
    what: What

    def __call__(self) -> Any:
        """The result, if the call is not refused."""
        return self.call()

    def __repr__(self) -> str:
        return f"{self.call!r}, wrong in {_where(self.argument, self.axis, self.what)}"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """How hypothesis prints it."""
        printer.text(repr(self))


def violations(obj: Target, calls: SearchStrategy[Call] | None = None) -> SearchStrategy[Violation]:
    """Calls that break a contract in just one axis, rank or dtype, as a strategy of hypothesis.

    An axis is wrong only where the contract leaves it no choice: where its size is a number or an
    expression, or its name is bound before. What stands in a dataclass that is itself checked
    cannot be wrong.

    Args:
        obj: A module, a class of modules, a dataclass, or a function.
        calls: The calls that are broken, as `inputs` gives them; without it all that it gives.

    Returns:
        A strategy of violations. ``violation()`` makes the call; it should raise a `ShapeError`
        with the ``argument`` and the ``axis`` of the violation.

    Raises:
        ContractError: As in `inputs`. Where nothing can be wrong, hypothesis finds no example.

    Example:
        ```pycon
        >>> import pytest
        >>> from hypothesis import given
        >>> from shapezoo import ShapeError
        >>> from shapezoo.models import gru
        >>> from shapezoo.testing import violations
        >>> @given(violations(gru()))
        ... def test_violations_are_refused(violation) -> None:
        ...     with pytest.raises(ShapeError) as caught:
        ...         violation()
        ...     assert caught.value.argument == violation.argument
        >>> test_violations_are_refused()

        ```
    """
    return _violations(inputs(obj) if calls is None else calls)


@st.composite
def _violations(draw: DrawFn, calls: SearchStrategy[Call]) -> Violation:
    call = draw(calls)
    possible: dict[str, list[Break]] = {}
    for found in breaks(call.places):
        possible.setdefault(str(found), []).append(found)
    if not possible:
        reject()
    alike = draw(st.sampled_from(list(possible.values())))  # or else most had a wrong dtype
    wrong = draw(st.sampled_from(alike))
    try:
        broken = call.replaced([(wrong.place, wrong.tensor)])
    except ShapeError:  # a checked dataclass that cannot even be made
        reject()
    return Violation(broken, wrong.place.path, wrong.axis, wrong.what)


@dataclass(frozen=True, eq=False)
class Break:
    """A way of breaking a contract.

    Attributes:
        place: Where.
        what: What is wrong there.
        axis: The position of the axis, where an error names it.
        tensor: The wrong tensor.
    """

    place: Place
    what: What
    axis: int | None
    tensor: Tensor

    def __str__(self) -> str:
        return _where(self.place.path, self.axis, self.what)


def _where(path: str, axis: int | None, what: What) -> str:
    return f"the {what if axis is None else f'axis {axis}'} of {path}"


def breaks(places: Iterable[Place], bound: Mapping[str, Extent] | None = None) -> Iterator[Break]:
    """The ways of breaking a contract in one place.

    Args:
        places: The places of tensors, in the order in which they are checked.
        bound: The sizes that are bound before.
    """
    sizes = dict(bound or {})
    for place in places:
        tensor, shape = place.tensor, tuple(place.tensor.shape)
        for axis, size in enumerate(shape):
            for other in (size + 1, size - 1) if size > 1 else (size + 1,):
                changed = (*shape[:axis], other, *shape[axis + 1 :])
                if axis in _wrong_axes(place, changed, sizes):
                    named = None if place.is_option else axis
                    yield Break(place, "axis", named, _zeros(tensor, changed))
        for changed in ((1, *shape), shape[1:]):
            if changed != shape and all(
                not kind.allows(tensor.dtype) or differences(kind.axes, changed, {}) is None
                for kind in place.kinds
            ):
                yield Break(place, "rank", None, _zeros(tensor, changed))
        for dtype in DTYPES:
            if not any(kind.allows(dtype) for kind in place.kinds):
                yield Break(place, "dtype", None, _zeros(tensor, shape, dtype))
        bind(place, sizes)


def _zeros(tensor: Tensor, shape: tuple[int, ...], dtype: torch.dtype | None = None) -> Tensor:
    """Zeros of the class of a tensor, such as `nn.Parameter`."""
    return tensor.detach().new_zeros(shape, dtype=dtype).as_subclass(type(tensor))


def _wrong_axes(place: Place, shape: tuple[int, ...], bound: Mapping[str, Extent]) -> set[int]:
    """The first axis at which a shape is wrong, for each type that the tensor may be of.

    Empty if it is right for one of them.
    """
    found = set()
    for kind in place.kinds:
        if not kind.allows(place.tensor.dtype):
            continue
        wrong = differences(kind.axes, shape, dict(bound))
        if wrong == []:
            return set()
        found |= {wrong[0][0]} if wrong else set()
    return found
