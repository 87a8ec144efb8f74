"""The scripts that no test and no check runs can at least be imported after a change elsewhere."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("folder", ["benchmarks", "tools"])
def test_scripts_import(folder: str) -> None:
    names = [path.stem for path in sorted((ROOT / folder).glob("*.py"))]
    assert len(names) >= 10
    code = f"import {', '.join(names)}"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
