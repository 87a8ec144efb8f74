import pytest
import torch
from torch import nn

from shapezoo import create_model, model_info

PARAMETERS = {"wide_resnet50_2": 68_883_240, "wide_resnet101_2": 126_886_696}


def widths(name: str) -> dict[str, tuple[int, int]]:
    """The maps that each convolution reads and gives."""
    with torch.device("meta"):
        modules = create_model(name).named_modules()
    return {
        path: (layer.in_channels, layer.out_channels)
        for path, layer in modules
        if isinstance(layer, nn.Conv2d)
    }


@pytest.mark.parametrize("name", PARAMETERS)
def test_only_what_is_inside_a_bottleneck_is_twice_as_wide(name: str) -> None:
    wide, narrow = widths(name), widths(name.removeprefix("wide_").removesuffix("_2"))
    assert wide.keys() == narrow.keys()
    for path, (read, given) in narrow.items():
        is_first, is_last = path.endswith(".conv1"), path.endswith(".conv3")
        is_inner = path.endswith(".conv2")
        expected = (
            2 * read if is_inner or is_last else read,
            2 * given if is_inner or is_first else given,
        )
        assert wide[path] == expected


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_number_of_parameters(name: str) -> None:
    assert model_info(name).parameters == PARAMETERS[name]
