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
import torch, jaxtyping, beartype.door
sys.addaudithook(hook)
watching = True
import shapezoo
watching = False
modules = (".py", ".so")
opened = [n for n in events if not n.endswith(modules) and ".pyc" not in n]
heavy = {"PIL.Image", "cyclopts", "graphlay", "rich", "sklearn", "sympy", "torch._dynamo",
         "torch.utils.flop_counter", "torchvision", "z3"}
print(opened, sorted(heavy & set(sys.modules)))
"""


def test_import_opens_nothing_prints_nothing_and_loads_nothing_heavy() -> None:
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", WATCH], capture_output=True, text=True, check=True
    )
    assert result.stdout == "[] []\n"
    assert result.stderr == ""


WITHOUT_HYPOTHESIS = """
import sys
sys.modules["hypothesis"] = None
import shapezoo
print(len(shapezoo.list_models()) > 0)
try:
    shapezoo.testing
except ImportError as error:
    print(error)
"""


def test_hypothesis_is_wanted_for_testing_alone() -> None:
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT_HYPOTHESIS], capture_output=True, text=True, check=True
    )
    assert result.stdout == (
        "True\nshapezoo.testing needs hypothesis: pip install 'shapezoo[testing]'\n"
    )


def test_testing_is_imported_when_it_is_used() -> None:
    script = "import shapezoo; print(shapezoo.testing.inputs.__name__, hasattr(shapezoo, 'x'))"
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True
    )
    assert result.stdout == "inputs False\n"
