"""Published weights, from torch.hub's cache with files of the right names in it.

Nothing is downloaded; what torch.hub does over a network is shown on a server of our own.
"""

import enum
import hashlib
import math
import re
import socket
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor
from torchvision.models.vision_transformer import interpolate_embeddings

import shapezoo.weights.published as published_module
from shapezoo import create_model, list_models, model_info
from shapezoo.models import ResNet, resnet18
from shapezoo.weights import PublishedWeights, WeightsError, save
from shapezoo.weights.published import download, find_published, published_weights

FILE = "resnet18-f37072fd.pth"
Weights = dict[str, Tensor]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """torch.hub's cache, empty."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    return tmp_path / "home/hub/checkpoints"


@pytest.fixture
def theirs(cache: Path) -> Weights:
    """Weights of torchvision's resnet18, which are in the cache under their name."""
    weights: Weights = torchvision.models.resnet18().state_dict()
    cache.mkdir(parents=True)
    torch.save(weights, cache / FILE)
    return weights


def state(**hyperparameters: Any) -> Weights:
    model = create_model("resnet18", weights="IMAGENET1K_V1", **hyperparameters)
    assert isinstance(model, ResNet)
    return model.state_dict()


def test_weights_are_found_by_name_and_loaded_from_the_cache(theirs: Weights) -> None:
    for name in ("IMAGENET1K_V1", "DEFAULT"):
        model = create_model("resnet18", weights=name)
        assert all(torch.equal(t, theirs[key]) for key, t in model.state_dict().items())


def test_a_grey_image_has_the_effect_of_the_same_in_colour(theirs: Weights) -> None:
    grey = torch.rand(2, 1, 33, 40)
    expected = torch.nn.functional.conv2d(grey.expand(-1, 3, -1, -1), theirs["conv1.weight"])
    for channels in (1, 2, 3, 4, 7):
        adapted = state(in_channels=channels)
        assert adapted.keys() == theirs.keys()
        result = torch.nn.functional.conv2d(
            grey.expand(-1, channels, -1, -1), adapted["conv1.weight"]
        )
        torch.testing.assert_close(result, expected)
        others = [key for key in theirs if key != "conv1.weight"]
        assert all(torch.equal(adapted[key], theirs[key]) for key in others)


def test_colours_share_their_weights(theirs: Weights) -> None:
    red, green, blue = theirs["conv1.weight"].unbind(1)
    adapted = state(in_channels=5)["conv1.weight"].unbind(1)
    for got, expected in zip(adapted, (red / 2, green / 2, blue, red / 2, green / 2), strict=True):
        assert torch.equal(got, expected)


def test_other_labels_get_a_new_head(theirs: Weights) -> None:
    torch.manual_seed(1)
    fresh = resnet18(num_classes=7).state_dict()
    torch.manual_seed(1)
    adapted = state(num_classes=7)
    assert torch.equal(adapted["fc.weight"], fresh["fc.weight"])
    others = [key for key in theirs if not key.startswith("fc.")]
    assert all(torch.equal(adapted[key], theirs[key]) for key in others)


def test_old_files_have_no_counters(theirs: Weights, cache: Path) -> None:
    old = {key: t for key, t in theirs.items() if not key.endswith("num_batches_tracked")}
    assert len(old) < len(theirs)
    torch.save(old, cache / FILE)
    assert all(torch.equal(t, theirs[key]) for key, t in state().items())


@pytest.mark.slow
def test_an_old_file_of_a_vision_transformer_fits_images_of_another_size(cache: Path) -> None:
    theirs: Weights = torchvision.models.vit_b_32().state_dict()
    old = {
        key.replace("mlp.0.", "mlp.linear_1.").replace("mlp.3.", "mlp.linear_2."): tensor
        for key, tensor in theirs.items()
    }
    cache.mkdir(parents=True)
    torch.save(old, find_published("vit_b_32", "DEFAULT").file)
    same = create_model("vit_b_32", weights="DEFAULT").state_dict()
    assert all(torch.equal(tensor, theirs[key]) for key, tensor in same.items())
    larger = create_model("vit_b_32", weights="DEFAULT", image_size=256, num_classes=3)
    expected = interpolate_embeddings(256, 32, OrderedDict(theirs))
    key = "encoder.pos_embedding"
    torch.testing.assert_close(larger.state_dict()[key], expected[key])
    assert larger(torch.zeros(1, 3, 256, 256)).shape == (1, 3)


def test_the_size_of_images_is_that_of_the_weights(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted: list[PublishedWeights] = []

    def nothing(weights: PublishedWeights) -> Weights:
        wanted.append(weights)
        return {}

    monkeypatch.setattr("shapezoo.weights.pretrained.download", nothing)
    for name, size in {"IMAGENET1K_SWAG_E2E_V1": 384, "IMAGENET1K_V1": 224}.items():
        with pytest.raises(WeightsError, match="holds no state dict"):
            create_model("vit_b_16", weights=name)
        assert wanted[-1].image_size == size


def test_a_wrong_key_names_both_sides(theirs: Weights, cache: Path) -> None:
    theirs["head.weight"] = theirs.pop("fc.weight")
    torch.save(theirs, cache / FILE)
    with pytest.raises(WeightsError) as error:
        state()
    assert f"{FILE}' does not fit ResNet:" in str(error.value)
    assert "fc.weight: in the model, not in the file" in str(error.value)
    assert "head.weight: in the file, not in the model" in str(error.value)


@pytest.mark.parametrize("keywords", [{"num_classes": 7}, {"in_channels": 1}])
def test_keys_are_missed_even_where_they_would_be_adapted(
    keywords: dict[str, int], theirs: Weights, cache: Path
) -> None:
    for key in ("fc.weight", "conv1.weight"):
        del theirs[key]
    torch.save(theirs, cache / FILE)
    with pytest.raises(WeightsError, match=r"conv1\.weight: in the model[^$]*fc\.weight: in the"):
        state(**keywords)


@pytest.mark.parametrize("size", [0, 100, -100])
def test_a_damaged_file_is_told(size: int, theirs: Weights, cache: Path) -> None:
    file = cache / FILE
    file.write_bytes(file.read_bytes()[:size])
    advice = f"IMAGENET1K_V1 of resnet18 cannot be read .*; delete .*{FILE}'"
    with pytest.raises(WeightsError, match=f"(?s){advice}.*not a (weights|PyTorch) file: "):
        state()


def test_a_changed_byte_is_noticed(theirs: Weights, cache: Path) -> None:
    content = bytearray((cache / FILE).read_bytes())
    content[len(content) // 2] ^= 1
    (cache / FILE).write_bytes(content)
    with pytest.raises(WeightsError, match=r"the checksum of .* is wrong"):
        state()


def test_code_in_a_file_is_not_run(theirs: Weights, cache: Path) -> None:
    torch.save({"conv1.weight": Path("x")}, cache / FILE)
    with pytest.raises(WeightsError, match=r"holds an object of pathlib\.PosixPath"):
        state()


@pytest.mark.parametrize(
    ("model", "name", "message"),
    [
        ("resnet18", "IMAGENET1K_V7", "'IMAGENET1K_V7'; there are IMAGENET1K_V1, DEFAULT"),
        ("resnet50", "V1", "'V1'; there are IMAGENET1K_V1, IMAGENET1K_V2, DEFAULT"),
        ("lenet", "DEFAULT", "nobody publishes weights for lenet; pass the path of a file"),
        ("resnet_micro", "IMAGENET1K_V1", "nobody publishes weights for resnet_micro"),
        ("resnet18", "./DEFAULT", "no weights file at './DEFAULT'"),
    ],
)
def test_what_is_not_there_is_told(model: str, name: str, message: str, cache: Path) -> None:
    with pytest.raises(WeightsError, match=message):
        create_model(model, weights=name)


@pytest.mark.parametrize("model", ["resnet18", "lenet"])
def test_a_file_without_an_extension_is_mentioned_if_it_exists(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for is_there in (False, True):
        with pytest.raises(WeightsError) as error:
            create_model(model, weights="noext")
        assert str(error.value).endswith("; for the file of this name pass './noext'") == is_there
        save(create_model(model), tmp_path / "noext")
    create_model(model, weights="./noext")


def test_a_model_without_values_downloads_nothing(cache: Path) -> None:
    with torch.device("meta"), pytest.raises(WeightsError, match="is on the meta device"):
        create_model("resnet18", weights="DEFAULT")
    assert not cache.exists()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The address of a server of the files in a folder."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    (tmp_path / "served").mkdir()
    handler = partial(Quiet, directory=str(tmp_path / "served"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def served(server: str, folder: Path, content: bytes, start: str) -> PublishedWeights:
    """Weights that are on a server, under a name with this start of their sum."""
    file = f"tiny-{start}.pth"
    (folder / file).write_bytes(content)
    return replace(find_published("resnet18", "DEFAULT"), url=f"{server}/{file}")


def test_a_download_is_verified_and_kept(server: str, tmp_path: Path, cache: Path) -> None:
    torch.save({"weight": torch.arange(3)}, tmp_path / "w")
    content = (tmp_path / "w").read_bytes()
    weights = served(server, tmp_path / "served", content, hashlib.sha256(content).hexdigest()[:8])
    assert weights.file.parent == cache
    for _ in range(2):
        assert torch.equal(download(weights)["weight"], torch.arange(3))
        (tmp_path / "served" / weights.file.name).unlink(missing_ok=True)
    assert [file.name for file in cache.iterdir()] == [weights.file.name]


def test_a_damaged_download_is_told_and_not_kept(server: str, tmp_path: Path, cache: Path) -> None:
    weights = served(server, tmp_path / "served", b"rubbish", "01234567")
    with pytest.raises(
        WeightsError, match=r"of resnet18: the download from http.* is damaged: its SHA"
    ):
        download(weights)
    assert list(cache.iterdir()) == []


def test_a_network_without_the_file_is_told(server: str, cache: Path) -> None:
    weights = replace(find_published("resnet18", "DEFAULT"), url=f"{server}/nothing-01234567.pth")
    advice = re.escape(f"put the file at {str(cache / 'nothing-01234567.pth')!r}")
    with pytest.raises(WeightsError, match=f"(?s)cannot be downloaded from .*404.*{advice}"):
        download(weights)
    weights = replace(weights, url="http://127.0.0.1:9/nothing-01234567.pth")
    with pytest.raises(WeightsError, match=r"cannot be downloaded from .*refused"):
        download(weights)
    assert list(cache.iterdir()) == []


class Silent(BaseHTTPRequestHandler):
    """Sends the start of a file, or not even that, and then nothing until it is told to end."""

    def do_GET(self) -> None:
        if "slow" not in self.path:
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(bytes(10))
        ended = self.server.ended  # type: ignore[attr-defined]  # set below
        ended.wait(timeout=60)

    def log_message(self, *_: object) -> None: ...


@pytest.mark.parametrize("name", ["stops", "slow"])
def test_a_server_that_stops_sending_is_given_up(
    name: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shapezoo.weights.downloading.TIMEOUT", 0.2)
    before = socket.getdefaulttimeout()
    with ThreadingHTTPServer(("127.0.0.1", 0), Silent) as running:
        running.ended = threading.Event()  # type: ignore[attr-defined]  # read above
        threading.Thread(target=running.serve_forever).start()
        url = f"http://127.0.0.1:{running.server_port}/{name}-01234567.pth"
        weights = replace(find_published("resnet18", "DEFAULT"), url=url)
        try:
            with pytest.raises(WeightsError, match=r"the server sent nothing for 0\.2 seconds"):
                download(weights)
        finally:
            running.ended.set()  # type: ignore[attr-defined]
            running.shutdown()
    assert socket.getdefaulttimeout() == before  # other connections of the process keep theirs
    assert list(cache.iterdir()) == []


def test_a_connection_that_ends_early_is_noticed(server: str, tmp_path: Path, cache: Path) -> None:
    weights = served(server, tmp_path / "served", b"", "01234567")
    with pytest.raises(WeightsError, match=r"is damaged: its SHA-256 sum is e3b0c442.*; try again"):
        download(weights)
    assert list(cache.iterdir()) == []


def test_a_cache_that_cannot_be_written_is_named(server: str, tmp_path: Path, cache: Path) -> None:
    weights = served(server, tmp_path / "served", b"x", "01234567")
    cache.parent.mkdir(parents=True)
    cache.touch()
    with pytest.raises(WeightsError, match=r"cannot be downloaded .*checkpoints"):
        download(weights)


ENUM = torchvision.models.ResNet18_Weights


NAMED = {
    "default": ENUM.DEFAULT,
    "member": ENUM.IMAGENET1K_V1,
    "full name": "ResNet18_Weights.IMAGENET1K_V1",
    "full default": "ResNet18_Weights.DEFAULT",
    "name": "IMAGENET1K_V1",
    "name of the default": "DEFAULT",
    "object": find_published("resnet18", "DEFAULT"),
}


@pytest.mark.parametrize("way", NAMED)
def test_weights_are_named_in_every_way_that_torchvision_has(way: str, theirs: Weights) -> None:
    model = create_model("resnet18", weights=NAMED[way])
    assert all(torch.equal(t, theirs[key]) for key, t in model.state_dict().items())


class Colour(enum.Enum):
    RED = 1


OTHERS: list[tuple[str, Any, str]] = [
    (
        "resnet18",
        torchvision.models.ResNet50_Weights.DEFAULT,
        r"ResNet50_Weights\.IMAGENET1K_V2 are weights of resnet50; .*model_info\('resnet18'\)",
    ),
    ("resnet18", "ResNet50_Weights.DEFAULT", "are weights of resnet50"),
    ("resnet18", find_published("resnet50", "DEFAULT"), "IMAGENET1K_V2 are weights of resnet50"),
    ("resnet18", Colour.RED, r"Colour\.RED are not weights of a model of the zoo"),
    ("resnet18", "ResNet19_Weights.DEFAULT", "are not weights of a model of the zoo"),
    ("resnet18", "ResNet18_Weights.IMAGENET1K_V9", "'IMAGENET1K_V9'; there are IMAGENET1K_V1"),
    ("lenet", ENUM.DEFAULT, "nobody publishes weights for lenet, got ResNet18_Weights"),
    ("lenet", find_published("resnet50", "DEFAULT"), "are weights of resnet50"),
    ("resnet18", "ResNet18_Weights.pth", "no weights file at 'ResNet18_Weights.pth'"),
]


@pytest.mark.parametrize("number", range(len(OTHERS)))
def test_weights_of_others_are_refused(number: int, cache: Path) -> None:
    model, weights, message = OTHERS[number]
    with pytest.raises(WeightsError, match=message):
        create_model(model, weights=weights)
    assert not cache.exists()


@pytest.mark.parametrize(
    ("weights", "hint"),
    [
        (True, "got True; for the best published weights pass weights='DEFAULT'$"),
        (False, "got False; for random weights pass weights=None$"),
        (1, "got 1$"),
        (b"DEFAULT", "got b'DEFAULT'$"),
        ({}, r"got \{\}$"),
        ([1] * 99, r"got list of 99$"),
        (
            resnet18().state_dict(),
            r"OrderedDict of 122 tensors; use model\.load_state_dict\(weights\), or save it",
        ),
        (resnet18(), r"ResNet; use model\.load_state_dict\(weights\.state_dict\(\)\)$"),
        (published_weights("resnet50"), r"a tuple of 2 PublishedWeights; .* such as weights\[1\]$"),
        (ENUM, r"<enum 'ResNet18_Weights'>; .* such as ResNet18_Weights\.DEFAULT$"),
    ],
)
def test_what_is_not_weights_is_refused(weights: Any, hint: str) -> None:
    for model in ("resnet18", "lenet"):
        with pytest.raises(TypeError, match=f"weights must be the name of .* a file, .*{hint}"):
            create_model(model, weights=weights)


@pytest.mark.parametrize("name", list_models(published=True))
def test_what_is_known_of_weights_is_what_their_publisher_says(name: str) -> None:
    enum = torchvision.models.get_model_weights(name)
    known = model_info(name).weights
    assert [weights.name for weights in known] == [member.name for member in enum]
    assert [weights.name for weights in known if weights.is_default] == [enum.DEFAULT.name]
    for weights, member in zip(known, enum, strict=True):
        assert weights.url == member.url
        accuracy = member.meta["_metrics"]["ImageNet-1K"]["acc@1"]
        assert (weights.accuracy or 0.0) == (0.0 if math.isnan(accuracy) else accuracy)
        assert list(weights.classes) == (member.meta["categories"] or [])
        assert f"{weights.name}" in str(model_info(name))
        assert (weights.licence == "CC-BY-NC-4.0") == ("SWAG" in member.name)


def test_models_without_published_weights_have_none() -> None:
    assert model_info("lenet").weights == ()
    assert "weights" not in str(model_info("lenet"))
    assert {*list_models(published=True), *list_models(published=False)} == {*list_models()}
    assert "lenet" in list_models(published=False)


def test_a_licence_that_is_not_known_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published_module, "_LICENCES", {})
    with pytest.raises(KeyError):
        published_weights("resnet18")
