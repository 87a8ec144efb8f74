"""The parts of jaxtyping that shapezoo relies on, some of them private; a change fails here."""

from typing import Any

import pytest
from jaxtyping import Float, Shaped
from torch import Tensor, zeros

from shapezoo import ContractError
from shapezoo.contracts.language.axes import parse_axes
from shapezoo.contracts.language.types import enforceable
from shapezoo.contracts.matching.bindings import (
    Bindings,
    assume,
    bound_braces,
    current,
    frame,
    restore,
    value_of,
    visible,
)


def matches(annotation: object, *shape: int) -> bool:
    return isinstance(zeros(shape), annotation)  # type: ignore[arg-type]  # jaxtyping's classes


def test_a_check_binds_what_it_names() -> None:
    with frame(Bindings({}, {}, {})):
        assert matches(Float[Tensor, "*batch seq 3"], 1, 2, 7, 3)
        assert visible(current()) == {"seq": 7, "*batch": (1, 2)}


def test_a_frame_starts_with_given_sizes_and_ends_with_them() -> None:
    start = Bindings({"seq": 7}, {}, {})
    with frame(start):
        assert not matches(Float[Tensor, "seq"], 8)
        assert matches(Float[Tensor, "seq batch"], 7, 2)
        with frame(Bindings({}, {}, {})):
            assert matches(Float[Tensor, "seq"], 8)
        assert visible(current()) == {"seq": 7, "batch": 2}
    assert start == Bindings({"seq": 7}, {}, {})
    assert visible(current()) == {}


def test_a_failing_check_binds_nothing() -> None:
    with frame(Bindings({}, {}, {})):
        assert not matches(Float[Tensor, "seq batch 3"], 7, 2, 4)
        assert visible(current()) == {}


def test_bindings_can_be_taken_back() -> None:
    with frame(Bindings({}, {}, {})):
        before = current()
        assert matches(Float[Tensor, "seq"], 7)
        restore(before)
        assert visible(current()) == {}


def test_braces_are_bound_like_a_hidden_axis() -> None:
    annotation: Any = Float[Tensor, "batch channels={self.width}*2+{size}"]
    with frame(bound_braces({"{self.width}": 3, "{size}": 1})):
        assert value_of("{size}") == 1
        assert value_of("{other}") is None
        assert matches(enforceable(annotation), 5, 7)
        assert not matches(enforceable(annotation), 5, 6)
        assert visible(current()) == {"batch": 5}


def test_a_shape_can_be_assumed() -> None:
    with frame(Bindings({"seq": 7}, {}, {})):
        assume(parse_axes("*batch seq 3 width"), (1, 2, 9, 3, 5))
        assert visible(current()) == {"seq": 7, "width": 5, "*batch": (1, 2)}


def test_an_annotation_without_braces_is_enforced_as_it_is() -> None:
    annotation: Any = Float[Tensor, "*batch seq 3"]
    assert enforceable(annotation) is annotation


def test_an_annotation_with_two_dtypes_is_refused() -> None:
    annotation: Any = Shaped[Float[Tensor, "3"], "batch"]
    with pytest.raises(ContractError, match="nests two different dtypes"):
        enforceable(annotation)
