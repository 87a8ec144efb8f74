"""The sizes that axis names stand for during one call.

jaxtyping keeps them in a frame per call, and has no public way to start a frame with sizes
already bound or to read it. This file alone uses its two private functions for that.
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from jaxtyping import AbstractArray, jaxtyped
from jaxtyping._storage import get_shape_memo, set_shape_memo

from shapezoo.contracts.axes import BRACES, Extent
from shapezoo.contracts.errors import ContractError


class Bindings(NamedTuple):
    """What is bound at one moment: the sizes of single axes and the shapes of variadic ones."""

    sizes: dict[str, int]
    shapes: dict[str, tuple[bool, tuple[int, ...]]]


@contextlib.contextmanager
def frame(start: Bindings) -> Iterator[None]:
    """Check annotations with these bindings; whatever is bound inside is gone afterwards."""
    with jaxtyped("context"):
        restore(start)
        yield


def current() -> Bindings:
    """A copy of what is bound now."""
    sizes, shapes, *_ = get_shape_memo()  # type: ignore[no-untyped-call]  # private: no types
    return Bindings(dict(sizes), dict(shapes))


def restore(bindings: Bindings) -> None:
    """Forget what is bound now and take these bindings instead."""
    set_shape_memo(dict(bindings.sizes), dict(bindings.shapes), {}, {})


def bind_braces(values: Mapping[str, Any]) -> None:
    """Bind the values of parts in braces, such as ``{self.in_channels}``."""
    sizes, *_ = get_shape_memo()  # type: ignore[no-untyped-call]  # private: no types
    sizes.update({_reserved(text): value for text, value in values.items()})


def enforceable(annotation: type[AbstractArray]) -> type[AbstractArray]:
    """The annotation with each part in braces as an axis name that `bind_braces` binds.

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
    rewritten: type[AbstractArray] = annotation.dtype[annotation.array_type, text]
    return rewritten


def visible(bindings: Bindings) -> dict[str, Extent]:
    """The bindings that the author of the annotation named, variadic ones with their star."""
    single = {k: size for k, size in bindings.sizes.items() if not k.startswith(_RESERVED)}
    return single | {f"*{name}": tuple(shape) for name, (_, shape) in bindings.shapes.items()}


_RESERVED = "shapezoo_braces_"


def _reserved(braces: str) -> str:
    return _RESERVED + braces.encode().hex()
