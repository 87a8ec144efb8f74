"""What the first steps say about their training holds."""

from pathlib import Path
from typing import Any

import torch
from sybil import Document
from sybil.parsers.markdown import PythonCodeBlockParser

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
