"""A project of somebody else's: the wheel, a second virtual environment, five lines."""

import os
import re
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parent.parent
PROJECT = """\
import torch
from shapezoo.models import lenet
model = lenet(num_classes=26)
logits = model(torch.zeros(2, 1, 28, 28))
print(tuple(logits.shape))
"""
TYPES = """\
import torch
from jaxtyping import Float
from shapezoo import Module, checked
from shapezoo.models import gru, lenet

class Own(Module):
    def forward(self, x: Float[torch.Tensor, "batch 4"], scale: float = 1.0) -> int:
        return len(x)

@checked
def double(x: Float[torch.Tensor, "batch"]) -> Float[torch.Tensor, "batch"]:
    return 2 * x

x = torch.zeros(2, 1, 28, 28)
reveal_type(lenet()(x))
reveal_type(gru(batch_first=True)(x, None))
reveal_type(Own()(x, scale=2.0))
reveal_type(double(x))
lenet()("text")
Own()(x, size=3)
double(3)
"""
REVEALED = [
    "torch._tensor.Tensor",
    "tuple[torch._tensor.Tensor, torch._tensor.Tensor]",
    "int",
    "torch._tensor.Tensor",
]
REFUSED = {'lenet()("text")': "arg-type", "Own()(x, size=3)": "call-arg", "double(3)": "arg-type"}


@dataclass(frozen=True)
class Consumer:
    """A virtual environment that has the wheel and sees this environment's other packages."""

    folder: Path
    python: Path

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a command in the project's folder."""
        clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        return subprocess.run(command, cwd=self.folder, env=clean, capture_output=True, text=True)

    def type_check(self, source: str) -> subprocess.CompletedProcess[str]:
        """Run ``mypy --strict`` as it would run inside the virtual environment."""
        (self.folder / "project.py").write_text(source)
        options = ("--strict", "--python-executable", self.python, "project.py")
        return self.run(sys.executable, "-m", "mypy", *options)


@pytest.fixture(scope="module")
def consumer(tmp_path_factory: pytest.TempPathFactory) -> Consumer:
    folder = tmp_path_factory.mktemp("consumer")
    build = ("-m", "build", "--wheel", "--no-isolation", "--outdir", folder / "dist", ROOT)
    subprocess.run([sys.executable, *build], capture_output=True, check=True)
    (wheel,) = (folder / "dist").iterdir()
    venv.create(folder / "venv", symlinks=True)
    python = folder / "venv/bin/python"
    install = ("-m", "pip", "--python", python, "install", "--quiet", "--no-deps", wheel)
    subprocess.run([sys.executable, *install], capture_output=True, check=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder / "venv")}))
    (packages / "same_torch.pth").write_text(f"{Path(torch.__file__).parents[1]}\n")
    return Consumer(folder, python)


@pytest.mark.slow
def test_the_project_runs_on_the_wheel(consumer: Consumer) -> None:
    where = consumer.run(consumer.python, "-c", "import shapezoo; print(shapezoo.__file__)")
    assert where.stdout.startswith(str(consumer.folder)), where
    (consumer.folder / "project.py").write_text(PROJECT)
    result = consumer.run(consumer.python, "-W", "error", "project.py")
    assert (result.stdout, result.stderr) == ("(2, 26)\n", "")


@pytest.mark.slow
def test_the_wheel_carries_its_data_types_and_licences(consumer: Consumer) -> None:
    code = (
        "from shapezoo.data import digits, names; from importlib.metadata import files; "
        "print(len(digits().train), len(names().train), *(f.name for f in files('shapezoo')))"
    )
    words = consumer.run(consumer.python, "-c", code).stdout.split()
    assert words[:2] == ["1438", "12994"]
    assert {"py.typed", "LICENSE", "NOTICE.md", "digits.safetensors"} <= set(words)


@pytest.mark.slow
def test_the_project_type_checks_and_calls_are_typed(consumer: Consumer) -> None:
    assert consumer.type_check(PROJECT).stdout.startswith("Success"), "five lines"
    report = consumer.type_check(TYPES).stdout
    assert re.findall(r'note: Revealed type is "(.*)"', report) == REVEALED
    errors = re.findall(r"^project\.py:(\d+): error: .*\[(.*)\]$", report, re.MULTILINE)
    assert {TYPES.splitlines()[int(line) - 1]: code for line, code in errors} == REFUSED
