"""Wrong inputs that users pass, and the whole error message for each."""

import pickle
from array import array
from dataclasses import dataclass, make_dataclass
from typing import Any

import numpy as np
import pytest
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from shapezoo import Module, ShapeError, checked
from shapezoo.models import lenet

TITLE = "shapezoo.models.LeNet.forward: argument 'images' breaks its contract"
EXPECTED = '  expected  Float[Tensor, "batch channels=1 28 28"]'

MISTAKES: list[tuple[object, int | None, list[str]]] = [
    (
        torch.zeros(8, 28, 28),
        None,
        [
            "  got       Tensor float32 (8, 28, 28)",
            "  axes      expected 4 (batch, channels=1, 28, 28), got 3",
            "  hint      axis 1 (channels=1) is missing; use images.unsqueeze(1)",
        ],
    ),
    (
        torch.zeros(8, 28, 28, 1),
        1,
        [
            "  got       Tensor float32 (8, 28, 28, 1)",
            "  axis 1    expected channels = 1, got 28",
            "  axis 3    expected 28, got 1",
            "  bound     batch=8",
            "  hint      its channels are last (NHWC); use images.permute(0, 3, 1, 2)",
        ],
    ),
    (
        torch.zeros(8, 1, 27, 28),
        2,
        [
            "  got       Tensor float32 (8, 1, 27, 28)",
            "  axis 2    expected 28, got 27",
            "  bound     batch=8",
        ],
    ),
    (
        torch.zeros(8, 1, 28, 28, dtype=torch.uint8),
        None,
        [
            "  got       Tensor uint8 (8, 1, 28, 28)",
            "  dtype     expected Float, got uint8",
            "  hint      it holds 8-bit pixels; use images.float().div(255)",
        ],
    ),
    (
        np.zeros((8, 1, 28, 28), dtype=np.float32),
        None,
        [
            "  got       numpy.ndarray float32 (8, 1, 28, 28)",
            "  type      expected Tensor, got numpy.ndarray",
            "  hint      it is an array; use torch.from_numpy(images)",
        ],
    ),
    (
        [[0.0]],
        None,
        [
            "  got       list of 1: list of 1: float 0.0",
            "  type      expected Tensor, got list",
        ],
    ),
    (
        None,
        None,
        ["  got       None", "  type      expected Tensor, got NoneType"],
    ),
]


@pytest.mark.parametrize(("images", "axis", "lines"), MISTAKES)
def test_the_whole_message(images: Tensor, axis: int | None, lines: list[str]) -> None:
    with pytest.raises(ShapeError) as error:
        lenet()(images)
    assert str(error.value).splitlines() == [TITLE, EXPECTED, *lines]
    assert error.value.argument == "images"
    assert error.value.axis == axis


def test_what_is_bound_is_told_with_the_place_inside_a_result() -> None:
    class Narrow(Module):
        def forward(
            self, inputs: Float[Tensor, "seq batch features"]
        ) -> tuple[Float[Tensor, "seq batch"], Float[Tensor, "seq batch"]]:
            return inputs.sum(2), inputs.sum(1)

    with pytest.raises(ShapeError) as error:
        Narrow()(torch.zeros(5, 3, 4))
    assert str(error.value).splitlines()[-2:] == [
        "  axis 1    expected batch = 3, got 4",
        "  bound     seq=5, batch=3, features=4",
    ]
    assert "Narrow.forward: result[1] breaks its contract" in str(error.value)


def test_only_axes_before_the_first_that_differs_are_told() -> None:
    @checked
    def square(x: Float[Tensor, "n n width"]) -> None: ...

    with pytest.raises(ShapeError) as error:
        square(torch.zeros(3, 4, 5))
    assert str(error.value).splitlines()[3:] == [
        "  axis 1    expected n = 3, got 4",
        "  bound     n=3",
    ]


def test_variadic_axes_and_expressions_are_told_with_their_values() -> None:
    @checked
    def pool(
        x: Float[Tensor, "*batch height"], y: Float[Tensor, "*batch height//2"]
    ) -> Float[Tensor, "*batch height//2"]:
        return y

    with pytest.raises(ShapeError) as error:
        pool(torch.zeros(2, 3, 8), torch.zeros(2, 4, 5))
    assert str(error.value).splitlines()[3:] == [
        "  axis 0    expected *batch = (2, 3), got (2, 4)",
        "  axis 2    expected height//2 = 4, got 5",
        "  bound     height=8, *batch=(2, 3)",
    ]
    with pytest.raises(
        ShapeError, match=r"axes      expected 1 or more \(\*batch, height\), got 0"
    ):
        pool(torch.zeros(()), torch.zeros(()))

    @checked
    def images(x: Float[Tensor, "*batch channels height width"]) -> None: ...

    with pytest.raises(ShapeError, match=r"axes      expected 3 or more \(\*batch, .*\), got 2"):
        images(torch.zeros(2, 3))


@dataclass
class Point:
    x: int
    y: int


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x" * 58, f"str '{'x' * 58}'"),  # 60 characters with its quotes
        ("x" * 59, f"str '{'x' * 56}..."),
        ("a\u2003 b", "str 'a\\u2003 b'"),
        (np.zeros((2, 2)), "numpy.ndarray float64 (2, 2)"),
        ([1] * 8, f"list of 8: {', '.join(['int 1'] * 8)}"),
        ([1] * 9, "list of 9"),
        (((((1,),),),), "tuple of 1: tuple of 1: tuple of 1"),
        ({"a": [torch.zeros(2)]}, "dict of 1: 'a': list of 1: Tensor float32 (2,)"),
        ({"a": {"b": {"c": 1}}}, "dict of 1: 'a': dict of 1: 'b': dict of 1"),
        (dict.fromkeys(range(9)), "dict of 9"),
        (Point(1, 2), f"{__name__}.Point with x, y"),
        (
            make_dataclass("Wide", [f"f{i}" for i in range(9)])(*range(9)),
            "types.Wide with f0, f1, f2, f3, f4, f5, f6, f7",
        ),
        (array("i"), "array.array array('i')"),
        (nn.ReLU(), "torch.nn.modules.activation.ReLU"),
        (torch.Size([2]), "torch.Size of 1: int 2"),
    ],
)
def test_a_value_is_told_in_a_few_words(value: Any, text: str) -> None:
    @checked
    def read(path: bytes) -> None: ...

    with pytest.raises(ShapeError) as error:
        read(value)
    assert str(error.value).splitlines()[1:] == ["  expected  bytes", f"  got       {text}"]


def test_a_text_of_several_lines_is_put_on_one() -> None:
    class Board:
        def __repr__(self) -> str:
            return "x o\n  o x"

    @checked
    def play(board: int) -> None: ...

    with pytest.raises(ShapeError, match=r"got       .*\.Board x o o x$"):
        play(Board())  # type: ignore[arg-type]  # the fault under test


def test_an_error_survives_pickling() -> None:
    with pytest.raises(ShapeError) as error:
        lenet()(torch.zeros(8, 1, 27, 28))
    copy = pickle.loads(pickle.dumps(error.value))
    assert (str(copy), copy.argument, copy.axis) == (str(error.value), "images", 2)


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    @checked
    def forward(self, x: Float[Tensor, "batch {self.width}"]) -> Float[Tensor, "batch _"]:
        return x


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Identity(), Block(4), Block(5))

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.body(x)
        return result


@pytest.mark.parametrize("compiled", [False, True])
def test_the_place_of_the_module_is_told(compiled: bool) -> None:
    model: nn.Module = Net()
    if compiled:
        torch.compiler.reset()
        model.compile(backend="eager", fullgraph=True)
    with pytest.raises(ShapeError) as error:
        model(torch.zeros(2, 4))
    place = "body.2" if compiled else "body.2 of Net"
    assert f"  module    {place}\n" in str(error.value)


def test_the_place_of_a_module_with_a_wrong_result_is_told() -> None:
    class Narrow(Block):
        @checked
        def forward(self, x: Float[Tensor, "batch {self.width}"]) -> Float[Tensor, "batch 3"]:
            return x

    model = Net()
    model.body[2] = Narrow(4)
    with pytest.raises(ShapeError, match=r"the result breaks") as error:
        model(torch.zeros(2, 4))
    assert "  module    body.2 of Net" in str(error.value)


def test_a_module_that_is_called_itself_has_no_place() -> None:
    for block in (Block(5), torch.compile(Block(5), backend="eager")):
        with pytest.raises(ShapeError) as error:
            block(torch.zeros(2, 4))
        assert "  module" not in str(error.value)


def test_a_compiled_error_shows_the_users_code_and_not_ours() -> None:
    torch.compiler.reset()
    with pytest.raises(ShapeError) as error:
        torch.compile(Net(), backend="eager")(torch.zeros(2, 4))
    assert "self.body(x)" in str(error.value)
    assert "shapezoo/contracts" not in str(error.value)
    copy = pickle.loads(pickle.dumps(error.value))
    assert (str(copy), copy.axis) == (str(error.value), 1)


def test_each_tensor_of_a_union_is_told() -> None:
    @checked
    def either(x: Float[Tensor, "batch 2"] | Int64[Tensor, "batch"] | str) -> None: ...

    with pytest.raises(ShapeError) as error:
        either(torch.zeros(3, 3))
    assert str(error.value).splitlines()[3:] == [
        '  option    Float[Tensor, "batch 2"]: axis 1 expected 2, got 3',
        (
            '  option    Int64[Tensor, "batch"]: dtype expected Int64, got float32; '
            "axes expected 1 (batch), got 2"
        ),
    ]


def test_nothing_fills_the_screen() -> None:
    axes = " ".join(f"axis{i}={i}" for i in range(1, 10))
    annotation: Any = Float[Tensor, axes]

    def wide(x: Any, model: int) -> None: ...

    wide.__annotations__["x"] = annotation
    with pytest.raises(ShapeError) as error:
        checked(wide)(torch.zeros([2] * 9), 1)
    lines = str(error.value).splitlines()
    assert [line.split()[1] for line in lines if line.startswith("  axis")] == ["0", "2", "3", "4"]
    assert len(lines) <= 12
    model: Any = nn.Sequential(*[nn.ReLU()] * 50)
    with pytest.raises(ShapeError, match=r"got       torch\.nn\.modules\.container\.Sequential$"):
        checked(wide)(torch.zeros(*range(1, 10)), model)


def test_of_many_options_four_are_told() -> None:
    @checked
    def some(
        x: Float[Tensor, "1"]
        | Float[Tensor, "2"]
        | Float[Tensor, "3"]
        | Float[Tensor, "4"]
        | Float[Tensor, "5"],
    ) -> None: ...

    with pytest.raises(ShapeError) as error:
        some(torch.zeros(9))
    assert [line for line in str(error.value).splitlines() if line.startswith("  option")] == [
        f'  option    Float[Tensor, "{i}"]: axis 0 expected {i}, got 9' for i in range(1, 5)
    ]


def test_a_function_that_cannot_be_imported_is_named_by_its_module() -> None:
    def nowhere(x: int) -> None: ...

    nowhere.__qualname__ = "gone.nowhere"  # as of a class that was deleted
    with pytest.raises(ShapeError, match=f"^{__name__}.gone.nowhere: argument 'x'"):
        checked(nowhere)("1")  # type: ignore[arg-type]  # the fault under test


def test_a_missing_return_is_guessed() -> None:
    @checked
    def double(x: Float[Tensor, "batch"]) -> Float[Tensor, "batch"]:  # type: ignore[return]  # the fault under test
        _ = 2 * x

    with pytest.raises(
        ShapeError, match="the function returned None; is a return statement missing"
    ):
        double(torch.zeros(2))


def test_a_tuple_of_another_length_is_told() -> None:
    @checked
    def two(x: tuple[Float[Tensor, "batch"], Float[Tensor, "batch"]]) -> None: ...

    with pytest.raises(ShapeError, match="items     expected 2, got 3"):
        two((torch.zeros(2),) * 3)  # type: ignore[arg-type]  # the fault under test
    with pytest.raises(ShapeError) as error:
        two([torch.zeros(2)] * 3)  # type: ignore[arg-type]  # the fault under test
    assert "items" not in str(error.value)


def test_a_scalar_is_called_so() -> None:
    @checked
    def scalar(x: Float[Tensor, ""]) -> None: ...

    with pytest.raises(ShapeError, match=r"axes      expected 0 \(a scalar\), got 1"):
        scalar(torch.zeros(2))
