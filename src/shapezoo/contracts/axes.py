"""One axis of a shape annotation, the grammar it is written in, and our vocabulary of names."""

import ast
import builtins
import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import zip_longest

from shapezoo.contracts import syntax
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


class Open(tuple[int | None, ...]):
    """The sizes of ``*#name`` so far: what broadcasts with them may make them larger."""

    __slots__ = ()


@dataclass(frozen=True)
class Axis:
    """One axis of a shape annotation.

    Exactly one of name, fixed and expression is set, or none where any size will do.

    Attributes:
        name: A name that is bound to the size where it first stands in a call.
        fixed: A fixed size.
        expression: A Python expression over other axes, such as ``height//2``, with
            arguments in braces: ``{self.in_channels}``.
        label: What stands before an equals sign, as in ``channels=3``. It documents the axis
            and binds nothing.
        variadic: Whether it stands for any number of axes (``*name`` or ``...``).
        broadcast: Whether size 1 is accepted as well (``#name``).
    """

    name: str | None = None
    fixed: int | None = None
    expression: str | None = None
    label: str | None = None
    variadic: bool = False
    broadcast: bool = False

    def __str__(self) -> str:
        value = self.name or self.expression or self.fixed
        if value is None:
            return "..." if self.variadic else "_"
        label = f"{self.label}=" if self.label else ""
        return f"{'#' * self.broadcast}{'*' * self.variadic}{label}{value}"

    @property
    def key(self) -> str | None:
        """The name with a star where it is variadic: ``*batch`` and ``batch`` are two names."""
        return self.name and "*" * self.variadic + self.name

    @property
    def binds(self) -> str | None:
        """The key, if every size of this axis binds it; size 1 of ``#name`` does not."""
        return None if self.broadcast and not self.variadic else self.key

    @property
    def needs(self) -> frozenset[str]:
        """The names that must be bound before this axis can be computed."""
        return free_names(_without_braces(self.expression)) if self.expression else frozenset()

    @property
    def braces(self) -> tuple[str, ...]:
        """The parts of the expression that are read from the arguments, braces included."""
        return tuple(BRACES.findall(self.expression or ""))

    def resolved(self, values: Mapping[str, object]) -> "Axis":
        """This axis with its braces replaced by their values, where all are known.

        Args:
            values: The values of parts in braces.
        """
        if not self.braces or not values.keys() >= set(self.braces):
            return self
        expression = BRACES.sub(lambda part: str(values[part[0]]), self.expression or "")
        fixed = None if self.needs else computed(expression, {})
        if isinstance(fixed, int):
            return replace(self, fixed=fixed, expression=None)
        return replace(self, expression=expression)

    def to_dict(self) -> dict[str, object]:
        """The axis as JSON-ready data, with only what is set."""
        parts = vars(self).items()
        return {key: part for key, part in parts if part is not None and part is not False}


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


def differences(
    axes: tuple[Axis, ...], shape: tuple[int | None, ...], bound: dict[str, Extent]
) -> list[tuple[int, Axis, object, Extent]] | None:
    """Where a shape differs: position, axis, the size expected and that which came.

    Names that stand here first are bound, and what ``*#name`` stands for grows. None if the
    number of axes is wrong.

    Args:
        axes: The axes, their braces resolved.
        shape: The shape; None stands for any size.
        bound: The sizes so far, by the keys of their axes.
    """
    pairs = align(axes, shape)
    if pairs is None:
        return None
    found: list[tuple[int, Axis, object, Extent]] = []
    for position, axis, came in pairs:
        if came is None or (axis.broadcast and came == 1):
            continue
        expected = expected_size(axis, bound)
        if isinstance(came, tuple):
            before = expected if isinstance(expected, tuple) else Open(())
            both: Extent = _joined(before, came, is_open=axis.broadcast)
        else:
            both = came if expected in (came, None) else None
        if both is None:
            found.append((position, axis, expected, came))
        elif axis.key:
            bound[axis.key] = both
    return found


def expected_size(axis: Axis, bound: Mapping[str, Extent]) -> object:
    """The size that an axis must have; None where it may have any, or cannot be known.

    Args:
        axis: The axis, its braces resolved.
        bound: The sizes so far, by the keys of their axes.
    """
    if axis.key:
        return bound.get(axis.key)
    if axis.expression is None:
        return axis.fixed
    if axis.braces or not axis.needs <= bound.keys():
        return None
    try:
        return computed(axis.expression, bound)
    except ContractError:  # a division by zero
        return None


def free_names(expression: str) -> frozenset[str]:
    """The names in a Python expression, apart from functions of Python's own such as ``min``.

    Raises:
        ContractError: It is no expression, or a condition.
    """
    try:
        nodes = list(ast.walk(syntax.expression(expression.strip())))
    except SyntaxError as error:
        raise ContractError(f"{expression.strip()!r} is not an expression") from error
    if any(isinstance(node, ast.Compare | ast.BoolOp | ast.Lambda) for node in nodes):
        raise ContractError(
            f"{expression.strip()!r} is a condition, not a size; check it in the body"
        )
    called = {node.func for node in nodes if isinstance(node, ast.Call)}
    return frozenset(
        node.id
        for node in nodes
        if isinstance(node, ast.Name) and not (node in called and node.id in dir(builtins))
    )


def computed(expression: str, names: Mapping[str, object]) -> object:
    """The value of an expression as a whole number, where it is one.

    Raises:
        ContractError: It has none, as a division by zero.
    """
    try:
        value = eval(expression, {}, dict(names))
    except Exception as error:
        raise ContractError(f"axis {expression!r} cannot be computed: {error}") from error
    return int(value) if isinstance(value, float) and value.is_integer() else value


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
    label, value = _LABELLED.fullmatch(body).groups()  # type: ignore[union-attr]  # all matches
    labelled = replace(marked, label=label)
    if value.isdecimal():
        return replace(labelled, fixed=int(value))
    if keyword.iskeyword(value):
        raise ContractError(f"axis {token!r}: this is a keyword of Python, not a name")
    if value.isidentifier():
        return replace(labelled, name=value)
    try:
        _require_arithmetic(_without_braces(value))
    except ContractError as error:
        raise ContractError(f"axis {token!r}: {error}") from error
    return replace(labelled, expression=value)


_LABELLED = re.compile(r"(?:([^\W\d]\w*)=(?!=))?(.*)")
"""A label, if there is one, and what follows; ``m==2`` has none."""


def _require_arithmetic(expression: str) -> None:
    """Refuse an expression that is not a size, such as a text or a condition.

    Raises:
        ContractError: It is not one.
    """
    free_names(expression)  # refuses what is not an expression, and conditions
    root = syntax.expression(expression.strip())
    if isinstance(root, ast.Tuple | ast.List):
        raise ContractError(f"{ast.unparse(root)!r} is several sizes")
    for node in ast.walk(root):
        is_number = not isinstance(node, ast.Constant) or type(node.value) in (int, float)
        if not is_number or not isinstance(node, _ARITHMETIC):
            raise ContractError(f"{ast.unparse(node)!r} is not arithmetic on sizes")


_ARITHMETIC = (
    ast.Name,
    ast.Constant,
    ast.BinOp,
    ast.UnaryOp,
    ast.Call,
    ast.Tuple,
    ast.List,
    ast.operator,
    ast.unaryop,
    ast.expr_context,
)
"""What an expression over axes may consist of; lists and tuples are for ``max`` and ``sum``."""


def _without_braces(expression: str) -> str:
    """The expression with a number for each part in braces."""
    return BRACES.sub(" 0 ", expression)


def _joined(
    before: tuple[int | None, ...], came: tuple[int | None, ...], *, is_open: bool
) -> Extent:
    """The sizes of a variadic axis that stands for both of these; None if it cannot.

    Args:
        before: The sizes so far.
        came: Those that came.
        is_open: Whether those that came are of ``*#name``.
    """
    wide = []
    for one, other in zip_longest(reversed(before), reversed(came), fillvalue=1):
        if 1 not in (one, other) and not _is_same(one, other):
            return None
        wide.append(one if other == 1 else other if one == 1 else _narrowed(one, other))
    both = tuple(reversed(wide))
    if is_open and isinstance(before, Open):
        return Open(both)
    closed = [] if isinstance(before, Open) else [before]
    for sizes in closed if is_open else [*closed, came]:  # these may not grow
        if len(sizes) != len(both) or not all(map(_is_same, sizes, both)):
            return None
        both = tuple(map(_narrowed, both, sizes))
    return both


def _narrowed(one: int | None, other: int | None) -> int | None:
    """A size that is both of these; None stands for any."""
    return other if one is None else one


def _is_same(one: int | None, other: int | None) -> bool:
    """Whether two sizes may be the same; None stands for any."""
    return None in (one, other) or one == other
