"""Example arguments satisfy the contract that they are made from."""

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypedDict

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import Bool, Complex, Float, Float32, Int, Int32, Int64, Num, Shaped, UInt8
from torch import Tensor, nn

from shapezoo import ContractError, ShapeError, checked, create_model, list_models, signature
from shapezoo.contracts.examples.arguments import counted_axis, example_arguments, free_axes
from shapezoo.verdicts import verdicts


class Pair(NamedTuple):
    left: Float[Tensor, "batch"]
    right: Float[Tensor, "batch seq"]


@dataclass(frozen=True)
class Labelled:
    images: Float[Tensor, "batch 4"]
    labels: Int64[Tensor, "batch"]


class Batch(TypedDict):
    images: Float[Tensor, "batch 4"]


class Scaled(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    @checked
    def forward(
        self, x: Float[Tensor, "batch width={self.width}"], y: Float[Tensor, "{self.width}+batch"]
    ) -> Float[Tensor, "batch"]:
        return x.sum(1)


@checked
def fixed(x: Float[Tensor, "batch 3"]) -> None: ...
@checked
def repeated(x: Float[Tensor, "seq seq"]) -> None: ...
@checked
def expression(x: Float[Tensor, "width"], y: Float[Tensor, "width//2+1"]) -> None: ...
@checked
def labelled(x: Float[Tensor, "height"], y: Float[Tensor, "out=(height-1)//2+1"]) -> None: ...
@checked
def double(x: Float[Tensor, "channels"], y: Float[Tensor, "2*channels channels**2"]) -> None: ...
@checked
def variadic(x: Float[Tensor, "*batch 2"], y: Float[Tensor, "*batch"]) -> None: ...
@checked
def broadcast(x: Float[Tensor, "batch"], y: Float[Tensor, "#batch"]) -> None: ...
@checked
def anything(x: Float[Tensor, "... 2"], y: Float[Tensor, "... 3"]) -> None: ...
@checked
def scalar(x: Float[Tensor, ""]) -> None: ...
@checked
def nothing() -> None: ...
@checked
def nested(
    xs: tuple[Float[Tensor, "batch"], tuple[Float[Tensor, "batch"], ...]],
    ys: list[Float[Tensor, "seq"]],
) -> None: ...
@checked
def records(pair: Pair, batch: Labelled) -> None: ...
@checked
def either(x: Float[Tensor, "batch 2"] | Int64[Tensor, "batch"]) -> None: ...
@checked
def optional(x: Float[Tensor, "batch"], y: Float[Tensor, "seq"] | None) -> None: ...
@checked
def none_first(x: None | Float[Tensor, "batch"]) -> None: ...  # noqa: RUF036  # the point
@checked
def defaults(x: Float[Tensor, "batch"], y: Float[Tensor, "seq"] | None = None) -> None: ...
@checked
def starred(
    *xs: Float[Tensor, "batch"], y: Float[Tensor, "seq"], **zs: Float[Tensor, "batch"]
) -> None: ...
@checked
def positional(x: Float[Tensor, "batch"], /, y: Float[Tensor, "batch"]) -> None: ...
@checked
def dtypes(
    a: Float32[Tensor, "1"],
    b: Num[Tensor, "1"],
    c: Shaped[Tensor, "1"],
    d: Int[Tensor, "1"],
    e: Int32[Tensor, "1"],
    f: Bool[Tensor, "1"],
    g: UInt8[Tensor, "1"],
    h: Complex[Tensor, "1"],
) -> None: ...
@checked
def typed(xs: Batch) -> None: ...
@checked
def choice(mode: Literal["a", "b"], is_on: bool, x: Float[Tensor, "batch"]) -> None: ...
@checked
def padded(x: Float[Tensor, "seq batch"], lengths: Int64[Tensor, "batch"]) -> None: ...
@checked
def lengths_only(lengths: Int64[Tensor, "batch"]) -> None: ...


@pytest.mark.parametrize(
    ("function", "axes"),
    [
        *((fixed, ["batch"]), (repeated, ["seq"]), (expression, ["width"])),
        *((labelled, ["height"]), (double, ["channels"]), (variadic, ["batch"])),
        *((broadcast, ["batch"]), (anything, []), (scalar, []), (nothing, [])),
        *((nested, ["batch", "seq"]), (records, ["batch", "seq"]), (either, ["batch"])),
        *((optional, ["batch", "seq"]), (none_first, ["batch"]), (defaults, ["batch"])),
        *(
            (starred, ["batch", "seq"]),
            (positional, ["batch"]),
            (dtypes, []),
            (typed, ["batch"]),
            (choice, ["batch"]),
            (Scaled(5), ["batch"]),
        ),
        *((padded, ["seq", "batch"]), (lengths_only, ["batch"])),
    ],
)
@settings(max_examples=10)
@given(numbers=st.lists(st.integers(1, 6), min_size=2, max_size=2))
def test_examples_keep_their_contract(function: Any, axes: list[str], numbers: list[int]) -> None:
    contract = signature(function)
    assert sorted(free_axes(contract)) == sorted(axes)
    args, kwargs = example_arguments(contract, dict(zip(axes, numbers, strict=False)))
    function(*args, **kwargs)


UNLIMITED = [
    name for name in list_models(published=False) if not verdicts(name)["eval"].preconditions
]


@pytest.mark.parametrize("name", UNLIMITED)
@settings(max_examples=5)
@given(numbers=st.lists(st.integers(1, 5), min_size=3, max_size=3))
def test_examples_keep_the_contract_of_every_model(name: str, numbers: list[int]) -> None:
    model = create_model(name).eval()
    contract = signature(model)
    sizes = dict(zip(free_axes(contract), numbers, strict=False))
    args, kwargs = example_arguments(contract, sizes)
    model(*args, **kwargs)
    shapes = [tuple(arg.shape) for arg in args]
    assert contract.accepts(*shapes)
    assert {size for shape in shapes for size in shape} >= set(sizes.values())


def test_the_check_tells_other_arguments() -> None:
    args, _ = example_arguments(signature(padded), {"seq": 3, "batch": 2})
    with pytest.raises(ShapeError):
        padded(args[0].T, args[1])


def test_known_examples() -> None:
    args, kwargs = example_arguments(signature(double), {"channels": 3})
    assert [tuple(arg.shape) for arg in args] == [(3,), (6, 9)]
    assert kwargs == {}
    args, kwargs = example_arguments(signature(starred), {"batch": 2, "seq": 3})
    assert [tuple(arg.shape) for arg in args] == [(2,)]
    assert torch.equal(kwargs["y"], torch.zeros(3))
    (outer, inner), items = example_arguments(signature(nested), {"batch": 2, "seq": 3})[0]
    assert [type(inner), type(items), len(inner), len(items)] == [tuple, list, 2, 2]
    assert [x.shape[0] for x in (outer, *inner, *items)] == [2, 2, 2, 3, 3]
    pair, batch = example_arguments(signature(records), {"batch": 2, "seq": 3})[0]
    assert (type(pair), type(batch)) == (Pair, Labelled)
    assert (pair.right.shape, batch.labels.dtype) == ((2, 3), torch.int64)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_floating_dtypes_are_chosen_where_the_contract_allows_them(dtype: torch.dtype) -> None:
    args, _ = example_arguments(signature(dtypes), {}, dtype=dtype)
    assert [arg.dtype for arg in args] == [
        *(torch.float32, dtype, dtype, torch.int64),
        *(torch.int32, torch.bool, torch.uint8, torch.complex64),
    ]


def test_lengths_are_full_and_stay_on_the_cpu() -> None:
    x, lengths = example_arguments(signature(padded), {"seq": 7, "batch": 2}, device="meta")[0]
    assert (x.device.type, lengths.device.type) == ("meta", "cpu")
    assert lengths.tolist() == [7, 7]
    _, lengths = example_arguments(signature(padded), {"seq": 7, "batch": 2}, is_other=True)[0]
    assert lengths.tolist() == [2, 1]
    (alone,), _ = example_arguments(signature(lengths_only), {"batch": 2})
    assert alone.tolist() == [0, 0]


def plain(n: int) -> None: ...
def mapping(xs: dict[str, Float[Tensor, "batch"]]) -> None: ...
def loose(x: Tensor) -> None: ...
def braces(x: Float[Tensor, "{size}"], size: int = 3) -> None: ...
def thirds(x: Float[Tensor, "height"], y: Float[Tensor, "height/3"]) -> None: ...
def shorter(x: Float[Tensor, "seq"], y: Float[Tensor, "seq-9"]) -> None: ...


@pytest.mark.parametrize(
    ("function", "argument", "reason"),
    [
        (plain, "n: int", "int does not say which tensors, of which shapes"),
        (mapping, "xs: dict", 'dict[str, Float[Tensor, "batch"]] does not say which'),
        (loose, "x: Tensor", "Tensor does not say which tensors"),
        (braces, "x: Float", "the size of axis '{size}' is not known"),
        (thirds, "y: Float", "axis 'height/3' evaluates to 1.3333333333333333 for {'height': 4}"),
        (shorter, "y: Float", "axis 'seq-9'"),
    ],
)
def test_what_cannot_be_made(function: Any, argument: str, reason: str) -> None:
    contract = signature(function)
    sizes = dict.fromkeys(free_axes(contract), 4)
    with pytest.raises(ContractError) as error:
        example_arguments(contract, sizes)
    message = str(error.value)
    assert f"{function.__name__}: cannot make an example of argument" in message
    assert argument in message
    assert reason in message


def test_multiples_of_three_have_thirds() -> None:
    args, _ = example_arguments(signature(thirds), {"height": 6})
    assert [tuple(arg.shape) for arg in args] == [(6,), (2,)]


def beside_time(
    y: Float[Tensor, "width"],
    x: Float[Tensor, "batch width frames"],
    lengths: Int64[Tensor, "batch"],
) -> None: ...
def beside_features(
    x: Float[Tensor, "batch channels features"], lengths: Int64[Tensor, "batch"]
) -> None: ...
def apart(x: Float[Tensor, "width"], lengths: Int64[Tensor, "batch"]) -> None: ...
def of_floats(x: Float[Tensor, "batch seq"], lengths: Float[Tensor, "batch"]) -> None: ...
def perhaps(
    x: Float[Tensor, "batch seq"], lengths: Int64[Tensor, "batch"] | None = None
) -> None: ...


@pytest.mark.parametrize(
    ("function", "axis"),
    [
        (beside_time, "frames"),
        (beside_features, "channels"),
        (apart, "seq"),
        (perhaps, "seq"),
        (of_floats, ""),
        (fixed, ""),
    ],
)
def test_what_lengths_count(function: Any, axis: str) -> None:
    assert counted_axis(signature(function)) == axis


@dataclass
class Tuned:
    x: Float[Tensor, "batch"]
    names: list[str] = field(default_factory=list)
    scale: float = 2.0


class Counted(NamedTuple):
    x: Float[Tensor, "batch"]
    number: int = 3


@dataclass
class Nameless:
    x: Float[Tensor, "batch"]
    number: int


def tuned(a: Tuned, b: Counted) -> None: ...
def nameless(a: Nameless) -> None: ...


def test_fields_with_defaults_keep_them() -> None:
    (a, b), _ = example_arguments(signature(tuned), {"batch": 2})
    assert (a.names, a.scale, b.number) == ([], 2.0, 3)
    with pytest.raises(ContractError, match="int does not say which tensors"):
        example_arguments(signature(nameless), {"batch": 2})


def plain_choices(
    mode: Literal["mean", "sum", "max"], flag: bool | None, x: Float[Tensor, "batch"]
) -> None: ...
def empty_rest(x: Float[Tensor, "seq"], y: Float[Tensor, "seq-1"]) -> None: ...


def test_of_several_plain_values_the_first_is_taken() -> None:
    args, _ = example_arguments(signature(plain_choices), {"batch": 2})
    assert args[:2] == ["mean", False]


def test_a_computed_size_may_be_zero() -> None:
    args, _ = example_arguments(signature(empty_rest), {"seq": 1})
    assert [len(arg) for arg in args] == [1, 0]


def test_keywords_are_given_by_name() -> None:
    args, kwargs = example_arguments(signature(starred), {"batch": 2, "seq": 3})
    assert (len(args), list(kwargs)) == (1, ["y"])
