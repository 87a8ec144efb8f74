"""Verdicts about random networks, against real kernels at small sizes and at the limits.

`tools/red_team.py` tries as many as there is time for; here are some of each theme. That the
comparison would notice a wrong rule is tested with rules that are wrong.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import pytest
import torch
from jaxtyping import Float
from tests.proving.random_networks import drawing, layers
from tests.proving.random_networks.drafts import Draft, Step
from tests.proving.random_networks.drawing import draw
from tests.proving.random_networks.judged import drawn_and_judged, judged
from torch import Tensor
from torch.nn import functional

from shapezoo import Proved, Refuted, Unknown, prove
from shapezoo.proving import solving
from shapezoo.proving.rules import functions, kernels

FEW, NETWORKS = 50, 400
"""How many networks are tried in the ordinary checks, and how many in all."""

POINTS = 40
"""How many small sizes are compared; the command compares more."""

MISTAKES = {"wrong", "crash", "replay", "division", "state", "dtype", "layout", "gradients"}


@pytest.mark.parametrize(
    "seed",
    [
        *range(FEW),
        *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(FEW, NETWORKS)),
    ],
)
def test_a_verdict_agrees_with_real_kernels(seed: int) -> None:
    one = drawn_and_judged(seed, POINTS)
    assert not one.kinds & MISTAKES, f"{one.network.text}\n{one.proof}\n{one.error}{one.findings}"


def test_the_same_seed_draws_the_same_network() -> None:
    assert draw(7).text == draw(7).text != draw(8).text


@pytest.mark.parametrize("theme", [theme for theme, _ in drawing.THEMES])
def test_each_step_is_drawn(theme: list[Step]) -> None:
    texts = {draw(seed, theme).text for seed in range(20)}
    assert len(texts) > 15


@dataclass(frozen=True)
class Sabotage:
    """A rule that is made wrong, and the steps that need it."""

    name: str
    target: str
    wrong: Any
    theme: list[Step]


def _one_more(rule: Callable[..., Any]) -> Callable[..., Any]:
    """A shape rule whose last size is one too large."""

    def wrong(*args: Any, **options: Any) -> Any:
        result = rule(*args, **options)
        return result.new_empty((*result.shape[:-1], result.shape[-1] + 1))

    return wrong


def _only_usual(axes: Any, rest: Any, usual: list[Any]) -> tuple[Any, str]:
    """Exploring that is over before all sizes are taken."""
    return (usual.pop(0), "") if usual else (None, "")


def does(*lines: str, mark: int = 16) -> list[Step]:
    """A theme of one step, which runs these lines."""

    def step(draft: Draft) -> bool:
        draft.body += lines
        draft.marks.add(mark)
        return True

    return [step]


def added(draft: Draft) -> bool:
    """Add an argument of an axis of its own."""
    return draft.become(f"x + {draft.given('data', shape=('kv_seq',))}")


def _one_more_least(*args: Any, **options: Any) -> int | None:
    least = LEAST(*args, **options)
    return None if least is None else least + 1


LEAST = solving.least
RULES = "shapezoo.proving.rules"
TABLE = "torch.ones(20, 4)[torch.arange(x.shape[0])"
SABOTAGES = [
    Sabotage(
        "an index is not checked",
        f"{RULES}.value_ranges.ValueRanges.require",
        lambda *args: None,
        does(f"x = x + {TABLE}].sum()", mark=20),
    ),
    Sabotage(
        "a bound is dropped",
        f"{RULES}.value_ranges._clamped",
        lambda *args: (0, 0),
        does(f"x = x + {TABLE}.clamp(max=30)].sum()", mark=20),
    ),
    Sabotage(
        "a range is too short",
        f"{RULES}.value_ranges._MAKERS",
        {"arange": lambda args, result: (0, result.shape[0] // 2)},
        does(f"x = x + {TABLE}].sum()", mark=20),
    ),
    Sabotage(
        "a shape is off by one",
        f"{RULES}.functions._FUNCTIONS",
        {functional.linear: _one_more(functions._linear)},
        [layers.linear],
    ),
    Sabotage(
        "a size is not required", f"{RULES}.functions.require", lambda *args: None, [layers.linear]
    ),
    Sabotage(
        "a check is left out",
        f"{RULES}.kernels._CHECKS",
        dict.fromkeys(kernels._CHECKS, lambda *args, **options: None),
        does("torch.ones(30).as_strided((x.shape[0],), (2,))"),
    ),
    Sabotage(
        "a broadcast is not asked about",
        f"{RULES}.kernels.broadcast",
        lambda shapes: shapes[0],
        [added],
    ),
    Sabotage(
        "a division by zero is not seen",
        f"{RULES}.symbols._DIVISIONS",
        (),
        does("x = x + 6 // (x.shape[0] - 3)"),
    ),
    Sabotage(
        "a limit is off by one",
        "shapezoo.proving.solving.least",
        _one_more_least,
        does("x.select(0, 3)"),
    ),
    Sabotage(
        "sizes are left out",
        "shapezoo.proving.exploring._next",
        _only_usual,
        does("x.select(0, 3)"),
    ),
    Sabotage(
        "a rounding is printed wrongly",
        "shapezoo.proving.printing._rounded_up",
        lambda total: total + 1,
        does("x.select(0, 3).view((x.shape[0] + 1) // 2, -1)"),
    ),
    Sabotage(
        "a replay is not compared",
        "shapezoo.proving.auditing._agree",
        lambda *args: True,
        does("x = x + (torch.ones(30) + 1).multinomial(x.shape[0]).sum()", mark=30),
    ),
    Sabotage(
        "dtypes are not tried",
        "shapezoo.proving.premises._dtype_calls",
        lambda *args: iter(()),
        does("x = x + torch.ones(2, 4).to(x) @ torch.ones(4, 1)"),
    ),
    Sabotage(
        "layouts are not tried",
        "shapezoo.proving.premises._layouts",
        lambda *args: ((), []),
        does("x.view(-1)"),
    ),
    Sabotage(
        "state is not seen",
        "shapezoo.proving.replaying._state",
        lambda *args: {},
        drawing.STATE,
    ),
]

TRIED = 6
"""So many networks of a theme are tried until a sabotage is noticed."""


def _patched(sabotage: Sabotage) -> Any:
    if isinstance(sabotage.wrong, dict):
        return patch.dict(sabotage.target, sabotage.wrong)
    return patch(sabotage.target, sabotage.wrong)


def _is_noticed(sabotage: Sabotage, seed: int) -> bool:
    """Whether the comparison finds the verdict of a wrong rule wrong, or it is proved no more."""
    network = draw(seed, sabotage.theme)
    with _patched(sabotage):
        wrong = judged(network, POINTS)
    if wrong.kinds & MISTAKES or isinstance(wrong.proof, Proved):
        return bool(wrong.kinds & MISTAKES)
    return isinstance(judged(network).proof, Proved)


@pytest.mark.parametrize("sabotage", SABOTAGES, ids=lambda sabotage: sabotage.name)
def test_a_wrong_rule_is_noticed(sabotage: Sabotage) -> None:
    assert any(_is_noticed(sabotage, seed) for seed in range(TRIED))


def viewed_after_transpose(
    x: Float[Tensor, "height width"],
) -> Float[Tensor, "height*width"]:
    return (x @ x).mT.relu().view(-1)


def looked_up(x: Float[Tensor, "seq 4"]) -> Float[Tensor, "seq 4"]:
    return x + functional.embedding(torch.arange(x.shape[0]), torch.zeros(64, 4))


def divided(x: Float[Tensor, "seq"]) -> Float[Tensor, "seq"]:
    return x * (1 / (x.shape[0] // 8))


def cut_by_quotient(x: Float[Tensor, "seq"]) -> Float[Tensor, "min(seq,8//(seq-1))"]:
    return x[: 8 // (x.shape[0] - 1)]


@pytest.mark.parametrize(
    ("function", "sizes"),
    [
        (viewed_after_transpose, (2, 2)),
        (looked_up, (65, 4)),
        (divided, (8,)),
        (cut_by_quotient, (1,)),
    ],
)
def test_a_verdict_agrees_with_real_kernels_where_it_once_did_not(
    function: Callable[[Tensor], Tensor], sizes: tuple[int, ...]
) -> None:
    proof = prove(function)
    try:
        function(torch.zeros(sizes))
    except (RuntimeError, IndexError, ZeroDivisionError):
        named = dict(zip(proof.axes, sizes, strict=False))
        refuses = not all(condition.holds(named) for condition in proof.preconditions)
        assert refuses or not (isinstance(proof, Proved) and proof.is_exact)
        assert not isinstance(proof, Unknown)
    else:
        assert not isinstance(proof, Refuted)
