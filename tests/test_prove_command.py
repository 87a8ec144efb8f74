"""The command `shapezoo prove`."""

import json
import sys
from pathlib import Path

import pytest

from shapezoo.cli import commands

NETS = """
from jaxtyping import Float
from torch import Tensor, nn


class Half(nn.Module):
    def __init__(self, channels: int, kernel_size: int = 2) -> None:
        super().__init__()
        self.channels = +channels
        self.pool = nn.MaxPool2d(kernel_size)

    def forward(
        self, x: Float[Tensor, "batch channels={self.channels} height width"]
    ) -> Float[Tensor, "batch channels={self.channels} height//2 width//2"]:
        return self.pool(x)


def half(channels=3):
    return Half(channels)


def double(x: Float[Tensor, "batch"]) -> Float[Tensor, "2*batch"]:
    return x.repeat(2)


def rare(x: Float[Tensor, "batch"]) -> Float[Tensor, "batch"]:
    if x.shape[0] % 1000:
        raise ValueError("a batch has a multiple of a thousand examples")
    return x


class Chosen(nn.Module):
    def forward(self, x: Float[Tensor, "batch"]) -> Float[Tensor, "batch"]:
        return x[x >= 0]


three = half()
number = 3
"""


@pytest.fixture
def nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module of the user's, in the folder that one is in."""
    name = f"nets_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    return name


def code(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    """Run the command as a shell does, and return the exit code."""
    monkeypatch.setattr(sys, "argv", ["shapezoo", "prove", *arguments])
    try:
        commands.main()
    except SystemExit as stop:
        return stop.code
    return 0


def test_a_model_of_the_zoo(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code(monkeypatch, "lenet", "--init", "num_classes=3") == 0
    text = capsys.readouterr().out
    assert text.startswith("shapezoo.models.LeNet.forward: proved (eval mode)\n")
    assert "classes=3" in text
    assert "for all       batch\n" in text
    assert code(monkeypatch, "lenet", "--train") == 0
    assert "(train mode)" in capsys.readouterr().out


def test_a_class_of_the_users_own(
    nets: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code(monkeypatch, f"{nets}:Half") == 0
    assert "for all       batch, height, width, channels\n" in capsys.readouterr().out
    assert code(monkeypatch, f"{nets}:Half", "--init", "channels=4") == 0
    text = capsys.readouterr().out
    assert "channels=4" in text
    assert "where         height >= 2 and width >= 2\n" in text
    assert code(monkeypatch, f"{nets}:Half", "--init", "channels=4", "--train") == 0


def test_a_builder_a_module_and_a_function(nets: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for target in ("half", "three", "double"):
        assert code(monkeypatch, f"{nets}:{target}") == 0
    assert code(monkeypatch, f"{nets}:half", "--init", "channels=5") == 0


def test_a_refuted_one_exits_with_1_and_shows_how_to_see_it(
    nets: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code(monkeypatch, f"{nets}:Half", "--init", "channels=1", "kernel_size=3") == 1
    text = capsys.readouterr().out
    assert "refuted" in text
    assert f"from {nets} import Half" in text
    snippet = text.partition("  replay\n")[2]
    with pytest.raises(Exception, match="breaks its contract"):
        exec("\n".join(line[4:] for line in snippet.splitlines()))
    assert code(monkeypatch, f"{nets}:three", "--assume", "height >= 2", "--assume", "width>1") == 0
    assert code(monkeypatch, f"{nets}:three", "--assume", "height >= 2") == 1


def test_all_sizes_can_be_asked_for(
    nets: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code(monkeypatch, f"{nets}:three") == 0
    assert "refused" not in capsys.readouterr().out
    assert code(monkeypatch, f"{nets}:three", "--all-sizes") == 2
    assert "some sizes are refused" in capsys.readouterr().out
    assert code(monkeypatch, f"{nets}:rare", "--all-sizes") == 2
    assert code(monkeypatch, f"{nets}:rare") == 0
    capsys.readouterr()
    assert code(monkeypatch, f"{nets}:double", "--all-sizes") == 0
    assert "some sizes are refused" not in capsys.readouterr().out
    sizes = "height >= 2 and width >= 2"
    assert code(monkeypatch, f"{nets}:three", "--all-sizes", "--assume", sizes) == 0
    wrong = ("--init", "channels=1", "kernel_size=3")
    assert code(monkeypatch, f"{nets}:Half", *wrong, "--all-sizes") == 1
    assert code(monkeypatch, f"{nets}:Chosen", "--all-sizes") == 2


def test_what_is_not_known_exits_with_2(nets: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert code(monkeypatch, f"{nets}:Chosen") == 2
    assert code(monkeypatch, f"{nets}:Half", "--budget", "0") == 2


def test_a_proof_for_programs(
    nets: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code(monkeypatch, f"{nets}:three", "--json", "--all-sizes") == 2
    record = json.loads(capsys.readouterr().out)
    assert record["verdict"] == "proved"
    assert record["preconditions"] == ["height >= 2", "width >= 2"]
    assert (record["reason"], record["counterexample"]) == (None, None)
    assert code(monkeypatch, f"{nets}:three", "--json", "--assume", "height >= 2") == 1
    record = json.loads(capsys.readouterr().out)
    assert record["assumptions"] == ["height >= 2"]
    assert record["counterexample"]["sizes"]["width"] == 1
    assert record["counterexample"]["replay"].startswith("import torch\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lent"], "did you mean 'lenet'"),
        (["nowhere_at_all:Net"], "cannot import nowhere_at_all"),
        (["NETS:Nothing"], "NETS has no Nothing; name one of NETS:Half, NETS:half, NETS:double,"),
        (["NETS:Hlaf"], "NETS has no Hlaf; did you mean 'Half' or 'half'?"),
        (["NETS.py"], "name an object in NETS.py: NETS:Half, NETS:half, NETS:double, NETS:rare,"),
        (["nowhere.py"], "there is no file 'nowhere.py'"),
        (["NETS.py:Half"], "NETS.py:Half names a file; write its module: NETS:Half"),
        (["NETS.Half"], "write a colon in front of the name: NETS:Half"),
        (["NETS:Half.forward"], "NETS:Half.forward is a method; name its class: NETS:Half"),
        (["NETS:"], "'NETS:' is incomplete; write module:Name"),
        (["Half"], "for a model of your own write module:Name"),
        (["NETS:number"], "is not an nn.Module, a class of one, or a function, but int"),
        (["NETS:Half", "--init", "channels"], "write it as name=value"),
        (["NETS:Half", "--init", "depth=3"], "no argument 'depth'; it takes channels, kernel_size"),
        (["NETS:three", "--init", "channels=3"], "does not accept --init: it is built already"),
        (["NETS:half", "--init", "channels=..."], "channels=... stands for any size only in a mod"),
        (["NETS"], "NETS is a module; name an object in it: NETS:Half, NETS:half"),
        (["NETS:Half", "--init", "channels=three"], "cannot prove NETS:Half: TypeError"),
        (["NETS:Half", "--init", "channels=three", "--train"], "cannot build NETS:Half: TypeError"),
        (["NETS:half", "--init", "depth=3"], "cannot build NETS:half"),
        (["NETS:three", "--assume", "tall"], "not a condition on sizes"),
        (["NETS:three", "--assume", "depth > 2"], "no axis 'depth'"),
        (["NETS:three", "--nothing"], "unknown option --nothing"),
    ],
)
def test_a_refusal_is_one_message_and_exit_code_2(
    arguments: list[str],
    message: str,
    nets: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = [argument.replace("NETS", nets) for argument in arguments]
    assert code(monkeypatch, *arguments) == 2
    output, error = capsys.readouterr()
    assert message.replace("NETS", nets) in output + error
    assert output == ""
    assert error.startswith("shapezoo: ")
    assert "Traceback" not in error
