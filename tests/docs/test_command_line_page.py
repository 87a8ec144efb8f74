"""The examples on the page about the command line are what the commands print."""

import re
import signal
import sys
from pathlib import Path

import pytest
from cyclopts import App

from shapezoo.cli import commands

PAGE = (Path(__file__).parents[2] / "docs/command-line.md").read_text("utf-8")
(NETS,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.M | re.S)
BLOCKS = re.findall(r"^```console\n(.*?)^```$", PAGE, re.M | re.S)
EXAMPLES = [
    example.partition("\n")[::2]
    for block in BLOCKS
    for example in re.split(r"^\$ ", block, flags=re.M)[1:]
]


@pytest.mark.parametrize(("command", "expected"), EXAMPLES)
def test_an_example_is_what_the_command_prints(
    command: str,
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "nets.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [word.strip("'") for word in command.split()])
    monkeypatch.delitem(sys.modules, "nets", raising=False)
    is_error = expected.startswith("shapezoo:")
    if is_error:
        with pytest.raises(SystemExit):
            commands.main()
    else:
        commands.main()
    output = "".join(capsys.readouterr())
    assert output == expected or fits(output, expected)


def fits(output: str, expected: str) -> bool:
    """Whether the output is the expected one, in which ``...`` may stand for anything."""
    pattern = ".*".join(map(re.escape, expected.split("...")))
    return re.fullmatch(pattern, output, re.S) is not None


def test_the_page_has_every_command_and_option() -> None:
    assert fits("a 1 b", "a ... b")
    assert not fits("a 1 c", "a ... b")
    for name in ("list", "show", "trace", "prove"):
        command = commands.app[name]
        assert f"## {name}" in PAGE
        assert isinstance(command, App)
        for argument in command.assemble_argument_collection():
            for option in argument.names:
                if option.startswith("--") and "[" not in option:
                    assert f"`{option}" in PAGE, option


def test_the_exit_codes_are_those_of_the_code() -> None:
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.M)}
    assert codes == {0, 1, 2, 128 + signal.SIGINT, 128 + commands.SIGPIPE}
