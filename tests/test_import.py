"""Importing shapezoo is quiet and light."""

import subprocess
import sys

IMPORT = """
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
heavy = {"PIL.Image", "cyclopts", "graphlay", "hypothesis", "rich", "sklearn", "sympy",
         "torch._dynamo", "torch.utils.flop_counter", "torchvision", "z3"}
print(opened, sorted(heavy & set(sys.modules)))

sys.modules["hypothesis"] = None
print(len(shapezoo.list_models()) > 0)
try:
    shapezoo.testing
except ImportError as error:
    print(error)

del sys.modules["hypothesis"]
print(shapezoo.testing.inputs.__name__, hasattr(shapezoo, "x"))
"""


def test_import_loads_nothing_heavy_and_testing_needs_hypothesis_when_it_is_used() -> None:
    """Test all of it in one interpreter, which takes two seconds to import torch."""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", IMPORT], capture_output=True, text=True, check=True
    )
    assert result.stdout.splitlines() == [
        "[] []",
        "True",
        "shapezoo.testing needs hypothesis: pip install 'shapezoo[testing]'",
        "inputs False",
    ]
    assert result.stderr == ""
