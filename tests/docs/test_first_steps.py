"""What the first steps say about their training holds."""

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sybil import Document
from sybil.parsers.markdown import PythonCodeBlockParser

from shapezoo.data import digits, read_digit

PAGE = Path(__file__).parents[2] / "docs/first-steps.md"


def run() -> dict[str, Any]:
    """Run the code of the page, and return its names."""
    document = Document.parse(str(PAGE), PythonCodeBlockParser())
    document.namespace["__name__"] = "__main__"
    for example in document.examples():
        example.evaluate()
    return document.namespace


def test_running_it_again_gives_the_same_bits() -> None:
    first = run()
    torch.manual_seed(1)  # another process would draw other numbers before
    second = run()
    for name, value in first["state"].parameters.items():
        assert torch.equal(second["state"].parameters[name], value)


def test_the_file_holds_the_trained_model() -> None:
    names = run()
    before, after = names["start"].parameters, names["state"].parameters
    for name, value in names["trained"].named_parameters():
        assert torch.equal(value, after[name])
    assert not all(torch.equal(before[name], after[name]) for name in before)


def test_the_image_to_predict_is_a_test_digit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (block,) = re.findall(r"^```sh\n(python -c .*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)
    python, option, code, *command, image = shlex.split(block)
    assert (python, option, command[:2]) == ("python", "-c", ["shapezoo", "predict"])
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    with Image.open(tmp_path / image) as saved:
        assert np.array_equal(np.array(saved), digits().test.images[0, 0])
    assert read_digit(tmp_path / image).shape == (1, 1, 28, 28)  # as `predict` reads it
