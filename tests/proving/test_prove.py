"""What `prove` accepts, returns and leaves unchanged."""

import copy
import sys
from typing import Any
from unittest.mock import patch

import pytest
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from shapezoo import (
    ContractError,
    Module,
    Proved,
    ProvedInPart,
    Refuted,
    ShapeError,
    Unknown,
    checked,
    create_model,
    prove,
    unchecked,
)
from shapezoo.models import InceptionBlock, ResidualBlock
from shapezoo.proving import SubjectError
from shapezoo.proving.rules import shape_rules
from shapezoo.proving.rules.functions import function_shapes


class Stem(nn.Module):
    """What its pooling leaves of an image, whatever its size."""

    def __init__(self, out_channels: int = 4) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.layers = nn.Sequential(
            nn.Conv2d(3, out_channels, 5), nn.MaxPool2d(2), nn.BatchNorm2d(out_channels)
        )
        self.calls = 0

    def forward(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch channels={self.out_channels} height//2-2 width//2-2"]:
        self.calls += 1
        maps: Tensor = self.layers(images)
        return maps


class Mirror(nn.Module):
    """A mistake: the result has height and width swapped."""

    def forward(
        self, images: Float[Tensor, "batch height width"]
    ) -> Float[Tensor, "batch height width"]:
        return images.mT

    def turned(self, image: Float[Tensor, "height width"]) -> Float[Tensor, "width height"]:
        return image.mT

    def kept(self, image: Float[Tensor, "height width"]) -> Float[Tensor, "height width"]:
        return image.mT

    @checked
    def kept_and_checked(
        self, image: Float[Tensor, "height width"]
    ) -> Float[Tensor, "height width"]:
        return image.mT


class Steps(nn.Module):
    def forward(self, xs: Float[Tensor, "seq batch"]) -> Float[Tensor, "batch"]:
        total = xs[0]
        for x in xs[1:]:
            total = total + x
        return total


class Chosen(nn.Module):
    """The data decide the shape."""

    def forward(self, x: Float[Tensor, "batch"]) -> Float[Tensor, "batch"]:
        return x[x >= 0]


@checked
def outer(
    x: Float[Tensor, "batch seq"], y: Float[Tensor, "batch seq"] | None = None
) -> Float[Tensor, "batch seq seq"]:
    return x[:, :, None] * (x if y is None else y)[:, None, :]


def test_a_proof_tells_axes_preconditions_regions_and_mode() -> None:
    proof = prove(Stem().eval())
    match proof:
        case Proved(axes=axes, preconditions=preconditions, is_exact=is_exact):
            assert axes == ("batch", "height", "width")
            assert list(map(str, preconditions)) == ["height >= 6", "width >= 6"]
            assert is_exact
        case _:
            pytest.fail(str(proof))
    assert proof.mode == "eval"
    assert not proof.sampled
    assert {region.outcome for region in proof.regions} == {"holds", "raises"}
    assert all(region.smallest for region in proof.regions)
    assert proof.cases[0].sizes_zero == {"batch": "holds", "height": "raises", "width": "raises"}
    assert "where         height >= 6 and width >= 6" in str(proof)


def test_what_raises_outside_the_preconditions_holds_inside() -> None:
    model = Stem().eval()
    model(torch.zeros(1, 3, 6, 6))
    with pytest.raises(RuntimeError):
        model(torch.zeros(1, 3, 5, 6))


def test_training_has_preconditions_of_its_own() -> None:
    proof = prove(Stem().train())
    assert isinstance(proof, Proved)
    assert proof.mode == "train"
    assert proof.is_exact
    assert str(proof.preconditions[-1]) == "batch > 1 or height > 7 or width > 7"


def test_a_refutation_replays_its_smallest_counterexample() -> None:
    proof = prove(Mirror())
    assert isinstance(proof, Refuted)
    example = proof.counterexample
    assert sorted(example.sizes.values()) == [1, 1, 2]
    assert example.sizes["batch"] == 1
    assert isinstance(example.error, ShapeError)
    assert "model(torch.zeros((1, " in example.snippet
    model = Mirror()
    with pytest.raises(ShapeError):
        example.replay(model=model)
    assert "forward" not in vars(model)
    assert example.snippet.splitlines()[-1] in str(proof)


def test_a_counterexample_of_a_class_makes_it() -> None:
    proof = prove(Wrong, init={"channels": ...})
    assert isinstance(proof, Refuted)
    assert proof.counterexample.sizes == {"batch": 1, "channels": 1, "height": 1, "width": 1}
    assert "model = Wrong(channels=1).eval()" in proof.counterexample.snippet
    with pytest.raises(ShapeError):
        exec(proof.counterexample.snippet, {"Wrong": Wrong})


def test_a_method_is_proved() -> None:
    model = Mirror().train()
    proof = prove(model.turned)
    assert isinstance(proof, Proved)
    assert (proof.name, proof.mode) == ("tests.proving.test_prove.Mirror.turned", "train")
    assert proof.axes == ("height", "width")
    assert "forward" not in vars(model)


@pytest.mark.parametrize("method", ["kept", "kept_and_checked"])
def test_a_counterexample_of_a_method_calls_it(method: str) -> None:
    model = Mirror()
    proof = prove(getattr(model, method))
    assert isinstance(proof, Refuted)
    assert sorted(proof.counterexample.sizes.values()) == [1, 2]
    with pytest.raises(ShapeError, match=rf"Mirror\.{method}: the result breaks"):
        proof.counterexample.replay(model=model)
    assert "forward" not in vars(model)


class Wrong(Module):
    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.channels = channels
        self.conv = nn.Conv2d(channels, channels, 2, padding=1)

    def forward(
        self, x: Float[Tensor, "batch channels={self.channels} height width"]
    ) -> Float[Tensor, "batch channels={self.channels} height width"]:
        result: Tensor = self.conv(x)
        return result


def test_blocks_are_proved_for_all_channel_counts() -> None:
    for block, axis in ((ResidualBlock, "channels"), (InceptionBlock, "in_channels")):
        proof = prove(block)
        assert isinstance(proof, Proved)
        assert proof.axes == ("batch", "height", "width", axis)
        assert proof.preconditions == ()
        assert not proof.sampled


def test_each_way_of_calling_is_a_case() -> None:
    proof = prove(outer)
    assert isinstance(proof, Proved)
    assert [case.label for case in proof.cases] == ["y=None", "y given"]


def test_what_is_assumed_must_not_raise() -> None:
    assert isinstance(prove(Stem().eval(), assume="height >= 6 and width >= 6"), Proved)
    proof = prove(Stem().eval(), assume=["height > 6", "width>4"])
    assert isinstance(proof, Refuted)
    assert proof.counterexample.sizes == {"batch": 1, "height": 7, "width": 5}
    assert proof.reason == "it raises for sizes that meet the assumptions"
    assert list(map(str, proof.assumptions)) == ["height > 6", "width > 4"]


def test_a_loop_is_sampled_and_its_line_is_reported() -> None:
    proof = prove(Steps())
    assert isinstance(proof, ProvedInPart)
    assert {1, 2, 3, 7} <= {*proof.sampled["seq"]}
    assert proof.reason.startswith("test_prove.py:")
    assert "`for x in xs[1:]:`" in proof.reason


def test_what_the_data_decide_is_unknown() -> None:
    proof = prove(Chosen())
    assert isinstance(proof, Unknown)
    assert "the values of a tensor decide" in proof.reason
    assert len(proof.reason.splitlines()) == 1


def test_every_nested_contract_has_its_verdict() -> None:
    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = Stem()
            self.mirror = Mirror()
            self.spare = Mirror()

        def forward(
            self, x: Float[Tensor, "batch 3 height height"]
        ) -> Float[Tensor, "batch height//2-2 height//2-2"]:
            maps: Tensor = self.mirror(self.stem(x)[:, 0])
            return maps

    proof = prove(Outer().eval())
    assert isinstance(proof, Proved)
    outcomes = {module.path: module.outcome for module in proof.modules}
    assert outcomes == {"": "holds", "stem": "holds", "mirror": "holds", "spare": "not called"}
    assert str(proof.modules[1].contract.inputs[0]).startswith("images: Float")


def test_a_broken_inner_contract_refutes_the_model() -> None:
    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mirror = Mirror()

        def forward(self, x: Float[Tensor, "batch height width"]) -> Float[Tensor, "batch"]:
            sums: Tensor = self.mirror(x).sum((1, 2))
            return sums

    proof = prove(Outer())
    assert isinstance(proof, Refuted)
    assert "Mirror.forward" in str(proof.counterexample.error)
    assert {module.path: module.outcome for module in proof.modules}["mirror"] == "broken"


def test_the_model_is_left_as_it_was() -> None:
    model = Stem().train()
    before = copy.deepcopy(model)
    attributes = {name: set(vars(module)) for name, module in model.named_modules()}
    generator = torch.get_rng_state()
    prove(model)
    assert torch.equal(torch.get_rng_state(), generator)
    assert model.calls == 0
    assert {name: set(vars(module)) for name, module in model.named_modules()} == attributes
    assert all(module.training for module in model.modules())
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before.state_dict()[name]), name
    images = torch.randn(2, 3, 9, 9)
    assert torch.equal(model(images), before(images))


def test_a_recurrent_model_still_has_its_weights() -> None:
    model = create_model("lstm")
    x = torch.randn(3, 2, 4)
    (before, _), (after, _) = model(x), (prove(model), model(x))[1]
    assert torch.equal(before, after)


@pytest.mark.parametrize(
    ("rule", "wrong"),
    [("_flatten", lambda x, *_: shape_rules.empty(x, (x.shape[0], 7))), ("_linear", None)],
)
def test_a_false_rule_never_ends_as_proved(rule: str, wrong: Any) -> None:
    """The audit on real kernels notices it."""

    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(7, 3)

        def forward(self, x: Float[Tensor, "batch seq 2"]) -> Float[Tensor, "batch 3"]:
            result: Tensor = self.linear(x.flatten(1))
            return result

    def let_pass(x: Tensor, weight: Tensor, *rest: Any) -> Tensor:
        return shape_rules.empty(x, (*x.shape[:-1], weight.shape[0]))

    false = wrong or let_pass
    changed = {
        function: false if known.__name__ == rule else known
        for function, known in function_shapes.FUNCTIONS.items()
    }
    with patch.dict(function_shapes.FUNCTIONS, changed):
        proof = prove(Flat())
    assert isinstance(proof, Unknown)
    assert "but shapezoo's symbolic run succeeds" in proof.reason


class HookedAtFirst(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 4)
        self.is_hooked = False

    def forward(self, x: Float[Tensor, "batch 3"]) -> Float[Tensor, "batch 8"]:
        if not self.is_hooked:
            self.layer.register_forward_hook(lambda module, args, result: result.repeat(1, 2))
            self.is_hooked = True
        result: Tensor = self.layer(x)
        return result


def test_hooks_of_the_first_call_are_taken_away() -> None:
    model = HookedAtFirst().eval()
    assert isinstance(prove(model), Proved)
    assert not model.layer._forward_hooks
    assert model(torch.zeros(2, 3)).shape == (2, 8)


def test_a_call_that_cannot_bind_the_result_is_a_warning() -> None:
    def cached(
        x: Float[Tensor, "batch seq"], past: Float[Tensor, "batch past"] | None = None
    ) -> Float[Tensor, "batch past+seq"]:
        return x if past is None else torch.cat([past, x], 1)

    proof = prove(cached)
    assert proof.warnings == (
        "calls without the optional arguments raise: nothing else has the axis 'past'",
    )
    with pytest.raises(ShapeError, match="past"):
        checked(cached)(torch.zeros(2, 3))


def test_a_mask_of_any_values_is_tried() -> None:
    @checked
    def masked(x: Float[Tensor, "batch"], mask: Bool[Tensor, "batch"]) -> Float[Tensor, "batch"]:
        return x if mask.any() else x[:0]

    proof = prove(masked)
    assert isinstance(proof, Refuted)
    assert proof.counterexample.sizes == {"batch": 1}


class Counts(nn.Module):
    def __init__(self, factor: int, cut: int = 0) -> None:
        super().__init__()
        self.factor = factor
        self.cut = cut
        self.embedding = nn.Embedding(50, 4)

    def forward(self, mask: Bool[Tensor, "batch seq"]) -> Float[Tensor, "batch 4"]:
        x: Tensor = self.embedding(mask.sum(1) * self.factor)
        return x[:, :3] if mask.shape[1] == self.cut else x


def test_where_an_index_is_out_of_range_for_some_values_the_others_are_followed() -> None:
    """From 50 on a full mask raises, and hides that 77 breaks the contract for others."""
    proof = prove(Counts(1, cut=77))
    assert isinstance(proof, Refuted)
    assert proof.counterexample.sizes == {"batch": 1, "seq": 77}


def test_what_raises_at_all_sizes_but_not_for_all_values_is_unknown() -> None:
    proof = prove(Counts(50))
    assert isinstance(proof, Unknown | ProvedInPart)
    assert "whether it raises depends on the values of the arguments" in proof.reason


@pytest.mark.parametrize(
    ("subject", "options", "error", "message"),
    [
        (lambda: nn.Linear(3, 4), {}, ContractError, "name no shape that could be proved"),
        (lambda: 3, {}, SubjectError, "prove takes a module, .* got 3"),
        (Stem, {"init": {"channels": 3}}, SubjectError, "takes no init|init is for a class"),
        (lambda: Stem, {"init": {"depth": 3}}, SubjectError, "no argument 'depth'; it takes out"),
        (Mirror, {"assume": "depth > 3"}, ContractError, "no axis 'depth'; the axes are batch, h"),
        (Mirror, {"assume": "height"}, ContractError, "write, for example, 'height >= 32'"),
        (lambda: nn.Conv2d, {}, SubjectError, "Conv2d needs 'kernel_size', which is not an int"),
        (lambda: nn.DataParallel(Mirror()), {}, TypeError, r"give its \.module"),
    ],
)
def test_misuse_is_refused(
    subject: Any, options: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        prove(subject(), **options)


def test_without_checks_nothing_is_proved() -> None:
    with unchecked(), pytest.raises(RuntimeError, match="switched off"):
        prove(Mirror())


def test_without_z3_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "z3", None)
    with pytest.raises(ImportError, match=r"^prove needs z3: pip install 'shapezoo\[prove\]'$"):
        prove(Mirror())


def test_the_budget_is_kept() -> None:
    proof = prove(Stem().eval(), budget=0)
    assert isinstance(proof, Unknown)
    assert "budget" in proof.reason


def test_a_compiled_model_is_proved_as_it_was_written() -> None:
    assert isinstance(prove(torch.compile(Stem().eval())), Proved)


def test_a_model_on_the_meta_device_is_run_on_the_cpu() -> None:
    with torch.device("meta"):
        model = Stem().eval()
    proof = prove(model)
    assert isinstance(proof, Proved)
    assert len(proof.preconditions) == 2
    assert next(model.parameters()).is_meta
