"""Running the command line in the process of a test."""

import sys

import pytest

from shapezoo.cli import commands


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    """Run a command as a shell does, and return the exit code."""
    monkeypatch.setattr(sys, "argv", ["shapezoo", *arguments])
    try:
        commands.main()
    except SystemExit as stop:
        return stop.code
    return 0
