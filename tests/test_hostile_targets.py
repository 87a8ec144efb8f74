"""Whatever the code and the options of users do, it is one message, and never a success."""

import sys
from pathlib import Path

import pytest
from tests.command_line import run

WELL = """
from jaxtyping import Float
from torch import Tensor

from shapezoo import Module


class Net(Module):
    def forward(self, x: Float[Tensor, "batch 3"]) -> Float[Tensor, "batch 3"]:
        return x
"""
HOSTILE = {
    "exits at import": "import sys\nsys.exit(0)",
    "exits when it is built": WELL + "\n    def __init__(self):\n        raise SystemExit(0)",
    "exits when it is called": WELL.replace("return x", "raise SystemExit(0)"),
    "raises when it is got": "def __getattr__(name):\n    raise RuntimeError('no')",
    "cannot be parsed": "class Net(",
}


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        (command, fault)
        for command in ("prove", "trace", "show")
        for fault in HOSTILE
        if (command, fault) != ("show", "exits when it is called")  # it does not call the model
    ],
)
def test_code_that_exits_or_raises_is_an_error(
    command: str,
    fault: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "hostile.py").write_text(HOSTILE[fault])
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "hostile", raising=False)
    assert run(monkeypatch, command, "hostile:Net") == (2 if command == "prove" else 1)
    printed = capsys.readouterr()
    assert printed.err.startswith("shapezoo: ")
    assert "Traceback" not in printed.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["prove", "lenet", "--init", "n={[]:1}"], "cannot build lenet"),
        (["prove", "lenet", "--budget", "nan"], "--budget"),
        (["prove", "/tmp/there/nets.py:Net"], "change to the folder '/tmp/there', and write nets:"),
        (["trace", "lenet", "--input", "1,1,28,28:int46"], "'int46' is not a dtype"),
        (["trace", "lenet", "--input", "99999999999999999999,3"], "write a shape as in"),
        (["trace", "lenet", "--input", "999999999999,999999,9"], "no tensor of shape"),
        (["show", "lenet", "--init", "weights=None"], "--init weights: "),
        (["show", "lenet", "--init", f"num_classes={10**25}"], "cannot build lenet"),
        (["list", "--accepts", "1,3,0,0"], "sizes must be 1 or more"),
        (["list", "--accepts", "9" * 5000], "write a shape as in"),
        (["list", "--max-parameters", "9" * 400], "must be a number such as"),
    ],
)
def test_odd_values_are_one_message(
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(monkeypatch, *arguments) == (2 if arguments[0] == "prove" else 1)
    error = capsys.readouterr().err
    assert error.startswith("shapezoo: ")
    assert message in error
    assert "C++" not in error
    assert len(error) < 12_000


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_closed_stream_is_no_error(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for pattern, code in (("lenet", 0), ("xyz", 1)):
        monkeypatch.setattr(sys, name, None)
        assert run(monkeypatch, "list", pattern) == code
        getattr(sys, name).close()


def test_a_bug_of_ours_is_not_taken_for_a_refutation(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*arguments: object, **keywords: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("shapezoo.cli.targets.find_target", broken)
    assert run(monkeypatch, "prove", "lenet") == 2
    assert "ZeroDivisionError" in capsys.readouterr().err
