"""Run both sides of every reported limit on real kernels, to confirm at which size it lies."""

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
from shapezoo.proving.paths.exploring import ExecutionPath, Exploration
from shapezoo.proving.subjects import Subject

FARTHEST = 1 << 14
"""The largest distance from a limit that is searched."""


def audit_limits(
    subject: Subject, exploration: Exploration, conditions: Sequence[Condition]
) -> list[str]:
    """Run both sides of limits on real kernels; a path that ends differently becomes unknown.

    Returns:
        A reason for each limit that could not be run.
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
    """Yield the sizes nearest to a limit, on both sides of it, that meet the other conditions."""
    others = [solving.parse(other.text) for other in conditions if other is not condition]
    is_met = solving.parse(condition.text)
    distances = _distances(condition) or [z3.IntVal(0)]
    for side, distance in itertools.product((is_met, z3.Not(is_met)), distances):
        formulas = [exploration.domain, *others, side]
        # `least` searches from 1 on, and a distance may be 0
        nearest = solving.least(distance + 1, *formulas, most=FARTHEST)
        if nearest is None:
            continue
        formulas.append(distance < nearest)
        start = solving.example(*formulas, axes=exploration.axes)
        if start is not None:
            yield solving.smallest_where(*formulas, axes=exploration.axes, start=start)


def _distances(condition: Condition) -> list[Formula]:
    """Return how far each comparison in a condition is from equality."""
    compared = [
        (node.left, node.comparators[0])
        for node in ast.walk(expression(condition.text))
        if isinstance(node, ast.Compare)
        and len(node.ops) == 1
        and not isinstance(node.ops[0], ast.In | ast.NotIn)
    ]
    pairs = [map(solving.parse_size, map(ast.unparse, sides)) for sides in compared]
    return [z3.If(left > right, left - right, right - left) for left, right in pairs]


def _path_of(exploration: Exploration, sizes: Sizes) -> ExecutionPath | None:
    """Return the explored path that sizes take, if there is one."""
    explored = exploration.ending("holds", "raises", "breaks")
    point = solving.at(sizes)
    return next((p for p in explored if solving.is_possible(p.region, *point)), None)
