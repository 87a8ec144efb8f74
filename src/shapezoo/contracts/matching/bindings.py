"""The axis sizes bound during one call.

jaxtyping keeps them in a stack of frames, one per call, in thread-local storage. An annotation in
an ``isinstance`` binds its names in the innermost frame. shapezoo opens its own frames there: one
for the arguments of a call, and one for its result that starts with what the arguments bound.

jaxtyping has no public way to read a frame or to open one with sizes already bound. Only this file
uses its four private functions for that.

docs/internals/private-names.md lists all private names in the package.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

# private: see above
from jaxtyping._storage import (
    get_shape_memo,
    pop_shape_memo,
    push_shape_memo,
    set_shape_memo,
)

from shapezoo.contracts.language.axes import Axis, Extent, Open, align
from shapezoo.contracts.language.expressions import RESERVED, braces_of, reserved_name
from shapezoo.contracts.matching.dynamo_skipping import skip_by_dynamo


class Bindings(NamedTuple):
    """Everything bound at one moment.

    Attributes:
        sizes: The size of each single axis, by name, and the values of parts in braces, by their
            reserved names. A key ``#name`` says that an axis written ``#name`` was
            matched; its size is 1 unless ``name`` is bound as well.
        shapes: Whether each variadic axis was written ``*#name``, and its shape.
        structures: The tree structures, such as ``T`` in ``PyTree[int, "T"]``.
    """

    sizes: dict[str, Any]
    shapes: dict[str, tuple[bool, tuple[int, ...]]]
    structures: dict[str, Any]


NOTHING_BOUND = Bindings({}, {}, {})


def bound_braces(values: Mapping[str, object]) -> Bindings:
    """Return bindings with the values of parts in braces, such as ``{self.in_channels}``."""
    return Bindings({reserved_name(text): value for text, value in values.items()}, {}, {})


def braces_in(bindings: Bindings) -> dict[str, object]:
    """Return the values of the parts in braces, the inverse of `bound_braces`."""
    sizes = bindings.sizes.items()
    return {braces_of(key): value for key, value in sizes if key.startswith(RESERVED)}


class frame:  # noqa: N801  # used as a function; contextlib.contextmanager would add 0.7 us to each check
    """Check annotations with these bindings; bindings made inside are discarded on exit."""

    def __init__(self, start: Bindings) -> None:
        self.start = start

    def __enter__(self) -> None:
        enter_frame(self.start, {})

    def __exit__(self, *error: Any) -> None:
        leave_frame()


def enter_frame(start: Bindings, arguments: dict[str, Any]) -> None:
    """Open a frame with these bindings.

    Args:
        start: The bindings.
        arguments: The values for braces that jaxtyping itself evaluates.
    """
    sizes, shapes, structures, _ = push_shape_memo(arguments)
    sizes.update(start.sizes)
    shapes.update(start.shapes)
    structures.update(start.structures)


@skip_by_dynamo
def leave_frame() -> None:
    """Close the innermost frame."""
    pop_shape_memo()


def current() -> Bindings:
    """Return a copy of the current bindings."""
    sizes, shapes, structures, _ = get_shape_memo()  # type: ignore[no-untyped-call]  # private
    return Bindings(dict(sizes), dict(shapes), dict(structures))


def restore(bindings: Bindings) -> None:
    """Replace the current bindings with these."""
    sizes, shapes, structures = bindings
    set_shape_memo(sizes.copy(), shapes.copy(), structures.copy(), {})


def assume(axes: tuple[Axis, ...], shape: tuple[int, ...]) -> None:
    """Bind the names that are not bound yet, as if this shape had passed its check."""
    sizes, shapes, *_ = get_shape_memo()  # type: ignore[no-untyped-call]  # private: no types
    for _, axis, size in align(axes, shape) or ():
        if axis.name and axis.variadic:
            shapes.setdefault(axis.name, (axis.broadcast, size))
        elif axis.binds:
            sizes.setdefault(axis.name, size)


def value_of(braces: str) -> object:
    """Return the value of a part in braces, or None if it is not bound."""
    sizes, *_ = get_shape_memo()  # type: ignore[no-untyped-call]  # private: no types
    return sizes.get(reserved_name(braces))


def note_ones(names: Iterable[str]) -> None:
    """Record that an axis marked ``#`` had size 1."""
    sizes, *_ = get_shape_memo()  # type: ignore[no-untyped-call]  # private: no types
    for name in names:
        sizes[f"#{name}"] = 1


def settled(bindings: Bindings) -> Bindings:
    """Complete the bindings after the last argument: a ``#name`` that only had size 1 is 1."""
    ones = {key[1:]: 1 for key in bindings.sizes if key.startswith("#")}
    if not ones:
        return bindings
    sizes = {key: size for key, size in bindings.sizes.items() if not key.startswith("#")}
    return bindings._replace(sizes=ones | sizes)


def without_braces(bindings: Bindings) -> Bindings:
    """Keep only the bindings of axes, which the body of a function may use."""
    sizes = bindings.sizes.items()
    return bindings._replace(sizes={k: v for k, v in sizes if not k.startswith(RESERVED)})


def missing(bindings: Bindings, keys: Iterable[str]) -> list[str]:
    """Return the axis keys that are not bound."""
    sizes, shapes, _ = bindings
    if not shapes:
        return [key for key in keys if key not in sizes]
    variadic = {f"*{name}" for name in shapes}
    return [key for key in keys if key not in sizes and key not in variadic]


def visible(bindings: Bindings) -> dict[str, Extent]:
    """Return the sizes of the axes, by the keys that they have in annotations."""
    hidden = (RESERVED, "#")
    extents: dict[str, Extent] = {
        key: size for key, size in bindings.sizes.items() if not key.startswith(hidden)
    }
    for name, (is_open, shape) in bindings.shapes.items():
        extents[f"*{name}"] = Open(shape) if is_open else tuple(shape)
    return extents
