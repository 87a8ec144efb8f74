"""The shape rule of `torch.einsum`.

PyTorch computes it by permutations and a batched product, which ask of every axis whether it is of
size 1. Only two sizes of one letter that are written differently matter: either they are equal, or
one of them is 1. The strides of the result are those of its last product, with permuted axes: with
contiguous ones, a later `view` that raises would be proved to hold.
"""

import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from shapezoo.proving.rules.intervals import Size
from shapezoo.proving.rules.shape_rules import common_size, empty, is_same, require

Label = str | int
"""A letter, or the position of an axis in an ellipsis, counted from its end."""

Labels = Sequence[Label]


def einsum(equation: Any, operands: Sequence[Tensor], *, path: Any = None) -> Any:
    """Compute the shape of a sum of products."""
    if not _is_plain(equation, operands):
        return NotImplemented
    inputs, arrow, output = equation.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if len(terms) != len(operands):
        return NotImplemented
    labels = [_labels(term, x.dim()) for term, x in zip(terms, operands, strict=True)]
    inside: list[Labels] = [part for part in labels if part is not None]
    if len(inside) < len(labels):
        return NotImplemented
    wanted = _output(output, inside) if arrow else _implied(inside)
    present = {label for part in inside for label in part}
    if len({*wanted}) < len(wanted) or not {*wanted} <= present:
        return NotImplemented
    sizes = _sizes(inside, operands)
    if len(operands) == 1:
        return _summed(operands[0], inside[0], wanted)
    if present == {*wanted}:
        return _multiplied(operands, inside, wanted) if len(operands) == 2 else NotImplemented
    pairs = [zip(part, x.shape, strict=True) for part, x in zip(inside, operands, strict=True)]
    # torch leaves out axes of size 1
    kept = [{label for label, size in pair if not is_same(size, 1)} for pair in pairs]
    left, right = _last_two(kept, wanted, path)
    return _product(operands[0], left, right, wanted, sizes)


_FORMAT = re.compile(r"(([a-zA-Z]*(\.\.\.)?[a-zA-Z]*),)*([a-zA-Z]*(\.\.\.)?[a-zA-Z]*)")


def _is_plain(equation: Any, operands: Any) -> bool:
    if not isinstance(equation, str) or not isinstance(operands, tuple | list):
        return False
    parts = equation.replace(" ", "").split("->")
    dtypes = {x.dtype for x in operands}
    is_valid = len(parts) <= 2 and all(_FORMAT.fullmatch(part) for part in parts)
    return is_valid and len(dtypes) == 1 and operands[0].is_floating_point()


def _labels(term: str, axes: int) -> Labels | None:
    """Return the labels of the axes of an operand; None where there are too many or too few."""
    before, dots, after = term.partition("...")
    rest = axes - len(before) - len(after)
    if rest < 0 or (rest and not dots):
        return None
    return [*before, *range(-rest, 0), *after]


def _output(term: str, inside: Sequence[Labels]) -> list[Label]:
    before, dots, after = term.partition("...")
    return [*before, *(_ellipsis(inside) if dots else []), *after]


def _implied(inside: Sequence[Labels]) -> list[Label]:
    """Return the letters that occur once, in their order, after the ellipsis."""
    letters = [label for part in inside for label in part if isinstance(label, str)]
    return [*_ellipsis(inside), *sorted(x for x in letters if letters.count(x) == 1)]


def _ellipsis(inside: Sequence[Labels]) -> list[int]:
    return sorted({label for part in inside for label in part if isinstance(label, int)})


def _sizes(inside: Sequence[Labels], operands: Sequence[Tensor]) -> dict[Label, Size]:
    """Return the size of each label.

    Raises:
        RuntimeError: Two sizes do not fit.
    """
    sizes: dict[Label, Size] = {}
    for part, x in zip(inside, operands, strict=True):
        own: dict[Label, Size] = {}
        for label, size in zip(part, x.shape, strict=True):
            message = "einsum(): subscript {} is repeated but the sizes don't match, {} != {}"
            require(own.get(label, size) == size, message, label, own.get(label), size)
            own[label] = size
        for label, size in own.items():
            sizes[label] = common_size(sizes.get(label, 1), size)
    return sizes


def _last_two(kept: list[set[Label]], wanted: Labels, path: Any) -> list[set[Label]]:
    """Return the labels of the two operands of the last product."""
    rest = list(kept)
    steps = iter(path or ())
    while len(rest) > 2:
        first, second = sorted((next(steps), next(steps))) if path else (0, 1)
        product = rest.pop(second) | rest.pop(first)
        product &= {*wanted}.union(*rest)
        rest.insert(len(rest) if path else 0, product)
    return rest


def _product(
    x: Tensor, left: set[Label], right: set[Label], wanted: Labels, sizes: dict[Label, Size]
) -> Any:
    """Return the result of a batched product: batch axes, axes of the left, axes of the right."""
    both = [label for label in wanted if label in left and label in right]
    alone = [label for label in wanted if label in left and label not in right]
    order = [*both, *alone, *(label for label in wanted if label not in [*both, *alone])]
    result = empty(x, [sizes[label] for label in order])
    return result.permute([order.index(label) for label in wanted])


def _multiplied(operands: Sequence[Tensor], inside: Sequence[Labels], wanted: Labels) -> Any:
    """Return a product without sums, for which torch multiplies number by number."""
    if any(len({*part}) < len(part) for part in inside):
        return NotImplemented
    factors = []
    for x, part in zip(operands, inside, strict=True):
        factor = x.permute([part.index(label) for label in wanted if label in part])
        for axis, label in enumerate(wanted):
            factor = factor if label in part else factor.unsqueeze(axis)
        factors.append(factor)
    return factors[0] * factors[1]


def _summed(x: Tensor, part: Labels, wanted: Labels) -> Any:
    # the fake kernel asks little about a diagonal
    if len({*part}) < len(part):
        return NotImplemented
    gone = [axis for axis, label in enumerate(part) if label not in wanted]
    rest = [label for label in part if label in wanted]
    summed = x.sum(gone) if gone else x
    return summed.permute([rest.index(label) for label in wanted])


_functions: Any = torch._C._VariableFunctions  # pyright: ignore[reportAttributeAccessIssue]  # torch has no types for it

EINSUM = _functions.einsum
"""The private function that `torch.einsum` calls: a mode sees this one."""
