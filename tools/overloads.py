"""Generate the overloads of `create_model` from the registry, one for each model class.

Run `python tools/overloads.py` after adding, removing or renaming a model; a test fails until then.
"""

import inspect
import subprocess
import sys
import typing
from collections.abc import Iterable
from pathlib import Path

import shapezoo.models  # noqa: F401  # importing the builders registers them
from shapezoo._files import replacing
from shapezoo.registry import Entry, entries

PATH = Path(__file__).parent.parent / "src/shapezoo/creating.py"
START = "# overloads: written by `python tools/overloads.py`\n"
END = "# end of overloads\n"

ALIASES = """\
_Weights: TypeAlias = Weights | None
_Device: TypeAlias = torch.device | str | None
"""

NAMES = "_{cls}: TypeAlias = Literal{names}\n"

OVERLOAD = """\
@overload
def create_model(
    name: {name}, *, weights: _Weights = None, device: _Device = None, **hyperparameters: Any
) -> {result}: ...
"""


def overloads(known: Iterable[Entry]) -> str:
    """Return the overloads for these models, as Python code."""
    by_classes: dict[tuple[str, ...], list[str]] = {}
    for entry in known:
        by_classes.setdefault(class_names(entry), []).append(entry.name)
    aliases, typed = [ALIASES], []
    for classes, names in sorted(by_classes.items()):
        result = " | ".join(f"models.{name}" for name in classes)
        aliases.append(NAMES.format(cls=classes[0], names=names))
        typed.append(OVERLOAD.format(name=f"_{classes[0]}", result=result))
    return "".join([*aliases, *typed, OVERLOAD.format(name="str", result="Module")])


def class_names(entry: Entry) -> tuple[str, ...]:
    """Return the names of the classes that a builder may return."""
    result = inspect.signature(entry.builder).return_annotation
    return tuple(cls.__name__ for cls in typing.get_args(result) or [result])


def updated(source: str, known: Iterable[Entry]) -> str:
    """Return the source of `creating.py` with the overloads for these models."""
    before, start, rest = source.partition(START)
    _, end, after = rest.partition(END)
    return _formatted("".join([before, start, overloads(known), end, after]))


def _formatted(source: str) -> str:
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(PATH), "-"]
    return subprocess.run(
        command, input=source, capture_output=True, text=True, check=True, encoding="utf-8"
    ).stdout


def main() -> None:
    """Update the file."""
    source = updated(PATH.read_text("utf-8"), entries())
    with replacing(PATH) as path:
        path.write_text(source, "utf-8")


if __name__ == "__main__":
    main()
