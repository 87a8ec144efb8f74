import functools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.models.vision.parity import assert_parity
from torch import nn
from torchvision.models import regnet as theirs

from shapezoo import create_model, list_models, signature
from shapezoo.models import Backbone, RegNet, ResidualBottleneck, regnet_micro
from shapezoo.models.vision.regnet import quantised_widths
from shapezoo.testing import assert_contract


def test_a_small_network_is_that_of_torchvision() -> None:
    params = theirs.BlockParams.from_init_params(6, 16, 8.0, 1.5, 16, se_ratio=0.25)
    norm = functools.partial(nn.BatchNorm2d, eps=1e-5, momentum=0.1)
    other = theirs.RegNet(params, num_classes=7, norm_layer=norm)
    assert_parity(
        regnet_micro(num_classes=7), other, torch.randn(3, 3, 70, 45, dtype=torch.float64)
    )


def test_a_small_network_without_squeeze_and_excitation_is_that_of_torchvision() -> None:
    params = theirs.BlockParams.from_init_params(6, 16, 8.0, 1.5, 8)
    other = theirs.RegNet(params, num_classes=7)
    ours = RegNet(6, w_0=16, w_a=8.0, w_m=1.5, group_width=8, se_ratio=0.0, num_classes=7)
    assert_parity(ours, other, torch.randn(3, 3, 70, 45, dtype=torch.float64))


WIDTHS = {
    "regnet_x_400mf": (32, 64, 160, 400),
    "regnet_y_400mf": (48, 104, 208, 440),
    "regnet_y_8gf": (224, 448, 896, 2016),
    "regnet_x_32gf": (336, 672, 1344, 2520),
    "regnet_y_128gf": (528, 1056, 2904, 7392),
}
"""From the keys of torchvision's files; the paper's RegNetX-400MF ends in 384."""


@pytest.mark.parametrize("name", WIDTHS)
def test_the_widths_of_the_stages(name: str) -> None:
    with torch.device("meta"):
        model = create_model(name)
    assert isinstance(model, Backbone)
    assert model.feature_channels == WIDTHS[name]


@given(
    depth=st.integers(4, 40),
    w_0=st.integers(1, 40).map((8).__mul__),
    w_a=st.floats(1, 200),
    w_m=st.floats(1.5, 3),
)
def test_widths_grow_and_are_multiples_of_eight(
    depth: int, w_0: int, w_a: float, w_m: float
) -> None:
    widths = quantised_widths(depth, w_0=w_0, w_a=w_a, w_m=w_m)
    assert widths[0] == w_0
    assert widths == sorted(widths)
    assert all(width % 8 == 0 for width in widths)


def test_widths_that_do_not_make_four_stages_are_refused() -> None:
    with pytest.raises(ValueError, match="4 different widths, got"):
        RegNet(2, w_0=16, w_a=8.0, w_m=1.5, group_width=8, se_ratio=0.0)


@pytest.mark.parametrize(
    ("in_channels", "stride", "se_ratio"), [(16, 1, 0.25), (16, 2, 0.25), (8, 1, 0.0), (8, 2, 0.0)]
)
def test_the_contract_of_a_block(in_channels: int, stride: int, se_ratio: float) -> None:
    block = ResidualBottleneck(in_channels, 16, stride=stride, group_width=8, se_ratio=se_ratio)
    assert_contract(block.eval(), max_examples=5)
    assert f"height=(height-1)//{stride}+1" in str(signature(block).output)


def test_names_with_y_have_squeeze_and_excitation() -> None:
    for name in list_models("regnet_[xy]*"):
        with torch.device("meta"):
            keys = create_model(name).state_dict()
        assert any(".se." in key for key in keys) == ("_y_" in name)
