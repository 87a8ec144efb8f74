"""What a file may hold for a model, and that a model stays whole where it does not fit."""

import re
from pathlib import Path

import pytest
import safetensors.torch
import torch
from tests.weights.nets import assert_equal, saved
from torch import Tensor, nn

from shapezoo import weights
from shapezoo.weights import WeightsError


class Holder(nn.Module):
    """A layer, and a buffer after it."""

    def __init__(self, buffer: Tensor) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 2)
        self.register_buffer("buffer", buffer)


class Tied(nn.Module):
    """An embedding, and a head that may share its weight."""

    def __init__(self, *, is_tied: bool = True) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 3)
        self.head = nn.Linear(3, 5, bias=False)
        if is_tied:
            self.head.weight = self.embedding.weight


def test_nothing_is_taken_if_one_tensor_cannot_be_written_to(tmp_path: Path) -> None:
    weights.save(Holder(torch.zeros(1).expand(3)), tmp_path / "w")
    model = Holder(torch.zeros(1).expand(3))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(WeightsError, match=r"buffer: an expanded tensor in the model.*\.clone\(\)"):
        weights.load(model, tmp_path / "w")
    assert_equal(model.state_dict(), before)
    model = Holder(torch.zeros(3))
    weights.load(model, tmp_path / "w")


def test_two_values_for_one_shared_parameter_are_refused(tmp_path: Path) -> None:
    model = Tied()
    before = model.head.weight.clone()
    untied = Tied(is_tied=False).state_dict()
    with pytest.raises(WeightsError, match=r"head\.weight: the same tensor as embedding\.weight"):
        weights.load(model, saved(untied, tmp_path))
    assert torch.equal(model.head.weight, before)
    same = {"embedding.weight": untied["head.weight"].clone(), "head.weight": untied["head.weight"]}
    weights.load(model, saved(same, tmp_path))
    assert torch.equal(model.embedding.weight, untied["head.weight"])


@pytest.mark.parametrize("name", ["embedding.weight", "head.weight"])
def test_one_name_of_a_shared_parameter_is_enough(name: str, tmp_path: Path) -> None:
    """As `safetensors.torch.save_model` writes it."""
    other = Tied()
    weights.load(Tied(), saved({name: other.head.weight.detach()}, tmp_path))
    safetensors.torch.save_model(other, str(tmp_path / "tied"))
    model = Tied()
    weights.load(model, tmp_path / "tied")
    assert torch.equal(model.head.weight, other.head.weight)
    assert model.head.weight is model.embedding.weight
    with pytest.raises(WeightsError, match="in the model, not in the file"):
        weights.load(Tied(is_tied=False), tmp_path / "tied")


@pytest.mark.parametrize("prefixes", [("", ""), ("", "module."), ("module.", "")])
def test_two_sets_of_shared_weights_are_never_guessed(
    prefixes: tuple[str, str], tmp_path: Path
) -> None:
    entries = {
        entry: {f"{prefix}embedding.weight": torch.full((5, 3), value)}
        for entry, prefix, value in zip(("model", "ema"), prefixes, (1.0, 2.0), strict=True)
    }
    model = Tied()
    before = model.head.weight.clone()
    with pytest.raises(WeightsError, match="fit the model several times"):
        weights.load(model, saved(entries, tmp_path))
    assert torch.equal(model.head.weight, before)
    weights.load(model, saved({"model": entries["model"], "epoch": 3}, tmp_path))
    assert torch.equal(model.head.weight, torch.ones(5, 3))


def test_moments_of_an_optimizer_are_no_weights(tmp_path: Path) -> None:
    """They have exactly the names of the model; the weights stand beside one of a loss."""
    model = Tied(is_tied=False)
    state = model.state_dict()
    moments = {name: torch.zeros_like(tensor) for name, tensor in state.items()}
    content = {"model": {**state, "loss.weight": torch.ones(2)}, "exp_avg": moments}
    with pytest.raises(WeightsError, match="fit the model several times"):
        weights.load(model, saved(content, tmp_path))
    other = {"model": {**state}, "head": {"head.weight": torch.ones(2, 2)}}
    weights.load(model, saved(other, tmp_path))


@pytest.mark.parametrize(
    ("values", "dtype", "fits"),
    [
        (torch.tensor([300]), torch.int8, False),
        (torch.tensor([100]), torch.int8, True),
        (torch.tensor([2]), torch.bool, False),
        (torch.tensor([1]), torch.bool, True),
        (torch.tensor([1e30]), torch.float16, False),
        (torch.tensor([1 / 3]), torch.float16, True),
        (torch.tensor([float("inf")]), torch.float16, True),
        (torch.tensor([1e300], dtype=torch.float64), torch.float32, False),
        (torch.tensor([1e30]), torch.bfloat16, True),
        (torch.tensor([0.5]), torch.float8_e4m3fn, True),
        (torch.tensor([-1]), torch.uint8, False),
    ],
)
def test_values_that_a_dtype_cannot_hold_are_refused(
    values: Tensor, dtype: torch.dtype, fits: bool, tmp_path: Path
) -> None:
    content = Holder(values).state_dict()
    model = Holder(torch.zeros(1).to(dtype))
    if fits:
        weights.load(model, saved(content, tmp_path))
        assert torch.equal(model.get_buffer("buffer").double(), values.to(dtype).double())
    else:
        with pytest.raises(WeightsError, match=re.escape(f"buffer: {dtype} in the model, which")):
            weights.load(model, saved(content, tmp_path))


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_nested_tensors_are_refused(tmp_path: Path) -> None:
    odd = torch.nested.nested_tensor([torch.ones(1), torch.ones(2)])
    content = {**Holder(torch.zeros(3)).state_dict(), "buffer": odd}
    with pytest.raises(WeightsError, match="buffer: a nested tensor in the file"):
        weights.load(Holder(torch.zeros(3)), saved(content, tmp_path))
