"""The text of a ShapeError: the expected and the actual value, and where they differ."""

import itertools
import sys
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from shapezoo.contracts.language.axes import Extent, align, differences
from shapezoo.contracts.language.errors import ContractError, ShapeError, listed
from shapezoo.contracts.language.signatures import Signature
from shapezoo.contracts.language.types import (
    DictType,
    SequenceType,
    TensorType,
    TupleType,
    Type,
    bindable_names,
    resolve,
    walk,
)
from shapezoo.contracts.language.walking import Missing
from shapezoo.contracts.matching.bindings import Bindings
from shapezoo.contracts.matching.matching import MismatchError
from shapezoo.contracts.messages.describing import (
    class_name,
    concrete,
    concrete_shape,
    describe,
    dtype_name,
    qualified_name,
    readable,
)
from shapezoo.contracts.messages.fixes import Accepts, suggest
from shapezoo.contracts.messages.layer_fixes import suggest_for_result
from shapezoo.contracts.messages.module_paths import path_in_model

_MAX_LINES = 4


def explain(
    function: Callable[..., Any],
    mismatch: MismatchError,
    *,
    module_path: str = "",
    hint: str | None = None,
    is_result: bool = False,
    asserted: str | None = None,
) -> ShapeError:
    """Build the error for a mismatch.

    Args:
        function: The function whose contract was broken.
        mismatch: How it was broken.
        module_path: Path of the module in its parent, if the function is a forward.
        hint: A fix, if one is known.
        is_result: Whether the result broke it.
        asserted: The shape that the body asserted, if that does not match.
    """
    type_, bound = _resolved(mismatch)
    expected = type_ if asserted is None else f'"{asserted}"'
    lines = [f"  expected  {expected}", f"  got       {describe(mismatch.value)}"]
    axis = None
    if isinstance(type_, TensorType):
        axis, reasons = _differences(type_, mismatch.value, dict(bound))
        lines += reasons[:_MAX_LINES]
        bound |= _bound_before(axis, type_, mismatch.value)
    if isinstance(type_, TupleType) and isinstance(mismatch.value, tuple):
        lines.append(f"  items     expected {len(type_.parts)}, got {len(mismatch.value)}")
    options = [text for option in mismatch.options if (text := _option(option))]
    lines += [f"  option    {text}" for text in options[:_MAX_LINES]]
    if bound:
        lines.append(f"  bound     {', '.join(f'{name}={size}' for name, size in bound.items())}")
    if module_path:
        lines.append(f"  module    {module_path}")
    if is_result and mismatch.value is None:
        hint = "the function returned None; is a return statement missing?"
    if hint:
        lines.append(f"  hint      {hint}")
    subject = f"argument {mismatch.path!r}"
    if is_result:
        step = mismatch.path.removeprefix("return")  # ".boxes", "[1]"
        subject = f"result{step}" if step else "the result"
    title = f"{public_name(function)}: {subject} breaks its contract"
    if asserted is not None:
        title = f"{public_name(function)}: a tensor does not have the asserted shape"
    return ShapeError("\n".join([title, *lines]), argument=mismatch.path, axis=axis)


class Explainer(NamedTuple):
    """Builds the errors for the calls of one function.

    Attributes:
        function: The function.
        contract: Its contract.
    """

    function: Callable[..., Any]
    contract: Signature

    def wrong_argument(
        self, mismatch: MismatchError, arguments: dict[str, Any], accepts: Accepts, path: str
    ) -> ShapeError:
        """Build the error for an argument that does not match, with a fix if one is known.

        Args:
            mismatch: How it does not match.
            arguments: The arguments, by name.
            accepts: Whether other arguments would pass, as in `suggest`.
            path: The path of the module, if the function is a forward and the path is known.
        """
        hint = suggest(self.contract, arguments, mismatch, accepts)
        path = path or path_in_model(arguments.get(self.contract.owner))
        return explain(self.function, mismatch, module_path=path, hint=hint)

    def wrong_result(
        self, mismatch: MismatchError, result: object, bindings: Bindings, owner: object, path: str
    ) -> ShapeError:
        """Build the error for a result that does not match, with a fix if one is known.

        Args:
            mismatch: How it does not match.
            result: The result.
            bindings: What the arguments bound.
            owner: The module, if the function is a forward.
            path: The path of the module, if the function is a forward and the path is known.
        """
        hint = suggest_for_result(self.contract, bindings, result, owner, mismatch)
        path = path or path_in_model(owner)
        return explain(self.function, mismatch, module_path=path, hint=hint, is_result=True)

    def unbound(self, names: Iterable[str]) -> ShapeError:
        """Build the error for axes of a result that no argument of the call has bound."""
        names = sorted(names)
        axes = f"{'axis' if len(names) == 1 else 'axes'} {listed(map(repr, names))}"
        able = [a for a in self.contract.inputs if bindable_names(a.type) & set(names)]
        has_lists = any(isinstance(p, SequenceType | DictType) for a in able for p in walk(a.type))
        reason = " (an empty list has no sizes)" if has_lists else ""
        return ShapeError(
            f"{public_name(self.function)}: the result has {axes}, and no argument of this call "
            f"has {'it' if len(names) == 1 else 'them'}\n"
            f"  expected  {self.contract.output}\n"
            f"  hint      pass {' or '.join(repr(a.name) for a in able)}{reason}",
            argument="return",
        )

    def uncomputable(self, error: ContractError) -> ContractError:
        """Build the error for a contract that cannot be computed, with the name of the function."""
        return ContractError(f"{public_name(self.function)}: {error}")


def public_name(function: Callable[..., Any]) -> str:
    """Return the shortest dotted name under which a function, or its class, can be imported."""
    owner = function.__qualname__.partition(".")[0]
    modules = itertools.accumulate((function.__module__ or "").split("."), "{}.{}".format)
    values = {m: vars(sys.modules[m]).get(owner) for m in modules if m in sys.modules}
    own = list(values.values())[-1] if values else None
    if own is None:
        return qualified_name(function)
    shortest = next(name for name, value in values.items() if value is own)
    return f"{shortest}.{function.__qualname__}"


def _resolved(mismatch: MismatchError) -> tuple[Type, dict[str, Extent]]:
    """Return the expected type, without braces that could be read, and the bound sizes."""
    bound = {name: concrete(size) for name, size in mismatch.bound.items()}
    return resolve(mismatch.type, readable(mismatch.braces)), bound


def _differences(
    type_: TensorType, value: Any, bound: dict[str, Extent]
) -> tuple[int | None, list[str]]:
    """Return the first axis that differs, and a line for each difference."""
    array, lines = type_.annotation.array_type, []
    if not type_.is_array(value):
        expected = "an array" if array is Any else array.__name__
        got = "nothing" if isinstance(value, Missing) else class_name(value)
        return None, [f"  type      expected {expected}, got {got}"]
    if not isinstance(value, type_.annotation.dtype[array, "..."]):
        lines.append(f"  dtype     expected {type_.dtype}, got {dtype_name(value)}")
    shape = concrete_shape(value)
    different = differences(type_.axes, shape, bound)
    if different is None:
        least = len(type_.axes) - any(axis.variadic for axis in type_.axes)
        more = " or more" if least < len(type_.axes) else ""
        names = ", ".join(map(str, type_.axes)) or "a scalar"
        return None, [*lines, f"  axes      expected {least}{more} ({names}), got {len(shape)}"]
    for position, axis, size, actual in different:
        label = str(axis).replace("=", " = ") if axis.fixed is not None else f"{axis} = {size}"
        lines.append(f"  axis {position}    expected {label}, got {actual}")
    return (different[0][0] if different else None), lines


def _bound_before(axis: int | None, type_: TensorType, value: Any) -> dict[str, Extent]:
    """Return the sizes of the axes of a tensor before the first that differs."""
    if axis is None:
        return {}
    pairs = align(type_.axes, concrete_shape(value)) or ()
    return {part.key: size for position, part, size in pairs if part.key and position < axis}


def _option(mismatch: MismatchError) -> str:
    """Return an option of a union and why the value does not match; empty without a reason."""
    type_, bound = _resolved(mismatch)
    if not isinstance(type_, TensorType):
        return ""
    _, reasons = _differences(type_, mismatch.value, bound)
    return f"{type_}: {'; '.join(' '.join(reason.split()) for reason in reasons)}"
