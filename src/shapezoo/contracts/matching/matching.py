"""Check a value against its type: jaxtyping checks tensors, beartype any other plain value.

`check_value` recurses through containers and unions. jaxtyping binds axis names in the frame that
is open (see `bindings`), so an option of a union that fails restores the bindings before the next
option is tried.

While a graph is traced or a proof runs, sizes are symbols. jaxtyping compares sizes with ``!=``,
which asks PyTorch for an answer and may add a guard to the graph. Axes that are equal for all
values of their symbols are therefore removed from the annotation before jaxtyping sees it, and a
comparison that only the data could decide passes, except in a proof.
"""

import inspect
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from beartype import BeartypeConf
from beartype.door import is_bearable
from jaxtyping import AbstractArray, AnnotationError
from torch import Tensor
from torch.fx import Proxy

from shapezoo.contracts.language.axes import Axis, align, differences, expected_size, parse_axes
from shapezoo.contracts.language.errors import ContractError
from shapezoo.contracts.language.types import (
    PlainType,
    TensorType,
    TreeType,
    Type,
    UnionType,
    is_none,
    tensors,
    with_shape,
)
from shapezoo.contracts.language.walking import intended_options, is_container, parts_of
from shapezoo.contracts.matching.bindings import (
    assume,
    braces_in,
    current,
    note_ones,
    restore,
    value_of,
    visible,
)
from shapezoo.contracts.matching.identities import is_always_equal
from shapezoo.contracts.matching.proof_mode import is_proving

CONF = BeartypeConf(is_pep484_tower=True)
"""The settings of beartype: an int is accepted as a ``float``, as in mypy."""


@dataclass
class _WithFactory:
    value: list[int] = field(default_factory=list)


FILLED_BY_FACTORY = inspect.signature(_WithFactory).parameters["value"].default
"""The default, in the ``__init__`` of a dataclass, of a field with a ``default_factory``.

`dataclasses` replaces it by the result of the factory after the arguments were checked.
"""


class Opaque(NamedTuple):
    """Replaces an object that cannot be inspected during tracing; it matches any type."""


class MismatchError(Exception):
    """A value does not match its type.

    Attributes:
        path: The path of the value, starting with the name of the argument: ``states[1]``.
        type: The expected type.
        value: The value.
        bound: The sizes of the axes that were bound before.
        braces: The values of the parts in braces, or the errors if they cannot be read.
        options: For a union, the mismatch of each option but None.
    """

    def __init__(
        self, path: str, type_: Type, value: object, options: tuple["MismatchError", ...] = ()
    ) -> None:
        super().__init__(path)
        self.path = path
        self.type = type_
        self.value = value
        bindings = current()
        self.bound = visible(bindings)
        self.braces = braces_in(bindings)
        self.options = options


class StepAside(Exception):  # noqa: N818  # not an error
    """A value should have a shape but cannot be inspected, such as a `torch.fx` proxy."""


class OpaqueValue(StepAside):
    """Only this value cannot be inspected; the rest of the call can be checked."""


def check_value(value: Any, type_: Type, path: str) -> None:
    """Check one value, and bind the axes that it names.

    Args:
        value: The value.
        type_: The expected type.
        path: The path of the value.

    Raises:
        MismatchError: The value, or a part of it, does not match its type.
        ContractError: An expression cannot be computed, or a part in braces cannot be read.
        StepAside: The value, or a part of it, cannot be checked.
    """
    if value is FILLED_BY_FACTORY:
        return
    if isinstance(value, Opaque):
        if any(tensors(type_)):
            raise OpaqueValue
        return
    match type_:
        case TensorType():
            fits = _check_tensor(value, type_)
        case UnionType():
            fits = _check_union(value, type_, path)
        case PlainType(annotation=annotation) | TreeType(annotation=annotation):
            fits = _check_plain(value, annotation)
        case _:
            fits = is_container(value, type_)
            if fits:
                for part in parts_of(value, type_, is_for_check=True):
                    check_value(part.value, part.type, path + part.step)
    if not fits and isinstance(value, Proxy):
        raise StepAside
    if not fits:
        raise MismatchError(path, type_, value)


def _check_tensor(value: Any, type_: TensorType) -> bool:
    if isinstance(value, Proxy):
        raise StepAside  # before reading braces, where an argument may be a proxy as well
    for braces in type_.braces:
        if isinstance(failure := value_of(braces), ContractError):
            raise failure
    annotation = _without_certain_axes(type_.enforceable, value)
    try:
        fits = isinstance(value, annotation)
        if fits and type_.broadcast_names:
            note_ones(type_.broadcast_names)
        return fits
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise ContractError(f"{type_} cannot be computed: {error}") from error
    except AnnotationError as error:
        unbound = {name for axis in type_.axes for name in axis.needs} - visible(current()).keys()
        names = ", ".join(map(repr, sorted(unbound)))
        reason = f"no argument of this call has axis {names}"
        if not unbound:
            reason = "the size of a lazy layer is not known before its first call"
        raise ContractError(f"{type_} cannot be computed: {reason}") from error
    except Exception as error:
        if _passes_undecided(error):
            return _may_fit(value, parse_axes(annotation.dim_str))
        raise


def _without_certain_axes(annotation: type[AbstractArray], value: Any) -> type[AbstractArray]:
    """Drop the axes from an annotation that match for all values of the symbols in their sizes.

    The axes dropped here bind no new names.
    """
    if not isinstance(value, Tensor) or torch.SymInt not in map(type, value.shape):
        return annotation
    texts = annotation.dim_str.split()
    sizes, shapes, _ = current()
    aligned = align(parse_axes(annotation.dim_str), value.shape) or ()
    for index, (_, axis, size) in enumerate(aligned):
        if isinstance(size, tuple):
            is_broadcast, shape = shapes.get(axis.name or "", (None, ()))
            if is_broadcast == axis.broadcast and _are_always_equal(shape, size):
                texts[index] = "..."
        elif is_always_equal(expected_size(axis, sizes), size):
            texts[index] = "_"
        elif axis.binds:
            sizes.setdefault(axis.binds, size)
    return with_shape(annotation, " ".join(texts))


def _are_always_equal(left: tuple[Any, ...], right: tuple[Any, ...]) -> bool:
    return len(left) == len(right) and all(map(is_always_equal, left, right))


def _passes_undecided(error: Exception) -> bool:
    """Whether an error says that only the data decide, which tracing does not have.

    Such a check passes, except in a proof.
    """
    names = ("GuardOnDataDependentSymNode", "DataDependentOutputException")
    # by name, because their modules are slow to import
    return type(error).__name__ in names and not is_proving()


def _may_fit(value: Any, axes: tuple[Axis, ...]) -> bool:
    """Whether a tensor with data-dependent sizes matches in all its other sizes."""
    # experimental: PyTorch has no other way to ask whether a size depends on data
    from torch.fx.experimental.symbolic_shapes import free_unbacked_symbols

    shape = tuple(None if free_unbacked_symbols(size) else size for size in value.shape)
    fits = differences(axes, shape, visible(current())) == []
    if fits:
        assume(axes, value.shape)
    return fits


_SYMBOLIC: dict[type, type] = {torch.SymInt: int, torch.SymFloat: float, torch.SymBool: bool}


def _check_plain(value: Any, annotation: Any) -> bool:
    try:
        if class_ := _SYMBOLIC.get(type(value)):
            # for a plain class, any value will do, and the value of a symbol would add a guard
            value = class_() if isinstance(annotation, type) else class_(value)
        return is_bearable(value, annotation, conf=CONF)
    except AnnotationError as error:  # a tree whose structure is not bound yet
        raise ContractError(f"{annotation.__name__} cannot be checked: {error}") from error
    except Exception as error:
        if _passes_undecided(error):
            return True
        raise


def _check_union(value: Any, union: UnionType, path: str) -> bool:
    """Whether an option matches. If only one can be intended, its own mismatch is raised."""
    if value is None and any(map(is_none, union.parts)):
        return True
    failure = _failure_of_union(value, union, path)
    try:
        if failure is not None:
            raise failure
    finally:
        # its traceback refers to this frame, and such a cycle would keep the tensors alive
        del failure
    return True


def _failure_of_union(value: Any, union: UnionType, path: str) -> Exception | None:
    """Return the error for a value that matches no option; None if it matches one."""
    before = current()
    failures: list[tuple[Type, MismatchError]] = []
    uncomputable: ContractError | None = None
    for option in union.parts:
        try:
            check_value(value, option, path)
            return None
        except MismatchError as mismatch:
            # its traceback would keep the arguments alive
            failures.append((option, mismatch.with_traceback(None)))
        except ContractError as error:  # such as past+seq in a call without past
            uncomputable = ContractError(str(error))  # a copy without a traceback or a cause
        restore(before)
    if uncomputable is not None and all(is_none(option) for option, _ in failures):
        return uncomputable
    options = intended_options(value, union)
    intended = [mismatch for option, mismatch in failures if option is options[0]]
    if len(options) == 1 and intended:
        return intended[0]
    mismatches = tuple(mismatch for option, mismatch in failures if not is_none(option))
    return MismatchError(path, union, value, mismatches)
