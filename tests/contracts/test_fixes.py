from typing import Any

import numpy as np
import pytest
import torch
from jaxtyping import Bool, Float, Float32, Float64, Int64
from torch import Tensor

from shapezoo import Module, ShapeError, checked, signature
from shapezoo.contracts.fixes import suggest
from shapezoo.contracts.matching import MismatchError
from shapezoo.models import gru, lenet


@checked
def grey(x: Float[Tensor, "batch 1 28 28"]) -> None: ...
@checked
def colour(x: Float[Tensor, "batch 3 height width"]) -> None: ...
@checked
def sequences(x: Float[Tensor, "seq batch 4"], state: Float[Tensor, "1 batch 2"]) -> None: ...
@checked
def matrix(x: Float[Tensor, "batch 5"]) -> None: ...
@checked
def tokens(x: Float[Tensor, "batch seq 5"]) -> None: ...
@checked
def classes(x: Float[Tensor, "batch 5"], y: Int64[Tensor, "batch"]) -> None: ...
@checked
def precise(x: Float64[Tensor, "batch"]) -> None: ...
@checked
def precise32(x: Float32[Tensor, "batch"]) -> None: ...
@checked
def images(x: Float[Tensor, "batch channels height width"]) -> None: ...
@checked
def masked(x: Float[Tensor, "batch"], mask: Bool[Tensor, "batch"]) -> None: ...
@checked
def attend(x: Float[Tensor, "batch seq"], mask: Bool[Tensor, "batch 1 1 seq"]) -> None: ...
@checked
def either(x: Float[Tensor, "batch 3"] | Int64[Tensor, "batch"]) -> None: ...
@checked
def scalar(x: Float[Tensor, ""]) -> None: ...
@checked
def layered(x: Float[Tensor, "1 batch 5"]) -> None: ...
@checked
def deep(x: Float[Tensor, "batch 1 1 1 5"]) -> None: ...
@checked
def counted(n: int, x: Float[Tensor, "seq batch 4"], y: Float[Tensor, "batch 2"]) -> None: ...


z = torch.zeros
MENDED: list[tuple[str, Any, *tuple[Any, ...]]] = [
    ("x.unsqueeze(0)", colour, z(3, 8, 9)),
    ("x.unsqueeze(1)", grey, z(2, 28, 28)),
    ("x.unsqueeze(0).unsqueeze(1)", grey, z(28, 28)),
    ("mask.unsqueeze(1).unsqueeze(2)", attend, z(2, 5), z(2, 5).bool()),
    ("mask.transpose(-1, -2)", attend, z(2, 5), z(2, 1, 5, 1).bool()),
    ("x.unflatten(1, (1, 28, 28))", grey, z(2, 784)),
    ("x.permute(0, 3, 1, 2)", colour, z(2, 8, 9, 3)),
    ("x.permute(2, 0, 1).unsqueeze(0)", colour, z(8, 9, 3)),
    ("x.permute(0, 3, 1, 2).float().div(255)", colour, z(2, 8, 9, 3).byte()),
    ("x.transpose(0, 1)", sequences, z(2, 7, 4), z(1, 2, 2)),
    ("x.transpose(-1, -2)", tokens, z(2, 5, 7)),
    ("x.squeeze(-1)", matrix, z(2, 5, 1)),
    ("x.float()", matrix, z(2, 5).int()),
    ("y.argmax(-1)", classes, z(2, 5), z(2, 5)),
    ("y.argmax(-1)", classes, z(2, 5), z(2, 5).long()),
    ("y.squeeze(-1)", classes, z(2, 5), z(2, 1).long()),
    ("y.long()", classes, z(2, 5), z(2).int()),
    ("x.double()", precise, z(2)),
    ("mask.bool()", masked, z(2), z(2).int()),
    ("torch.from_numpy(x)", matrix, np.zeros((2, 5), np.float32)),
    ("torch.from_numpy(x).float()", matrix, np.zeros((2, 5))),
    ("torch.from_numpy(x)", precise, np.zeros(2)),
    ("x.permute(2, 0, 1).unsqueeze(0)", images, z(28, 28, 3)),
    ("x.float()", precise32, z(2).byte()),
    ("torch.from_numpy(x).unsqueeze(0)", matrix, np.zeros(5, np.float32)),
    ("torch.tensor(x)", matrix, [[0.0] * 5]),
    ("torch.stack(x)", matrix, [z(5), z(5)]),
    ("torch.stack(x)", matrix, [z(5)]),
    ("x[0]", matrix, (z(2, 5), z(1, 2, 5))),
    ("x[3]", matrix, (0, 0, 0, z(2, 5))),
    ("x.permute(2, 0, 1).unsqueeze(0)", images, z(8, 9, 1)),
    ("x.permute(2, 0, 1).unsqueeze(0)", images, z(8, 9, 4)),
    ("x.unsqueeze(0)", images, z(8, 9, 2)),
    ("x.unsqueeze(0)", images, z(3, 9, 3)),
    ("x.unsqueeze(1)", layered, z(1, 5)),  # the batch, and not the axis of size 1
    ("mask.unsqueeze(0).unsqueeze(1).unsqueeze(2)", attend, z(1, 5), z(5).bool()),
    ("x.transpose(0, 1)", matrix, z(5, 2)),
    ("x.squeeze(-1)", scalar, z(1)),
    ("x.squeeze(-1)", colour, z(2, 3, 8, 9, 1)),
    ("x.float()", matrix, z(2, 5).byte()),
    ("x.float().div(255)", tokens, z(2, 7, 5).byte()),
    ("torch.from_numpy(x).float()", matrix, np.zeros((2, 5), np.int64)),
    ("torch.tensor(x)", scalar, 0.5),
    ("torch.tensor(x).float()", scalar, 1),
]


@pytest.mark.parametrize(("fix", "function", "arguments"), [(f, g, a) for f, g, *a in MENDED])
def test_the_proposed_fix_mends_the_call(fix: str, function: Any, arguments: list[Any]) -> None:
    with pytest.raises(ShapeError) as error:
        function(*arguments)
    hint = str(error.value).splitlines()[-1].removesuffix(" for one example")
    assert hint.endswith(f"; use {fix}")
    names = [name for name in function.__annotations__ if name != "return"]
    values = dict(zip(names, arguments, strict=True))
    (name,) = [name for name in names if name in fix.replace("unflatten", "").replace("max", "")]
    values[name] = eval(fix, {"torch": torch}, values)
    function(**values)


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (colour, [z(2, 4, 8, 9)]),
        (masked, [z(2), z(2)]),  # an additive mask would be turned upside down
        (either, [z(8)]),  # what is meant cannot be told
        (matrix, [[z(5), z(4)]]),
        (matrix, [[[0.0], [0.0, 1.0]]]),
        (matrix, [np.array(["a"])]),
        (matrix, [None]),
        (classes, [z(4, 5), torch.rand(4)]),  # whole numbers would all be 0
        (classes, [z(4, 5), z(4, 7)]),
        (matrix, [np.zeros((2, 5), ">f4")]),
        (matrix, [(0, 0, 0, 0, z(2, 5))]),  # an index that nobody would mean
        (matrix, [z(2, 5, dtype=torch.complex64)]),
        (deep, [z(5)]),  # four axes are no slip
    ],
)
def test_no_fix_is_proposed_where_none_helps(function: Any, arguments: list[Any]) -> None:
    with pytest.raises(ShapeError) as error:
        function(*arguments)
    assert "hint" not in str(error.value)


def test_the_culprit_may_be_an_earlier_argument() -> None:
    with pytest.raises(ShapeError) as error:
        sequences(torch.zeros(2, 7, 4), torch.zeros(1, 2, 2))
    assert error.value.argument == "state"
    hint = "perhaps it is argument 'x': its first two axes are swapped; use x.transpose(0, 1)"
    assert str(error.value).endswith(hint)


def test_arguments_that_are_no_tensors_are_passed_over() -> None:
    with pytest.raises(ShapeError, match=r"perhaps it is argument 'x'.*; use x\.transpose\(0, 1\)"):
        counted(1, z(2, 7, 4), z(2, 2))


@pytest.mark.parametrize(
    ("function", "arguments", "hint"),
    [
        (grey, [z(2, 28, 28)], "axis 1 (of size 1) is missing; use x.unsqueeze(1)"),
        (
            grey,
            [z(28, 28)],
            (
                "axis 0 (batch) and axis 1 (of size 1) are missing; "
                "use x.unsqueeze(0).unsqueeze(1) for one example"
            ),
        ),
        (
            matrix,
            [np.zeros(5, np.int64)],
            (
                "it is an array and axis 0 (batch) is missing and it is int64; "
                "use torch.from_numpy(x).unsqueeze(0).float() for one example"
            ),
        ),
    ],
)
def test_the_words_of_a_hint(function: Any, arguments: list[Any], hint: str) -> None:
    with pytest.raises(ShapeError) as error:
        function(*arguments)
    assert str(error.value).splitlines()[-1] == f"  hint      {hint}"


def test_a_fix_is_tried_without_copying_data() -> None:
    seen = []

    def accepts(arguments: dict[str, Any], braces: dict[str, object]) -> bool:
        seen.append(arguments["x"].device.type)
        return False

    inputs, x = signature(matrix).inputs, torch.zeros(2, 3)
    assert suggest(inputs, {"x": x}, MismatchError("x", inputs[0].type, x), accepts) is None
    assert set(seen) == {"meta"}


def test_the_batch_is_put_where_the_contract_has_it() -> None:
    with pytest.raises(
        ShapeError, match=r"axis 1 \(batch\) is missing; use inputs\.unsqueeze\(1\)"
    ):
        gru()(torch.zeros(7, 4))


@pytest.mark.parametrize("dtype", [torch.bool, torch.complex64])
def test_scores_and_whole_numbers_are_not_guessed(dtype: torch.dtype) -> None:
    with pytest.raises(ShapeError) as error:
        classes(torch.zeros(2, 5), torch.zeros(2, 5, dtype=dtype))
    assert "hint" not in str(error.value)


def test_a_tensor_without_a_plain_shape_gets_no_hint_and_no_crash() -> None:
    jagged = torch.nested.nested_tensor([torch.zeros(2, 4), torch.zeros(3, 4)], layout=torch.jagged)
    with pytest.raises(ShapeError, match="expected 5, got 4"):
        tokens(jagged)


def test_arguments_in_each_others_place_are_told() -> None:
    with pytest.raises(ShapeError, match=r"hint      arguments 'x' and 'y' are swapped"):
        classes(z(2).long(), z(2, 5))


class Linear(Module):
    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features

    def forward(
        self,
        x: Float[Tensor, "batch features={self.in_features}"],
        state: Float[Tensor, "batch {self.out_features}"] | None = None,
    ) -> None: ...


def test_another_module_is_proposed_where_it_would_take_the_input() -> None:
    with pytest.raises(ShapeError, match=r"hint      build Linear with in_features=4$"):
        Linear(3, 2)(z(5, 4))
    Linear(4, 2)(z(5, 4))
    with pytest.raises(ShapeError) as error:
        Linear(3, 2)(z(5, 3), z(5, 9))  # the state is wrong, not the module
    assert "build" not in str(error.value)


def test_a_proposal_is_made_for_the_sizes_of_the_example_where_a_graph_is_traced() -> None:
    def graph(x: Tensor) -> Tensor:
        colour(x)
        return x + 1

    torch.compiler.reset()
    with pytest.raises(ShapeError, match=r"use x\.permute\(0, 3, 1, 2\)") as error:
        torch.compile(graph, backend="eager", dynamic=True)(z(2, 8, 9, 3))
    assert "got       Tensor float32 (2, 8, 9, 3)" in str(error.value)


def test_a_proposal_is_made_where_a_graph_is_traced_for_a_module_with_sizes_of_its_own() -> None:
    model = lenet(in_channels=3)

    def graph(x: Tensor) -> Tensor:
        return model(x) + 1

    torch.compiler.reset()
    with pytest.raises(ShapeError, match=r"use images\.permute\(0, 3, 1, 2\)"):
        torch.compile(graph, backend="eager", dynamic=True)(z(2, 28, 28, 3))


def test_a_size_that_is_computed_is_no_argument_to_change() -> None:
    class Doubled(Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self._width = 2 * width
            self.step = width

        @property
        def width(self) -> int:
            return self._width

        def forward(self, x: Float[Tensor, "batch {self.width}"]) -> None: ...

    class Stepping(Doubled):
        def forward(self, x: Float[Tensor, "batch {self.step}"]) -> None: ...

    for module in (Doubled(3), Stepping(3)):
        with pytest.raises(ShapeError) as error:
            module(z(2, 10))
        assert "hint" not in str(error.value)


def test_many_missing_axes_are_no_slip() -> None:
    def wide(x: Any) -> None: ...

    wide.__annotations__["x"] = Float[Tensor, " ".join(["1"] * 30)]
    with pytest.raises(ShapeError) as error:
        checked(wide)(z(*[1] * 15))
    assert "hint" not in str(error.value)
