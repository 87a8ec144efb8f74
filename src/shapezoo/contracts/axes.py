"""One axis of a shape annotation, the grammar it is written in, and our vocabulary of names."""

import ast
import builtins
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from shapezoo.contracts.errors import ContractError

AXES = {
    "batch": "independent examples",
    "channels": "feature maps",
    "height": "image rows",
    "width": "image columns",
    "frames": "video or audio time",
    "patches": "image tokens",
    "layers": "stacked recurrent states (layers x directions)",
    "latent": "code width",
    "hidden": "recurrent state or residual-stream width",
    "features": "flat width, where nothing better fits",
    "classes": "labels",
    "seq": "positions in a sequence",
    "vocab": "token identities",
    "heads": "attention heads",
    "head_dim": "width of one attention head",
    "kv_seq": "positions attended to",
    "kv_heads": "heads attended to",
}
"""The axis names that shapezoo's own models use, with the meaning of each."""

BRACES = re.compile(r"\{[^{}]*\}")
"""The part of an axis that is read from the arguments at each call: ``{self.in_channels}``."""


Extent = int | None | tuple[int | None, ...]
"""The size of an axis, or the sizes of a variadic one; None stands for any size."""


@dataclass(frozen=True)
class Axis:
    """One axis of a shape annotation.

    Attributes:
        name: The name of the axis. Where a size or an expression stands too, as in
            ``channels=3``, the name is a label: it documents and binds nothing.
        size: The number, where the annotation fixes one.
        expression: A Python expression over the other axes, such as ``height//2``, with
            arguments in braces: ``{self.in_channels}``.
        variadic: Whether it stands for any number of axes (``*name`` or ``...``).
        broadcast: Whether size 1 is accepted as well (``#name``).
    """

    name: str | None = None
    size: int | None = None
    expression: str | None = None
    variadic: bool = False
    broadcast: bool = False

    def __str__(self) -> str:
        if self.variadic and self.name is None:
            return "..."
        value = self.expression if self.size is None else str(self.size)
        label = "=".join(part for part in (self.name, value) if part is not None) or "_"
        return f"{'#' * self.broadcast}{'*' * self.variadic}{label}"

    @property
    def binds(self) -> str | None:
        """The name that takes this axis's size, if it is one that others can refer to."""
        if self.size is None and self.expression is None:
            return self.name
        return self.expression if (self.expression or "").isidentifier() else None

    @property
    def braces(self) -> tuple[str, ...]:
        """The parts of the expression that are read from the arguments, braces included."""
        return tuple(BRACES.findall(self.expression or ""))

    @property
    def refers_to(self) -> frozenset[str]:
        """The axis names that must be bound before this axis can be checked."""
        if self.expression is None or self.binds:
            return frozenset()
        return free_names(BRACES.sub("0", self.expression))

    def resolved(self, value_of: Callable[[str], object]) -> "Axis":
        """This axis with its braces replaced by their values.

        Args:
            value_of: Gives the value of one part in braces; raises NameError where it is not
                known yet.
        """
        if not self.braces:
            return self
        try:
            text = BRACES.sub(lambda part: str(value_of(part[0])), self.expression or "")
        except NameError:
            return self
        if free_names(text):
            return replace(self, expression=text)
        return replace(self, size=int(eval(text)), expression=None)

    def to_dict(self) -> dict[str, object]:
        """The axis as JSON-ready data, with only what is set."""
        return {
            k: value for k, value in vars(self).items() if value is not None and value is not False
        }


def parse_axes(text: str) -> tuple[Axis, ...]:
    """The axes of a shape annotation.

    Args:
        text: The string of a jaxtyping annotation, such as ``"batch channels=3 *rest"``.

    Raises:
        ContractError: The text is no shape, or uses jaxtyping's tree paths (``?name``).
    """
    return tuple(_parse_axis(token) for token in text.split())


def align(
    axes: tuple[Axis, ...], shape: tuple[int | None, ...]
) -> list[tuple[int, Axis, Extent]] | None:
    """Each axis with its position in the shape and its size, or None if the number is wrong.

    A variadic axis gets all the sizes that it stands for.
    """
    variadic = next((i for i, axis in enumerate(axes) if axis.variadic), None)
    if variadic is None:
        if len(axes) != len(shape):
            return None
        return list(zip(range(len(axes)), axes, shape, strict=True))
    end = variadic + len(shape) - (len(axes) - 1)
    if end < variadic:
        return None
    before = zip(range(variadic), axes, shape, strict=False)
    after = zip(range(end, len(shape)), axes[variadic + 1 :], shape[end:], strict=True)
    return [*before, (variadic, axes[variadic], shape[variadic:end]), *after]


def free_names(expression: str) -> frozenset[str]:
    """The names in a Python expression, apart from Python's own such as ``min``.

    Raises:
        ContractError: It is no expression.
    """
    try:
        tree = ast.parse(expression, mode="eval")
    except SyntaxError as error:
        raise ContractError(f"{expression!r} is not an expression of axes") from error
    names = (node.id for node in ast.walk(tree) if isinstance(node, ast.Name))
    return frozenset(names) - frozenset(dir(builtins))


def _parse_axis(token: str) -> Axis:
    if token == "...":
        return Axis(variadic=True)
    body = token.lstrip("#*")
    marks = token[: len(token) - len(body)]
    marked = Axis(variadic="*" in marks, broadcast="#" in marks)
    if "?" in body:
        raise ContractError(f"axis {token!r}: tree paths ('?name') are not supported")
    if body.startswith("_"):
        return marked
    label, value = body.split("=") if body.count("=") == 1 else ("", body)
    if value.isdecimal():
        return replace(marked, name=label or None, size=int(value))
    if value.isidentifier() and not label:
        return replace(marked, name=value)
    free_names(BRACES.sub("0", value))
    return replace(marked, name=label or None, expression=value)
