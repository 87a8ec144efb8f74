"""Calls and results that break a contract in one place."""

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
from shapezoo.testing.inputs import Target, inputs
from shapezoo.testing.places import Place, bind

What = Literal["axis", "rank", "dtype"]

"""What a violation changes."""

DTYPES = (torch.float32, torch.int64, torch.bool, torch.float16, torch.uint8, torch.complex64)
"""The dtypes that are tried as wrong ones."""


@dataclass(frozen=True, eq=False, repr=False)
class Violation:
    """A call that breaks its contract in one place. Calling it makes the call.

    Attributes:
        call: The call.
        argument: The path of the wrong tensor: ``states[1]``.
        axis: The position of the wrong axis; None if the dtype or the number of axes is wrong, or
            if several types are allowed.
        what: What is wrong with the tensor.
    """

    call: Call
    argument: str
    axis: int | None
    what: What

    def __call__(self) -> Any:
        """Make the call, which should raise a `ShapeError`."""
        return self.call()

    def __repr__(self) -> str:
        return f"{self.call!r}, wrong in {_where(self.argument, self.axis, self.what)}"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Print the violation; hypothesis uses this method of IPython."""
        printer.text(repr(self))


def violations(obj: Target, calls: SearchStrategy[Call] | None = None) -> SearchStrategy[Violation]:
    """Return a strategy of hypothesis for calls with exactly one wrong axis, rank or dtype.

    An axis is wrong only where the contract leaves it no choice: where its size is a number or an
    expression, or its name is already bound. A tensor in a dataclass that is itself checked cannot
    be wrong.

    Args:
        obj: A module, a class of modules, a dataclass, or a function.
        calls: The calls to break, as returned by `inputs`; by default ``inputs(obj)``.

    Returns:
        A strategy of violations. ``violation()`` makes the call; it should raise a `ShapeError`
        with the ``argument`` and the ``axis`` of the violation.

    Raises:
        ContractError: As in `inputs`. If nothing can be wrong, hypothesis finds no example.

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
    # In two steps, as there are more ways to have a wrong dtype than a wrong axis.
    alike = draw(st.sampled_from(list(possible.values())))
    wrong = draw(st.sampled_from(alike))
    try:
        broken = call.replaced([(wrong.place, wrong.tensor)])
    except ShapeError:  # a checked dataclass refused the tensor before the call
        reject()
    return Violation(broken, wrong.place.path, wrong.axis, wrong.what)


@dataclass(frozen=True, eq=False)
class Break:
    """A wrong tensor that would break a contract.

    Attributes:
        place: The place for the wrong tensor.
        what: What is wrong with it.
        axis: The position of the wrong axis, if an error would name it.
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
    """Yield the ways to break a contract in one place.

    Args:
        places: The places, in the order of their checks.
        bound: The sizes that are already bound.
    """
    sizes = dict(bound or {})
    for place in places:
        tensor, shape = place.tensor, tuple(place.tensor.shape)
        for axis, size in enumerate(shape):
            for wrong in (size + 1, size - 1) if size > 1 else (size + 1,):
                changed = (*shape[:axis], wrong, *shape[axis + 1 :])
                if axis in _wrong_axes(place, changed, sizes):
                    named = None if place.is_option else axis
                    yield Break(place, "axis", named, _zeros(tensor, changed))
        for changed in ((1, *shape), shape[1:]):
            if changed != shape and all(
                not type_.allows(tensor.dtype) or differences(type_.axes, changed, {}) is None
                for type_ in place.kinds
            ):
                yield Break(place, "rank", None, _zeros(tensor, changed))
        for dtype in DTYPES:
            if not any(type_.allows(dtype) for type_ in place.kinds):
                yield Break(place, "dtype", None, _zeros(tensor, shape, dtype))
        bind(place, sizes)


def _zeros(tensor: Tensor, shape: tuple[int, ...], dtype: torch.dtype | None = None) -> Tensor:
    """Return zeros of the same class as a tensor, such as `nn.Parameter`."""
    return tensor.detach().new_zeros(shape, dtype=dtype).as_subclass(type(tensor))


def _wrong_axes(place: Place, shape: tuple[int, ...], bound: Mapping[str, Extent]) -> set[int]:
    """Return the first axis in which a shape is wrong, for each type that the tensor may have.

    Empty if the shape is right for one of them.
    """
    axes = set()
    for type_ in place.kinds:
        if type_.allows(place.tensor.dtype):
            wrong = differences(type_.axes, shape, dict(bound))
            if wrong == []:
                return set()
            axes |= {wrong[0][0]} if wrong else set()
    return axes
