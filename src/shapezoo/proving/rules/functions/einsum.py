"""The shape rule of `torch.einsum`.

Its parts ask of every axis whether it is 1. Only two sizes of one letter that are written
differently matter: either they are equal, or one of them is 1.
"""

import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from shapezoo.proving.rules.common import Size, common_size, empty, require

Label = str | int
"""A letter, or the place of an axis in an ellipsis, counted from its end."""


def einsum(equation: Any, operands: Sequence[Tensor], *, path: Any = None) -> Any:
    """Compute the shape of a sum of products; the layout is that of its last product."""
    if not _is_plain(equation, operands):
        return NotImplemented
    inputs, arrow, output = equation.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if len(terms) != len(operands):
        return NotImplemented
    labels = [_labels(term, x.dim()) for term, x in zip(terms, operands, strict=True)]
    if any(part is None for part in labels):
        return NotImplemented
    known: list[list[Label]] = [part for part in labels if part is not None]
    wanted = _output(output, known) if arrow else _implied(known)
    present = {label for part in known for label in part}
    if len({*wanted}) < len(wanted) or not {*wanted} <= present:
        return NotImplemented
    sizes = _sizes(known, operands)
    if len(operands) == 1:
        return _summed(operands[0], known[0], wanted)
    if present == {*wanted}:
        return _multiplied(operands, known, wanted) if len(operands) == 2 else NotImplemented
    held = [_broad(part, x) for part, x in zip(known, operands, strict=True)]
    left, right = _last(held, wanted, path)
    return _product(operands[0], left, right, wanted, sizes)


_FORMAT = re.compile(r"(([a-zA-Z]*(\.\.\.)?[a-zA-Z]*),)*([a-zA-Z]*(\.\.\.)?[a-zA-Z]*)")


def _is_plain(equation: Any, operands: Any) -> bool:
    if not isinstance(equation, str) or not isinstance(operands, tuple | list):
        return False
    parts = equation.replace(" ", "").split("->")
    dtypes = {x.dtype for x in operands}
    is_read = len(parts) <= 2 and all(_FORMAT.fullmatch(part) for part in parts)
    return is_read and len(dtypes) == 1 and operands[0].is_floating_point()


def _labels(term: str, axes: int) -> list[Label] | None:
    """The labels of the axes of an operand; None where there are too many or too few."""
    before, dots, after = term.partition("...")
    rest = axes - len(before) - len(after)
    if rest < 0 or (rest and not dots):
        return None
    return [*before, *range(-rest, 0), *after]


def _output(term: str, known: Sequence[Sequence[Label]]) -> list[Label]:
    before, dots, after = term.partition("...")
    return [*before, *(_ellipsis(known) if dots else []), *after]


def _implied(known: Sequence[Sequence[Label]]) -> list[Label]:
    """The letters that occur once, in their order, behind the ellipsis."""
    letters = [label for part in known for label in part if isinstance(label, str)]
    return [*_ellipsis(known), *sorted(x for x in letters if letters.count(x) == 1)]


def _ellipsis(known: Sequence[Sequence[Label]]) -> list[int]:
    return sorted({label for part in known for label in part if isinstance(label, int)})


def _sizes(known: Sequence[Sequence[Label]], operands: Sequence[Tensor]) -> dict[Label, Size]:
    """The size of each label.

    Raises:
        RuntimeError: Two sizes do not go together.
    """
    sizes: dict[Label, Size] = {}
    for part, x in zip(known, operands, strict=True):
        own: dict[Label, Size] = {}
        for label, size in zip(part, x.shape, strict=True):
            message = "einsum(): subscript {} is repeated but the sizes don't match, {} != {}"
            require(own.get(label, size) == size, message, label, own.get(label), size)
            own[label] = size
        for label, size in own.items():
            sizes[label] = common_size(sizes.get(label, 1), size)
    return sizes


def _broad(part: Sequence[Label], x: Tensor) -> set[Label]:
    """The labels of an operand, but for those of size 1, which torch leaves out."""
    pairs = zip(part, x.shape, strict=True)
    return {label for label, size in pairs if type(size) is not int or size != 1}


def _last(held: list[set[Label]], wanted: Sequence[Label], path: Any) -> list[set[Label]]:
    """The labels of the two operands of the last product."""
    left = list(held)
    steps = iter(path or ())
    while len(left) > 2:
        first, second = sorted((next(steps), next(steps))) if path else (0, 1)
        product = left.pop(second) | left.pop(first)
        kept = product & {*wanted}.union(*left)
        left.insert(len(left) if path else 0, kept)
    return left


def _product(
    x: Tensor, left: set[Label], right: set[Label], wanted: Sequence[Label], sizes: Any
) -> Any:
    both = [label for label in wanted if label in left and label in right]
    alone = [label for label in wanted if label in left and label not in right]
    order = [*both, *alone, *(label for label in wanted if label not in [*both, *alone])]
    result = empty(x, [sizes[label] for label in order])
    return result.permute([order.index(label) for label in wanted])


def _multiplied(
    operands: Sequence[Tensor], known: Sequence[Sequence[Label]], wanted: Sequence[Label]
) -> Any:
    """A product without sums, of which torch multiplies each number on its own."""
    if any(len({*part}) < len(part) for part in known):
        return NotImplemented
    factors = []
    for x, part in zip(operands, known, strict=True):
        factor = x.permute([part.index(label) for label in wanted if label in part])
        for axis, label in enumerate(wanted):
            factor = factor if label in part else factor.unsqueeze(axis)
        factors.append(factor)
    return factors[0] * factors[1]


def _summed(x: Tensor, part: Sequence[Label], wanted: Sequence[Label]) -> Any:
    if len({*part}) < len(part):
        return NotImplemented  # a diagonal, which asks little
    gone = [axis for axis, label in enumerate(part) if label not in wanted]
    left = [label for label in part if label in wanted]
    summed = x.sum(gone) if gone else x
    return summed.permute([left.index(label) for label in wanted])


_functions: Any = torch._C._VariableFunctions  # pyright: ignore[reportAttributeAccessIssue]  # torch has no types for it

EINSUM = _functions.einsum
"""What `torch.einsum` calls, and what modes see."""
