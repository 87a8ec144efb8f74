import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from shapezoo import ShapeError, prove, signature
from shapezoo.layers import LayerNorm2d

SIZES = st.integers(1, 5)


def varied(channels: int, *, eps: float = 1e-6) -> LayerNorm2d:
    """A layer whose weights and biases differ."""
    layer = LayerNorm2d(channels, eps=eps).double()
    for parameter in layer.parameters():
        nn.init.normal_(parameter)
    return layer


def by_hand(x: Tensor, layer: LayerNorm2d) -> Tensor:
    """The formula, with channels where they stand."""
    centred = x - x.mean(1, keepdim=True)
    deviation = (centred.square().mean(1, keepdim=True) + layer.eps).sqrt()
    return centred / deviation * layer.weight[:, None, None] + layer.bias[:, None, None]


def test_a_pixel_by_hand() -> None:
    layer = LayerNorm2d(2, eps=0)
    x = torch.tensor([[[[1.0, 7.0]], [[5.0, 5.0]]]])
    assert torch.equal(layer(x), torch.tensor([[[[-1.0, 1.0]], [[1.0, -1.0]]]]))


def test_epsilon_is_added_to_the_variance() -> None:
    x = torch.tensor([1.0, -1.0]).view(1, 2, 1, 1)
    assert LayerNorm2d(2, eps=3)(x).flatten().tolist() == [0.5, -0.5]
    assert LayerNorm2d(2).eps == 1e-6


@given(batch=st.integers(0, 3), channels=SIZES, height=SIZES, width=SIZES)
def test_results_are_those_of_the_formula(
    batch: int, channels: int, height: int, width: int
) -> None:
    layer = varied(channels)
    x = torch.randn(batch, channels, height, width, dtype=torch.float64)
    torch.testing.assert_close(layer(x), by_hand(x, layer), rtol=1e-12, atol=1e-12)


@given(channels=SIZES, height=SIZES, width=SIZES)
def test_gradients_are_those_of_the_formula(channels: int, height: int, width: int) -> None:
    layer = varied(channels)
    x = torch.randn(2, channels, height, width, dtype=torch.float64, requires_grad=True)
    wanted = [x, *layer.parameters()]
    weights = torch.randn_like(x)
    gradients = torch.autograd.grad((layer(x) * weights).sum(), wanted)
    expected = torch.autograd.grad((by_hand(x, layer) * weights).sum(), wanted)
    torch.testing.assert_close(gradients, expected, rtol=1e-6, atol=1e-9)


@given(height=SIZES, width=SIZES, data=st.data())
def test_pixels_do_not_see_each_other(height: int, width: int, data: st.DataObject) -> None:
    layer = varied(3)
    x = torch.randn(2, 3, height, width, dtype=torch.float64)
    rows, columns = (data.draw(st.permutations(range(size))) for size in (height, width))
    moved = layer(x)[:, :, rows][..., columns]
    torch.testing.assert_close(layer(x[:, :, rows][..., columns]), moved, rtol=1e-12, atol=1e-12)


def test_what_is_added_to_all_channels_does_not_matter() -> None:
    layer = varied(4)
    x = torch.randn(2, 4, 3, 5, dtype=torch.float64)
    shifted = x + torch.randn(2, 1, 3, 5, dtype=torch.float64)
    torch.testing.assert_close(layer(shifted), layer(x), rtol=1e-9, atol=1e-9)


def test_weights_and_biases_stand_in_the_order_of_torch() -> None:
    state = LayerNorm2d(3).state_dict()
    assert list(state) == ["weight", "bias"]
    assert torch.equal(state["weight"], torch.ones(3))
    assert torch.equal(state["bias"], torch.zeros(3))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_dtype_is_kept(dtype: torch.dtype) -> None:
    assert LayerNorm2d(3).to(dtype)(torch.randn(2, 3, 4, 5, dtype=dtype)).dtype == dtype


def test_compiled() -> None:
    layer = varied(3)
    compiled = torch.compile(layer, backend="eager", fullgraph=True, dynamic=True)
    for height, width in ((4, 5), (7, 3)):
        x = torch.randn(2, 3, height, width, dtype=torch.float64)
        torch.testing.assert_close(compiled(x), layer(x))


def test_the_contract() -> None:
    layer = LayerNorm2d(3)
    assert str(signature(layer)) == (
        '(x: Float[Tensor, "batch channels=3 height width"]) -> '
        'Float[Tensor, "batch channels=3 height width"]'
    )
    proof = prove(layer)
    assert proof.verdict == "proved"
    assert proof.preconditions == ()


@pytest.mark.parametrize(
    ("shape", "message"),
    [((2, 4, 5, 5), "expected channels = 3, got 4"), ((3, 4, 5), "x")],
    ids=["channels", "rank"],
)
def test_other_maps_are_refused(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        LayerNorm2d(3)(torch.zeros(shape))


def test_a_result_of_another_size_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nn.LayerNorm, "forward", lambda self, x: x[:, 1:])
    with pytest.raises(ShapeError, match="expected height = 4, got 3"):
        LayerNorm2d(3)(torch.zeros(2, 3, 4, 5))
