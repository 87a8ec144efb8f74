"""Models can be exported to ONNX, and onnxruntime computes the same, for other sizes too."""

from pathlib import Path

import onnxruntime
import pytest
import torch
from tests.zoo.subjects import before_a_release, draw, shell
from torch import Tensor, nn
from torch.export import Dim

from shapezoo import create_model, list_models, signature
from shapezoo.contracts.examples.arguments import example_arguments, free_axes
from shapezoo.models import Backbone

pytestmark = pytest.mark.filterwarnings("ignore")  # the exporter warns about its own code

NAMES = [name for name in list_models(published=False) if isinstance(shell(name), Backbone)]
IN_CI = ["resnet_micro"]
"""The others take several seconds each."""

SIZES = {"batch": 2, "height": 299, "width": 302}, {"batch": 3, "height": 323, "width": 310}
"""Sizes of the example, and others at which the program must be right too."""


def images_for(model: nn.Module, **sizes: int) -> Tensor:
    contract = signature(model)
    (images,), _ = example_arguments(contract, {n: sizes[n] for n in free_axes(contract)})
    assert isinstance(images, Tensor)
    return torch.randn_like(images)


def assert_same_in_onnx(
    model: nn.Module, axes: list[int], example: Tensor, other: Tensor, file: Path
) -> None:
    """Export a model with some axes free, and compare the results for both inputs."""
    free = dict.fromkeys(axes, Dim.DYNAMIC)
    program = torch.onnx.export(
        model, (example,), dynamo=True, dynamic_shapes=(free,), verbose=False
    )
    assert program is not None
    program.save(file)
    session = onnxruntime.InferenceSession(file)
    for images in (example, other):
        (outputs,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})
        expected = model(images).detach()
        scale = expected.abs().max().item()
        assert (expected[0] - expected[1]).abs().max() > 0.01 * scale
        torch.testing.assert_close(torch.from_numpy(outputs), expected, rtol=0, atol=1e-4 * scale)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*IN_CI, *before_a_release(n for n in NAMES if n not in IN_CI)])
def test_onnxruntime_computes_the_same(name: str, tmp_path: Path) -> None:
    model = create_model(name)
    example, other = (images_for(model, **sizes) for sizes in SIZES)
    draw(model, example)
    axes = [n for n, axis in enumerate(signature(model).tensors[0].axes) if axis.name]
    if pools_to_several_pixels(model):
        axes, other = [0], torch.randn(3, *example.shape[1:])
    assert_same_in_onnx(model.eval(), axes, example, other, tmp_path / "model.onnx")


def pools_to_several_pixels(model: nn.Module) -> bool:
    """Whether a model averages maps to more than one pixel."""
    pools = [module for module in model.modules() if isinstance(module, nn.AdaptiveAvgPool2d)]
    return any(pool.output_size != 1 for pool in pools)


@pytest.mark.release
def test_torch_exports_adaptive_pooling_only_for_the_size_of_the_example(tmp_path: Path) -> None:
    """A mistake of torch 2.14: the program gives wrong results for other sizes.

    `docs/models.md` says so. Once torch is right, the model can have free axes in the test above.
    """
    model, file = nn.AdaptiveAvgPool2d(6), tmp_path / "model.onnx"
    images, other = torch.randn(2, 3, 13, 13), torch.randn(2, 3, 10, 17)
    with pytest.raises(AssertionError, match="not close"):
        assert_same_in_onnx(model, [0, 2, 3], images, other, file)
