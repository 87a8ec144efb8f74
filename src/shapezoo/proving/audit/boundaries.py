"""Asking real kernels on which sizes a limit lies: both sides of each that is reported are run."""

import ast
import itertools
from collections.abc import Iterator, Sequence

import z3

from shapezoo.contracts.language.conditions import Condition
from shapezoo.contracts.language.parsing import expression
from shapezoo.proving.audit.auditing import confirm
from shapezoo.proving.findings import Sizes
from shapezoo.proving.formulas import solving
from shapezoo.proving.formulas.solving import Formula
from shapezoo.proving.paths.exploring import Exploration, Path
from shapezoo.proving.subjects import Subject

FARTHEST = 1 << 14
"""Limits are looked for up to here."""


def audit_limits(
    subject: Subject, exploration: Exploration, conditions: Sequence[Condition]
) -> list[str]:
    """Run both sides of limits on real kernels; a path that ends otherwise becomes unknown.

    Returns:
        Why limits could not be run, for those that could not.
    """
    gaps = []
    for condition in conditions:
        for sizes in _beside(exploration, condition, conditions):
            path = _path_of(exploration, sizes)
            if path is not None and not confirm(subject, exploration, path, sizes):
                gaps.append(f"{condition} lies at sizes too large to be run on real kernels")
                break
    return gaps


def _beside(
    exploration: Exploration, condition: Condition, conditions: Sequence[Condition]
) -> Iterator[Sizes]:
    """The sizes nearest to a limit, on both sides of it; the others are met."""
    others = [solving.parse(other.text) for other in conditions if other is not condition]
    is_met = solving.parse(condition.text)
    distances = _distances(condition) or [z3.IntVal(0)]
    for side, distance in itertools.product((is_met, z3.Not(is_met)), distances):
        formulas = [exploration.domain, *others, side]
        near = solving.least(distance + 1, *formulas, most=FARTHEST)  # it looks from 1 on
        if near is None:
            continue
        formulas.append(distance < near)
        solver = solving.solver(*formulas)
        if solver.check() == z3.sat:
            start = solving.sizes_of(solver.model(), exploration.axes)
            yield solving.smallest_where(*formulas, axes=exploration.axes, start=start)


def _distances(condition: Condition) -> list[Formula]:
    """How far each comparison in a condition is from equality."""
    compared = [
        (node.left, node.comparators[0])
        for node in ast.walk(expression(condition.text))
        if isinstance(node, ast.Compare)
        and len(node.ops) == 1
        and not isinstance(node.ops[0], ast.In | ast.NotIn)
    ]
    pairs = [map(solving.parse_size, map(ast.unparse, sides)) for sides in compared]
    return [z3.If(left > right, left - right, right - left) for left, right in pairs]


def _path_of(exploration: Exploration, sizes: Sizes) -> Path | None:
    """The path that sizes take, if it is known."""
    here = [z3.Int(axis) == size for axis, size in sizes.items()]
    known = exploration.ending("holds", "raises", "breaks")
    return next((p for p in known if solving.is_possible(p.region, *here)), None)
