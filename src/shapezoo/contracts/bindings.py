"""The sizes that axis names stand for during one call.

jaxtyping keeps them in a frame per call, and has no public way to start a frame with sizes
already bound or to read it. This file alone uses its two private functions for that.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, cast

from jaxtyping import AbstractArray, jaxtyped
from jaxtyping._storage import get_shape_memo, set_shape_memo

from shapezoo.contracts.axes import BRACES, Axis, Extent, Open, align
from shapezoo.contracts.errors import ContractError


class Bindings(NamedTuple):
    """What is bound at one moment.

    Attributes:
        sizes: The sizes of single axes, and under ``#name`` that the size of one was 1 which
            may be 1 as well.
        shapes: The shapes of variadic axes.
        structures: The structures of trees, ``T`` in ``PyTree[int, "T"]``.
    """

    sizes: dict[str, Any]
    shapes: dict[str, tuple[bool, tuple[int, ...]]]
    structures: dict[str, Any]


NOTHING_BOUND = Bindings({}, {}, {})


def bound_braces(values: Mapping[str, object]) -> Bindings:
    """Bindings of the values of parts in braces, such as ``{self.in_channels}``."""
    return Bindings({_reserved(text): value for text, value in values.items()}, {}, {})


class frame:  # noqa: N801  # used as a function; contextlib's way takes 0.7 us more a check
    """Check annotations with these bindings; whatever is bound inside is gone afterwards.

    Args:
        start: The bindings.
        arguments: What annotations may name in braces that jaxtyping itself reads.
    """

    def __init__(self, start: Bindings, arguments: dict[str, Any] | None = None) -> None:
        self.start = start
        self.arguments = arguments

    def __enter__(self) -> None:
        _new_frame.__enter__()
        restore(self.start, self.arguments)

    def __exit__(self, *error: Any) -> None:
        _new_frame.__exit__(*error)


def current() -> Bindings:
    """A copy of what is bound now."""
    sizes, shapes, structures, _ = get_shape_memo()  # type: ignore[no-untyped-call]  # private
    return Bindings(dict(sizes), dict(shapes), dict(structures))


def restore(bindings: Bindings, arguments: dict[str, Any] | None = None) -> None:
    """Forget what is bound now and take these bindings instead."""
    sizes, shapes, structures = bindings
    set_shape_memo(sizes.copy(), shapes.copy(), structures.copy(), arguments or {})


def assume(axes: tuple[Axis, ...], shape: tuple[int, ...]) -> None:
    """Bind the names that are not bound yet, as if this shape had passed its check."""
    sizes, shapes, *_ = get_shape_memo()  # type: ignore[no-untyped-call]  # private: no types
    for _, axis, size in align(axes, shape) or ():
        if axis.name and axis.variadic:
            shapes.setdefault(axis.name, (axis.broadcast, size))
        elif axis.binds:
            sizes.setdefault(axis.name, size)


def value_of(braces: str) -> object:
    """The value of a part in braces, or None if it has none."""
    sizes, *_ = get_shape_memo()  # type: ignore[no-untyped-call]  # private: no types
    return sizes.get(_reserved(braces))


def note_ones(names: Iterable[str]) -> None:
    """Note that axes were seen which may be 1 as well, written ``#name``."""
    sizes, *_ = get_shape_memo()  # type: ignore[no-untyped-call]  # private: no types
    for name in names:
        sizes[f"#{name}"] = 1


def settled(bindings: Bindings) -> Bindings:
    """The bindings after the last argument: what was 1 wherever it may be 1 as well is 1."""
    ones = {key[1:]: 1 for key in bindings.sizes if key.startswith("#")}
    sizes = {key: size for key, size in bindings.sizes.items() if not key.startswith("#")}
    return bindings._replace(sizes=ones | sizes)


def without_braces(bindings: Bindings) -> Bindings:
    """The bindings of axes alone, as a body that asks for them sees them."""
    sizes = bindings.sizes.items()
    return bindings._replace(sizes={k: v for k, v in sizes if not k.startswith(_RESERVED)})


def missing(bindings: Bindings, keys: Iterable[str]) -> list[str]:
    """Those keys of axes that are not bound."""
    sizes, shapes, _ = bindings
    variadic = {f"*{name}" for name in shapes}
    return [key for key in keys if key not in sizes and key not in variadic]


def enforceable(annotation: type[AbstractArray]) -> type[AbstractArray]:
    """The annotation with each part in braces as an axis name that `bound_braces` binds.

    jaxtyping would format the braces anew at each check, which costs time and fails for
    symbolic sizes.

    Raises:
        ContractError: It is an annotation of an annotation, whose two dtypes differ.
    """
    if annotation.dtypes != annotation.dtype.dtypes:
        raise ContractError(
            f"{annotation.__name__} has two dtypes; write one, with the whole shape"
        )
    if "{" not in annotation.dim_str:
        return annotation
    text = BRACES.sub(lambda part: _reserved(part[0]), annotation.dim_str)
    return with_shape(annotation, text)


def with_shape(annotation: type[AbstractArray], text: str) -> type[AbstractArray]:
    """The annotation of the same dtype and class of array, with another shape."""
    dtype = cast(Any, annotation.dtype)  # mypy and pyright know of no classes in brackets
    rewritten: type[AbstractArray] = dtype[annotation.array_type, text]
    return rewritten


def visible(bindings: Bindings) -> dict[str, Extent]:
    """The bindings that the author of the annotation named, variadic ones with their star."""
    hidden = (_RESERVED, "#")
    found: dict[str, Extent] = {
        key: size for key, size in bindings.sizes.items() if not key.startswith(hidden)
    }
    for name, (is_open, shape) in bindings.shapes.items():
        found[f"*{name}"] = Open(shape) if is_open else tuple(shape)
    return found


_RESERVED = "shapezoo_braces_"
_new_frame = jaxtyped("context")


def _reserved(braces: str) -> str:
    return _RESERVED + braces.encode().hex()
