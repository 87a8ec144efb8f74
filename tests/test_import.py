"""Importing shapezoo is quiet and light."""

import subprocess
import sys

WATCH = """
import sys
events = []
watching = False
def hook(event, args):
    if watching and event in ("open", "socket.__new__"):
        events.append(str(args[0]))
import torch, numpy, jaxtyping, beartype.door, safetensors.torch, rich.progress
sys.addaudithook(hook)
watching = True
import shapezoo
watching = False
opened = [name for name in events if ".py" not in name and "__pycache__" not in name]
heavy = {"PIL.Image", "cyclopts", "sklearn", "torch._dynamo", "torchvision"} & set(sys.modules)
print(opened, sorted(heavy))
"""


def test_import_opens_nothing_prints_nothing_and_loads_nothing_heavy() -> None:
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", WATCH], capture_output=True, text=True, check=True
    )
    assert result.stdout == "[] []\n"
    assert result.stderr == ""
