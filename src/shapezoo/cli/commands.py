"""The commands, and how errors are reported.

Modules of the command line import torch, and what needs it, inside their functions. So the help
and errors in the arguments do not wait for it.
"""

import io
import os
import signal
import sys
import traceback
from typing import NoReturn

from cyclopts import App, CycloptsError

from shapezoo import __version__
from shapezoo.cli.list_command import list_command
from shapezoo.cli.option_types import OptionError
from shapezoo.cli.predict_command import predict
from shapezoo.cli.prove_command import prove
from shapezoo.cli.show_command import show
from shapezoo.cli.trace_command import trace
from shapezoo.cli.train_command import train
from shapezoo.cli.usage import usage_message
from shapezoo.cli.wrapping import print_wrapped

SIGPIPE = 13  # Windows has no such signal, but its programs see pipes close too

app = App(
    name="shapezoo",
    help="A PyTorch model zoo whose shapes are types.",
    help_epilogue=(
        "Exit codes: 0 if the command succeeded, 1 on errors, 130 after Ctrl-C. "
        "`prove` has others; see `shapezoo prove --help`."
    ),
    version=__version__,
    suppress_keyboard_interrupt=False,
)
app.command(list_command, name="list")
for command in (show, trace, prove, train, predict):
    # the help of these two explains exit codes of their own
    app.command(command, help_epilogue="" if command in (prove, train) else None)


def main() -> None:
    """Run the command line.

    An error that can be expected prints one message and exits with 1, or with 2 for ``prove``,
    where 1 means refuted. Ctrl-C exits with 130. If the reader of a pipe has seen enough, as
    ``head`` has, the exit code is that of other programs: 141.
    """
    failure = 2 if sys.argv[1:2] == ["prove"] else 1
    # Python has None for streams that are closed, as those of some services are
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115  # until the program ends
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # not every console can encode the names in papers
            stream.reconfigure(errors="replace")
    try:
        code = app(
            sys.argv[1:], exit_on_error=False, print_error=False, result_action="return_value"
        )
        sys.stdout.flush()  # a closed pipe may be noticed only here
    except KeyboardInterrupt:
        _fail("stopped", 128 + signal.SIGINT)
    except BrokenPipeError:
        # Python flushes stdout once more when it exits
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + SIGPIPE)
    except CycloptsError as error:
        _fail(usage_message(error), failure)
    except OptionError as error:
        _fail(str(error), failure)
    except Exception as error:
        from shapezoo.cli.failures import EXPECTED_ERRORS, message_of
        from shapezoo.recipes import StoppedError

        if isinstance(error, StoppedError):
            _fail(str(error), 128 + signal.SIGINT)
        if not isinstance(error, EXPECTED_ERRORS):
            traceback.print_exc()  # to raise it would exit with 1, which means refuted for `prove`
            sys.exit(failure)
        _fail(message_of(error), failure)
    if code:
        sys.exit(code)


def _fail(message: str, code: int) -> NoReturn:
    print_wrapped(f"shapezoo: {message}", sys.stderr)
    sys.exit(code)
