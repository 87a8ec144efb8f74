"""Files that other code wrote: what is found in them, and what is never guessed."""

import argparse
import dataclasses
import datetime
import functools
import types
import warnings
from collections.abc import Callable
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.weights.nets import State, assert_equal, net, saved, under
from torch import nn
from torch.optim.swa_utils import AveragedModel

from shapezoo import create_model, model_info, weights
from shapezoo.models import resnet_micro
from shapezoo.registry import entries
from shapezoo.train import Checkpoint, init, save_checkpoint
from shapezoo.weights import WeightsError
from shapezoo.weights.pretrained import build_pretrained


def assert_loads(content: Any, expected: State, folder: Path) -> None:
    model = net()
    weights.load(model, saved(content, folder))
    assert_equal(model.state_dict(), expected)


PREFIXES = ["", "module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "model.", "a.b."]
ENTRIES = [None, "state_dict", "model", "ema", "model_state_dict", "model_ema", "net"]


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("prefix", PREFIXES)
def test_one_entry_and_one_prefix_are_taken_off(
    prefix: str, entry: str | None, tmp_path: Path
) -> None:
    state = net().state_dict()
    content: dict[str, Any] = under(prefix, state)
    if entry is not None:
        optimizer = {"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 0.1}]}
        content = {entry: content, "epoch": 3, "optimizer": optimizer, "best": torch.tensor(0.5)}
    assert_loads(content, state, tmp_path)


@pytest.mark.parametrize("options", [{}, {"_use_new_zipfile_serialization": False}])
@pytest.mark.parametrize("name", ["w.pth", "w.pt", "w.bin", "w.ckpt", "w", "w.safetensors"])
def test_the_content_decides_and_not_the_name(
    name: str, options: dict[str, Any], tmp_path: Path
) -> None:
    state = net().state_dict()
    model = net()
    weights.load(model, saved(state, tmp_path, name, **options))
    assert_equal(model.state_dict(), state)
    weights.save(net(), tmp_path / name)
    weights.load(model, tmp_path / name)


def test_parameters_of_half_precision_are_cast(tmp_path: Path) -> None:
    state = net().state_dict()
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        cast = {k: nn.Parameter(t.to(dtype)) if "weight" in k else t for k, t in state.items()}
        assert_loads(cast, state, tmp_path)


def test_counters_that_are_no_weights_do_not_matter(tmp_path: Path) -> None:
    model = net()
    state = model.state_dict()
    for module in model.modules():  # as thop does
        module.register_buffer("total_ops", torch.zeros(1, dtype=torch.float64))
        module.register_buffer("total_params", torch.zeros(1, dtype=torch.float64))
    assert_loads(model.state_dict(), state, tmp_path)
    assert_loads(nn.DataParallel(model).state_dict(), state, tmp_path)
    weights.save(model, tmp_path / "counted")
    weights.load(model, tmp_path / "counted")  # a model that has them reads them


def test_files_from_before_counters_of_batch_norm(tmp_path: Path) -> None:
    state = net().state_dict()
    old = {name: tensor for name, tensor in state.items() if "num_batches" not in name}
    model = net()
    before = model.state_dict()["1.0.num_batches_tracked"].clone()
    weights.load(model, saved(under("module.", old), tmp_path))
    assert_equal(model.state_dict(), {**state, "1.0.num_batches_tracked": before})


def test_an_average_of_weights(tmp_path: Path) -> None:
    model = net()
    state = model.state_dict()
    average = AveragedModel(model)
    average.update_parameters(model)
    assert_loads(average.state_dict(), state, tmp_path)
    weights.save(average, tmp_path / "ema")
    twin = AveragedModel(net())
    weights.load(twin, tmp_path / "ema")
    assert_equal(twin.state_dict(), average.state_dict())


def test_two_entries_that_fit_are_never_guessed(tmp_path: Path, monkeypatch: Any) -> None:
    """The error shows how to pick one, and its advice works."""
    monkeypatch.chdir(tmp_path)
    state, other = net().state_dict(), net().state_dict()
    average = under("module.", other) | {"n_averaged": torch.tensor(3)}
    saved({"model": state, "model_ema": average}, tmp_path)
    model = net()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(WeightsError, match="entry 'model', entry 'model_ema' with") as error:
        weights.load(model, "w.pth")
    assert_equal(model.state_dict(), before)
    fixes = [line for line in str(error.value).splitlines() if "torch.save(" in line]
    for fix, expected in zip(fixes, (state, other), strict=True):
        exec(fix.strip(), {"torch": torch, "model": model})
        weights.load(model, "weights.pth")
        assert_equal(model.state_dict(), expected)


@pytest.mark.parametrize("is_safetensors", [False, True])
@pytest.mark.parametrize("prefix", ["", "model."])
def test_extra_names_are_named_with_a_fix_that_works(
    prefix: str, is_safetensors: bool, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    state = net().state_dict()
    content = under(prefix, state) | {"loss.weight": torch.ones(2)}
    if is_safetensors:
        safetensors.torch.save_file(content, tmp_path / "w")
    else:
        saved({"state_dict": content, "epoch": 1}, tmp_path, "w")
    model = net()
    with pytest.raises(WeightsError) as error:
        weights.load(model, "w")
    lines = str(error.value).splitlines()
    assert "  loss.weight: in the file, not in the model" in lines
    assert sum("in the model" in line for line in lines) == 1
    assert (prefix == "") or f"prefix {prefix!r}" in str(error.value)
    (fix,) = (line.partition(": ")[2] for line in lines if "to keep only" in line)
    exec(fix, {"torch": torch, "safetensors": safetensors, "model": model})
    weights.load(model, "weights.pth")
    assert_equal(model.state_dict(), state)


def test_a_missing_name_under_a_prefix_is_the_only_one_named(tmp_path: Path) -> None:
    content = under("module.", net().state_dict())
    del content["module.1.1.bias"]
    with pytest.raises(WeightsError) as error:
        weights.load(net(), saved({"net": content}, tmp_path))
    assert str(error.value).splitlines()[1:] == [
        "  1.1.bias: in the model, not in the file",
        "  compared with the entry 'net'",
        "  compared without 'module.', which starts all its keys",
    ]


def test_each_side_of_a_mismatch_is_shown(tmp_path: Path) -> None:
    """Ten missing names once hid all names of the file."""
    content = under("encoder.", resnet_micro().state_dict())
    with pytest.raises(WeightsError) as error:
        weights.load(net(), saved(content, tmp_path))
    lines = str(error.value).splitlines()
    ours = [line for line in lines if line.endswith("in the model, not in the file")]
    theirs = [line for line in lines if line.endswith("in the file, not in the model")]
    assert len(ours) == len(theirs) == 6
    assert ours[-1] == "  and 3 more in the model, not in the file"
    assert lines[-1] == "  all its keys start with 'encoder.'"


def test_names_cannot_write_to_a_terminal(tmp_path: Path) -> None:
    content = {**net().state_dict(), "\x1b[2Jall is well\n": torch.ones(1)}
    with pytest.raises(WeightsError, match=r"'\\x1b\[2Jall is well\\n': in the file"):
        weights.load(net(), saved(content, tmp_path))


NAMES = st.lists(st.sampled_from("ab"), min_size=1, max_size=3).map(".".join)


@given(st.lists(NAMES, min_size=1, max_size=5, unique=True), st.data())
def test_nothing_is_loaded_but_what_an_exact_prefix_gives(
    names: list[str], data: st.DataObject
) -> None:
    """Whatever the names are: either all tensors of the file arrive, in one order, or an error."""
    from shapezoo.weights.state_dict_search import find_weights

    wanted = data.draw(st.lists(NAMES, min_size=1, max_size=5, unique=True))
    state = {name: torch.tensor(number) for number, name in enumerate(names)}
    found = find_weights(state, {name: torch.ones(1) for name in wanted}, __file__).tensors
    if found.keys() == {*wanted}:
        (prefix,) = {name.removesuffix(short) for name, short in _pairs(state, found)}
        assert state.keys() == {prefix + name for name in wanted}
        assert all(found[name] is state[prefix + name] for name in wanted)
    else:
        assert found.keys() != {*wanted}


def _pairs(state: State, found: Any) -> list[tuple[str, str]]:
    by_identity = {id(tensor): name for name, tensor in state.items()}
    return [(by_identity[id(tensor)], name) for name, tensor in found.items()]


@pytest.mark.parametrize(
    "beside",
    [
        {"rng_state": torch.get_rng_state()},
        {"class_weights": torch.ones(3)},
        {"optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 0.1}]}},
        {"history": [{"loss": torch.ones(1)}]},
    ],
)
def test_other_tensors_beside_an_entry_do_not_matter(beside: State, tmp_path: Path) -> None:
    state = net().state_dict()
    for content in ({"state_dict": state, **beside}, {**beside, "ckpt": {"model": state}}):
        assert_loads(content, state, tmp_path)


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda state: {"models": [state]},
        lambda state: {"ckpt": {"model": state}},
        lambda state: {0: state},
        lambda state: {"runs": ({"last": [{"net": state}]},)},
    ],
)
def test_no_place_is_overlooked_where_another_one_fits(
    wrapped: Callable[[State], State], tmp_path: Path
) -> None:
    """A decoy that is easier to find must not be loaded in silence."""
    state = net().state_dict()
    decoy = {name: torch.zeros_like(tensor) for name, tensor in state.items()}
    model = net()
    with pytest.raises(WeightsError, match="fit the model several times"):
        weights.load(model, saved({**wrapped(state), "grads": decoy}, tmp_path))


@pytest.mark.parametrize("extra", [{"epoch": 3}, {"ema": {"a": 1}}, {"step": None, "name": "x"}])
def test_a_state_dict_with_other_things_in_it_gets_a_fix_that_works(
    extra: State, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    state = net().state_dict()
    for content in ({**state, **extra}, {"model": under("module.", state) | extra}):
        saved(content, tmp_path)
        with pytest.raises(WeightsError) as error:
            weights.load(net(), "w.pth")
        (fix,) = (
            line.partition(": ")[2]
            for line in str(error.value).splitlines()
            if "to keep only" in line
        )
        exec(fix, {"torch": torch})
        model = net()
        weights.load(model, "weights.pth")
        assert_equal(model.state_dict(), state)


def test_many_extra_names_are_left_out_by_how_they_start(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    state = net().state_dict()
    saved({**state, **{f"head.{i}.weight": torch.ones(1) for i in range(20)}}, tmp_path)
    model = nn.DataParallel(net())
    with pytest.raises(WeightsError, match=r"not key\.startswith\(\('head\.',\)\)") as error:
        weights.load(model, "w.pth")
    fix = str(error.value).splitlines()[-1].partition(": ")[2]
    exec(fix, {"torch": torch})
    weights.load(model, "weights.pth")
    assert_equal(model.module.state_dict(), state)


def test_an_average_beside_the_weights_is_not_guessed_after_names_are_adapted(
    tmp_path: Path,
) -> None:
    """Names that `adapted` drops stand in neither entry's way."""
    state = create_model("googlenet_micro").state_dict()
    average = {name: tensor + 1 for name, tensor in state.items()}
    file = saved({"ema": average, "state_dict": state}, tmp_path)
    entry = next(entry for entry in entries() if entry.name == "googlenet_micro")
    published = dataclasses.replace(entry, published_by="torchvision")
    with pytest.raises(WeightsError, match="fit the model several times"):
        build_pretrained(published, file, {"aux_logits": False})
    file = saved({"state_dict": state, "step": torch.ones(1)}, tmp_path)
    build_pretrained(published, file, {"aux_logits": False})


def test_a_file_for_images_of_another_size_is_named(tmp_path: Path) -> None:
    """It would be interpolated to a size that nobody has asked for."""
    entry = next(entry for entry in entries() if entry.name == "vit_micro")
    published = dataclasses.replace(entry, published_by="torchvision")
    state = create_model("vit_micro", image_size=48).state_dict()
    file = saved(state, tmp_path)
    with pytest.raises(
        WeightsError, match=r"pos_embedding is \(1, 145, 32\) in the file.*image_size"
    ):
        build_pretrained(published, file, {})
    assert_equal(build_pretrained(published, file, {"image_size": 48}).state_dict(), state)
    build_pretrained(published, file, {"image_size": 32})


@pytest.mark.parametrize(
    "changed",
    [
        lambda weight: weight.to_sparse(),
        lambda weight: weight.long(),
        lambda weight: weight > 0,
        lambda weight: weight.to(torch.float8_e4m3fn),
    ],
    ids=["sparse", "whole numbers", "bool", "float8"],
)
@pytest.mark.filterwarnings("ignore:Validating sparse tensor")
def test_channels_of_odd_weights_are_refused(
    changed: Callable[[torch.Tensor], torch.Tensor], tmp_path: Path
) -> None:
    entry = next(entry for entry in entries() if entry.name == "resnet_micro")
    published = dataclasses.replace(entry, published_by="torchvision")
    state = create_model("resnet_micro").state_dict()
    file = saved({**state, "conv1.weight": changed(state["conv1.weight"])}, tmp_path)
    with pytest.raises(WeightsError, match=r"conv1\.weight: "):
        build_pretrained(published, file, {"in_channels": 1})


# What else may be in a file.


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([torch.ones(1)], "holds no state dict: expected a dict of tensors, got a list"),
        (torch.ones(1), "got a Tensor"),
        ({"epoch": 3, "lr": 0.1}, r"got \{'epoch': int, 'lr': float\}"),
        ({n: n for n in range(20)}, "and 12 more"),
        ({}, "its dict is empty"),
        ({"0.weight": "text"}, r"got \{'0.weight': str\}"),
    ],
)
def test_files_without_weights_say_what_they_hold(
    content: Any, message: str, tmp_path: Path
) -> None:
    with pytest.raises(WeightsError, match=message):
        weights.load(net(), saved(content, tmp_path))


def test_a_model_without_weights_survives_a_file(tmp_path: Path) -> None:
    weights.save(nn.ReLU(), tmp_path / "w")
    weights.load(nn.ReLU(), tmp_path / "w")


HARMLESS: dict[str, Any] = {
    "args": argparse.Namespace(lr=1, out=Path("runs")),
    "best_acc": np.float64(0.5),
    "small": np.float32(0.5),
    "epoch": np.int64(3),
    "is_best": np.bool_(True),
    "losses": np.ones(3),
    "random": np.random.default_rng(0).integers(9, size=3),
    "config": types.SimpleNamespace(depth=3),
    "began": datetime.datetime(2026, 1, 2),
    "took": datetime.timedelta(seconds=3),
    "folder": Path("runs/1"),
    "other folder": PureWindowsPath("C:/runs"),
}


def code_of(error: BaseException) -> str:
    """The code that an error shows, as somebody would paste it."""
    lines = str(error).splitlines()[1:]
    assert all(line.startswith("  ") for line in lines)
    return "\n".join(line[2:] for line in lines)


@pytest.mark.parametrize("name", [*HARMLESS, "all of them"])
def test_objects_that_are_harmless_are_allowed_by_the_code_in_the_error(
    name: str, tmp_path: Path, monkeypatch: Any
) -> None:
    """The weights are found whatever their entry is called, and no code in the file is run."""
    monkeypatch.chdir(tmp_path)
    state = net().state_dict()
    objects = HARMLESS if name == "all of them" else {name: HARMLESS[name]}
    for content in ({"model": state, **objects}, {**state, **objects}):
        saved(content, tmp_path)
        with pytest.raises(WeightsError, match=r"holds an object of .*without running") as error:
            weights.load(net(), "w.pth")
        code = code_of(error.value)
        assert "weights_only=False" not in code.partition("# if loading fails")[0]
        exec(code, {})
        model = net()
        weights.load(model, "weights.pth")
        assert_equal(model.state_dict(), state)


@pytest.mark.parametrize("options", [{}, {"_use_new_zipfile_serialization": False}])
@pytest.mark.parametrize("entry", [None, "state_dict", "net", "whole model"])
def test_other_objects_are_refused_with_a_fix_that_works(
    entry: str | None, options: dict[str, Any], tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    model = net().double()
    state = model.state_dict()
    content: Any = {entry: state, "loss": nn.L1Loss(), "optimizer": {"state": {}, "lr": [0.1]}}
    if entry is None or entry == "whole model":
        content = model if entry is None else {"model": model, "epoch": 3}
    saved(content, tmp_path, **options)
    with pytest.raises(WeightsError, match=r"holds an object of torch\.nn\..*; only") as error:
        weights.load(net(), "w.pth")
    assert "safe_globals" not in str(error.value)
    exec(code_of(error.value), {})
    twin = net()
    weights.load(twin, "weights.pth")
    assert_equal(twin.double().state_dict(), state)


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda state: {"ema": {"decay": 0.9, "shadow": state}},
        lambda state: {"checkpoint": {"model": state, "epoch": 1}},
        lambda state: {"state_dict": {**state, "_extra": 3}},
        lambda state: {"runs": [{"net": state}, 3]},
    ],
)
def test_code_for_refused_files_finds_weights_wherever_they_are(
    wrapped: Callable[[State], State], tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    state = net().state_dict()
    for other in (argparse.Namespace(x=1), nn.L1Loss()):
        saved({"args": other, **wrapped(state)}, tmp_path)
        with pytest.raises(WeightsError, match="holds an object of") as error:
            weights.load(net(), "w.pth")
        exec(code_of(error.value), {})
        twin = net()
        weights.load(twin, "weights.pth")
        assert_equal(twin.state_dict(), state)


def test_a_checkpoint_of_a_training_is_named_with_a_fix_that_works(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    trained = create_model("lenet")
    state = init(trained, functools.partial(torch.optim.SGD, lr=0.1))
    save_checkpoint(Checkpoint(state), "c.safetensors")
    model = create_model("lenet")
    for load in (
        lambda: create_model("lenet", weights="c.safetensors"),
        lambda: weights.load(model, "c.safetensors"),
    ):
        with pytest.raises(WeightsError, match=r"'c\.safetensors' is a checkpoint of") as error:
            load()
    exec(code_of(error.value), {"model": model})
    assert_equal(model.state_dict(), trained.state_dict())


class Attack:
    """Runs a command where it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, str]]:
        return open, (str(self.marker), "w")


def test_code_is_not_run(tmp_path: Path) -> None:
    saved({"state_dict": net().state_dict(), "x": Attack(tmp_path / "ran")}, tmp_path)
    with pytest.raises(WeightsError, match=r"holds an object of \w+\.open") as error:
        weights.load(net(), tmp_path / "w.pth")
    assert "safe_globals" not in str(error.value)  # would let the file call it
    assert not (tmp_path / "ran").exists()


def test_torchscript_is_named_with_a_fix_that_works(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    model = net()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        torch.jit.script(model).save("w.pt")  # type: ignore[no-untyped-call]
        with pytest.raises(WeightsError, match="is a TorchScript archive") as error:
            weights.load(net(), "w.pt")
        exec(str(error.value).splitlines()[-1].strip(), {"torch": torch})
    twin = net()
    weights.load(twin, "weights.pth")
    assert_equal(twin.state_dict(), model.state_dict())


@pytest.mark.filterwarnings(
    "ignore:Sparse CSR",
    "ignore:Validating sparse",
    "ignore:TypedStorage",
    r"ignore:torch\.quantize_per",
)
def test_tensors_that_are_not_plain_are_refused(tmp_path: Path) -> None:
    state = net().state_dict()
    weight = state["0.weight"]
    for odd, message in (
        (weight.to("meta"), "without values in the file"),
        (weight.to_sparse(), "sparse_coo in the file; only plain tensors are loaded"),
        (weight.to_sparse_csr(), "sparse_csr in the file"),
        (torch.quantize_per_tensor(weight, 1.0, 0, torch.qint8), "quantized in the file"),
        (weight.to(torch.complex64), r"torch\.float32 in the model, torch\.complex64 in the file"),
        (weight.to(torch.int32), r"torch\.float32 in the model, torch\.int32 in the file"),
        (weight[0], r"\(3, 2\) in the model, \(2,\) in the file"),
        (weight[None], r"\(3, 2\) in the model, \(1, 3, 2\) in the file"),
    ):
        model = net()
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        with pytest.raises(WeightsError, match=f"0.weight: {message}"):
            weights.load(model, saved({**state, "0.weight": odd}, tmp_path))
        assert_equal(model.state_dict(), before)


# Files for models of the zoo.


def test_a_file_is_fitted_as_published_weights_are(tmp_path: Path) -> None:
    theirs = create_model("resnet18").state_dict()
    file = saved({"state_dict": under("module.", theirs), "epoch": 90}, tmp_path)
    assert_equal(create_model("resnet18", weights=file).state_dict(), theirs)
    fitted = create_model("resnet18", weights=file, num_classes=10, in_channels=1).state_dict()
    changed = {name for name in theirs if fitted[name].shape != theirs[name].shape}
    assert changed == {"conv1.weight", "fc.weight", "fc.bias"}
    torch.testing.assert_close(fitted["conv1.weight"], theirs["conv1.weight"].sum(1, keepdim=True))
    assert all(torch.equal(fitted[name], theirs[name]) for name in theirs.keys() - changed)


def test_a_file_with_these_labels_keeps_its_head(tmp_path: Path) -> None:
    theirs = create_model("resnet18", num_classes=10).state_dict()
    file = saved(theirs, tmp_path)
    same = create_model("resnet18", weights=file, num_classes=10)
    assert_equal(same.state_dict(), theirs)
    grey = create_model("resnet18", weights=file, num_classes=10, in_channels=1).state_dict()
    assert torch.equal(grey["fc.weight"], theirs["fc.weight"])


@pytest.mark.parametrize("name", ["resnet_micro", "lenet", "googlenet_micro", "name_classifier"])
@pytest.mark.parametrize("wanted", ["default", "other"])
def test_labels_that_are_asked_for_get_a_new_head(name: str, wanted: str, tmp_path: Path) -> None:
    """Also if the file was made for other labels than the default ones."""
    default = model_info(name).hyperparameters["num_classes"]
    num_classes = default if wanted == "default" else default + 3
    theirs = create_model(name, num_classes=7).state_dict()
    file = saved(theirs, tmp_path)
    torch.manual_seed(1)
    fresh = create_model(name, num_classes=num_classes).state_dict()
    torch.manual_seed(1)
    fitted = create_model(name, weights=file, num_classes=num_classes).state_dict()
    changed = {key for key in theirs if fitted[key].shape != theirs[key].shape}
    assert changed
    assert all(torch.equal(fitted[key], fresh[key]) for key in changed)
    assert all(torch.equal(fitted[key], theirs[key]) for key in theirs.keys() - changed)


SIZES = [{"num_classes": 7}, {"in_channels": 2}, {"num_classes": 1, "in_channels": 5}]


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("name", ["resnet_micro", "lenet", "vit_micro", "conv_linear"])
def test_the_error_says_which_sizes_the_file_has(
    name: str, sizes: dict[str, Any], tmp_path: Path
) -> None:
    theirs = create_model(name, **sizes).state_dict()
    old = {key: t for key, t in theirs.items() if "num_batches" not in key}
    file = saved({"state_dict": under("module.", old)}, tmp_path)
    with pytest.raises(WeightsError) as error:
        create_model(name, weights=file)
    with pytest.raises(WeightsError) as same:
        weights.load(nn.DataParallel(create_model(name)), file)
    assert str(same.value) == str(error.value)
    counts = {"num_classes": "class", "in_channels": "input channel"}
    advice = str(error.value).splitlines()[-1].strip().removesuffix(" when you build the model")
    for keyword, size in sizes.items():
        assert f"{size} {counts[keyword]}" in advice
    assert advice.startswith("the file has ")
    keywords: dict[str, Any] = eval(f"dict({advice.partition('; pass ')[2]})")
    assert keywords == sizes
    assert_equal(create_model(name, weights=file, **keywords).state_dict(), theirs)


def test_no_sizes_are_named_that_would_not_do(tmp_path: Path) -> None:
    theirs = create_model("resnet_micro", num_classes=7).state_dict()
    odd = {"conv1.weight": torch.ones(9, 3, 7, 7)}
    head = ("fc.weight", "fc.bias")  # more classes than any model has
    forged = {key: torch.ones(1).expand(2**56, *theirs[key].shape[1:]) for key in head}
    for content in (
        {**theirs, **odd},
        {**theirs, "fc.bias": torch.ones(8)},
        {**theirs, "fc.weight": torch.ones(7, 65)},
        {**theirs, "fc.weight": torch.ones(0, 64), "fc.bias": torch.ones(0)},
        {**theirs, "more": torch.ones(1)},
        {**theirs, **forged},
    ):
        with pytest.raises(WeightsError, match=r"fc\.bias: \(1000,\) in the model") as error:
            create_model("resnet_micro", weights=saved(content, tmp_path))
        assert "the file has" not in str(error.value)


def test_only_a_head_that_differs_in_its_labels_is_replaced(tmp_path: Path) -> None:
    theirs = create_model("resnet_micro", num_classes=7).state_dict()
    for odd in (
        {"fc.weight": torch.ones(7, 65)},
        {"fc.bias": torch.ones(8)},
        {"fc.bias": torch.ones(7, 1)},
        {"fc.bias": torch.tensor(1.0)},
    ):
        with pytest.raises(WeightsError, match=r"fc\.bias: \(5,\) in the model"):
            create_model("resnet_micro", weights=saved({**theirs, **odd}, tmp_path), num_classes=5)


def test_a_recurrent_layer_that_scores_the_classes_is_not_replaced(tmp_path: Path) -> None:
    """It is the whole model: new, random weights would leave nothing of the file."""
    file = saved(create_model("onehot_tagger").state_dict(), tmp_path)
    with pytest.raises(WeightsError, match=r"weight_hh_l0: \(5, 5\) in the model, \(4, 4\) in"):
        create_model("onehot_tagger", weights=file, num_classes=5)


def test_channels_of_models_without_published_weights_are_never_adapted(tmp_path: Path) -> None:
    """Nothing says that their three channels are red, green and blue."""
    file = saved(create_model("resnet_micro").state_dict(), tmp_path)
    with pytest.raises(WeightsError, match=r"3 input channels; pass in_channels=3 when you"):
        create_model("resnet_micro", weights=file, in_channels=1)


def test_position_embeddings_of_a_wrong_rank_are_refused(tmp_path: Path) -> None:
    state = create_model("vit_micro").state_dict()
    name = "encoder.pos_embedding"
    from shapezoo.weights.pretrained import _adapted

    for odd in (torch.ones(3), torch.ones(1, 4, 8), torch.tensor(1.0)):
        with pytest.raises(WeightsError, match="'w' does not fit VisionTransformer: "):
            _adapted(create_model("vit_micro"), {**state, name: odd}, "w")
