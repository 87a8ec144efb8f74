"""The script at the top of the page about transfer learning does what the page says."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from sybil import Document
from sybil.parsers.markdown import PythonCodeBlockParser

from shapezoo import create_model, model_info, weights

PAGE = Path(__file__).parents[2] / "docs/transfer-learning.md"
CLASSES = {"bird": "red", "cat": "green", "dog": "blue", "fish": "white", "frog": "black"}


def script() -> dict[str, Any]:
    """Run the first block of the page, and return its names."""
    document = Document.parse(str(PAGE), PythonCodeBlockParser())
    next(iter(document.examples())).evaluate()
    return document.namespace


@pytest.fixture
def pretrained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a folder with photos of five classes and the weights of a small ResNet."""
    monkeypatch.chdir(tmp_path)
    for name, colour in CLASSES.items():
        folder = Path("photos/train", name)
        folder.mkdir(parents=True)
        Image.new("RGB", (40, 30), colour).save(folder / "1.jpg")
    Image.new("RGB", (50, 40), "blue").save("photo.jpg")
    file = tmp_path / "pretrained.safetensors"
    weights.save(create_model("resnet_micro", num_classes=20), file)
    return file


def test_the_script_trains_saves_loads_and_predicts(
    pretrained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def create_small(name: str, *, weights: str, num_classes: int) -> torch.nn.Module:
        assert name == "resnet50"
        file = pretrained if weights == "DEFAULT" else weights
        return create_model("resnet_micro", weights=file, num_classes=num_classes)

    names = script()
    monkeypatch.setitem(names, "create_model", create_small)
    names["main"]()

    *epochs, prediction = capsys.readouterr().out.splitlines()
    losses = [float(line.rpartition(" ")[2]) for line in epochs]
    assert len(losses) == 5
    assert losses[-1] < losses[0]

    # the head is new and has five classes; all else, also the statistics of batch norm, is as
    # before
    before = create_model("resnet_micro", weights=pretrained, num_classes=20)
    after = create_model("resnet_micro", weights="photos.safetensors", num_classes=5).eval()
    for name, value in before.state_dict().items():
        assert name.startswith("fc.") or torch.equal(after.state_dict()[name], value), name

    chosen = next(w for w in model_info("resnet50").weights if w.is_default)
    with Image.open("photo.jpg") as photo:
        image = weights.preprocess(photo, chosen)
    with torch.inference_mode():
        probabilities = after(image[None]).softmax(1)[0]
    likely = sorted(CLASSES)[int(probabilities.argmax())]
    found = re.fullmatch(r"(\w+): ([\d.]+)%", prediction)
    assert found
    assert found[1] == likely
    assert float(found[2]) == pytest.approx(100 * float(probabilities.max()), abs=0.06)
