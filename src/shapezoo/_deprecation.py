"""Old names of public objects, which keep working for a while."""

import importlib
import warnings
from collections.abc import Callable, Mapping


def deprecated_names(module: str, renamed: Mapping[str, str]) -> Callable[[str], object]:
    """Return a ``__getattr__`` for a module, under which its old names still work.

    Whoever uses one gets a `DeprecationWarning` that names the new one.

    Args:
        module: The ``__name__`` of the module.
        renamed: For each old name, the full new one: ``{"Zoo": "shapezoo.models.Zoo"}``.
    """

    def getattr_(name: str) -> object:
        if name not in renamed:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        home, _, new = renamed[name].rpartition(".")
        warnings.warn(
            f"{module}.{name} is now {renamed[name]}; the old name will be removed",
            DeprecationWarning,
            stacklevel=2,
        )
        return getattr(importlib.import_module(home), new)

    return getattr_
