"""Lines of Python with placeholders, which begin with a dollar sign."""

from random import Random
from string import Template


def lines_of(text: str) -> list[str]:
    """Return the lines of a text that are not empty."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def filled(rng: Random, texts: list[str], **parts: object) -> str:
    """Draw one of several texts, and fill in its placeholders."""
    return Template(rng.choice(texts)).substitute({name: str(part) for name, part in parts.items()})


def drawn_lines(rng: Random, texts: list[str], **parts: object) -> list[str]:
    """Draw one of several texts, fill in its placeholders, and split it into lines at ``|``.

    Spaces after the bar indent a line.
    """
    return filled(rng, texts, **parts).split("|")
