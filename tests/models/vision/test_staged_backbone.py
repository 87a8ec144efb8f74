import pytest
import torch
from torch import Tensor
from torch.nn import functional

from shapezoo import ShapeError, signature
from shapezoo.models import Backbone
from shapezoo.models.vision.staged_backbone import StagedBackbone


class Averages(StagedBackbone):
    """Averages of squares of pixels; those at the edges may be of less."""

    in_channels = 2
    feature_channels = (2, 2, 2, 2)
    widths: tuple[int, ...] = StagedBackbone.strides

    def _maps(self, images: Tensor) -> list[Tensor]:
        return [functional.avg_pool2d(images, side, ceil_mode=True) for side in self.widths]


def test_the_contract() -> None:
    model = Averages()
    assert isinstance(model, Backbone)
    assert str(signature(model.feature_maps)) == (
        '(images: Float[Tensor, "batch channels=2 height width"]) -> tuple['
        'Float[Tensor, "batch channels=2 height=(height-1)//4+1 width=(width-1)//4+1"], '
        'Float[Tensor, "batch channels=2 height=(height-1)//8+1 width=(width-1)//8+1"], '
        'Float[Tensor, "batch channels=2 height=(height-1)//16+1 width=(width-1)//16+1"], '
        'Float[Tensor, "batch channels=2 height=(height-1)//32+1 width=(width-1)//32+1"]]'
    )


def test_maps_of_these_sizes_are_returned() -> None:
    maps = Averages().feature_maps(torch.arange(2.0).reshape(1, 2, 1, 1).expand(3, 2, 64, 33))
    assert [map_.shape[2:] for map_ in maps] == [(16, 9), (8, 5), (4, 3), (2, 2)]
    assert all((map_ == torch.arange(2.0).reshape(2, 1, 1)).all() for map_ in maps)


@pytest.mark.parametrize("number", range(4))
def test_a_map_of_another_size_is_refused(number: int) -> None:
    model = Averages()
    model.widths = tuple(2 * side if side == 4 * 2**number else side for side in model.widths)
    with pytest.raises(ShapeError, match=rf"expected height=.* = {16 // 2**number}, got"):
        model.feature_maps(torch.zeros(1, 2, 64, 64))


def test_an_architecture_has_to_say_what_its_maps_are() -> None:
    class Unfinished(StagedBackbone):
        in_channels = 2
        feature_channels = (2, 2, 2, 2)

    with pytest.raises(NotImplementedError):
        Unfinished().feature_maps(torch.zeros(1, 2, 64, 64))
