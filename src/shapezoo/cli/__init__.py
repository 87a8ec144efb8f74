"""The command line: `shapezoo list`, `show`, `trace`, `prove`, `train` and `predict`."""

from shapezoo.cli.commands import main

__all__ = ["main"]
