"""The errors that a command reports in one message, without a traceback."""

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
