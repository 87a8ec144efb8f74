"""The wrong inputs that people bring, and the whole text that they get."""

import pickle

import numpy as np
import pytest
import torch
from jaxtyping import Float
from torch import Tensor

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
            "  hint      its channels stand last; use images.permute(0, 3, 1, 2)",
        ],
    ),
    (
        torch.zeros(8, 1, 27, 28),
        2,
        ["  got       Tensor float32 (8, 1, 27, 28)", "  axis 2    expected 28, got 27"],
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
            "  type      expected Tensor, got numpy.ndarray; use torch.from_numpy",
        ],
    ),
    (
        [[0.0]],
        None,
        [
            "  got       list of 1: list of 1: float 0.0",
            "  type      expected Tensor, got list; use torch.tensor",
        ],
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
    assert "Narrow.forward: the result[1] breaks its contract" in str(error.value)


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


def test_a_long_value_is_cut() -> None:
    @checked
    def count(n: int) -> int:
        return n

    with pytest.raises(ShapeError) as error:
        count("x" * 1000)  # type: ignore[arg-type]  # the fault under test
    assert str(error.value).splitlines()[1:] == [
        "  expected  int",
        f"  got       str '{'x' * 56}...",
    ]


def test_an_error_survives_pickling() -> None:
    with pytest.raises(ShapeError) as error:
        lenet()(torch.zeros(8, 1, 27, 28))
    copy = pickle.loads(pickle.dumps(error.value))
    assert (str(copy), copy.argument, copy.axis) == (str(error.value), "images", 2)
