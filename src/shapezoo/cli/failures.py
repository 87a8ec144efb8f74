"""The errors that a command reports in one message, without a traceback."""

import re

from shapezoo.cli.targets import TargetError
from shapezoo.contracts import ContractError
from shapezoo.creating import UnknownModelError
from shapezoo.data import DatasetError, ImageError
from shapezoo.layers import SequenceError
from shapezoo.proving import SubjectError
from shapezoo.recipes import DataMismatchError
from shapezoo.recipes.runs import RunError
from shapezoo.tracing import SizesError, TraceError
from shapezoo.train import DeviceError, NonFiniteLossError, StateError
from shapezoo.weights import WeightsError

EXPECTED_ERRORS = (
    ContractError,
    DataMismatchError,
    DatasetError,
    DeviceError,
    ImageError,
    ImportError,
    NonFiniteLossError,
    OSError,
    RunError,
    SequenceError,
    SizesError,
    StateError,
    SubjectError,
    TargetError,
    TraceError,
    UnknownModelError,
    WeightsError,
)

_IN_THE_SHELL = (
    (
        r"see list_models\(\)",
        "'shapezoo list' shows the names; for a model of your own write module:Name",
    ),
    (r"give inputs: trace\(model, \.\.\.\)", "give the shapes of its inputs: --input 1,3,224,224"),
    (r"trace\(model, sizes=\{(.*?)\}\)", lambda match: _size_options(match[1])),
    (r"init=\{'(\w+)': \.\.\.\}", r"--init \1=VALUE"),
)
"""What messages advise in Python, and the same on the command line."""


def _size_options(sizes: str) -> str:
    """Turn ``'height': ..., 'width': ...`` into ``--height N --width N``."""
    return " ".join(f"--{axis.replace('_', '-')} N" for axis in re.findall(r"'(\w+)'", sizes))


def message_of(error: Exception) -> str:
    """Return the message of an error, in words for the person at the prompt."""
    if isinstance(error, OSError) and error.strerror:  # without the number of the error
        return f"{error.strerror}: {error.filename!r}" if error.filename else error.strerror
    message = re.split(r"\n+(?:Exception raised from|C\+\+ CapturedTraceback)", str(error))[0]
    for python, shell in _IN_THE_SHELL:
        message = re.sub(python, shell, message)
    return message
