"""The error for a file of `torch.save` that holds other objects than tensors.

`torch.load` refuses such objects unless their types are allowed by name. Allowing a name lets the
file call it with any arguments, so the error shows code that allows names only if all of them are
known to be harmless. Anything else can be read only by trusting the file.
"""

import os
from pathlib import Path

import torch

from shapezoo.weights.strict_loading import WeightsError

_DTYPES = (  # a NumPy scalar also needs the type of its dtype, which the file does not name
    "*{type(numpy.dtype(code)) for code in numpy.typecodes['AllInteger'] + "
    "numpy.typecodes['AllFloat'] + '?'}"
)

# the functions that NumPy pickles scalars and arrays with: their own names are private, and differ
# between NumPy 1 and 2
_SCALAR = "numpy.float64().__reduce__()[0]"
_ARRAY = "numpy.empty(0).__reduce__()[0]"

_HARMLESS = {
    **{
        name: name
        for name in (
            *("argparse.Namespace", "types.SimpleNamespace", "numpy.ndarray"),
            *("datetime.date", "datetime.datetime", "datetime.timedelta"),
        )
    },
    "numpy.dtype": f"numpy.dtype, {_DTYPES}",
    **{
        f"{module}.{name}": f"({function}, '{module}.{name}')"
        for module in ("numpy.core.multiarray", "numpy._core.multiarray")  # NumPy 1 and 2
        for name, function in (("_reconstruct", _ARRAY), ("scalar", _SCALAR))
    },
    **{
        f"{module}.{name}": f"(pathlib.{pure}, '{module}.{name}')"
        for module in ("pathlib", "pathlib._local")  # the second is that of Python 3.13
        for pure in ("PurePosixPath", "PureWindowsPath")
        for name in (pure, pure.removeprefix("Pure"))  # a path of another system cannot be built
    },
}
"""What a file may call without harm: for each name in the file, the code that allows it."""

_SAVING = """\
def weights(part):  # all tensors, wherever they are
    part = part.state_dict() if isinstance(part, torch.nn.Module) else part
    types = (torch.Tensor, torch.nn.Module, dict, list, tuple)
    if isinstance(part, dict):
        return {key: weights(value) for key, value in part.items() if isinstance(value, types)}
    if isinstance(part, (list, tuple)):
        return [weights(value) for value in part if isinstance(value, types)]
    return part

torch.save(weights(saved), 'weights.pth')"""
"""Code that writes everything in the file that could be weights to another file."""


def unsafe_pickle_error(path: str | os.PathLike[str], type_: str) -> WeightsError:
    """Return the error for a file that holds other objects than tensors.

    Args:
        path: A file of `torch.save`.
        type_: The type of one of the objects.
    """
    file = os.fspath(path)
    trusting = f"saved = torch.load({file!r}, map_location='cpu', weights_only=False)"
    names = _unsafe_names(path)
    if names and names <= _HARMLESS.keys():
        advice = "To write its weights to a file of their own, without running code in the file:"
        lines = [*_loading_code(file, sorted(names)), *_SAVING.splitlines()]
        lines.append(f"# if loading fails, and you trust the file: {trusting}")
    else:
        advice = (
            "If you trust the file, which can run any code, write its weights to a file of their "
            "own:"
        )
        lines = ["import torch", trusting, *_SAVING.splitlines()]
    code = "\n".join(f"  {line}" for line in lines)
    return WeightsError(
        f"{file!r} holds an object of {type_}; only tensors, numbers, strings and containers of "
        f"them are loaded, because other objects can run code. {advice}\n{code}"
    )


def _unsafe_names(path: str | os.PathLike[str]) -> set[str]:
    """Return the names in a file that `torch.load` refuses; empty if they cannot be listed."""
    try:
        with Path(path).open("rb") as file:
            return set(torch.serialization.get_unsafe_globals_in_checkpoint(file))
    except Exception:  # a file in the format before PyTorch 1.6, or a damaged one
        return set()


def _loading_code(file: str, names: list[str]) -> list[str]:
    """Return code that loads a file with objects of these names."""
    modules = sorted({_HARMLESS[name].lstrip("(").partition(".")[0] for name in names} | {"torch"})
    return [
        *(f"import {module}" for module in modules),
        "allowed = [",
        *(f"    {_HARMLESS[name]}," for name in names),
        "]",
        "with torch.serialization.safe_globals(allowed):",
        f"    saved = torch.load({file!r}, map_location='cpu', weights_only=True)",
    ]
