import io
import os
import shutil

import pytest

from shapezoo.cli.wrapping import print_wrapped


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "get_terminal_size", lambda: os.terminal_size((30, 24)))


TEXT = """shapezoo: the training diverged; try a smaller learning rate:
  shapezoo train lenet --epochs 2 --batch-size 128
  paper       LeCun et al., Gradient-based learning"""


def test_a_terminal_gets_whole_words_and_whole_commands() -> None:
    stream = Terminal()
    print_wrapped(TEXT, stream)
    assert stream.getvalue().splitlines() == [
        "shapezoo: the training",
        "diverged; try a smaller",
        "learning rate:",
        "  shapezoo train lenet --epochs 2 --batch-size 128",
        "  paper       LeCun et al.,",
        "              Gradient-based",
        "              learning",
    ]


def test_a_file_gets_the_lines_as_they_are() -> None:
    stream = io.StringIO()
    print_wrapped(TEXT, stream)
    assert stream.getvalue() == TEXT + "\n"
