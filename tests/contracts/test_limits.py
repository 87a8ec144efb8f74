"""A model with known limits reports them when it is called with sizes outside them."""

import contextlib
import copy
import gc
import pickle
import weakref

import pytest
import torch
from jaxtyping import Float
from torch import Tensor, nn

from shapezoo import Module, ShapeError, prove
from shapezoo.contracts import Condition
from shapezoo.contracts.checking.known_limits import limits_of, set_limits

LIMITS = {
    "eval": (Condition("height >= 8"), Condition("width % 2 == 0")),
    "train": (Condition("height >= 8"), Condition("batch > 1 or height > 15")),
}


class Net(Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 8), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def forward(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch classes=4"]:
        if images.shape[3] % 2:
            raise RuntimeError("odd")
        result: Tensor = self.layers(images)
        return result


def limited() -> Net:
    net = Net().eval()
    set_limits(net, LIMITS)
    return net


def test_the_error_tells_the_precondition() -> None:
    with pytest.raises(ShapeError) as caught:
        limited()(torch.zeros(2, 3, 7, 10))
    assert str(caught.value).splitlines() == [
        f"{__name__}.Net.forward: height must be at least 8, got 7",
        "  argument  images, axis 2",
        "  bound     batch=2, height=7, width=10",
        "  limits    height >= 8, width % 2 == 0",
    ]
    assert (caught.value.argument, caught.value.axis) == ("images", 2)
    assert isinstance(caught.value.__cause__, RuntimeError)  # what PyTorch says stays at hand


def test_of_two_broken_conditions_the_first_is_told() -> None:
    with pytest.raises(ShapeError, match="height must be at least 8, got 7") as caught:
        limited()(torch.zeros(2, 3, 7, 9))
    assert caught.value.axis == 2


def test_it_is_that_of_the_mode() -> None:
    net = limited()
    with pytest.raises(ShapeError, match="width must be a multiple of 2, got 9"):
        net(torch.zeros(2, 3, 8, 9))
    with pytest.raises(RuntimeError, match="odd"):  # no limit in train mode tells of it
        net.train()(torch.zeros(2, 3, 8, 9))


def test_conditions_on_axes_that_a_call_does_not_have_say_nothing() -> None:
    net = limited()
    conditions = Condition("depth > 1"), Condition("batch * height * width < 100")
    set_limits(net, {"eval": conditions})
    with pytest.raises(
        ShapeError, match=r"meet batch \* height \* width < 100, got batch=2, height=8, width=9"
    ):
        net(torch.zeros(2, 3, 8, 9))


def test_other_failures_stay_as_they_are() -> None:
    net = limited()
    net.layers[0] = nn.Conv2d(5, 4, 8)
    with pytest.raises(RuntimeError, match="to have 5 channels"):
        net(torch.zeros(2, 3, 8, 8))


@pytest.mark.parametrize("kernel", [7, 9])
def test_limits_end_where_the_layers_are_changed(kernel: int) -> None:
    net = limited()
    net.layers[0] = nn.Conv2d(3, 4, kernel)
    with pytest.raises(RuntimeError, match="can't be greater"):
        net(torch.zeros(2, 3, 6, 10))


def test_what_works_is_never_refused() -> None:
    net = limited()
    set_limits(net, {"eval": (Condition("height >= 100"),)})
    assert net(torch.zeros(2, 3, 8, 8)).shape == (2, 4)


def test_a_model_inside_another_says_so_too() -> None:
    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = limited()

        def forward(self, images: Tensor) -> Tensor:
            return self.net(images)

    with pytest.raises(ShapeError, match="height must be at least 8, got 3"):
        Outer().eval()(torch.zeros(2, 3, 3, 8))


def test_limits_are_copied_and_pickled_and_no_state() -> None:
    net = limited()
    assert limits_of(copy.deepcopy(net)) == LIMITS
    assert limits_of(pickle.loads(pickle.dumps(net))) == LIMITS
    assert net.state_dict().keys() == Net().state_dict().keys()
    assert limits_of(Net()) == {}
    set_limits(net, {"eval": (), "train": ()})
    assert limits_of(net) == LIMITS  # without conditions, there is no limit


def test_a_proof_does_not_rest_on_known_limits() -> None:
    net = limited()
    set_limits(net, {"eval": (Condition("height % 100 != 50"),)})
    proof = prove(net)
    texts = [str(condition) for condition in proof.preconditions]
    assert texts == ["height >= 8", "width >= 8", "width % 2 == 0"]
    guards = [guard for region in proof.regions for guard in region.guards]
    assert not any("100" in guard for guard in guards)
    assert limits_of(net)


@pytest.mark.parametrize("dynamic", [None, True])
def test_a_compiled_model_says_so_too(dynamic: bool | None) -> None:
    torch.compiler.reset()
    compiled = torch.compile(limited(), backend="eager", fullgraph=True, dynamic=dynamic)
    assert compiled(torch.zeros(2, 3, 8, 10)).shape == (2, 4)
    assert compiled(torch.zeros(3, 3, 12, 14)).shape == (3, 4)
    with pytest.raises(ShapeError, match="height must be at least 8, got 7"):
        compiled(torch.zeros(2, 3, 7, 10))


def test_limits_leave_nothing_in_the_graph() -> None:
    def graph(net: nn.Module) -> list[str]:
        program = torch.export.export(net, (torch.zeros(2, 3, 8, 10),))
        return [node.name for node in program.graph.nodes]

    assert graph(limited()) == graph(Net().eval())


def test_the_error_keeps_no_tensor_alive() -> None:
    net, images = limited(), torch.zeros(2, 3, 7, 10)
    kept = weakref.ref(images)
    gc.collect()
    gc.disable()
    try:
        with contextlib.suppress(ShapeError):
            net(images)
        del images
        assert kept() is None
    finally:
        gc.enable()
