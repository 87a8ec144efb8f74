"""The command line."""

from shapezoo.cli.commands import main

__all__ = ["main"]
