"""The page about loading shows what really happens to a script without a main guard."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs/course/loading.md").read_text("utf-8")
BLOCK = re.compile(r"^```(\S+)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_a_script_without_a_guard_fails_as_the_page_says(tmp_path: Path) -> None:
    _, section = PAGE.split("### The main guard")
    (_, script), (_, in_worker), (_, in_main), *_ = BLOCK.findall(section)
    file = tmp_path / "unguarded.py"
    file.write_text(script, "utf-8")
    ran = subprocess.run(
        [sys.executable, str(file)], capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 1
    assert not ran.stdout
    said = [line.strip() for line in ran.stderr.splitlines()]
    for line in in_worker.splitlines():
        assert line.strip() in said
    start, end = in_main.strip().split("(pid(s) 4711)")
    assert re.fullmatch(rf"{re.escape(start)}\(pid\(s\) [\d, ]+\){re.escape(end)}", said[-1])


@pytest.mark.slow
def test_with_a_guard_the_script_runs(tmp_path: Path) -> None:
    _, section = PAGE.split("### The main guard")
    _, script = BLOCK.findall(section)[0]
    setup, loop = script.split("for (points,)")
    body = "".join(f"    {line}\n" for line in f"for (points,){loop}".splitlines())
    file = tmp_path / "guarded.py"
    file.write_text(f'{setup}if __name__ == "__main__":\n{body}', "utf-8")
    ran = subprocess.run([sys.executable, str(file)], capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == 10 * "torch.Size([10, 2])\n"
