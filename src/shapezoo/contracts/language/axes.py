"""The axes of a shape annotation: their syntax, and how they match a shape."""

import ast
import builtins
import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import zip_longest

from shapezoo.contracts.language import parsing as syntax
from shapezoo.contracts.language.errors import ContractError

BRACES = re.compile(r"\{[^{}]*\}")
"""The part of an axis that is computed from the arguments at each call: ``{self.in_channels}``."""

Extent = int | None | tuple[int | None, ...]
"""The size of an axis, or the sizes of a variadic one; None means any size."""


class Open(tuple[int | None, ...]):
    """The sizes bound to ``*#name`` so far; later tensors may broadcast them to larger ones."""

    __slots__ = ()


@dataclass(frozen=True)
class Axis:
    """One axis of a shape annotation.

    At most one of name, fixed and expression is set; with none of them, any size matches.

    Attributes:
        name: A name that is bound to the first size it matches in a call.
        fixed: A fixed size.
        expression: A Python expression over other axes, such as ``height//2``, with
            arguments in braces: ``{self.in_channels}``.
        label: The text before the equals sign, as in ``channels=3``. It documents the axis
            and binds nothing.
        variadic: Whether it matches any number of axes (``*name`` or ``...``).
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
        """The name, with a star if variadic: ``*batch`` and ``batch`` are different names."""
        return self.name and "*" * self.variadic + self.name

    @property
    def binds(self) -> str | None:
        """The key, if every size of this axis binds it; a size of 1 does not bind ``#name``."""
        return None if self.broadcast and not self.variadic else self.key

    @property
    def needs(self) -> frozenset[str]:
        """The names that must be bound before this axis can be computed."""
        return free_names(_without_braces(self.expression)) if self.expression else frozenset()

    @property
    def braces(self) -> tuple[str, ...]:
        """The parts of the expression in braces, braces included."""
        return tuple(BRACES.findall(self.expression or ""))

    def resolved(self, values: Mapping[str, object]) -> "Axis":
        """Replace the parts in braces by their values, if all of them are given.

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
        """Return the axis as JSON-ready data, with only the fields that are set."""
        parts = vars(self).items()
        return {key: part for key, part in parts if part is not None and part is not False}


def parse_axes(text: str) -> tuple[Axis, ...]:
    """Parse the axes of a shape annotation.

    Args:
        text: The string of a jaxtyping annotation, such as ``"batch channels=3 *rest"``.

    Raises:
        ContractError: The text is not a valid shape, or uses jaxtyping's tree paths (``?name``).
    """
    return tuple(_parse_axis(token) for token in text.split())


def align(
    axes: tuple[Axis, ...], shape: tuple[int | None, ...]
) -> list[tuple[int, Axis, Extent]] | None:
    """Pair each axis with its position and size in a shape; None if their numbers differ.

    A variadic axis is paired with all the sizes that it matches.
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
    """List the axes on which a shape differs, as position, axis, expected size and actual size.

    Names are bound in `bound` on first use, and ``*#name`` may be widened there. Returns None if
    the number of axes is wrong.

    Args:
        axes: The axes, with their braces resolved.
        shape: The shape; None means any size.
        bound: The sizes bound so far, by the keys of their axes.
    """
    pairs = align(axes, shape)
    if pairs is None:
        return None
    different: list[tuple[int, Axis, object, Extent]] = []
    for position, axis, actual in pairs:
        if actual is None or (axis.broadcast and actual == 1):
            continue
        expected = expected_size(axis, bound)
        merged: Extent
        if isinstance(actual, tuple):
            before = expected if isinstance(expected, tuple) else Open(())
            merged = _merged(before, actual, is_open=axis.broadcast)
        else:
            merged = actual if expected in (actual, None) else None
        if merged is None:
            different.append((position, axis, expected, actual))
        elif axis.key:
            bound[axis.key] = merged
    return different


def expected_size(axis: Axis, bound: Mapping[str, Extent]) -> object:
    """Return the size that an axis must have; None if any size will do, or it is unknown.

    Args:
        axis: The axis, with its braces resolved.
        bound: The sizes bound so far, by the keys of their axes.
    """
    if axis.key:
        return bound.get(axis.key)
    if axis.expression is None:
        return axis.fixed
    if axis.braces or not axis.needs <= bound.keys():
        return None
    try:
        return computed(axis.expression, bound)
    except ContractError:  # division by zero
        return None


@functools.lru_cache(1024)
def free_names(expression: str) -> frozenset[str]:
    """Return the names in a Python expression, except calls of built-in functions such as ``min``.

    Raises:
        ContractError: It is not an expression, or it is a condition.
    """
    text = expression.strip()
    try:
        nodes = list(ast.walk(syntax.expression(text)))
    except SyntaxError as error:
        raise ContractError(f"{text!r} is not a valid expression") from error
    if any(isinstance(node, ast.Compare | ast.BoolOp | ast.Lambda) for node in nodes):
        raise ContractError(f"{text!r} is a condition, not a size; check it in the body")
    called = {node.func for node in nodes if isinstance(node, ast.Call)}
    return frozenset(
        node.id
        for node in nodes
        if isinstance(node, ast.Name) and not (node in called and node.id in dir(builtins))
    )


def computed(expression: str, names: Mapping[str, object]) -> object:
    """Evaluate an expression; a float with an integer value becomes an int.

    Raises:
        ContractError: It cannot be evaluated, for example because it divides by zero.
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
    if value.isidentifier():
        return replace(labelled, name=value)
    expression = _without_braces(value)
    try:
        tree = syntax.expression(expression.strip())
    except SyntaxError as error:
        raise ContractError(
            f"axis {token!r} is not valid; axes are separated by spaces, and a product is written "
            f"b*h"
        ) from error
    try:
        free_names(expression)  # rejects conditions
        _require_arithmetic(tree)
    except ContractError as error:
        raise ContractError(f"axis {token!r}: {error}") from error
    return replace(labelled, expression=value)


_LABELLED = re.compile(r"(?:([^\W\d]\w*)=(?!=))?(.*)")
"""An optional label, and the rest of the axis; ``m==2`` has no label."""


def _require_arithmetic(tree: ast.expr) -> None:
    """Raise ContractError unless an expression computes a number, unlike a string or a list."""
    if isinstance(tree, ast.Tuple | ast.List):
        raise ContractError(f"{ast.unparse(tree)!r} is a list; an axis has one size")
    for node in ast.walk(tree):
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
"""The syntax allowed in an axis expression; lists and tuples are for ``max`` and ``sum``."""


def _without_braces(expression: str) -> str:
    """Replace each part in braces by a number."""
    return BRACES.sub(" 0 ", expression)


def _merged(
    before: tuple[int | None, ...], new: tuple[int | None, ...], *, is_open: bool
) -> Extent:
    """Merge the bound sizes of a variadic axis with new ones; None if they do not match.

    Args:
        before: The sizes bound so far.
        new: The new sizes.
        is_open: Whether the new sizes are those of ``*#name``.
    """
    reversed_sizes = []
    for left, right in zip_longest(reversed(before), reversed(new), fillvalue=1):
        if 1 not in (left, right) and not _may_be_equal(left, right):
            return None
        merged = left if right == 1 else right if left == 1 else _more_specific(left, right)
        reversed_sizes.append(merged)
    sizes = tuple(reversed(reversed_sizes))
    if is_open and isinstance(before, Open):
        return Open(sizes)
    # what was written without a `#` may not be broadcast to something larger
    exact = [] if isinstance(before, Open) else [before]
    for shape in exact if is_open else [*exact, new]:
        if len(shape) != len(sizes) or not all(map(_may_be_equal, shape, sizes)):
            return None
        sizes = tuple(map(_more_specific, sizes, shape))
    return sizes


def _more_specific(left: int | None, right: int | None) -> int | None:
    """Return the known one of two sizes; None means any size."""
    return right if left is None else left


def _may_be_equal(left: int | None, right: int | None) -> bool:
    return None in (left, right) or left == right
