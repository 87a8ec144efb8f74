"""Comparing a value with its type: jaxtyping checks tensors, beartype what is no container."""

from typing import Any, NamedTuple

import torch
from beartype import BeartypeConf
from beartype.door import is_bearable
from jaxtyping import AbstractArray, AnnotationError
from torch import Tensor
from torch.fx import Proxy

from shapezoo.contracts.axes import Axis, align, differences, expected_size, parse_axes
from shapezoo.contracts.bindings import (
    assume,
    current,
    note_ones,
    restore,
    value_of,
    visible,
    with_shape,
)
from shapezoo.contracts.errors import ContractError
from shapezoo.contracts.identities import is_always_equal
from shapezoo.contracts.symbolic_runs import is_proving
from shapezoo.contracts.types import (
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
)
from shapezoo.contracts.walking import is_container, options_meant, parts_of

CONF = BeartypeConf(is_pep484_tower=True)
"""How beartype checks: as in mypy, a ``float`` may be an int."""


_Shape = tuple[bool, tuple[int | None, ...]]
"""Of a variadic axis: whether it is written ``*#name``, and its sizes."""


class Opaque(NamedTuple):
    """Stands for an object that cannot be looked at while a graph is traced; it fits anything."""


class MismatchError(Exception):
    """A value that is not of its type.

    Attributes:
        path: Where the value is, from the argument down: ``states[1]``.
        kind: What it should be.
        value: What it is.
        bound: The axes bound before it was found.
        options: For a union, how each of its tensors was missed.
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


class StepAside(Exception):  # noqa: N818  # no error
    """A value should have a shape, but cannot be looked at, as the proxies of `torch.fx`."""


class OpaqueValue(StepAside):
    """Only this value cannot be looked at; the rest of the call can be checked."""


def check_value(value: Any, kind: Type, path: str) -> None:
    """Check one value, and bind the axes that it names.

    Args:
        value: The value.
        kind: What it must be.
        path: Where it is.

    Raises:
        MismatchError: It, or something inside it, is not of its type.
        ContractError: An expression cannot be computed, or a part in braces not be read.
        StepAside: There is a value that cannot be checked.
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
    """The annotation without the axes that fit whatever the symbols in their sizes stand for.

    jaxtyping compares sizes with ``!=``, which adds a guard where PyTorch cannot decide it. An
    axis that is left out here binds no name that is not bound already.
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
    """Whether a variadic axis is bound to this very shape already."""
    if one is None or one[0] != other[0] or len(one[1]) != len(other[1]):
        return False
    return all(map(is_always_equal, one[1], other[1]))


def _is_undecidable(error: Exception) -> bool:
    """Whether a check came upon what only the data decide, which a graph is traced without."""
    names = ("GuardOnDataDependentSymNode", "DataDependentOutputException")
    return type(error).__name__ in names  # by name: their modules are slow to import


def _may_fit(value: Any, axes: tuple[Axis, ...]) -> bool:
    """Whether a tensor may fit, some of whose sizes only the data decide."""
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
            value = kind() if isinstance(annotation, type) else kind(value)  # the class decides
        return is_bearable(value, annotation, conf=CONF)
    except AnnotationError as error:  # a tree of a structure that is not known yet
        raise ContractError(f"{annotation.__name__} cannot be checked: {error}") from error
    except Exception as error:
        if _is_undecidable(error) and not is_proving():
            return True
        raise


def _fits_by_classes(value: Any, kind: Type, path: str) -> bool:
    """Whether all items of a container fit, as far as one of each class can tell.

    A list of 100,000 numbers takes a few milliseconds this way, and 160 item by item.
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
        return False  # item by item, the error can name the first that is wrong
    return True


def _check_union(value: Any, kind: UnionType, path: str) -> bool:
    """Whether one of the options fits. Where just one can be meant, its mismatch is raised."""
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
            failures.append((part, mismatch.with_traceback(None)))  # it would hold the arguments
        except ContractError as error:  # as past+seq in a call without past
            restore(before)
            uncomputable = ContractError(str(error))  # whose cause would hold this frame
        else:
            return None
    if uncomputable is not None:
        return uncomputable
    options = options_meant(value, kind)
    if len(options) == 1:
        return next(mismatch for part, mismatch in failures if part is options[0])
    told = tuple(mismatch for part, mismatch in failures if not is_none(part))
    return MismatchError(path, kind, value, told)
