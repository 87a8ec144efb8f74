"""mkdocs hook that lists all of `shapezoo.models` on its page of the reference."""

import inspect
from pathlib import Path

from shapezoo import models

PLACEHOLDER = "<!-- names of shapezoo.models -->"


def render() -> str:
    """Return a line of mkdocstrings for each name: models of papers first, sorted by file."""
    return "\n".join(f"::: shapezoo.models.{name}" for name in sorted(models.__all__, key=_place))


def _place(name: str) -> tuple[bool, str, bool, int]:
    """Return the key to sort by: in a file, builders come before classes."""
    thing = inspect.unwrap(getattr(models, name))
    file, line = Path(inspect.getfile(thing)), inspect.getsourcelines(thing)[1]
    is_of_course = file.is_relative_to(Path(models.__path__[0], "course"))
    return is_of_course, file.name, inspect.isclass(thing), line


def on_page_markdown(markdown: str, **_: object) -> str:
    """Replace the placeholder by the names; mkdocs calls this for every page."""
    return markdown.replace(PLACEHOLDER, render()) if PLACEHOLDER in markdown else markdown
