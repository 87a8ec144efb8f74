"""Messages about names that are misspelt, or old.

Nothing here needs torch, so the command line can suggest names without waiting for it.
"""

import difflib
import importlib
import warnings
from collections.abc import Callable, Iterable, Mapping


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Ask whether one of the most similar names was meant; empty if none is similar.

    Upper and lower case are treated as equal.

    Args:
        name: The unknown name.
        known: The valid names.
    """
    originals: dict[str, list[str]] = {}
    for valid in known:
        originals.setdefault(valid.lower(), []).append(valid)
    matches = difflib.get_close_matches(name.lower(), originals)
    nearest = [repr(original) for match in matches for original in originals[match]]
    names = " or ".join(filter(None, (", ".join(nearest[:-1]), *nearest[-1:])))
    return names and f"did you mean {names}?"


def unknown_name(what: str, name: str, names: Iterable[str]) -> str:
    """Return an error message that lists the close matches of a name and all valid names.

    Args:
        what: What the name should refer to, such as "optimizer".
        name: The unknown name.
        names: The valid names.
    """
    valid = list(names)
    hint = did_you_mean(name, valid)
    return f"no {what} is called {name!r}; {hint and hint + ' '}valid names: {', '.join(valid)}"


def deprecated_names(module: str, renamed: Mapping[str, str]) -> Callable[[str], object]:
    """Return a ``__getattr__`` for a module with which its old names still work.

    The use of an old name emits a `DeprecationWarning` that contains the new one.

    Args:
        module: The ``__name__`` of the module.
        renamed: The full new name for each old name: ``{"Zoo": "shapezoo.models.Zoo"}``.
    """

    def getattr_(name: str) -> object:
        if name not in renamed:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        new_module, _, new_name = renamed[name].rpartition(".")
        warnings.warn(
            f"{module}.{name} is now {renamed[name]}; the old name will be removed",
            DeprecationWarning,
            stacklevel=2,
        )
        return getattr(importlib.import_module(new_module), new_name)

    return getattr_
