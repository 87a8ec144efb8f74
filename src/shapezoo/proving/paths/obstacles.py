"""What stood in the way of a proof, in words of the model's author.

Symbols fail in words of torch's compiler: "Could not guard on data-dependent expression Eq(u0, 1)".
Whoever wrote the model wants to know which line it was, whether that line or the prover is at
fault, and what to change. The class of an error tells most of that, its message the rest.
"""

import linecache
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch._subclasses import fake_tensor
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

from shapezoo._frames import users_line
from shapezoo.proving.formulas.solving import UntranslatableError
from shapezoo.proving.rules.values.value_ranges import UndecidedError

_LONGEST_CHAIN = 10


@dataclass(frozen=True)
class Obstacle:
    """What stood in the way.

    Attributes:
        source_line: The line of the model, such as ``nets.py:31``; empty if it is not known.
        code: Its text, as far as it is available.
        what: What stood in the way, as the end of a sentence.
        is_ours: Whether the prover is at fault; otherwise the model's own values decide.
        advice: What to change.
    """

    source_line: str
    code: str
    what: str
    is_ours: bool
    advice: str

    def __str__(self) -> str:
        code = f"`{self.code}`" if self.code else ""
        where = ", ".join(filter(None, [self.source_line, code]))
        return f"{where}: {self.what}; {self.advice}" if where else f"{self.what}; {self.advice}"


def obstacle_of(error: BaseException, source_line: str = "") -> Obstacle:
    """Describe an error that says that symbols could not follow a model.

    Args:
        error: The error.
        source_line: The file and the number of the model's line, such as ``/home/me/nets.py:31``;
            by default the innermost one in the traceback that is the user's.
    """
    name, code = _line(source_line or users_line(error))
    for cause in _chain(error):
        for class_, pattern, describe in _CAUSES:
            if isinstance(cause, class_) and re.search(pattern, str(cause)):
                what, is_ours, advice = describe(cause, code)
                return Obstacle(name, code, what, is_ours, advice)
    first = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
    return Obstacle(
        name, code, f"shapezoo cannot follow this: {first}", is_ours=True, advice=_REPORT
    )


def of_sampled_axis(axis: str, source_line: str) -> Obstacle:
    """Describe a line that allows one size of an axis at a time, as a loop over it does."""
    name, code = _line(source_line)
    what = f"{axis} was tried at some sizes only, since this asks for its number"
    is_loop = re.match(r"(for|while)\b|.*\bfor\b.*\bin\b", code)
    advice = "write the loop as shapezoo.scan" if is_loop else "compute with sizes or tensors here"
    return Obstacle(name, code, what, is_ours=False, advice=advice)


def _line(source_line: str) -> tuple[str, str]:
    """Return a line without its folder, and its text."""
    path, _, number = source_line.rpartition(":")
    if not path or not number.isdigit():
        return source_line, ""
    code = linecache.getline(path, int(number)).partition("  #")[0]
    return f"{os.path.basename(path)}:{number}", code.strip()


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it was raised from."""
    cause: BaseException | None = error
    for _ in range(_LONGEST_CHAIN):
        if cause is None:
            return
        yield cause
        cause = cause.__cause__ or cause.__context__


_REPORT = "please report it, with this line"

_BRANCH = re.compile(r"(if|elif|while|assert)\b|.*\bif\b.*\belse\b|.*\b(bool|any|all)\(")

_Described = tuple[str, bool, str]


def _of_values(error: BaseException, code: str) -> _Described:
    """Describe a question about values: what they decide shows in the code, or in the message."""
    if re.match(_BRANCH, code):
        what = "the values of a tensor decide which way the code goes"
        return what, False, "decide by a size or by a Python argument, or choose with torch.where"
    if "Size-like symbols: u" in str(error):
        return _size_by_values("this line")
    return _number_from_values()


def _number_from_values() -> _Described:
    what = "a number is read from the values of a tensor, and sizes depend on it"
    advice = "compute it from sizes (`x.shape`), or make it an argument of the constructor"
    return what, False, advice


def _size_by_values(what: str) -> _Described:
    advice = "keep all entries and mask them, as torch.where does"
    return f"the values of a tensor decide the size of the result of {what}", False, advice


def _of_output(error: BaseException, code: str) -> _Described:
    name = _operator(error)
    if name in ("item", "_local_scalar_dense"):
        return _of_values(error, code)
    what = f"`{name}` looks at the values of a tensor to give a Python value"
    return what, False, "decide by sizes, or keep the answer in a tensor"


def _of_shape(error: BaseException, code: str) -> _Described:
    return _size_by_values(f"`{_operator(error)}`")


def _of_operator(error: BaseException, code: str) -> _Described:
    found = re.search(r"(\w+)(?:\.|::)(\w+)", str(getattr(error, "func", error)))
    namespace, name = found.groups() if found else ("aten", str(error))
    what = f"shapezoo has no rule for `{namespace}::{name}`"
    if namespace == "aten":
        return what, True, "use another function of torch here, or report it"
    return what, True, f'register its shapes: `torch.library.register_fake("{namespace}::{name}")`'


def _operator(error: BaseException) -> str:
    """Return the name of the operator that an error is about: ``equal`` of `aten.equal.default`."""
    parts = re.findall(r"\w+", str(getattr(error, "func", error)))
    return parts[1] if len(parts) > 1 else str(error)


def _of_rounding(error: BaseException, code: str) -> _Described:
    what = "a size is computed in floating-point numbers, which are rounded"
    return (
        what,
        False,
        "use whole numbers, such as `height // 3` instead of `int(height * (1 / 3))`",
    )


def _of_formula(error: BaseException, code: str) -> _Described:
    name = str(error).removeprefix("no formula for ")
    return f"shapezoo has no formula for {name} of sizes", True, "use +, -, *, // and % for sizes"


def _of_undecided(error: BaseException, code: str) -> _Described:
    if str(error) == "the data decide a size":
        return _size_by_values("a call")
    return str(error), False, "make what decides it from sizes, or make it an argument"


def _of_number(error: BaseException, code: str) -> _Described:
    what = "this operation takes plain numbers only, and shapezoo runs it with symbols for sizes"
    return what, True, "give it a number that does not depend on a size, or report it"


def _of_memory(error: BaseException, code: str) -> _Described:
    what = "this line reads the memory of a tensor, which has no data while it is proved"
    return what, False, "use functions of torch instead of NumPy, pointers or buffers"


_CAUSES: tuple[tuple[type[BaseException], str, Callable[[BaseException, str], _Described]], ...] = (
    (GuardOnDataDependentSymNode, "", _of_values),
    (fake_tensor.DataDependentOutputException, "", _of_output),
    (fake_tensor.DynamicOutputShapeException, "", _of_shape),
    (fake_tensor.UnsupportedOperatorException, "", _of_operator),
    (UndecidedError, "", _of_undecided),
    (UntranslatableError, "rounded", _of_rounding),
    (UntranslatableError, "", _of_formula),
    (Exception, r"\.numpy\(\)|data_ptr|[Mm]eta tensor|numel\(\) on tensor with symb", _of_memory),
    (Exception, "Could not run '", _of_operator),
    (TypeError, "Sym", _of_number),
    (Exception, "SymIntArrayRef|symbolic sizes", _of_number),
)
"""The class of an error, a pattern in its message, and who describes it; the first that fits."""
