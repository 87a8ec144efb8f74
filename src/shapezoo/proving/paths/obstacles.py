"""Say why a model could not be proved in terms its author knows.

A symbolic run fails in the words of torch's compiler: "Could not guard on data-dependent expression
Eq(u0, 1)". The author of the model wants to know which line it was, whether that line or shapezoo
is at fault, and what to change. The class of an error says most of that, its message the rest.
"""

import linecache
import os
import re
from collections.abc import Callable

# private, but the only classes by which the failures of fake kernels can be told apart
from torch._subclasses import fake_tensor
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

from shapezoo._frames import users_line
from shapezoo.proving.causes import chain_of, first_line
from shapezoo.proving.formulas.solving import UntranslatableError
from shapezoo.proving.rules.values.value_ranges import UndecidedError


def obstacle_of(error: BaseException, source_line: str = "") -> str:
    """Describe an error that says that a symbolic run could not follow a model.

    Args:
        error: The error.
        source_line: The line of the model, such as ``/home/me/nets.py:31``; by default the
            innermost line of the user's code in the traceback.
    """
    name, code = _line(source_line or users_line(error))
    for cause in chain_of(error):
        for class_, pattern, description in _DESCRIPTIONS:
            if isinstance(cause, class_) and re.search(pattern, str(cause)):
                if callable(description):
                    description = description(cause, code)
                return _text(name, code, *description)
    what = f"shapezoo cannot follow this: {first_line(error)}"
    return _text(name, code, what, "please report it, with this line")


def of_sampled_axis(axis: str, source_line: str) -> str:
    """Describe a line that allows one size of an axis at a time, as a loop over it does."""
    name, code = _line(source_line)
    what = f"{axis} was tried at some sizes only, since this line needs it as a plain number"
    is_loop = re.match(r"(for|while)\b|.*\bfor\b.*\bin\b", code)
    advice = "write the loop as shapezoo.scan" if is_loop else "compute with sizes or tensors here"
    return _text(name, code, what, advice)


def _text(name: str, code: str, what: str, advice: str) -> str:
    """Return an obstacle and advice, after the line and its code as far as they are known."""
    where = ", ".join(filter(None, [name, f"`{code}`" if code else ""]))
    return f"{where}: {what}; {advice}" if where else f"{what}; {advice}"


def _line(source_line: str) -> tuple[str, str]:
    """Return a line without its folder, and its text."""
    path, _, number = source_line.rpartition(":")
    if not path or not number.isdigit():
        return source_line, ""
    code = linecache.getline(path, int(number)).partition("  #")[0]
    return f"{os.path.basename(path)}:{number}", code.strip()


Description = tuple[str, str]
"""What the obstacle is, as the end of a sentence, and what to change."""

_BRANCH = re.compile(r"(if|elif|while|assert)\b|.*\bif\b.*\belse\b|.*\b(bool|any|all)\(")


def _of_values(error: BaseException, code: str) -> Description:
    """Describe a question about values: the code or the message shows what they decide."""
    if re.match(_BRANCH, code):
        what = "the values of a tensor decide which branch is taken"
        advice = "let a size or a Python argument decide, or use torch.where"
        return what, advice
    if "Size-like symbols: u" in str(error):
        return _size_from_values("this line")
    what = "a number is read from the values of a tensor, and sizes depend on it"
    advice = "compute it from sizes (`x.shape`), or make it an argument of the constructor"
    return what, advice


def _size_from_values(what: str) -> Description:
    advice = "keep all entries and mask them, as torch.where does"
    return f"the values of a tensor decide the size of the result of {what}", advice


def _of_output(error: BaseException, code: str) -> Description:
    name = _operator(error)
    if name in ("item", "_local_scalar_dense"):
        return _of_values(error, code)
    what = f"`{name}` returns a Python value that depends on the values of a tensor"
    return what, "let sizes decide, or keep the result in a tensor"


def _of_shape(error: BaseException, code: str) -> Description:
    return _size_from_values(f"`{_operator(error)}`")


def _of_operator(error: BaseException, code: str) -> Description:
    match_ = re.search(r"(\w+)(?:\.|::)(\w+)", str(getattr(error, "func", error)))
    namespace, name = match_.groups() if match_ else ("aten", str(error))
    what = f"shapezoo has no rule for `{namespace}::{name}`"
    if namespace == "aten":
        return what, "use another function of torch here, or report it"
    return what, f'register its shapes: `torch.library.register_fake("{namespace}::{name}")`'


def _operator(error: BaseException) -> str:
    """Return the name of the operator that an error is about: ``equal`` of `aten.equal.default`."""
    parts = re.findall(r"\w+", str(getattr(error, "func", error)))
    return parts[1] if len(parts) > 1 else str(error)


def _of_formula(error: BaseException, code: str) -> Description:
    name = str(error).removeprefix("no formula for ")
    return f"shapezoo has no formula for {name} of sizes", "use +, -, *, // and % for sizes"


def _of_undecided(error: BaseException, code: str) -> Description:
    return str(error), "let sizes decide, or make it an argument"


DATA_DECIDE_A_SIZE = "the data decide a size"
"""The message of an UndecidedError after which sizes of the result are not known."""

_ROUNDING: Description = (
    "a size is computed in floating-point numbers, which are rounded",
    "use whole numbers, such as `height // 3` instead of `int(height * (1 / 3))`",
)
_NUMBER: Description = (
    "this operation takes plain numbers only, and shapezoo runs it with symbols for sizes",
    "pass a number that does not depend on a size, or report it",
)
_MEMORY: Description = (
    "this line reads the memory of a tensor, which has no data during a proof",
    "use functions of torch instead of NumPy, pointers or buffers",
)

_DESCRIPTIONS: tuple[
    tuple[type[BaseException], str, Description | Callable[[BaseException, str], Description]],
    ...,
] = (
    (GuardOnDataDependentSymNode, "", _of_values),
    (fake_tensor.DataDependentOutputException, "", _of_output),
    (fake_tensor.DynamicOutputShapeException, "", _of_shape),
    (fake_tensor.UnsupportedOperatorException, "", _of_operator),
    (UndecidedError, f"^{DATA_DECIDE_A_SIZE}$", _size_from_values("a call")),
    (UndecidedError, "", _of_undecided),
    (UntranslatableError, "rounded", _ROUNDING),
    (UntranslatableError, "", _of_formula),
    (Exception, r"\.numpy\(\)|data_ptr|[Mm]eta tensor|numel\(\) on tensor with symb", _MEMORY),
    (Exception, "Could not run '", _of_operator),
    (TypeError, "Sym", _NUMBER),
    (Exception, "SymIntArrayRef|symbolic sizes", _NUMBER),
)
"""The class of an error, a pattern in its message, and its description; the first that fits."""
