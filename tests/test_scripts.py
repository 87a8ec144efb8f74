"""The scripts that no test and no check runs can at least be imported after a change elsewhere."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_benchmarks_and_tools_can_be_imported() -> None:
    scripts = [*ROOT.glob("benchmarks/*.py"), *ROOT.glob("tools/*.py")]
    assert len(scripts) >= 20
    names = ", ".join(sorted(path.stem for path in scripts))
    code = f"import sys; sys.path[:0] = ['benchmarks', 'tools']; import {names}"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
