"""Check a value against its type: jaxtyping checks tensors, beartype any other plain value."""

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
    DictType,
    PlainType,
    SequenceType,
    TensorType,
    TreeType,
    Type,
    UnionType,
    is_decided_by_class,
    is_none,
    tensors,
    with_shape,
)
from shapezoo.contracts.language.walking import intended_options, is_container, parts_of
from shapezoo.contracts.matching.bindings import (
    assume,
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


_Shape = tuple[bool, tuple[int | None, ...]]
"""A variadic axis: whether it is written ``*#name``, and its sizes."""


class Opaque(NamedTuple):
    """Replaces an object that cannot be inspected during tracing; it matches any type."""


class MismatchError(Exception):
    """A value does not match its type.

    Attributes:
        path: The path of the value, from the argument down: ``states[1]``.
        kind: The expected type.
        value: The value.
        bound: The axes that were bound before.
        options: For a union, the mismatch of each option but None.
    """

    def __init__(
        self, path: str, kind: Type, value: object, options: tuple["MismatchError", ...] = ()
    ) -> None:
        super().__init__(path)
        self.path = path
        self.kind = kind
        self.value = value
        self.bound = visible(current())
        self.options = options


class StepAside(Exception):  # noqa: N818  # not an error
    """A value should have a shape but cannot be inspected, such as a `torch.fx` proxy."""


class OpaqueValue(StepAside):
    """Only this value cannot be inspected; the rest of the call can be checked."""


def check_value(value: Any, kind: Type, path: str) -> None:
    """Check one value, and bind the axes that it names.

    Args:
        value: The value.
        kind: The expected type.
        path: The path of the value.

    Raises:
        MismatchError: The value, or a part of it, does not match its type.
        ContractError: An expression cannot be computed, or a part in braces cannot be read.
        StepAside: The value, or a part of it, cannot be checked.
    """
    if isinstance(value, Opaque):
        if any(tensors(kind)):
            raise OpaqueValue
        return
    match kind:
        case TensorType():
            fits = _check_tensor(value, kind)
        case UnionType():
            fits = _check_union(value, kind, path)
        case PlainType(annotation=annotation) | TreeType(annotation=annotation):
            fits = _check_plain(value, annotation)
        case _:
            fits = is_container(value, kind)
            if fits and not _fits_by_classes(value, kind, path):
                for part in parts_of(value, kind):
                    check_value(part.value, part.type, path + part.step)
    if not fits and isinstance(value, Proxy):
        raise StepAside
    if not fits:
        raise MismatchError(path, kind, value)


def _check_tensor(value: Any, kind: TensorType) -> bool:
    for braces in kind.braces:
        if isinstance(failure := value_of(braces), ContractError):
            raise failure
    annotation = _without_certain_axes(kind.enforceable, value)
    try:
        fits = isinstance(value, annotation)
        if fits and kind.broadcast_names:
            note_ones(kind.broadcast_names)
        return fits
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise ContractError(f"{kind} cannot be computed: {error}") from error
    except AnnotationError as error:
        unknown = {name for axis in kind.axes for name in axis.needs} - visible(current()).keys()
        names = ", ".join(map(repr, sorted(unknown)))
        reason = f"no argument of this call has axis {names}"
        if not unknown:
            reason = "the size of a lazy layer is not known before its first call"
        raise ContractError(f"{kind} cannot be computed: {reason}") from error
    except Exception as error:
        if _is_undecidable(error) and not is_proving():
            return _may_fit(value, parse_axes(annotation.dim_str))
        raise


def _without_certain_axes(annotation: type[AbstractArray], value: Any) -> type[AbstractArray]:
    """Drop the axes from an annotation that match for all values of the symbols in their sizes.

    jaxtyping compares sizes with ``!=``, which adds a guard if PyTorch cannot decide it. The axes
    dropped here bind no new names.
    """
    if not isinstance(value, Tensor) or torch.SymInt not in map(type, value.shape):
        return annotation
    texts = annotation.dim_str.split()
    sizes, shapes, _ = current()
    aligned = align(parse_axes(annotation.dim_str), value.shape) or ()
    for index, (_, axis, size) in enumerate(aligned):
        if isinstance(size, tuple):
            if _is_always_same(shapes.get(axis.name or ""), (axis.broadcast, size)):
                texts[index] = "..."
        elif is_always_equal(expected_size(axis, sizes), size):
            texts[index] = "_"
        elif axis.binds:
            sizes.setdefault(axis.binds, size)
    return with_shape(annotation, " ".join(texts))


def _is_always_same(one: _Shape | None, other: _Shape) -> bool:
    """Whether a variadic axis is known to be bound to an equal shape."""
    if one is None or one[0] != other[0] or len(one[1]) != len(other[1]):
        return False
    return all(map(is_always_equal, one[1], other[1]))


def _is_undecidable(error: Exception) -> bool:
    """Whether a check hit a data-dependent size or value, which tracing does not have."""
    names = ("GuardOnDataDependentSymNode", "DataDependentOutputException")
    return type(error).__name__ in names  # by name, because their modules are slow to import


def _may_fit(value: Any, axes: tuple[Axis, ...]) -> bool:
    """Whether a tensor with data-dependent sizes matches in all its other sizes."""
    from torch.fx.experimental.symbolic_shapes import free_unbacked_symbols

    shape = tuple(None if free_unbacked_symbols(size) else size for size in value.shape)
    fits = differences(axes, shape, visible(current())) == []
    if fits:
        assume(axes, value.shape)
    return fits


def _check_plain(value: Any, annotation: Any) -> bool:
    try:
        if isinstance(value, torch.SymInt | torch.SymFloat | torch.SymBool):
            kind = {torch.SymInt: int, torch.SymFloat: float, torch.SymBool: bool}[type(value)]
            # for a plain class, any value will do
            value = kind() if isinstance(annotation, type) else kind(value)
        return is_bearable(value, annotation, conf=CONF)
    except AnnotationError as error:  # a tree whose structure is not bound yet
        raise ContractError(f"{annotation.__name__} cannot be checked: {error}") from error
    except Exception as error:
        if _is_undecidable(error) and not is_proving():
            return True
        raise


def _fits_by_classes(value: Any, kind: Type, path: str) -> bool:
    """Whether all items of a container match; checks one item of each class, if that is enough.

    A list of 100,000 numbers takes a few milliseconds this way, and 160 ms item by item.
    """
    if not isinstance(kind, SequenceType | DictType) or not all(
        map(is_decided_by_class, kind.parts)
    ):
        return False
    groups = (value.keys(), value.values()) if isinstance(kind, DictType) else (value,)
    try:
        for part, items in zip(kind.parts, groups, strict=True):
            for example in {type(item): item for item in items}.values():
                check_value(example, part, path)
    except MismatchError:
        return False  # the caller checks item by item, to name the first wrong one
    return True


def _check_union(value: Any, kind: UnionType, path: str) -> bool:
    """Whether an option matches. If only one can be intended, its own mismatch is raised."""
    if value is None and any(map(is_none, kind.parts)):
        return True
    failure = _failure_of_union(value, kind, path)
    try:
        if failure is not None:
            raise failure
    finally:
        del failure  # its traceback has this frame: a cycle would keep the tensors alive
    return True


def _failure_of_union(value: Any, kind: UnionType, path: str) -> Exception | None:
    """The error for a value that none of the options fits; None if one does."""
    before = current()
    failures: list[tuple[Type, MismatchError]] = []
    uncomputable: ContractError | None = None
    for part in kind.parts:
        try:
            check_value(value, part, path)
        except MismatchError as mismatch:
            restore(before)
            # a traceback would keep the arguments alive
            failures.append((part, mismatch.with_traceback(None)))
        except ContractError as error:  # such as past+seq in a call without past
            restore(before)
            uncomputable = ContractError(str(error))  # whose cause would hold this frame
        else:
            return None
    if uncomputable is not None and all(is_none(part) for part, _ in failures):
        return uncomputable
    options = intended_options(value, kind)
    meant = [mismatch for part, mismatch in failures if part is options[0]]
    if len(options) == 1 and meant:
        return meant[0]
    told = tuple(mismatch for part, mismatch in failures if not is_none(part))
    return MismatchError(path, kind, value, told)
