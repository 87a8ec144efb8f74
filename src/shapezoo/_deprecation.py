"""Old names of public objects, which still work but emit a warning."""

import importlib
import warnings
from collections.abc import Callable, Mapping


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
