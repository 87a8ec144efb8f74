"""Griffe extension that shows the arguments of model builders in the API reference.

At import time, `shapezoo.registry.register` appends the `Args` of a class to the docstrings of its
builders. Griffe reads only the source and would miss them, so this extension replaces the
docstrings that Griffe found by those at run time.
"""

import inspect

import griffe

from shapezoo import models


class BuilderArguments(griffe.Extension):
    """Replaces the docstrings of model builders by the complete ones."""

    def on_package(self, *, pkg: griffe.Module, **kwargs: object) -> None:
        """Replace the docstrings; griffe calls this when it has loaded a package."""
        for name in models.__all__ if pkg.name == "shapezoo" else ():
            builder = getattr(models, name)
            if inspect.isfunction(builder):
                path = f"{builder.__module__}.{name}".removeprefix("shapezoo.")
                function = pkg[path]
                function.docstring.value = inspect.getdoc(builder)
