import re
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from shapezoo import ShapeError
from shapezoo.layers import HaarTransform, haar_transform, inverse_haar_transform

Transform = Callable[[Tensor, int], Tensor]

LEVELS = st.integers(0, 3)
BLOCKS = st.integers(1, 4)


def random_images(levels: int, rows: int, columns: int) -> Tensor:
    return torch.randn(2, 3, rows * 2**levels, columns * 2**levels, dtype=torch.float64)


def level_matrix(size: int) -> Tensor:
    """Haar's matrix for one axis and one level: sums of neighbours, then their differences."""
    pairs = torch.eye(size // 2, dtype=torch.float64)
    sums, differences = (torch.kron(pairs, torch.tensor([[1, sign]])) for sign in (1.0, -1.0))
    return torch.cat([sums, differences]) / 2**0.5


@given(levels=LEVELS, rows=BLOCKS, columns=BLOCKS)
def test_coefficients_are_those_of_the_matrices(levels: int, rows: int, columns: int) -> None:
    images = random_images(levels, rows, columns)
    expected = images.clone()
    for level in range(levels):
        height, width = images.shape[-2] >> level, images.shape[-1] >> level
        corner = expected[..., :height, :width]
        expected[..., :height, :width] = level_matrix(height) @ corner @ level_matrix(width).T
    torch.testing.assert_close(haar_transform(images, levels), expected, rtol=1e-12, atol=1e-12)


@given(levels=LEVELS, rows=BLOCKS, columns=BLOCKS)
def test_either_undoes_the_other(levels: int, rows: int, columns: int) -> None:
    images = random_images(levels, rows, columns)
    back = inverse_haar_transform(haar_transform(images, levels), levels)
    forth = haar_transform(inverse_haar_transform(images, levels), levels)
    torch.testing.assert_close(back, images, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(forth, images, rtol=1e-12, atol=1e-12)


@given(levels=LEVELS, rows=BLOCKS, columns=BLOCKS)
def test_energy_is_preserved(levels: int, rows: int, columns: int) -> None:
    images = random_images(levels, rows, columns)
    energy = haar_transform(images, levels).square().sum((-2, -1))
    torch.testing.assert_close(energy, images.square().sum((-2, -1)))


@given(levels=LEVELS, rows=BLOCKS, columns=BLOCKS, factor=st.floats(-10, 10))
def test_it_is_linear(levels: int, rows: int, columns: int, factor: float) -> None:
    one, other = random_images(levels, rows, columns), random_images(levels, rows, columns)
    together = haar_transform(one + factor * other, levels)
    apart = haar_transform(one, levels) + factor * haar_transform(other, levels)
    torch.testing.assert_close(together, apart, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("block", "coefficients"),
    [
        ([[4.0, 2.0], [3.0, 1.0]], [[5.0, 2.0], [1.0, 0.0]]),
        ([[1.0, 0.0], [1.0, 0.0]], [[1.0, 1.0], [0.0, 0.0]]),
        ([[1.0, 1.0], [0.0, 0.0]], [[1.0, 0.0], [1.0, 0.0]]),
        ([[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]]),
    ],
    ids=["ramp", "left", "top", "diagonal"],
)
def test_a_block_of_four(block: list[list[float]], coefficients: list[list[float]]) -> None:
    images, expected = torch.tensor(block)[None, None], torch.tensor(coefficients)[None, None]
    assert torch.equal(haar_transform(images), expected)
    assert torch.equal(inverse_haar_transform(expected), images)


def test_a_constant_image_is_all_approximation() -> None:
    coefficients = haar_transform(torch.ones(1, 1, 8, 12), levels=2)
    assert torch.equal(coefficients[..., :2, :3], torch.full((1, 1, 2, 3), 4.0))
    assert coefficients.count_nonzero() == 6


@pytest.mark.parametrize("transform", [haar_transform, inverse_haar_transform])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_dtype_and_device_are_kept(transform: Transform, dtype: torch.dtype, device: str) -> None:
    result = transform(torch.zeros(1, 1, 4, 4, dtype=dtype, device=device), 2)
    assert (result.dtype, result.device.type) == (dtype, device)


@pytest.mark.parametrize("transform", [haar_transform, inverse_haar_transform])
@pytest.mark.parametrize(
    ("height", "width", "levels", "message"),
    [
        (28, 28, 3, "height must be divisible by 2**3 = 8, got 28"),
        (28, 30, 2, "width must be divisible by 2**2 = 4, got 30"),
        (3, 4, 1, "height must be divisible by 2**1 = 2, got 3"),
        (4, 4, -1, "levels must be from 0 to 62, got -1"),
        (4, 4, 20000, "levels must be from 0 to 62, got 20000"),
    ],
)
def test_sizes_that_cannot_be_halved_are_named(
    transform: Transform, height: int, width: int, levels: int, message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        transform(torch.zeros(1, 1, height, width), levels)


@given(levels=LEVELS, rows=BLOCKS, columns=BLOCKS)
def test_the_module_is_the_function(levels: int, rows: int, columns: int) -> None:
    images = random_images(levels, rows, columns)
    assert torch.equal(HaarTransform(levels=levels)(images), haar_transform(images, levels))


def test_gradients_are_right() -> None:
    images = torch.randn(1, 2, 4, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: haar_transform(x, 2), images)
    assert torch.autograd.gradcheck(lambda x: inverse_haar_transform(x, 2), images)


def test_a_single_image_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"use images\.unsqueeze\(0\)"):
        haar_transform(torch.zeros(1, 28, 28))


def test_no_sum_overflows_where_the_result_does_not() -> None:
    images = torch.full((1, 1, 2, 2), 30000.0).half()
    assert haar_transform(images).flatten().tolist() == [60000, 0, 0, 0]
