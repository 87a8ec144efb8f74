"""The frame of the command line, and the commands `list` and `show`."""

import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from tests.command_line import run

import shapezoo
from shapezoo import list_models
from shapezoo.cli import train_command
from shapezoo.cli.list_command import Task
from shapezoo.cli.wrapping import print_wrapped
from shapezoo.registry import Task as RegistryTask
from shapezoo.train import OnNan

NETS = '''
from jaxtyping import Float
from torch import Tensor, nn


class Half(nn.Module):
    """Halve the height and width."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.pool = nn.MaxPool2d(2)

    def forward(
        self, x: Float[Tensor, "batch channels={self.channels} height width"]
    ) -> Float[Tensor, "batch channels={self.channels} height//2 width//2"]:
        return self.pool(x)


class Plain(nn.Linear):
    def forward(self, x):
        return super().forward(x)
'''


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_help_and_mistyped_arguments_do_not_import_torch() -> None:
    result = python("""
import sys
from shapezoo.cli import commands

names = [name for name in commands.app if not name.startswith("-")]
for arguments in [["--help"], ["--version"], ["trian"], ["trace"], ["list", "--tsk", "x"]] + [
    [name, "--help"] for name in names
]:
    sys.argv[1:] = arguments
    try:
        commands.main()
    except SystemExit:
        pass
print(sorted({"torch", "numpy", "sympy"} & sys.modules.keys()))
""")
    assert result.stdout.splitlines()[-1] == "[]", result
    assert result.stdout.count("Usage: shapezoo") == 7
    assert result.stdout.count("Exit codes: 0 if") == 5
    assert result.stdout.count("exit code is 0") == 2
    assert len(result.stderr.splitlines()) == 3


def test_every_export_is_found_when_it_is_used() -> None:
    result = python("""
import sys
import shapezoo
before = "torch" in sys.modules
from shapezoo import *
print(before, shapezoo.testing.__name__, shapezoo.contracts.checked is checked)
print(*[name for name in shapezoo.__all__ if name not in globals()])
""")
    assert result.stdout == "False shapezoo.testing True\n\n", result.stderr
    assert set(shapezoo.__all__) <= set(dir(shapezoo))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        shapezoo.nothing  # type: ignore[attr-defined]  # noqa: B018


def test_choices_are_those_of_the_library() -> None:
    assert get_args(Task) == get_args(RegistryTask)
    (choices, _) = get_args(train_command.Options.__annotations__["on_nan"])
    assert get_args(choices) == get_args(OnNan)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("trian lenet", "unknown command 'trian'; did you mean 'train' or 'trace'? see 'shapezoo"),
        ("frobnicate", "unknown command 'frobnicate'; the commands are list, show, trace, prove,"),
        ("show", "the argument MODEL is missing; see 'shapezoo show --help'"),
        ("show lenet alexnet", "unexpected argument 'alexnet'; see 'shapezoo show --help'"),
        ("train --epoch 3", "unknown option --epoch; did you mean '--epochs'? see 'shapezoo train"),
        ("train --epochs 2.7", "--epochs must be a whole number, got '2.7'; see"),
        ("train --epochs", "--epochs needs a value; see"),
        ("train --lr fast", "--lr must be a number, got 'fast'; see"),
        ("train --split-by writr", "example, writer, got 'writr'; did you mean 'writer'? see"),
        ("trace lenet --depth -1", "--depth must be at least 0, got '-1'; see"),
        ("trace lenet --sgv x.svg", "unknown option --sgv; did you mean '--svg'? see"),
        ("trace lenet --jsn", "unknown option --jsn; did you mean '--json'"),
        ("list --max-parameters 5Q", "--max-parameters must be a number such as 25000000 or 25M,"),
        ("list --accepts big", "--accepts big: write a shape as in --accepts 1,3,224,224"),
        ("list --task forecast", "got 'forecast'; did you mean 'forecasting'?"),
        ("list resnet", "no model is called just 'resnet'; write: shapezoo list '*resnet*'"),
        ("list resnet81", "no name matches 'resnet81'; did you mean 'resnet18'"),
        ("list [", "no name matches '['; 'shapezoo list' shows them all"),
        ("list lenet xyz", "no name matches 'xyz'; 'shapezoo list' shows them all"),
        ("list forecasting", "is a task; write: shapezoo list --task forecasting"),
        ("list --published --task forecasting", "no model meets all of these conditions\n"),
        ("list --accepts 1,28,28", "in front the shape is --accepts 1,1,28,28"),
        ("show lenet_5", "unknown model 'lenet_5'; did you mean 'lenet'"),
        ("show xyz", "'shapezoo list' shows the names; for a model of your own write module:Name"),
    ],
)
def test_an_error_is_one_line_that_suggests_what_was_meant(
    arguments: str,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(monkeypatch, *arguments.split()) == 1
    output, error = capsys.readouterr()
    assert output == ""
    assert re.fullmatch(r"shapezoo: .*\n", error)
    assert message in error


def test_an_os_error_has_no_number(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "trace", "lenet", "--svg", "nowhere/lenet.svg") == 1
    assert capsys.readouterr().err == ("shapezoo: No such file or directory: 'nowhere/lenet.svg'\n")


@pytest.mark.parametrize(
    "reaction", ["raise", "raise ImportError('cannot load module more than once per process')"]
)
def test_ctrl_c_while_modules_load_is_one_line(reaction: str) -> None:
    result = python(f"""
import signal, sys
from importlib.abc import MetaPathFinder

class Interrupting(MetaPathFinder):
    def find_spec(self, name, *_):
        if name == "torch":
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt:
                {reaction}

sys.meta_path.insert(0, Interrupting())
sys.argv[1:] = ["list"]
from shapezoo.cli import main
main()
""")
    assert (result.returncode, result.stderr) == (130, "shapezoo: stopped\n")


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    code = """
from shapezoo.cli import commands
commands.app = lambda *_, **__: print("line\\n" * 100_000)
commands.main()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline() == "line\n"
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 141


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("lene? gru", {"lenet", "gru"}),
        ("--task forecasting", {"rnn_forecaster"}),
        ("resnet* --max-parameters 12M", {"resnet18", "resnet_micro", "resnet_small"}),
        ("--accepts ?,1,28,28 *lenet*", {"lenet", "lenet_small"}),
        ("vgg*micro --published=false", {"vgg_micro", "vgg_bn_micro"}),
        ("resnet18 resnet_micro --published", {"resnet18"}),
    ],
)
def test_list_can_be_narrowed_down(
    arguments: str,
    expected: set[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(monkeypatch, "list", *arguments.split()) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in lines} == expected


def test_a_list_for_programs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "list", "--json") == 0
    records = json.loads(capsys.readouterr().out)
    assert [record["name"] for record in records] == list_models()
    (vgg,) = [record for record in records if record["name"] == "vgg11"]
    assert vgg["parameters"] == 132_863_336
    assert vgg["verdicts"]["eval"]["preconditions"] == ["height >= 32", "width >= 32"]
    assert vgg["published_by"] == "torchvision"


def test_show_for_programs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "show", "resnet18", "--init", "num_classes=3", "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert record["hyperparameters"]["num_classes"] == 3
    assert 'Float[Tensor, "batch classes=3"]' in record["signature"]
    (weights,) = record["weights"]
    assert (weights["name"], weights["classes"]) == ("IMAGENET1K_V1", 1000)


def test_show_takes_modules_of_the_users_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own_nets.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "show", "own_nets:Half", "--init", "channels=3") == 0
    assert capsys.readouterr().out == (
        "own_nets:Half: Halve the height and width.\n"
        "  class       own_nets.Half\n"
        "  parameters  0\n"
        '  signature   (x: Float[Tensor, "batch channels=3 height width"]) -> '
        'Float[Tensor, "batch channels=3 height//2 width//2"]\n'
    )
    linear = ("own_nets:Plain", "--init", "in_features=2", "out_features=3")
    assert run(monkeypatch, "show", *linear) == 0
    assert "signature   none: own_nets.Plain.forward: missing" in capsys.readouterr().out
    assert run(monkeypatch, "show", *linear, "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["parameters"], record["signature"]) == (9, None)
    assert run(monkeypatch, "show", "own_nets:Half") == 1
    assert "pass arguments as in --init channels=3" in capsys.readouterr().err


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_lines_are_wrapped_at_words_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    text = "  signature   (images) -> something long\nname  1,000  some-task  A long summary"
    pipe, terminal = io.StringIO(), Terminal()
    print_wrapped(text, pipe)
    assert pipe.getvalue() == f"{text}\n"
    print_wrapped(text, terminal)
    assert terminal.getvalue().splitlines() == [
        "  signature   (images) ->",
        "              something long",
        "name  1,000  some-task  A long",
        "    summary",
    ]
