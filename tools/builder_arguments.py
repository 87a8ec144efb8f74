"""A griffe extension that shows the arguments of model builders in the API reference.

`shapezoo.registry.register` adds the arguments that a class documents to the docstrings of its
builders when they are imported. Griffe reads only the source, so its docstrings are replaced by
those at run time.
"""

import inspect

import griffe

from shapezoo import models


class BuilderArguments(griffe.Extension):
    """Gives the builders of models their complete docstrings."""

    def on_package(self, *, pkg: griffe.Module, **kwargs: object) -> None:
        """Replace the docstrings of builders, once their package is loaded."""
        for name in models.__all__ if pkg.name == "shapezoo" else ():
            builder = getattr(models, name)
            if inspect.isfunction(builder):
                path = f"{builder.__module__}.{name}".removeprefix("shapezoo.")
                function = pkg[path]
                function.docstring.value = inspect.getdoc(builder)
