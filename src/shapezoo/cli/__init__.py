"""The command line: `shapezoo list`, `show`, `trace`, `prove`, `train` and `predict`."""

import signal
import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line; see `shapezoo.cli.commands`.

    A Ctrl-C while modules are imported stops it with one line too. Some imports turn the
    KeyboardInterrupt into another error, so the signal handler also remembers it.
    """
    interrupted = False

    def interrupt(*_: object) -> None:
        nonlocal interrupted
        interrupted = True
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    try:
        from shapezoo.cli.commands import main as run

        run()
    except (Exception, KeyboardInterrupt):
        if not interrupted:
            raise
        print("shapezoo: stopped", file=sys.stderr)
        sys.exit(130)
