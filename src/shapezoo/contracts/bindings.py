"""The sizes that axis names stand for during one call.

jaxtyping keeps them in a frame per call, and has no public way to start a frame with sizes
already bound or to read it. This file alone uses its two private functions for that.
"""

import contextlib
import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from jaxtyping import AbstractArray, jaxtyped
from jaxtyping._storage import get_shape_memo, set_shape_memo

from shapezoo.contracts.axes import BRACES, Extent


class Bindings(NamedTuple):
    """What is bound at one moment: the sizes of single axes and the shapes of variadic ones."""

    sizes: dict[str, int]
    shapes: dict[str, tuple[bool, tuple[int, ...]]]

    def copy(self) -> "Bindings":
        """The same bindings, in dictionaries of their own."""
        return Bindings(dict(self.sizes), dict(self.shapes))


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


def from_braces(values: Mapping[str, Any]) -> Bindings:
    """Bindings that hold only the values of parts in braces, such as ``{self.in_channels}``."""
    return Bindings({_reserved(text): value for text, value in values.items()}, {})


@functools.cache
def enforceable(annotation: type[AbstractArray]) -> type[AbstractArray]:
    """The annotation with each part in braces as an axis name that `from_braces` binds.

    jaxtyping would format the braces anew at each check, which costs time and fails for
    symbolic sizes.
    """
    text = BRACES.sub(lambda part: _reserved(part[0]), annotation.dim_str)
    rewritten: type[AbstractArray] = annotation.dtype[annotation.array_type, text]
    return rewritten


def visible(bindings: Bindings) -> dict[str, Extent]:
    """The bindings that the author of the annotation named."""
    single = {name: size for name, size in bindings.sizes.items() if not _RESERVED.match(name)}
    return single | {f"*{name}": tuple(shape) for name, (_, shape) in bindings.shapes.items()}


_RESERVED = re.compile("shapezoo_braces_")


def _reserved(braces: str) -> str:
    return _RESERVED.pattern + braces.encode().hex()
