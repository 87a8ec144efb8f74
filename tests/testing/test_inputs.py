"""Calls that are drawn from a contract keep it, cover all variants, and shrink to the smallest."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypedDict

import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import find, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from shapezoo import ContractError, Module, ShapeError, checked
from shapezoo.contracts import Condition
from shapezoo.contracts.checking.known_limits import set_limits
from shapezoo.proving.findings import SubjectError
from shapezoo.testing import Call, inputs
from shapezoo.testing.harness import DETERMINISTIC
from shapezoo.testing.places import places


def drawn(strategy: SearchStrategy[Call], count: int = 40) -> list[Call]:
    """Draw some calls, and make each of them."""
    calls = []

    @settings(DETERMINISTIC, max_examples=count)
    @given(strategy)
    def run(call: Call) -> None:
        call()
        calls.append(call)

    run()
    return calls


def smallest(strategy: SearchStrategy[Call], condition: Callable[[Call], bool]) -> Call:
    return find(strategy, condition, settings=settings(DETERMINISTIC, max_examples=200))


def any_call(call: Call) -> bool:
    return True


def shapes(call: Call) -> dict[str, tuple[int, ...]]:
    return {place.path: tuple(place.tensor.shape) for place in call.places}


class Pair(NamedTuple):
    left: Float[Tensor, "batch"]
    right: Float[Tensor, "batch seq"] | None


@checked
@dataclass(frozen=True)
class Labelled:
    images: Float[Tensor, "batch 4"]
    labels: Int64[Tensor, "batch"]
    weights: Float[Tensor, "batch"] | None = None


@checked
@dataclass(frozen=True)
class Named:
    images: Float[Tensor, "batch 4"]
    names: list[str] = field(default_factory=list)


class Batch(TypedDict):
    images: Float[Tensor, "batch seq"]


class Scaled(Module):
    def __init__(self, width: int, *, num_classes: int = 3) -> None:
        super().__init__()
        self.width = width
        self.linear = nn.Linear(width, num_classes)

    def forward(self, x: Float[Tensor, "batch width={self.width}"]) -> Float[Tensor, "batch _"]:
        return self.linear(x)  # type: ignore[no-any-return]  # nn.Module's call

    @checked
    def repeated(
        self, x: Float[Tensor, "batch {self.width*n}"], n: int = 2
    ) -> Float[Tensor, "batch _"]:
        return self.linear(x[:, : self.width])  # type: ignore[no-any-return]  # nn.Module's call


class Words(Module):
    def __init__(self, vocab_size: int = 7) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, 3)
        self.gru = nn.GRU(3, 3)

    def forward(
        self, tokens: Int64[Tensor, "seq batch"], lengths: Int64[Tensor, "batch"]
    ) -> Float[Tensor, "_ batch 3"]:
        packed = nn.utils.rnn.pack_padded_sequence(
            self.embedding(tokens), lengths, enforce_sorted=False
        )
        return nn.utils.rnn.pad_packed_sequence(self.gru(packed)[0])[0]

    @checked
    def embed(self, tokens: Int64[Tensor, "batch"]) -> Float[Tensor, "batch 3"]:
        return self.embedding(tokens)  # type: ignore[no-any-return]  # nn.Module's call


class Heads(Module):
    """Takes only some widths."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        if width % num_heads:
            raise ValueError("heads do not divide the width")
        self.width, self.num_heads = width, num_heads

    def forward(self, x: Float[Tensor, "batch {self.width}"]) -> Float[Tensor, "batch _ _"]:
        return x.reshape(len(x), self.num_heads, -1)


@checked
def shared(x: Float[Tensor, "batch seq"], y: Float[Tensor, "seq batch"]) -> None: ...
@checked
def square(x: Float[Tensor, "seq seq 3"]) -> None: ...
@checked
def computed(
    x: Float[Tensor, "height"], y: Float[Tensor, "height//3 out=(height-1)//2+1 height-3"]
) -> None: ...
@checked
def thirds(x: Float[Tensor, "height"], y: Float[Tensor, "height/3"]) -> None: ...
@checked
def variadic(x: Float[Tensor, "*batch 2"], y: Float[Tensor, "*batch"]) -> None: ...
@checked
def stars(
    x: Float[Tensor, "*batch"], y: Float[Tensor, "#*batch"], z: Float[Tensor, "...  2"]
) -> None: ...  # a table
@checked
def loose(x: Float[Tensor, "#batch _ 3"], y: Float[Tensor, "batch"]) -> None: ...
@checked
def optional(
    x: Float[Tensor, "batch"], y: Float[Tensor, "batch seq"] | None = None, *, is_on: bool = False
) -> None: ...
@checked
def maybe(x: Float[Tensor, "batch"] | None, y: Float[Tensor, "seq"]) -> None: ...
@checked
def either(x: Float[Tensor, "batch 2"] | Int64[Tensor, "batch"] | None) -> None: ...
@checked
def nested(
    xs: tuple[Float[Tensor, "batch"], list[Float[Tensor, "batch _"]]],
    ys: tuple[Float[Tensor, "seq"], ...],
) -> None: ...
@checked
def records(pair: Pair, batch: Labelled, more: Batch) -> None: ...
@checked
def passed(
    x: Float[Tensor, "batch"],
    y: Float[Tensor, "batch"] | None = None,
    /,
    *xs: Float[Tensor, "batch"],
    z: Float[Tensor, "batch"],
    **zs: Float[Tensor, "batch"],
) -> None: ...
@checked
def sized(x: Float[Tensor, "{n}"], n: int = 3, mode: Literal["a", "b"] = "a") -> None: ...
@checked
def literal(x: Float[Tensor, "{n}"], n: Literal[2, 4]) -> None: ...
@checked
def needed(n: int, x: Float[Tensor, "batch {n}"]) -> None: ...
@checked
def arrays(
    x: Float[np.ndarray, "batch"], y: Float[nn.Parameter, "batch"], z: Int64[nn.Parameter, "batch"]
) -> None: ...
@checked
def array_lengths(x: Float[Tensor, "batch seq"], lengths: Int64[np.ndarray, "batch"]) -> None: ...
@checked
def targets(
    logits: Float[Tensor, "batch classes"], labels: Int64[Tensor, "batch"]
) -> Float[Tensor, ""]:
    return nn.functional.cross_entropy(logits, labels)


@checked
def masked(x: Float[Tensor, "batch seq"], mask: Bool[Tensor, "batch seq"]) -> None: ...
@checked
def image(x: Float[Tensor, "batch height width"]) -> None: ...
@checked
def nothing_open(x: Float[Tensor, "3"]) -> None: ...


TABLE: list[Any] = [
    *(shared, square, computed, thirds, variadic, stars, loose, optional, maybe, either),
    *(nested, records, passed, sized, literal, arrays, array_lengths, targets, masked, image),
    *(nothing_open, Labelled, Named, Scaled, Heads, Words, Scaled(3).repeated),
    *(Scaled(2), Scaled(2).double(), Scaled(2).bfloat16(), Scaled(2).to("meta"), Words(4)),
    *(Words(2).embed, Scaled(2).double().repeated),
]


def name_of(target: Any) -> str:
    return str(getattr(target, "__name__", type(target).__name__))


def items(value: Any) -> Iterator[Any]:
    """Yield all values in nested containers."""
    if isinstance(value, tuple | list):
        for item in value:
            yield from items(item)
    elif isinstance(value, dict):
        yield from items(list(value.values()))
    elif isinstance(value, Labelled):
        yield from items(list(vars(value).values()))
    else:
        yield value


@pytest.mark.parametrize("target", TABLE, ids=name_of)
def test_every_call_keeps_the_contract(target: Any) -> None:
    for call in drawn(inputs(target), 8):
        assert all(size >= 1 for size in call.sizes.values())
        tensors = [v for v in items(call.arguments) if isinstance(v, Tensor | np.ndarray)]
        assert all(size >= 1 for tensor in tensors for size in tensor.shape)
        for place in call.places:
            for name, size in call.sizes.items():
                axis = place.axis(name)
                assert axis is None or place.tensor.shape[axis] in (size, 1)


def test_shapes_seen_from_outside() -> None:
    for call in drawn(inputs(shared), 15):
        x, y = call.args
        assert (call.sizes["batch"], call.sizes["seq"]) == tuple(x.shape) == tuple(y.T.shape)
    for call in drawn(inputs(computed), 15):
        (height,) = call.args[0].shape
        assert tuple(call.args[1].shape) == (height // 3, (height - 1) // 2 + 1, height - 3)
    for call in drawn(inputs(variadic), 15):
        assert call.args[0].shape[:-1] == call.args[1].shape
    for call in drawn(inputs(nested), 15):
        (x, rest), ys = call.args
        assert (type(rest), type(ys), len(rest), len(ys)) == (list, tuple, 2, 2)
        assert {len(x)} == {len(one) for one in rest}
        assert len({len(y) for y in ys}) == 1
    for call in drawn(inputs(thirds), 10):
        assert len(call.args[0]) == 3 * len(call.args[1])


def test_braces_come_from_self_arguments_and_defaults() -> None:
    assert {tuple(call.args[0].shape) for call in drawn(inputs(sized), 15)} == {(3,)}
    assert {(len(call.args[0]), call.args[1]) for call in drawn(inputs(literal), 15)} == {
        (2, 2),
        (4, 4),
    }
    for call in drawn(inputs(needed, given={"n": st.integers(2, 5)}), 15):
        assert call.args[1].shape[1] == call.args[0]
        assert call.contract.braces == ()
    assert {c.args[0].shape[1] for c in drawn(inputs(Scaled(5)), 10)} == {5}
    assert {c.args[0].shape[1] for c in drawn(inputs(Scaled(3).repeated), 10)} == {6}
    for call in drawn(inputs(Scaled), 15):
        assert isinstance(call.function, Scaled)
        assert call.args[0].shape[1] == call.function.width == call.sizes["width"]


def test_every_way_occurs() -> None:
    calls = drawn(inputs(optional))
    assert {tuple(call.arguments) for call in calls} == {
        *(("x",), ("x", "y"), ("x", "is_on"), ("x", "y", "is_on")),
    }
    assert {call.arguments.get("is_on") for call in calls} == {None, True}
    firsts = [call.args[0] for call in drawn(inputs(either))]
    options = {x if x is None else (x.dtype, x.dim()) for x in firsts}
    assert options == {None, (torch.float32, 2), (torch.int64, 1)}
    assert {call.args[0] is None for call in drawn(inputs(maybe))} == {True, False}
    assert {call.args[1].dim() for call in drawn(inputs(variadic))} == {0, 1, 2, 3}
    assert {call.arguments.get("mode") for call in drawn(inputs(sized))} == {None, "b"}
    ones = {(len(x) == 1, len(y) == 1) for x, y in (c.args for c in drawn(inputs(loose)))}
    assert ones == {(True, True), (True, False), (False, False)}
    ways = {(len(call.args), *call.kwargs) for call in drawn(inputs(passed))}
    assert ways == {(1, "z"), (3, "z")}
    pairs = {call.args[0].right is None for call in drawn(inputs(records))}
    assert pairs == {True, False}
    assert {tuple(call.arguments) for call in drawn(inputs(Labelled))} == {
        ("images", "labels"),
        ("images", "labels", "weights"),
    }


def test_sizes_and_numbers_vary() -> None:
    calls = drawn(inputs(image), 200)
    for axis in ("batch", "height", "width"):
        assert {call.sizes[axis] for call in calls} == set(range(1, 9))
    assert any((call.args[0] != 0).any() for call in calls)
    assert all(call.args[0].isfinite().all() for call in calls)


def test_sizes_can_be_chosen() -> None:
    for call in drawn(inputs(image, batch=2, height=[5, 40], width=range(3, 6)), 15):
        batch, height, width = call.args[0].shape
        assert (batch, height in (5, 40), 3 <= width <= 5) == (2, True, True)
    assert {c.sizes["width"] for c in drawn(inputs(Scaled, width=[2, 7]), 15)} == {2, 7}


@pytest.mark.parametrize(
    ("assume", "least"),
    [
        ("height >= 63", (1, 63, 1)),
        (["height >= 63", "width % 4 == 0"], (1, 63, 4)),
        ("height == width", (1, 1, 1)),
        ("height == width + 2", (1, 3, 1)),
        ("height * width == 12", (1, 4, 3)),
    ],
)
def test_conditions_are_met_and_shrink_to_the_smallest(
    assume: str | list[str], least: tuple[int, ...]
) -> None:
    conditions = [Condition(text) for text in ([assume] if isinstance(assume, str) else assume)]
    for call in drawn(inputs(image, assume=assume), 4):
        assert all(condition.holds(call.sizes) for condition in conditions)
    found = smallest(inputs(image, assume=assume), any_call).args[0]
    assert sum(found.shape) == sum(least)
    assert sorted(found.shape) == sorted(least)
    assert not found.any()


def test_a_module_keeps_to_its_limits() -> None:
    class Tower(Module):
        def forward(self, x: Float[Tensor, "batch height width"]) -> Float[Tensor, "batch _ _"]:
            return nn.functional.max_pool2d(x, 32)

    model = Tower().eval()
    limits = (Condition("height >= 32"), Condition("width >= 32"))
    set_limits(model, {"eval": limits, "train": (*limits, Condition("batch >= 2"))})
    for call in drawn(inputs(model), 15):
        assert min(call.args[0].shape[1:]) >= 32
    assert shapes(smallest(inputs(model), any_call)) == {"x": (1, 32, 32)}
    assert shapes(smallest(inputs(model.train()), any_call)) == {"x": (2, 32, 32)}
    with pytest.raises(ContractError, match=r"height >= 32.*height is one of \[31\]"):
        drawn(inputs(model, height=31))


def test_the_smallest_call() -> None:
    call = smallest(inputs(optional), any_call)
    assert (shapes(call), [*call.arguments]) == ({"x": (1,)}, ["x"])
    assert not call.args[0].any()
    given_too = smallest(inputs(optional), lambda call: "y" in call.arguments)
    assert shapes(given_too) == {"x": (1,), "y": (1, 1)}
    large = smallest(inputs(image), lambda call: bool(call.args[0].shape[1] > 4))
    assert shapes(large) == {"x": (1, 5, 1)}
    assert shapes(smallest(inputs(variadic), any_call)) == {"x": (2,), "y": ()}
    assert shapes(smallest(inputs(either), lambda c: c.args[0] is not None)) == {"x": (1, 2)}
    assert smallest(inputs(targets), any_call).args[1].tolist() == [0]
    module = smallest(inputs(Heads), any_call).function
    assert isinstance(module, Heads)
    assert (module.width, module.num_heads) == (1, 1)


def test_the_same_calls_at_every_run() -> None:
    assert list(map(repr, drawn(inputs(optional), 15))) == list(
        map(repr, drawn(inputs(optional), 15))
    )
    one, two = (smallest(inputs(Scaled), any_call).function for _ in range(2))
    assert isinstance(one, Scaled)
    assert isinstance(two, Scaled)
    assert torch.equal(one.linear.weight, two.linear.weight)


def test_building_a_module_leaves_the_random_numbers_alone() -> None:
    state = torch.get_rng_state()
    smallest(inputs(Scaled), any_call)
    assert torch.equal(torch.get_rng_state(), state)


def test_indices_are_below_their_bounds() -> None:
    seen: set[int] = set()
    for call in drawn(inputs(Words(5)), 60):
        tokens, lengths = call.args
        assert tokens.max() < 5
        assert lengths.min() >= 1
        assert lengths.max() <= call.sizes["seq"] == tokens.shape[0]
        seen |= {*tokens.flatten().tolist()}
    assert seen == set(range(5))
    for call in drawn(inputs(targets), 60):
        assert call.args[1].max() < call.args[0].shape[1]
    assert max(int(c.args[0].max()) for c in drawn(inputs(Words(6).embed), 60)) == 5
    few = drawn(inputs(Words(5), below={"tokens": 2}), 15)
    assert max(int(call.args[0].max()) for call in few) == 1
    for call in drawn(inputs(array_lengths), 15):
        assert isinstance(call.args[1], np.ndarray)
        assert 1 <= call.args[1].min() <= call.args[1].max() <= call.args[0].shape[1]


def test_masks_hold_both_values_in_each_row() -> None:
    for call in drawn(inputs(masked), 60):
        mask = call.args[1]
        if mask.shape[1] > 1:
            assert mask.any(1).all()
            assert not mask.all(1).any()


NAMED = (
    *("Float16", "BFloat16", "Float32", "Float64", "Float", "Inexact", "Real", "Num", "Shaped"),
    *("Int8", "Int16", "Int32", "Int64", "Int", "Integer", "UInt8", "UInt16", "UInt32", "UInt"),
    *("Bool", "Complex64", "Complex128", "Complex"),
)


@pytest.mark.parametrize("name", NAMED)
def test_every_dtype(name: str) -> None:
    def function(x: Any) -> None: ...

    annotation = getattr(jaxtyping, name)[Tensor, "batch 2"]
    function.__annotations__ |= {"x": annotation}
    for call in drawn(inputs(checked(function)), 4):
        (x,) = call.args
        assert isinstance(x, annotation)


def test_floats_have_the_dtype_and_device_of_the_module() -> None:
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        model = Scaled(2).to(dtype)
        for target in (model, model.repeated):
            assert {call.args[0].dtype for call in drawn(inputs(target), 5)} == {dtype}
    assert {call.args[0].device.type for call in drawn(inputs(Scaled(2).to("meta")), 5)} == {"meta"}
    tokens, lengths = smallest(inputs(Words().to("meta")), any_call).args
    assert (tokens.device.type, lengths.device.type) == ("meta", "cpu")


def test_classes_of_arrays() -> None:
    for call in drawn(inputs(arrays), 10):
        x, y, z = call.args
        assert (type(x), type(y), type(z)) == (np.ndarray, nn.Parameter, nn.Parameter)
        assert (y.requires_grad, z.requires_grad) == (True, False)


def test_a_compiled_module() -> None:
    compiled = torch.compile(Scaled(2), backend="eager")
    calls = drawn(inputs(compiled, batch=range(2, 5)), 6)
    assert all(call.function is compiled for call in calls)
    assert {call.args[0].shape[1] for call in calls} == {2}


def test_values_and_strategies_can_be_given() -> None:
    x = torch.ones(2)
    for call in drawn(inputs(optional, given={"x": x, "y": None}), 10):
        assert call.arguments["x"] is x
        assert call.arguments["y"] is None
    numbers = {c.args[0] for c in drawn(inputs(needed, given={"n": st.sampled_from([2, 3])}), 15)}
    assert numbers == {2, 3}


def test_a_class_gets_the_arguments_of_init() -> None:
    for call in drawn(inputs(Scaled, init={"num_classes": 5}), 10):
        assert call().shape == (call.sizes["batch"], 5)
    for call in drawn(inputs(Heads, init={"width": 6}, assume="num_heads > 1"), 20):
        assert call.sizes["num_heads"] in (2, 3, 6)


def test_a_broken_call_is_refused() -> None:
    """The check of every call in this file can fail."""
    call = smallest(inputs(shared), any_call)
    wrong = call.replaced([(call.places[1], torch.zeros(2, 7))])
    with pytest.raises(ShapeError):
        wrong()


def test_a_call_shows_its_arguments() -> None:
    assert repr(smallest(inputs(optional), any_call)) == "optional(x=Tensor float32 (1,))"
    call = smallest(inputs(Words()), any_call)
    assert repr(call) == "Words(tokens=Tensor int64 (1, 1) [[0]], lengths=Tensor int64 (1,) [1])"
    assert [place.path for place in call.places] == ["tokens", "lengths"]
    (result,) = places(call.contract.output, call(), "return")
    assert result.path == "return"


def unannotated(x):  # type: ignore[no-untyped-def]  # the point
    return x


def shapeless(x: int) -> int:
    return x


@pytest.mark.parametrize(
    ("target", "how", "error", "words"),
    [
        (image, {"depth": 3}, ContractError, ["no axis 'depth'", "batch, height, width"]),
        (image, {"assume": "depth > 3"}, ContractError, ["no axis 'depth'"]),
        (nothing_open, {"batch": 3}, ContractError, ["no axis 'batch'", "it has none"]),
        (image, {"assume": "height"}, ContractError, ["'height' is not a condition"]),
        (image, {"given": {"n": 3}}, ContractError, ["image has no argument 'n'"]),
        (image, {"below": {"n": 3}}, ContractError, ["image has no argument 'n'"]),
        (unannotated, {}, ContractError, ["missing annotations: 'x'"]),
        (shapeless, {}, ContractError, ["shapeless", "name no shape"]),
        (Scaled, {"init": {"depth": 3}}, SubjectError, ["Scaled has no argument 'depth'"]),
        (Scaled(2), {"init": {"width": 3}}, SubjectError, ["init is for a class of modules"]),
        (image, {"init": {}}, SubjectError, ["init is for a class of modules"]),
    ],
)
def test_mistakes_raise_errors_at_once(
    target: Any, how: dict[str, Any], error: type[Exception], words: list[str]
) -> None:
    with pytest.raises(error) as caught:
        inputs(target, **how)
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize(
    ("strategy", "words"),
    [
        (inputs(needed), ["needed", "argument 'n: int'", "does not say which tensors"]),
        (inputs(image, assume="height < width", height=[9], width=[3]), ["height < width", "[9]"]),
        (inputs(image, assume=["batch > 2", "batch < 3"]), ["batch > 2 and batch < 3"]),
        (inputs(image, batch=[]), ["no sizes of batch", "batch is one of []"]),
    ],
)
def test_mistakes_that_show_in_use(strategy: SearchStrategy[Call], words: list[str]) -> None:
    with pytest.raises(ContractError) as caught:
        drawn(strategy)
    assert all(word in str(caught.value) for word in words)


# what cannot be made is left out where it can be


@dataclass(frozen=True)
class Tuned:
    images: Float[Tensor, "batch 4"]
    names: list[str] = field(default_factory=list)
    scale: float = 2.0


class Sparse(NamedTuple):
    images: Float[Tensor, "batch 4"]
    number: int = 3


@checked
def generated(
    x: Float[Tensor, "batch"],
    generator: torch.Generator | None = None,
    p: float | None = 0.5,
    flag: bool | float = False,
    more: dict[str, Float[Tensor, "batch"]] | None = None,
) -> None: ...
@checked
def of_several(x: Float[Tensor, "batch"] | nn.utils.rnn.PackedSequence) -> None: ...
@checked
def tuned(x: Tuned, y: Sparse) -> None: ...
@checked
def with_state(
    x: Float[Tensor, "batch hidden"],
    state: Float[Tensor, "hidden"] = torch.zeros(3),  # noqa: B008  # the point
) -> None: ...
@checked
def positional(
    x: Float[Tensor, "batch"],
    y: Float[Tensor, "batch"] | None = None,
    n: int = 3,
    /,
    *,
    z: Float[Tensor, "{n}"],
) -> None: ...
@checked
def beside(x: Float[Tensor, "seq"], y: Float[Tensor, "seq-5"] | None = None) -> None: ...
@checked
def scored(pair: tuple[Float[Tensor, "batch classes"], Int64[Tensor, "batch"]]) -> None: ...
@checked
def several(*xs: Float[Tensor, "batch"]) -> None: ...


@pytest.mark.parametrize("target", [generated, of_several, tuned, with_state, scored])
def test_what_can_be_made_is(target: Any) -> None:
    assert drawn(inputs(target), 10)


def test_a_field_that_cannot_be_made_keeps_its_default() -> None:
    for call in drawn(inputs(tuned), 3):
        assert call.args[0].names == []
        assert call.args[1].number == 3


def test_labels_beside_their_scores_are_in_range() -> None:
    for call in drawn(inputs(scored), 30):
        scores, labels = call.args[0]
        assert labels.max() < scores.shape[1]


def test_what_stands_before_a_given_positional_argument_is_given_too() -> None:
    for call in drawn(inputs(positional, given={"n": 5}), 10):
        assert call.args[1] is not None or len(call.args) == 3
        assert (call.args[2], call.kwargs["z"].shape) == (5, (5,))


def test_sizes_of_what_is_given_are_those_of_the_rest() -> None:
    for call in drawn(inputs(shared, given={"x": torch.zeros(2, 3)}), 5):
        assert call.args[1].shape == (3, 2)


def test_arguments_for_which_there_is_no_size_are_left_out() -> None:
    assert {len(call.args) for call in drawn(inputs(beside, seq=range(1, 4)), 10)} == {1}


def test_a_class_is_built_until_sizes_meet_the_conditions() -> None:
    for call in drawn(inputs(Scaled, assume="batch < width"), 10):
        assert call.sizes["batch"] < call.sizes["width"]


def test_far_conditions_on_several_axes() -> None:
    call = smallest(inputs(image, assume="height == width + 70"), any_call)
    assert call.sizes == {"batch": 1, "height": 71, "width": 1}


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (lambda: inputs(image, batch=-1), "size of batch must be 0 or more"),
        (lambda: inputs(targets, below={"labels": 0}), "below of labels must be 1 or more"),
        (lambda: inputs(several, given={"xs": []}), "stands for several arguments"),
        (lambda: inputs(variadic, batch=3), "no axis 'batch' whose size is open"),
        (lambda: inputs(torch.relu), "got <built-in"),
        (lambda: inputs(int), "got <class 'int'>"),
    ],
)
def test_wrong_sizes_arguments_and_contracts_raise_errors(
    draw: Callable[[], Any], words: str
) -> None:
    with pytest.raises(ContractError, match=words):
        draw()
