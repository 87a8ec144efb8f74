import pytest
import torch

from shapezoo import create_model, model_info
from shapezoo.models import Bottleneck, ResNet

PARAMETERS = {
    "resnext50_32x4d": 25_028_904,
    "resnext101_32x8d": 88_791_336,
    "resnext101_64x4d": 83_455_272,
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_name_tells_layers_groups_and_their_width(name: str) -> None:
    with torch.device("meta"):
        model = create_model(name)
    assert isinstance(model, ResNet)
    layers, (groups, width) = name[7:].split("_")[0], name[:-1].split("_")[1].split("x")
    blocks = [block for block in model.modules() if isinstance(block, Bottleneck)]
    assert 3 * len(blocks) + 2 == int(layers)
    assert {block.conv2.groups for block in blocks} == {int(groups)}
    for number in (1, 2, 3, 4):
        for block in model.get_submodule(f"layer{number}").children():
            assert isinstance(block, Bottleneck)
            in_group = block.conv2.out_channels // block.conv2.groups
            assert in_group == int(width) * 2 ** (number - 1)
            assert block.conv2.weight.shape[1] == in_group


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_number_of_parameters(name: str) -> None:
    assert model_info(name).parameters == PARAMETERS[name]


def test_groups_do_not_see_one_another() -> None:
    block = Bottleneck(8, 2, groups=2, width_per_group=64)
    x = torch.randn(1, 4, 5, 5, requires_grad=True)
    assert block.conv2.in_channels == 4
    (gradient,) = torch.autograd.grad(block.conv2(x)[:, :2].sum(), x)
    assert gradient[:, :2].any()
    assert not gradient[:, 2:].any()
