"""Functions that a proof reaches: each against real kernels, and under a wrong contract."""

import itertools
import math
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest
import torch
from jaxtyping import Bool, Float
from torch import Tensor, _assert, nn
from torch.nn import functional
from torch.nn.functional import scaled_dot_product_attention

from shapezoo import Module, Proof, Proved, Refuted, prove
from shapezoo.proving.solving import sound_sympy
from shapezoo.proving.subjects import subject_of
from shapezoo.proving.symbolic import SymbolicRun, run_symbolically
from shapezoo.proving.variants import variants

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Case:
    """A function, the shapes of its arguments (masks begin with ``!``) and of its result."""

    function: Callable[..., Any]
    shapes: tuple[str, ...]
    result: str


def attend(x: Tensor, *, is_causal: Any = False, mask: Tensor | None = None) -> Tensor:
    return scaled_dot_product_attention(x, x, x, attn_mask=mask, is_causal=is_causal)


def asserting(x: Tensor) -> Tensor:
    _assert(x.shape[1] % 4 == 0, f"{x.shape[1]} positions")
    return x


def refuse(text: str) -> None:
    raise ValueError(text)


def refusing(x: Tensor) -> Tensor:
    if x.shape[1] < 4:
        refuse(f"{x.shape[1]} positions are too few")
    if x.shape[1] > 8:
        message = f"{x.shape[1]} positions are too many"
        raise ValueError(message)
    return x


encoder = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True).eval()
training = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True).train()
transformer = nn.Transformer(4, 2, 1, 1, 8, batch_first=True).eval()
attention = nn.MultiheadAttention(4, 2, batch_first=True).eval()


def causal_encoder(x: Tensor) -> Tensor:
    mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1])
    result: Tensor = training(x, src_mask=mask, is_causal=True)
    return result


CASES = {
    "einsum": Case(
        lambda a, b: torch.einsum("bihd,bjhd->bhij", a, b),
        ("b i h d", "b j h d"),
        "b h i j",
    ),
    "einsum of two names": Case(
        lambda a, b: torch.einsum("nd,kd->nk", a, b),
        ("n d", "k e"),
        "n k",
    ),
    "einsum with an ellipsis": Case(
        lambda a, b: torch.einsum("...d,md->...m", a, b),
        ("b n d", "m d"),
        "b n m",
    ),
    "einsum without an arrow": Case(
        lambda a, b: torch.einsum("zd,da", a, b),
        ("n d", "d m"),
        "m n",
    ),
    "einsum of three": Case(
        lambda a, b, c: torch.einsum("nd,dk,km->nm", a, b, c),
        ("n d", "d k", "k m"),
        "n m",
    ),
    "einsum of a diagonal": Case(lambda a: torch.einsum("ii->i", a), ("n m",), "n"),
    "einsum of one": Case(lambda a: torch.einsum("bnd->nb", a), ("b n d",), "n b"),
    "outer einsum": Case(lambda a, b: torch.einsum("nd,nk->nkd", a, b), ("n d", "n k"), "n k d"),
    "viewed einsum": Case(
        lambda a, b: torch.einsum("bhid,bhjd->bhij", a, b).view(-1),
        ("b h i d", "b h j d"),
        "b*h*i*j",
    ),
    "attention with groups": Case(
        lambda q, k: functional.scaled_dot_product_attention(q, k, k, enable_gqa=True),
        ("b h n d", "b g m d"),
        "b h n d",
    ),
    "causal by a size": Case(lambda x: attend(x, is_causal=x.shape[-2] > 1), ("b n d",), "b n d"),
    "masked attention": Case(lambda x, m: attend(x, mask=m), ("b n d", "!n m"), "b n d"),
    "causal and masked": Case(
        lambda x, m: attend(x, mask=m, is_causal=x.shape[1] > 3),
        ("b n d", "!n n"),
        "b n d",
    ),
    "encoder": Case(encoder, ("b n 4",), "b n 4"),
    "causal encoder": Case(causal_encoder, ("b n 4",), "b n 4"),
    "transformer": Case(transformer, ("b n 4", "b m 4"), "b m 4"),
    "masked multi-head attention": Case(
        lambda x, m: attention(x, x, x, key_padding_mask=m)[0], ("b n 4", "!b n"), "b n 4"
    ),
    "pooling by sizes": Case(
        lambda x: functional.avg_pool2d(x, x.shape[2:]),
        ("b c h w",),
        "b c 1 1",
    ),
    "pooling by one size": Case(
        lambda x: functional.avg_pool1d(x, x.shape[2] // 2),
        ("b c n",),
        "b c n//(n//2)",
    ),
    "pooling to 1": Case(lambda x: functional.adaptive_avg_pool2d(x, 1), ("b c h w",), "b c 1 1"),
    "pooling to a size": Case(
        lambda x: functional.adaptive_avg_pool1d(x, x.shape[2] // 2),
        ("b c n",),
        "b c n//2",
    ),
    "pooling to places": Case(
        lambda x: functional.adaptive_max_pool2d(x, (3, x.shape[3])),
        ("b c h w",),
        "b c 3 w",
    ),
    "int": Case(lambda x: x[:, : int(x.shape[1] * 0.5)], ("b n",), "b n//2"),
    "round": Case(lambda x: x[:, : round(x.shape[1] / 3)], ("b n",), "b (n+1)//3"),
    "ceil": Case(lambda x: x[:, : math.ceil(x.shape[1] / 3)], ("b n",), "b (n+2)//3"),
    "divmod": Case(lambda x: x[:, : sum(divmod(x.shape[1], 3))], ("b n",), "b n//3+n%3"),
    "len": Case(lambda x: x[:, : len(x)], ("b n",), "b min(b,n)"),
    "a negative pad": Case(lambda x: functional.pad(x, (-1, -1)), ("b n",), "b n-2"),
    "reflect": Case(lambda x: functional.pad(x, (3, 3), mode="reflect"), ("b c n",), "b c n+6"),
    "circular": Case(lambda x: functional.pad(x, (3, 3), mode="circular"), ("b c n",), "b c n+6"),
    "replicate": Case(lambda x: functional.pad(x, (3, 3), mode="replicate"), ("b c n",), "b c n+6"),
    "pixel_shuffle": Case(lambda x: functional.pixel_shuffle(x, 2), ("b c h w",), "b c//4 h*2 w*2"),
    "unfold": Case(lambda x: functional.unfold(x, (3, 1)), ("b c h w",), "b c*3 (h-2)*w"),
    "fold": Case(lambda x: functional.fold(x, (6, 6), 3), ("b c n",), "b c//9 6 6"),
    "frames": Case(lambda x: x.unfold(1, 8, 4), ("b n",), "b (n-8)//4+1 8"),
    "chunk": Case(lambda x: x.chunk(2, 1)[1], ("b n",), "b n//2"),
    "split": Case(lambda x: x.split(x.shape[1] // 3, 1)[0], ("b n",), "b n//3"),
    "tensor_split": Case(lambda x: x.tensor_split(2, 1)[1], ("b n",), "b n//2"),
    "meshgrid": Case(lambda x, y: torch.meshgrid(x, y, indexing="xy")[0], ("n", "m"), "m n"),
    "roll": Case(lambda x: x.roll(1, 1), ("b n",), "b n"),
    "linspace": Case(lambda x: torch.linspace(0, 1, x.shape[1]), ("b n",), "n"),
    "arange": Case(lambda x: torch.arange(0, x.shape[1], 0.5), ("b n",), "n*2"),
    "_assert": Case(asserting, ("b n",), "b n"),
    "its own messages": Case(refusing, ("b n",), "b n"),
}


def module_of(case: Case, result: str) -> Module:
    def forward(self: Any, *tensors: Tensor) -> Any:
        return case.function(*tensors)

    of_arity: list[Any] = [
        lambda self, a: forward(self, a),
        lambda self, a, b: forward(self, a, b),
        lambda self, a, b, c: forward(self, a, b, c),
    ]
    annotated = of_arity[len(case.shapes) - 1]
    kinds = [Bool[Tensor, s[1:]] if s[0] == "!" else Float[Tensor, s] for s in case.shapes]
    annotated.__annotations__ = dict(zip("abc", kinds, strict=False)) | {
        "return": Float[Tensor, result]
    }
    made: Module = type("Reached", (Module,), {"forward": annotated})().eval()
    return made


def runs(case: Case, sizes: dict[str, int]) -> bool:
    tensors = []
    for text in case.shapes:
        shape = [sizes[word] if word in sizes else int(word) for word in text.lstrip("!").split()]
        tensors.append(torch.zeros(shape, dtype=torch.bool if text[0] == "!" else torch.float32))
    try:
        with torch.no_grad(), warnings.catch_warnings(action="ignore"):
            case.function(*tensors)
    except (RuntimeError, ValueError, IndexError, AssertionError, ZeroDivisionError):
        return False
    return True


def wrong(result: str) -> str:
    *axes, last = result.split()
    return " ".join([*axes, f"{last}+1"])


@pytest.mark.parametrize("name", CASES)
def test_it_is_proved_as_real_kernels_do(name: str) -> None:
    case = CASES[name]
    proof: Proof = prove(module_of(case, case.result))
    assert isinstance(proof, Proved), str(proof)
    (only,) = proof.cases
    points = list(itertools.product(range(1, 11), repeat=len(only.axes)))
    for point in Random(0).sample(points, min(len(points), 60)):
        sizes = dict(zip(only.axes, point, strict=True))
        is_accepted = all(condition.holds(sizes) for condition in only.preconditions)
        does_run = runs(case, sizes)
        assert is_accepted if does_run else not (is_accepted and only.is_exact), (sizes, str(proof))


@pytest.mark.parametrize("name", CASES)
def test_a_wrong_contract_is_refuted(name: str) -> None:
    case = CASES[name]
    assert isinstance(prove(module_of(case, wrong(case.result))), Refuted)


def run(function: Callable[..., Any], choices: tuple[bool, ...] | None) -> SymbolicRun:
    case = Case(function, ("b n", "!b n"), "b n")
    subject = subject_of(module_of(case, case.result), None)
    variant = variants(subject.contract)[0][0]
    with sound_sympy():
        return run_symbolically(subject, variant, {"b": 3, "n": 7}, choices)


def unless_nan(x: Tensor, mask: Tensor) -> Tensor:
    if torch.isnan(x).any():
        raise ValueError("not a number")
    return x


def by_items(x: Tensor, mask: Tensor) -> Tensor:
    if int(mask.sum()) > 3:
        return x[:, 1:]
    return x * 2 if float(x.mean()) > 0.5 else x


def by_sizes(x: Tensor, mask: Tensor) -> Tensor:
    if torch.arange(x.shape[1]).max() > 50:
        raise ValueError("too long")
    return x


def sized_by_data(x: Tensor, mask: Tensor) -> Tensor:
    return x[:, : int(mask.sum())]


def test_both_ways_are_followed_where_data_decide() -> None:
    for choices, outcome in (((), "holds"), ((False,), "holds"), ((True,), "raises")):
        found = run(unless_nan, choices)
        assert (found.outcome, found.guards, len(found.choices)) == (outcome, [], 1)
        assert "test_reach.py:" in found.choice_places[0]
    assert [run(by_items, c).outcome for c in ((True,), (False, True))] == ["breaks", "holds"]
    assert run(by_items, (False, True)).choices == (False, True)


def test_what_sizes_decide_is_no_choice() -> None:
    assert run(sized_by_data, ()).outcome == "unknown"
    assert run(unless_nan, None).outcome == "unknown"  # nobody would follow the other way


def test_a_value_that_may_follow_from_sizes_is_no_limit_and_nothing_is_exact() -> None:
    def limited(x: Float[Tensor, "batch seq"]) -> Float[Tensor, "batch seq"]:
        return by_sizes(x, x)

    proof = prove(limited)
    assert isinstance(proof, Proved)
    assert not proof.preconditions
    assert not proof.is_exact
    (line,) = proof.rests_on.checks
    assert re.fullmatch(r"test_reach.py:\d+", line)


projection = nn.Linear(4, 3)


def projected(x: Float[Tensor, "batch 4"]) -> Float[Tensor, "batch 3"]:
    result: Tensor = projection(x)
    return result


def wrongly_projected(x: Float[Tensor, "batch 5"]) -> Float[Tensor, "batch 3"]:
    result: Tensor = projection(x)
    return result


def test_a_function_that_names_a_module() -> None:
    weight = projection.weight
    assert isinstance(prove(projected), Proved)
    assert isinstance(prove(wrongly_projected), Refuted)
    assert projection.weight is weight
    assert "forward" not in vars(projection)
