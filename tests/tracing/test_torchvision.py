"""Known values: torchvision publishes the size of each of its models.

``meta["_ops"]`` of a model's weights is its multiply-accumulate operations for one image, in
10^9; ``meta["num_params"]`` is the number of its parameters. Torchvision's own tests count both
(``test/test_extended_models.py``), the former with torch's flop counter. Nothing is downloaded,
and the models are never in memory.
"""

import pytest
import torch
import torchvision

from shapezoo import trace

pytestmark = pytest.mark.slow

OWN_INIT = {"init_weights": False}
"""For models that would otherwise draw their weights by hand, which needs values."""

MODELS: dict[str, dict[str, bool]] = {
    "alexnet": {},
    "convnext_tiny": {},
    "densenet121": {},
    "efficientnet_b0": {},
    "googlenet": OWN_INIT | {"aux_logits": False, "transform_input": True},
    "inception_v3": OWN_INIT,
    "mobilenet_v2": {},
    "mobilenet_v3_small": {},
    "resnet18": {},
    "shufflenet_v2_x1_0": {},
    "squeezenet1_0": {},
    "swin_t": {},
    "vgg11": {},
    "vit_b_16": {},
}


@pytest.mark.parametrize("name", MODELS)
def test_the_counts_are_those_that_torchvision_publishes(name: str) -> None:
    weights = torchvision.models.get_model_weights(name).DEFAULT
    with torch.device("meta"):
        model = torchvision.models.get_model(name, **MODELS[name]).eval()
    (size,) = weights.transforms().crop_size
    traced = trace(model, torch.empty(1, 3, size, size, device="meta"))
    assert round(int(traced.macs) / 1e9, 3) == weights.meta["_ops"]
    assert traced.parameters == weights.meta["num_params"]
    assert traced.call.outputs[0].sizes == (1, len(weights.meta["categories"]))


def test_a_larger_image_takes_more() -> None:
    """The numbers depend on the size of the image, not only on the model."""
    with torch.device("meta"):
        model = torchvision.models.resnet18().eval()
        small, large = (trace(model, torch.empty(1, 3, size, size)) for size in (224, 448))
    head = 512 * 1000
    assert int(large.macs) - head == 4 * (int(small.macs) - head)
    assert large.parameters == small.parameters
