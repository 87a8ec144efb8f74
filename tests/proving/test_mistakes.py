"""Mistakes that people make: each is refuted at its smallest sizes, and its twin is proved."""

from collections.abc import Sequence
from typing import Any

import pytest
from tests.proving.mistakes import attention, images, recurrence, reductions
from tests.proving.mistakes.rows import Subject

from shapezoo import Proved, Refuted, ShapeError, prove

pytestmark = pytest.mark.slow

PAIRS = [*images.PAIRS, *attention.PAIRS, *recurrence.PAIRS, *reductions.PAIRS]
RAISING = [*images.RAISING, *recurrence.RAISING]
REFUSING = [*attention.REFUSING, *recurrence.REFUSING]


def names(rows: Sequence[tuple[Any, ...]]) -> list[str]:
    return [getattr(mistaken, "__name__", type(mistaken).__name__) for mistaken, *_ in rows]


def assert_proved(subject: Subject, where: str) -> None:
    proof = prove(subject)
    assert isinstance(proof, Proved), str(proof)
    assert " and ".join(map(str, proof.preconditions)) == where
    assert proof.is_exact


@pytest.mark.parametrize(("mistaken", "twin", "smallest", "where"), PAIRS, ids=names(PAIRS))
def test_a_mistake_is_refuted_at_its_smallest_sizes_and_its_twin_is_proved(
    mistaken: Subject, twin: Subject, smallest: str, where: str
) -> None:
    proof = prove(mistaken)
    assert isinstance(proof, Refuted), str(proof)
    assert proof.reason == "a result does not match its annotation"
    sizes = [f"{axis}={size}" for axis, size in proof.counterexample.sizes.items() if size != 1]
    assert ", ".join(sizes) in smallest.split(" or ")
    with pytest.raises(ShapeError, match=r"result.* breaks its contract"):
        proof.counterexample.replay(model=mistaken)
    assert_proved(twin, where)


@pytest.mark.parametrize(("mistaken", "twin"), RAISING, ids=names(RAISING))
def test_what_raises_for_all_sizes_is_refuted(mistaken: Subject, twin: Subject) -> None:
    proof = prove(mistaken)
    assert isinstance(proof, Refuted), str(proof)
    assert proof.reason == "it raises for all sizes"
    assert set(proof.counterexample.sizes.values()) == {1}
    with pytest.raises(RuntimeError, match=r"[Ee]xpected"):
        proof.counterexample.replay(model=mistaken)
    assert_proved(twin, "")


@pytest.mark.parametrize(("mistaken", "twin", "accepted"), REFUSING, ids=names(REFUSING))
def test_what_raises_is_refuted_where_it_was_assumed_not_to(
    mistaken: Subject, twin: Subject, accepted: str
) -> None:
    assert_proved(mistaken, accepted)
    proof = prove(mistaken, assume="batch <= 64")
    assert isinstance(proof, Refuted), str(proof)
    assert proof.reason == "it raises for sizes that meet the assumptions"
    assert sorted(proof.counterexample.sizes.values())[-2:] == [1, 2]
    with pytest.raises(RuntimeError):
        proof.counterexample.replay(model=mistaken)
    assert_proved(twin, "")


def test_the_inner_module_that_breaks_its_contract_is_named() -> None:
    modules = {module.path: module.outcome for module in prove(images.Gated(1)).modules}
    assert modules["stages.1"] == "broken"
