"""The commands, and how errors are reported.

Modules of the command line import torch, and what needs it, inside their functions. So the help
and errors in the arguments do not wait for it.
"""

import io
import signal
import sys

from cyclopts import App, CycloptsError

from shapezoo import __version__
from shapezoo.cli.model_commands import list_command, show, trace
from shapezoo.cli.predict_command import predict
from shapezoo.cli.prove_command import prove
from shapezoo.cli.train_command import train

app = App(
    name="shapezoo",
    help="A PyTorch model zoo whose shapes are types.",
    version=__version__,
)
app.command(list_command, name="list")
for command in (show, trace, prove, train, predict):
    app.command(command)


def main() -> None:
    """Run the command line.

    An expected error prints one message and exits with 1, or with 2 for ``prove``, where 1 means
    refuted. An interruption exits with 130.
    """
    failure = 2 if sys.argv[1:2] == ["prove"] else 1
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # not every console can encode the names in papers
            stream.reconfigure(errors="replace")
    try:
        app(sys.argv[1:], exit_on_error=False)
    except CycloptsError:  # cyclopts has printed it
        sys.exit(failure)
    except KeyboardInterrupt:
        print("shapezoo: stopped", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    except Exception as error:
        from shapezoo.cli.failures import EXPECTED_ERRORS
        from shapezoo.recipes import StoppedError

        if not isinstance(error, (StoppedError, *EXPECTED_ERRORS)):
            raise
        print(f"shapezoo: {error}", file=sys.stderr)
        sys.exit(128 + signal.SIGINT if isinstance(error, StoppedError) else failure)
