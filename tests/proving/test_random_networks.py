"""Compare verdicts on random networks with real kernels, at small sizes and at the limits.

`tools/red_team.py` tries as many as there is time for; these are some of each theme. Other tests
make rules wrong on purpose, and check that the comparison notices.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import pytest
import torch
from jaxtyping import Float
from tests.proving.random_networks import drawing
from tests.proving.random_networks.drafts import Input, Step
from tests.proving.random_networks.drawing import Network, draw
from tests.proving.random_networks.judged import drawn_and_judged, judged
from torch import Tensor
from torch.nn import functional

from shapezoo import Proved, Refuted, Unknown, prove
from shapezoo.proving.paths import exploring
from shapezoo.proving.rules.functions import function_shapes
from shapezoo.proving.rules.intervals import ValueRange

FEW, FEW_IN_CI, NETWORKS = 8, 20, 60
"""How many networks are tried in the ordinary checks, in CI, and in all before a release."""

POINTS, WORK = 25, 1.0
"""How many small sizes are compared, and the budget of each proof; the command uses more."""

MISTAKES = {"wrong", "crash", "replay", "division", "state", "dtype", "layout", "gradients"}


@pytest.mark.parametrize(
    "seed",
    [
        *range(FEW),
        *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(FEW, FEW_IN_CI)),
        *(pytest.param(seed, marks=pytest.mark.release) for seed in range(FEW_IN_CI, NETWORKS)),
    ],
)
def test_a_verdict_agrees_with_real_kernels(seed: int) -> None:
    one = drawn_and_judged(seed, POINTS, WORK)
    assert not one.kinds & MISTAKES, f"{one.network.text}\n{one.proof}\n{one.error}{one.findings}"


def test_the_same_seed_draws_the_same_network() -> None:
    assert draw(7).text == draw(7).text != draw(8).text


@pytest.mark.parametrize("theme", [theme for theme, _ in drawing.THEMES])
def test_each_step_is_drawn(theme: list[Step]) -> None:
    texts = {draw(seed, theme).text for seed in range(20)}
    assert len(texts) > 15


@dataclass(frozen=True)
class Sabotage:
    """What is made wrong, by its dotted name, and a network that depends on it."""

    name: str
    wrong: dict[str, Any]
    network: Network


def _one_more(rule: Callable[..., Any]) -> Callable[..., Any]:
    """A shape rule whose last size is one too large."""

    def wrong(*args: Any, **options: Any) -> Any:
        result = rule(*args, **options)
        return result.new_empty((*result.shape[:-1], result.shape[-1] + 1))

    return wrong


def _only_usual(axes: Any, rest: Any, usual: list[Any]) -> tuple[Any, str]:
    """Stop exploring before all sizes are covered."""
    return (usual.pop(0), "") if usual else (None, "")


def network(
    *lines: str,
    mark: int = 16,
    setup: str = "",
    shape: str = "seq 4",
    output: str = "",
    more: tuple[Input, ...] = (),
) -> Network:
    """A network that runs these lines; by default it keeps the shape of its argument."""
    return Network(
        setup=(setup,) if setup else (),
        body=lines,
        inputs=(Input("x", "Float", tuple(shape.split())), *more),
        flags=(),
        family="Float",
        output=tuple((output or shape).split()),
        marks=frozenset([mark]),
    )


def _one_way(exploration: Any, point: Any, lemmas: Any) -> list[Any]:
    """Run once, whatever the data decide."""
    return [exploring._run(exploration, point, (), lemmas)]


PROVING, RULES = "shapezoo.proving", "shapezoo.proving.rules"
RANGES = f"{RULES}.values.kernel_ranges._RULES"
ACCEPTED = {f"{PROVING}.audit.auditing._agree": lambda *args: True}
TABLE = "torch.ones(20, 4)[torch.arange(x.shape[0])"
SABOTAGES = [
    Sabotage(
        "an index is not checked",
        {f"{RULES}.values.value_ranges.ValueRanges.require": lambda *args: None},
        network(f"x = x + {TABLE}].sum()", mark=20),
    ),
    Sabotage(
        "a bound is dropped",
        {RANGES: {"clamp": lambda call: ValueRange(0, 0)}},
        network(f"x = x + {TABLE}.clamp(max=30)].sum()", mark=20),
    ),
    Sabotage(
        "a range is too short",
        {RANGES: {"arange": lambda call: ValueRange(0, call.result.shape[0] // 2)}},
        network(f"x = x + {TABLE}].sum()", mark=20),
    ),
    Sabotage(
        "a cast is treated as exact",
        {f"{RULES}.intervals.in_dtype": lambda values, dtype: values, **ACCEPTED},
        network(
            "x = x + torch.ones(260)[torch.arange(x.shape[0]).bfloat16().long()].sum()", mark=260
        ),
    ),
    Sabotage(
        "a value of a buffer is not looked at",
        {f"{RULES}.values.constants.Constant.are_within": lambda *args: True},
        network("x = x + torch.ones(20)[torch.tensor([1, 30])[: x.shape[0]]].sum()"),
    ),
    Sabotage(
        "values are taken to be valid",
        {f"{RULES}.values.value_checks._CHECKED": {"bernoulli": {}}},
        network("x = x + torch.bernoulli(torch.ones(3) * (x.shape[0] / 40)).sum()", mark=40),
    ),
    Sabotage(
        "a number of samples is not checked",
        {f"{RULES}.kernels.size_checks.CHECKS": {"multinomial": lambda *args, **options: None}},
        network("x = x + torch.ones(30).multinomial(x.shape[0]).sum()", mark=30),
    ),
    Sabotage(
        "the check of an index is left out",
        {f"{RULES}.values.index_checks._CHECKS": {"index_select": lambda *args: None}},
        network("x = x + torch.ones(20).index_select(0, torch.arange(x.shape[0])).sum()", mark=20),
    ),
    Sabotage(
        "a shape is off by one",
        {
            f"{RULES}.functions.function_shapes.FUNCTIONS": {
                functional.linear: _one_more(function_shapes._linear)
            }
        },
        network("x = self.layer(x)", setup="self.layer = nn.Linear(4, 4)"),
    ),
    Sabotage(
        "a size is not required",
        {f"{RULES}.functions.function_shapes.require": lambda *args: None},
        network("self.layer(x)", setup="self.layer = nn.Linear(4, 4)", shape="seq hidden"),
    ),
    Sabotage(
        "a check is left out",
        {f"{RULES}.kernels.size_checks.CHECKS": {"as_strided": lambda *args, **options: None}},
        network("torch.ones(30).as_strided((x.shape[0],), (2,))"),
    ),
    Sabotage(
        "a broadcast is not asked about",
        {f"{RULES}.kernels.kernel_shapes.broadcast": lambda shapes: shapes[0]},
        network("x + y", shape="seq", more=(Input("y", "Float", ("kv_seq",)),)),
    ),
    Sabotage(
        "a division by zero is not seen",
        {f"{RULES}.symbols.numeric_symbols._DIVISIONS": ()},
        network("x = x + 6 // (x.shape[0] - 3)"),
    ),
    Sabotage(
        "limits are left out",
        {f"{PROVING}.judging.preconditions": lambda exploration: ((), True)},
        network("x.select(0, 3)"),
    ),
    Sabotage(
        "sizes are left out",
        {f"{PROVING}.paths.exploring._next": _only_usual},
        network("x.select(0, 3)"),
    ),
    Sabotage(
        "only one way is followed",
        {f"{PROVING}.paths.exploring._runs": _one_way},
        network(
            "if mask.all():",
            "    raise ValueError",
            more=(Input("mask", "Bool", ("seq",), "mask"),),
        ),
    ),
    Sabotage(
        "a lemma has a wrong shape",
        {f"{PROVING}.judging.merged_shape": lambda shapes, regions: tuple(shapes[-1])},
        network(
            "x = self.blocks(x)",
            setup="self.blocks = nn.Sequential(Windows(2), Windows(3, crops=False))",
            shape="1 seq 4",
            output="1 (seq+2)//3*3 4",
        ),
    ),
    Sabotage(
        "a rounding is printed wrongly",
        {f"{PROVING}.formulas.printing._rounded_up": lambda total: total + 1},
        network("x.select(0, 3).view((x.shape[0] + 1) // 2, -1)"),
    ),
    Sabotage(
        "a replay is not compared",
        ACCEPTED
        | {f"{RULES}.kernels.size_checks.CHECKS": {"multinomial": lambda *args, **options: None}},
        network("x = x + torch.ones(5).multinomial(x.shape[0]).sum()", mark=30),
    ),
    Sabotage(
        "dtypes are not tried",
        {f"{PROVING}.audit.premises._in_dtypes": lambda *args: iter(())},
        network("torch.ones(2, 4).to(x) @ torch.ones(4, 1)"),
    ),
    Sabotage(
        "layouts are not tried",
        {f"{PROVING}.audit.premises._layouts": lambda *args: ((), [])},
        network("x.view(-1)"),
    ),
    Sabotage(
        "gradients are not tried",
        {f"{PROVING}.audit.premises._gradients": lambda *args: ("", [])},
        network(
            "if x.shape[0] > 5:",
            "    torch.add(x, self.weight, out=torch.empty(0))",
            setup="self.weight = nn.Parameter(torch.ones(4))",
        ),
    ),
    Sabotage(
        "state is not seen",
        {
            f"{PROVING}.audit.replaying.attributes_of": lambda *args: {},
            f"{PROVING}.judging.attributes_of": lambda *args: {},
        },
        network(
            "self.kept = max(self.kept, x.shape[0])",
            "x = x + torch.ones(20)[self.kept]",
            mark=20,
            setup="self.kept = 3",
        ),
    ),
]


@contextlib.contextmanager
def _sabotaged(sabotage: Sabotage) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for target, wrong in sabotage.wrong.items():
            is_table = isinstance(wrong, dict)
            stack.enter_context(patch.dict(target, wrong) if is_table else patch(target, wrong))
        yield


@pytest.mark.parametrize(
    "sabotage",
    [
        *SABOTAGES[:6],
        *(pytest.param(sabotage, marks=pytest.mark.slow) for sabotage in SABOTAGES[6:]),
    ],
    ids=lambda sabotage: sabotage.name,
)
def test_a_wrong_rule_is_noticed(sabotage: Sabotage) -> None:
    """Real kernels contradict the verdict; or the audit already did, and the verdict is weaker."""
    with _sabotaged(sabotage):
        wrong = judged(sabotage.network, POINTS)
    if not wrong.kinds & MISTAKES:
        assert type(wrong.proof) is not type(judged(sabotage.network, 0).proof)


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
