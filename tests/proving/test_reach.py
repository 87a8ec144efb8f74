"""Functions that a proof reaches: each against real kernels, and under a wrong contract."""

import functools
import itertools
import math
import re
import sys
import types
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest
import sympy
import torch
from jaxtyping import Bool, Float
from torch import Tensor, _assert, nn
from torch.nn import functional
from torch.nn.functional import scaled_dot_product_attention
from torch.utils._sympy import functions as sympy_functions
from torch.utils._sympy.functions import FloorDiv, IntTrueDiv

from shapezoo import Module, Proof, Proved, Refuted, prove
from shapezoo.proving.formulas.solving import sound_sympy
from shapezoo.proving.paths.symbolic_run import SymbolicRun, run_symbolically
from shapezoo.proving.rules.symbols.quotients import cancelled, cheap_quotients
from shapezoo.proving.rules.symbols.symbol_keys import without_cache_of_einops
from shapezoo.proving.subjects import subject_of

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Case:
    """A function, the shapes of its arguments (masks begin with ``!``) and of its result."""

    function: Callable[..., Any]
    shapes: tuple[str, ...]
    result: str


def attend(x: Tensor, *, is_causal: Any = False, mask: Tensor | None = None) -> Tensor:
    return scaled_dot_product_attention(x, x, x, attn_mask=mask, is_causal=is_causal)


def two_parts(x: Any) -> Any:
    first, second = x.split(4, 1)
    return first, second


def three_rows(x: Any) -> Any:
    first, second, third = x
    return first + second + third


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


def refusing_at_length(x: Tensor) -> Tensor:
    try:
        return refusing(x)
    except ValueError as error:
        text = "refused: "
        if x.shape[0] > 1:
            text += f"each of {x.shape[0]} rows has "
        text += f"{x.shape[1]} positions"
        raise ValueError(f"{text}, {error}") from None


def looked_up_by_text(x: Tensor) -> Tensor:
    text = f"{x.shape[1]}"
    if text in ("4", "5"):
        raise ValueError(text)
    return x


def by_rows_and_columns(x: Tensor) -> Tensor:
    rows, columns = torch.arange(x.shape[0]), torch.arange(x.shape[1])
    return x[rows[:, None], columns].view(-1)


def viewed_without_entries(x: Tensor) -> Tensor:
    quarter = x.shape[1] // 4
    return x[:, :quarter].reshape(quarter, -1)


def pooled_and_viewed(x: Tensor) -> Tensor:
    return functional.adaptive_avg_pool2d(x.transpose(1, 3), 1).view(x.shape[0], -1)


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
    "a slice up to a size in a tensor": Case(
        lambda x: x[:, : torch.tensor(x.shape[1]) // 2], ("b n",), "b n//2"
    ),
    "a view with a size in a tensor": Case(
        lambda x: x.repeat(1, 2).view(
            x.shape[0], torch.div(x.shape[1], 1, rounding_mode="trunc"), 2
        ),
        ("b n",),
        "b n 2",
    ),
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
    "two parts": Case(lambda x: torch.add(*two_parts(x)), ("b n",), "b 4"),
    "three rows": Case(three_rows, ("n m",), "m"),
    "second part": Case(lambda x: x.split(4, 1)[1], ("b n",), "b min(4,n-4)"),
    "last part": Case(lambda x: x.split(4, 1)[-1], ("b n",), "b (n-1)%4+1"),
    "number of parts": Case(lambda x: torch.zeros(len(x.split(4, 1))), ("b n",), "(n+3)//4"),
    "tensor_split": Case(lambda x: x.tensor_split(2, 1)[1], ("b n",), "b n//2"),
    "meshgrid": Case(lambda x, y: torch.meshgrid(x, y, indexing="xy")[0], ("n", "m"), "m n"),
    "roll": Case(lambda x: x.roll(1, 1), ("b n",), "b n"),
    "linspace": Case(lambda x: torch.linspace(0, 1, x.shape[1]), ("b n",), "n"),
    "arange": Case(lambda x: torch.arange(0, x.shape[1], 0.5), ("b n",), "n*2"),
    "_assert": Case(asserting, ("b n",), "b n"),
    "its own messages": Case(refusing, ("b n",), "b n"),
    "a long message": Case(refusing_at_length, ("b n",), "b n"),
    "unsqueeze": Case(lambda x: x.unsqueeze(-1), ("b n",), "b n 1"),
    "unsqueeze and view": Case(lambda x: x.unsqueeze(1).view(-1), ("b n",), "b*n"),
    "unsqueeze transposed": Case(lambda x: x.t().unsqueeze(0).view(-1), ("b n",), "b*n"),
    "stack": Case(lambda x, y: torch.stack([x, y], 1), ("b n", "b m"), "b 2 n"),
    "stack and view": Case(lambda x: torch.stack([x, x], -1).view(len(x), -1), ("b n",), "b 2*n"),
    "stack transposed": Case(lambda x: torch.stack([x.t()] * 3).view(-1), ("b n",), "3*b*n"),
    "arange by keyword": Case(lambda x: torch.arange(start=0, end=x.shape[1]) / 2, ("b n",), "n"),
    "tensor by keyword": Case(lambda x: torch.tensor(data=[len(x), 3]) / 2, ("b n",), "2"),
    "new_tensor by keyword": Case(lambda x: x.new_tensor(data=[len(x)]), ("b n",), "1"),
    "index by keyword": Case(lambda x: x[torch.as_tensor(data=[len(x) - 3])], ("b n",), "1 n"),
    "flatten by keyword": Case(lambda x: torch.flatten(input=x.t()), ("b n",), "n*b"),
    "linear by keyword": Case(
        lambda x: functional.linear(input=x, weight=torch.zeros(3, 8)), ("b n",), "b 3"
    ),
    "attention by keyword": Case(
        lambda x: scaled_dot_product_attention(query=x, key=x, value=x), ("b n d",), "b n d"
    ),
    "expand": Case(lambda x: x[:, None].expand(-1, x.shape[1], -1), ("b n",), "b n n"),
    "expand and view": Case(lambda x: x[:, None].expand(-1, 2, -1).view(-1), ("b n",), "2*b*n"),
    "expand in front": Case(lambda x: x.expand(2, -1, -1), ("b n",), "2 b n"),
    "expand to fewer": Case(lambda x: x[:, :1].expand(-1, x.shape[1] // 3), ("b n",), "b n//3"),
    "expand of sizes": Case(lambda x, y: x.expand(y.shape), ("b n", "b m"), "b m"),
    "view of windows": Case(lambda x: x.view(len(x), -1, 4).view(-1, 4), ("b n",), "b*(n//4) 4"),
    "view of half": Case(
        lambda x: x.view(len(x), -1, x.shape[1] // 2), ("b n",), "b n//(n//2) n//2"
    ),
    "view to no entries": Case(viewed_without_entries, ("b n",), "n//4 b"),
    "view of too few": Case(lambda x: x.view(x.shape[0], 6, -1), ("b n 4",), "b 6 n*4//6"),
    "normalize": Case(lambda x: functional.normalize(x[:, 3:]).view(-1), ("b n",), "b*max(n-3,0)"),
    "norm": Case(lambda x: torch.linalg.vector_norm(x.t(), dim=1).view(-1), ("b n",), "n"),
    "greatest": Case(lambda x: torch.linalg.vector_norm(x[:, 3:], math.inf, dim=1), ("b n",), "b"),
    "index": Case(lambda x: x[:, torch.arange(x.shape[1])].view(-1), ("b n",), "b*n"),
    "index by rows": Case(by_rows_and_columns, ("b n m",), "b*n*m"),
    "index of columns": Case(lambda x: x.t()[torch.arange(x.shape[1])].view(-1), ("b n",), "b*n"),
    "index apart": Case(lambda x: x[torch.arange(2), :, [0, 1]].view(-1), ("2 n 2",), "2*n"),
    "index too far": Case(lambda x: x[:, torch.arange(4)], ("b n",), "b 4"),
    "pooling to 1 and view": Case(pooled_and_viewed, ("b c h w",), "b w"),
    "sum": Case(lambda x, y: x + y, ("b n", "b m"), "b max(n,m)"),
    "sum and view": Case(lambda x, y: (x + y).view(-1), ("b n", "m"), "b*max(n,m)"),
    "sum transposed": Case(lambda x, y: (x.t() + y).view(-1), ("b n", "b"), "b*n"),
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


def test_a_text_that_decides_is_no_message() -> None:
    proof = prove(module_of(Case(looked_up_by_text, ("b n",), "b n"), "b n"))
    assert not isinstance(proof, Proved) or [str(c) for c in proof.preconditions], str(proof)


def test_einops_keeps_no_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = types.ModuleType("einops.einops")
    module._reconstruct_from_shape = cached = functools.cache(lambda shape: tuple(shape))
    monkeypatch.setitem(sys.modules, "einops.einops", module)
    with without_cache_of_einops():
        assert module._reconstruct_from_shape([2, 3]) == (2, 3)  # a list has no hash
    assert module._reconstruct_from_shape is cached
    with pytest.raises(TypeError, match="unhashable"):
        cached([2, 3])


def test_quotients_that_are_cancelled_term_by_term() -> None:
    a, b = sympy.symbols("a b", integer=True, positive=True)
    numbers, point = Random(0), {a: 3, b: 5}
    with sound_sympy(), cheap_quotients():
        for _ in range(300):
            common = numbers.choice([a, b, 2 * a, a * b])
            total = sum(numbers.choice([a, b, a * b, 1, 4]) * common for _ in range(3)) + b * common
            divisor = common * numbers.choice([1, 2, 3, a + 1])
            quotient = FloorDiv(total, divisor)
            assert quotient.subs(point) == total.subs(point) // divisor.subs(point)
    assert cancelled((a * b + b) / a) == b + b / a  # is not whole, and stays so


@pytest.mark.parametrize(
    ("name", "function"),
    [("CeilToInt", math.ceil), ("FloorToInt", math.floor), ("TruncToInt", int)],
)
def test_quotients_that_are_rounded(name: str, function: Callable[[float], int]) -> None:
    size = sympy.Symbol("size", integer=True, positive=True)
    with sound_sympy(), cheap_quotients():
        for total, divisor in itertools.product((size, 2 * size + 1, 3 - size), range(1, 8)):
            rounded = getattr(sympy_functions, name)(IntTrueDiv(total, divisor))
            is_plain = name != "TruncToInt" or total.is_nonnegative
            assert not is_plain or not rounded.atoms(IntTrueDiv)
            for number in (1, 2, 3, 14, 15, 2**40, 2**40 + 1):
                found = rounded.subs(size, number)
                assert found == function(int(total.subs(size, number)) / divisor)


def run(function: Callable[..., Any], choices: tuple[bool, ...] | None) -> SymbolicRun:
    case = Case(function, ("b n", "!b n"), "b n")
    subject = subject_of(module_of(case, case.result), None)
    subject = subject.variants()[0][0]
    with sound_sympy():
        return run_symbolically(subject, {"b": 3, "n": 7}, choices)


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


def grown(x: Float[Tensor, "batch"]) -> Float[Tensor, "batch"]:
    total = x.sum().item()
    return x if total + 1 > total else x[:1]  # not of 1e20


def itself(x: Float[Tensor, "batch"]) -> Float[Tensor, "batch"]:
    total = x.sum().item()
    return x if total == total else x[:1]  # not of a nan


def padded_by_data(x: Float[Tensor, "batch"]) -> Float[Tensor, "batch"]:
    count = int(x.sum().int().item())
    return functional.pad(x, (count, -count))


@pytest.mark.parametrize("function", [grown, itself, padded_by_data])
def test_numbers_in_tensors_may_be_rounded_infinite_or_nan(function: Any) -> None:
    assert not isinstance(prove(function), Proved | Refuted)


def test_numbers_in_tensors_may_be_used_as_values() -> None:
    def scaled(x: Float[Tensor, "batch"]) -> Float[Tensor, "batch"]:
        greatest = x.max().item()
        return x / greatest if greatest > 3 else x

    assert isinstance(prove(scaled), Proved)


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
