"""The command line: `shapezoo list`, `show`, `trace`, `prove`, `train` and `predict`."""

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line; see `shapezoo.cli.commands`."""
    try:
        from shapezoo.cli.commands import main as run
    except KeyboardInterrupt:  # Ctrl-C can arrive while the modules of the command line load
        print("shapezoo: stopped", file=sys.stderr)
        sys.exit(130)
    run()
