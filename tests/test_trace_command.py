"""The command `shapezoo trace`."""

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from shapezoo import create_model, trace
from shapezoo.cli import commands
from shapezoo.models import lenet


def run(*arguments: str) -> None:
    """Run the command in this process."""
    commands.app(["trace", *arguments], result_action="return_value")


def refuse(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    """Run the command as a shell does, and return the exit code."""
    monkeypatch.setattr(sys, "argv", ["shapezoo", "trace", *arguments])
    with pytest.raises(SystemExit) as stop:
        commands.main()
    return stop.value.code


def test_it_prints_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    run("lenet")
    output, error = capsys.readouterr()
    assert output == f"{trace(lenet())}\n"
    assert output.startswith("layer  ")
    assert "467200*batch" in output
    assert error == ""


def test_sizes_give_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    run("resnet_small", "--batch", "8")
    text = capsys.readouterr().out
    model = create_model("resnet_small").eval()
    assert text == f"{trace(model, sizes={'batch': 8})}\n"
    assert re.search(r"^SmallResNet +batch=8 channels=1 28 28 +batch=8 classes=10 ", text, re.M)
    assert re.search(r"8 16 24 24 +416 +1\.84 M +294\.91 kB$", text, re.M)


def test_axes_without_a_size_stay_names(capsys: pytest.CaptureFixture[str]) -> None:
    run("gru", "--seq", "7")
    assert re.search(r"^GRU +7 batch 4 +7 batch 2, 1 batch 2 ", capsys.readouterr().out, re.M)


def test_a_model_of_sequences(capsys: pytest.CaptureFixture[str]) -> None:
    run("stepped_rnn", "--seq", "7", "--batch", "2")
    text = capsys.readouterr().out
    assert re.search(r"^SteppedRNN +seq=7 batch=2 features=4 +seq=7 batch=2 hidden=2, ", text, re.M)
    assert re.search(r"^└─ cell: RNNCell ×7 +2 4, 2 2 +2 2 +16 +168 ", text, re.M)


def test_depth_applies_to_table_and_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    traced = trace(lenet())
    run("lenet", "--depth", "1", "--svg", str(tmp_path / "lenet.svg"))
    assert capsys.readouterr().out == f"{traced.to_text(depth=1)}\n"
    assert (tmp_path / "lenet.svg").read_text(encoding="utf-8") == traced.to_svg(depth=1)
    assert list(tmp_path.iterdir()) == [tmp_path / "lenet.svg"]


def test_a_picture_is_the_whole_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "lenet.svg"
    path.write_text("something longer than a picture" * 1000, encoding="utf-8")
    run("lenet", "--svg", str(path))
    assert ElementTree.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"
    assert path.read_text(encoding="utf-8") == trace(lenet()).to_svg()
    assert capsys.readouterr().err == f"shapezoo: wrote a block diagram to {path}\n"


def test_a_picture_that_cannot_be_written_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "lenet.svg"
    path.write_text("before", encoding="utf-8")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    assert refuse(monkeypatch, "lenet", "--svg", str(path)) == 1
    assert "No space left on device" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text(encoding="utf-8") == "before"


NETS = """
from jaxtyping import Float
from torch import Tensor, nn


class Plain(nn.Module):
    def __init__(self, channels=3):
        super().__init__()
        self.conv = nn.Conv2d(channels, 4, 3)

    def forward(self, x):
        return self.conv(x)


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(10, 4)

    def forward(self, tokens, weights):
        return self.embedding(tokens) * weights


class Kept(nn.Module):
    def forward(self, x: Float[Tensor, "batch kv_seq"]) -> Float[Tensor, "batch kv_seq"]:
        return x


class Picky(nn.Module):
    def forward(self, x: Float[Tensor, "batch kv_seq"]) -> Float[Tensor, "batch kv_seq"]:
        return x.view(-1, 3, 37).view_as(x)


def double(x: Float[Tensor, "batch"]) -> Float[Tensor, "2*batch"]:
    return x.repeat(2)
"""


@pytest.fixture
def traced_nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module of the user's, in the working directory."""
    name = f"traced_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    return name


def test_modules_of_the_users_own(traced_nets: str, capsys: pytest.CaptureFixture[str]) -> None:
    run(f"{traced_nets}:Plain", "--init", "channels=1", "--input", "2,1,8,8")
    assert re.search(r"^Plain +2 1 8 8 +2 4 6 6 +40 ", capsys.readouterr().out, re.M)
    run(f"{traced_nets}:Tokens", "--input", "2,7:int64", "7,1")
    assert re.search(r"^Tokens +2 7, 7 1 +2 7 4 ", capsys.readouterr().out, re.M)
    run(f"{traced_nets}:Kept", "--kv-seq", "7")
    assert re.search(r"^Kept +batch 7 +batch 7 ", capsys.readouterr().out, re.M)


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (("NETS:Plain",), "give the shapes of its inputs: --input 1,3,224,224"),
        (("NETS:double",), "NETS:double is a function; name a module, or what builds one"),
        (("NETS:Plain", "--input", "1,3,2,2"), "Kernel size can't be greater than actual input"),
    ],
)
def test_what_cannot_be_traced_is_an_error(
    arguments: tuple[str, ...],
    advice: str,
    traced_nets: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert refuse(monkeypatch, *(a.replace("NETS", traced_nets) for a in arguments)) == 1
    error = capsys.readouterr().err
    assert error.startswith("shapezoo: ")
    assert advice.replace("NETS", traced_nets) in error


def test_advice_in_an_error_is_written_for_the_command_line(
    traced_nets: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refuse(monkeypatch, f"{traced_nets}:Picky") == 1
    assert "give them: --batch N --kv-seq N" in capsys.readouterr().err


def test_a_trace_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    run("lenet", "--json")
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(trace(lenet()).to_dict()))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("lent",), "unknown model 'lent'; did you mean 'lenet'"),
        (("lenet", "--height", "3"), "the contract has no axis 'height' of free size; it has"),
        (("lenet", "--batch", "0"), "the size of axis 'batch' must be 1 or more, got 0"),
        (("lenet", "--batch", "-3"), "the size of axis 'batch' must be 1 or more, got -3"),
        (("lenet", "--svg", "nowhere/lenet.svg"), "No such file or directory: 'nowhere/lenet.svg'"),
        (("lenet", "--svg", "folder.svg"), "Is a directory: 'folder.svg'"),
        (
            ("lenet", "--svg", "lenet.png"),
            "--svg writes SVG; name the file, for example, 'lenet.svg'",
        ),
        (("lenet", "--svg", "lenet"), "--svg writes SVG; name the file, for example, 'lenet.svg'"),
        (("lenet", "--svg", ""), "--svg writes SVG; name the file, for example, 'model.svg'"),
        (("lenet", "--input", "1,1,28,28", "--batch", "2"), "has all sizes; leave out --batch"),
        (("lenet", "--dpeth", "2"), "unknown option --dpeth; did you mean '--depth'?"),
        (("gru", "--sqe", "2"), "unknown option --sqe; did you mean '--seq'"),
        (("lenet", "--input", "1,a"), "--input 1,a: write a shape as in --input 1,3,224,224"),
        (("lenet", "--input", "1,2:int65"), "--input: 'int65' is not a dtype; write, for example"),
    ],
)
def test_a_refusal_is_one_line_and_exit_code_1(
    arguments: tuple[str, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "folder.svg").mkdir()
    monkeypatch.chdir(tmp_path)
    assert refuse(monkeypatch, *arguments) == 1
    output, error = capsys.readouterr()
    assert re.fullmatch(r"shapezoo: .*\n", error)
    assert message in error
    assert output == ""
    assert list(tmp_path.rglob("*")) == [tmp_path / "folder.svg"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("lenet", "--batch", "many"),
        ("lenet", "--batch", "2.5"),
        ("lenet", "--batch"),
        ("lenet", "--depth", "1.5"),
        ("lenet", "8"),
        (),
    ],
)
def test_what_cannot_be_parsed_is_an_error(
    arguments: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert refuse(monkeypatch, *arguments) not in (0, None)
    assert "parameters" not in capsys.readouterr().out


def test_without_graphlay_a_picture_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "graphlay", None)
    assert refuse(monkeypatch, "lenet", "--svg", str(tmp_path / "lenet.svg")) == 1
    error = capsys.readouterr().err
    assert error == "shapezoo: diagrams need graphlay: pip install 'shapezoo[diagrams]'\n"
    assert list(tmp_path.iterdir()) == []
    run("lenet", "--depth", "0")
    assert "8,490" in capsys.readouterr().out


@pytest.mark.slow
def test_in_a_shell(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-m", "shapezoo", "trace", "lenet"]
    environment = os.environ | {"COLUMNS": "20", "PYTHONIOENCODING": "utf-8"}
    result = subprocess.run(
        [*command, "--batch", "8", "--svg", "lenet.svg"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert result.stdout == f"{trace(lenet(), sizes={'batch': 8})}\n"
    assert result.stderr == "shapezoo: wrote a block diagram to lenet.svg\n"
    assert (tmp_path / "lenet.svg").exists()
