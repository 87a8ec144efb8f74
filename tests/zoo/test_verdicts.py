"""What is stored of every model was proved, and is true on real kernels."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from jaxtyping import Float
from tests.zoo.subjects import (
    by_class,
    one_before_a_release_all,
    one_of_each_class,
    shell,
    unfilled,
)
from torch import Tensor, nn

from shapezoo import Module, ShapeError, create_model, list_models, model_info, registry, signature
from shapezoo import verdicts as stored
from shapezoo.contracts.examples.arguments import example_arguments, free_axes
from shapezoo.models import Backbone
from shapezoo.registry import origin_of, register
from shapezoo.verdicts import INDIFFERENT, Mode, Verdict, verdicts

MODES: tuple[Mode, ...] = ("eval", "train")
SMALL = list_models(published=False)


@pytest.fixture(scope="session")
def tool() -> ModuleType:
    path = Path(__file__).parents[2] / "tools/verdicts.py"
    spec = importlib.util.spec_from_file_location("verdicts_tool", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


BACKBONES = [name for name in SMALL if isinstance(shell(name), Backbone)]
"""Tiny models of large classes: their proofs take most of the time."""


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        *((name, mode) for name in SMALL for mode in MODES if name not in BACKBONES),
        *((name, "eval") for name in BACKBONES),
        *(pytest.param(name, "train", marks=pytest.mark.release) for name in BACKBONES),
    ],
)
def test_what_is_stored_is_what_is_proved(name: str, mode: Mode, tool: ModuleType) -> None:
    """If not, `python tools/verdicts.py` writes it anew.

    In CI, limits of the others in train mode are tested on real kernels only, below.
    """
    proved = tool.verdict_of(tool.proof(name, mode))
    assert verdicts(name)[mode] == proved
    assert proved.outcome == "proved"


@pytest.mark.parametrize("name", list_models(published=True))
def test_what_is_stored_of_a_large_model_is_what_is_stored_of_a_small_one(name: str) -> None:
    """Width and depth change no limit; where that is not so, prove it anew here."""
    small = by_class(SMALL)[type(shell(name))]
    assert verdicts(name) in map(verdicts, small)


def others(name: str) -> dict[str, Any]:
    """Other values of the hyper-parameters that should change no limit."""
    defaults = model_info(name).hyperparameters
    return {
        keyword: default + 2 if isinstance(default, int) else default + 0.1
        for keyword, default in defaults.items()
        if keyword in INDIFFERENT
    }


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:dropout option adds dropout")  # of one recurrent layer
@pytest.mark.parametrize(
    "name",
    [
        *(name for name in SMALL if others(name) and name not in BACKBONES),
        *one_before_a_release_all(BACKBONES),
    ],
)
def test_some_hyperparameters_change_no_limit(name: str, tool: ModuleType) -> None:
    """In eval mode by proof; in train mode, where that can take minutes, at the boundaries."""
    proof = tool.proof(name, "eval", **others(name))
    assert tool.verdict_of(proof) == verdicts(name)["eval"]
    probe(create_model(name, **others(name)).train(), verdicts(name)["train"])


def boundaries(verdict: Verdict) -> Iterator[tuple[dict[str, int], bool]]:
    """Sizes on both sides of every precondition, with whether they meet all."""
    good = next(sizes for sizes in grid(verdict) if meets(verdict, sizes))
    yield good, True
    for axis in verdict.axes:
        for size in (good[axis] - 1, good[axis] + 1):
            if size >= 1:
                sizes = good | {axis: size}
                yield sizes, meets(verdict, sizes)


def grid(verdict: Verdict) -> Iterator[dict[str, int]]:
    """Sizes, small ones first; of large images two."""
    for size in range(1, 300):
        yield {axis: min(size, 2) if axis == "batch" else size for axis in verdict.axes}


def meets(verdict: Verdict, sizes: dict[str, int]) -> bool:
    return all(condition.holds(sizes) for condition in verdict.preconditions)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", [*SMALL, *one_of_each_class(list_models(published=True))])
def test_real_kernels_agree_on_both_sides_of_each_boundary(name: str, mode: Mode) -> None:
    probe(unfilled(name).train(mode == "train"), verdicts(name)[mode])


def probe(model: Module, verdict: Verdict) -> None:
    """Call a model on both sides of each boundary."""
    probed = list(boundaries(verdict))
    assert probed
    for sizes, is_accepted in probed:
        args, kwargs = example_arguments(signature(model), sizes)
        if is_accepted:
            model(*args, **kwargs)
        else:
            with pytest.raises(ShapeError):
                model(*args, **kwargs)


@pytest.mark.parametrize("name", list_models())
def test_the_verdict_is_about_the_axes_that_are_free(name: str) -> None:
    assert {*verdicts(name)} == {*MODES}
    for verdict in verdicts(name).values():
        assert set(verdict.axes) >= set(free_axes(model_info(name).signature))


def test_what_is_known_of_a_model_shows_its_proof() -> None:
    info = model_info("gru")
    assert str(info.verdicts["eval"]) == "proved for all seq, batch"
    assert "\n  proof       proved for all seq, batch" in str(info)
    assert model_info("gru", hidden_size=3).verdicts == {}
    assert model_info("lenet", num_classes=3).verdicts
    assert model_info("vgg_micro", dropout=0.1).verdicts
    assert model_info("resnet_micro", strides=(1, 2, 4, 8)).verdicts == {}
    assert model_info("googlenet_micro", aux_logits=False).verdicts == {}


class Tower(Module):
    """Pools so often that small images vanish."""

    def __init__(self, num_pools: int) -> None:
        super().__init__()
        self.pools = nn.Sequential(*(nn.MaxPool2d(2) for _ in range(num_pools)))

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 3"]:
        maps: Tensor = self.pools(images)
        return maps.amax((2, 3))


@pytest.fixture
def tower(monkeypatch: pytest.MonkeyPatch, tool: ModuleType) -> Any:
    """A model of the zoo with limits, as a file would store them."""
    monkeypatch.setattr(registry, "_entries", dict(registry._entries))

    @register(task="image-classification", paper="none")
    def tower(*, num_pools: int = 5, num_classes: int = 3) -> Tower:
        """A tower."""
        return Tower(num_pools)

    found = {mode: tool.verdict_of(tool.proof("tower", mode)).to_dict() for mode in MODES}
    monkeypatch.setattr(stored, "_stored", lambda: {"tower": found})
    return tower


def test_a_model_below_its_limit_says_so(tower: Any) -> None:
    assert list(map(str, verdicts("tower")["eval"].preconditions)) == [
        "height >= 32",
        "width >= 32",
    ]
    for mode in MODES:
        conditions = verdicts("tower")[mode].preconditions
        assert list(map(str, conditions)) == ["height >= 32", "width >= 32"]
    with pytest.raises(ShapeError, match=r"Tower\.forward: width must be at least 32, got 31"):
        tower()(torch.zeros(1, 3, 40, 31))
    with pytest.raises(ShapeError, match="height must be at least 32, got 1"):
        create_model("tower", num_classes=7)(torch.zeros(1, 3, 1, 31))
    assert tower()(torch.zeros(1, 3, 32, 32)).shape == (1, 3)
    assert "proved for all batch, height, width with height >= 32" in str(model_info("tower"))
    for sizes, is_accepted in boundaries(verdicts("tower")["eval"]):
        args, _ = example_arguments(signature(tower()), sizes)
        if is_accepted:
            tower()(*args)
        else:
            with pytest.raises(ShapeError, match="must be at least 32, got 31"):
                tower()(*args)


def test_other_hyperparameters_have_limits_that_are_not_known(tower: Any) -> None:
    with pytest.raises(RuntimeError, match="too small"):
        tower(num_pools=6)(torch.zeros(1, 3, 40, 31))
    assert model_info("tower", num_pools=6).verdicts == {}


def test_a_model_remembers_how_it_was_built() -> None:
    origin = origin_of(create_model("lenet", num_classes=26))
    assert origin is not None
    assert (origin.name, origin.hyperparameters) == ("lenet", {"in_channels": 1, "num_classes": 26})
    inner = origin_of(create_model("character_rnn"))
    assert inner is not None
    assert inner.name == "character_rnn"
    assert origin_of(nn.Linear(1, 1)) is None
