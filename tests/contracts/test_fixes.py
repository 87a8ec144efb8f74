from typing import Any

import pytest
import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from shapezoo import ShapeError, checked, signature
from shapezoo.contracts.fixes import suggest
from shapezoo.models import gru


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
def masked(x: Float[Tensor, "batch"], mask: Bool[Tensor, "batch"]) -> None: ...


MENDED: dict[str, tuple[Any, ...]] = {
    "x.unsqueeze(0)": (colour, torch.zeros(3, 8, 9)),
    "x.unsqueeze(1)": (grey, torch.zeros(2, 28, 28)),
    "x.unsqueeze(0).unsqueeze(1)": (grey, torch.zeros(28, 28)),
    "x.permute(0, 3, 1, 2)": (colour, torch.zeros(2, 8, 9, 3)),
    "x.permute(2, 0, 1).unsqueeze(0)": (colour, torch.zeros(8, 9, 3)),
    "x.permute(0, 3, 1, 2).float().div(255)": (colour, torch.zeros(2, 8, 9, 3).byte()),
    "x.transpose(0, 1)": (sequences, torch.zeros(2, 7, 4), torch.zeros(1, 2, 2)),
    "x.transpose(-1, -2)": (tokens, torch.zeros(2, 5, 7)),
    "x.squeeze(-1)": (matrix, torch.zeros(2, 5, 1)),
    "x.float()": (matrix, torch.zeros(2, 5).int()),
    "y.argmax(-1)": (classes, torch.zeros(2, 5), torch.zeros(2, 5)),
    "y.long()": (classes, torch.zeros(2, 5), torch.zeros(2)),
    "y.squeeze(-1).long()": (classes, torch.zeros(2, 5), torch.zeros(2, 1)),
    "x.double()": (precise, torch.zeros(2)),
    "mask.bool()": (masked, torch.zeros(2), torch.zeros(2).int()),
}


@pytest.mark.parametrize("fix", MENDED)
def test_the_proposed_fix_mends_the_call(fix: str) -> None:
    function, *arguments = MENDED[fix]
    with pytest.raises(ShapeError) as error:
        function(*arguments)
    assert str(error.value).splitlines()[-1].endswith(f"; use {fix}")
    name = fix[: len(fix) - len(fix.lstrip("xymask"))]
    names = list(function.__annotations__)
    position = names.index(name)
    arguments[position] = eval(fix, {name: arguments[position]})
    function(*arguments)


def test_no_fix_is_proposed_where_none_helps() -> None:
    with pytest.raises(ShapeError) as error:
        colour(torch.zeros(2, 4, 8, 9))
    assert "hint" not in str(error.value)


def test_the_culprit_may_be_an_earlier_argument() -> None:
    with pytest.raises(ShapeError) as error:
        sequences(torch.zeros(2, 7, 4), torch.zeros(1, 2, 2))
    assert error.value.argument == "state"
    hint = "argument 'x': its first two axes are swapped; use x.transpose(0, 1)"
    assert str(error.value).endswith(hint)


def test_a_fix_is_tried_without_copying_data() -> None:
    seen = []

    def accepts(arguments: dict[str, Any]) -> bool:
        seen.append(arguments["x"].device.type)
        return False

    assert suggest(signature(matrix).inputs, {"x": torch.zeros(2, 3)}, "x", accepts) is None
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
