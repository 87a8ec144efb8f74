"""The verdicts on the models of the zoo, as stored in the package.

`tools/verdicts.py` writes the file. Tests prove the verdicts on small models again, and compare
those on large models with them.
"""

import functools
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, Literal

from shapezoo.contracts.language.conditions import Condition, all_of

__all__ = ["Verdict"]

INDIFFERENT = frozenset({"dropout", "in_channels", "num_classes", "stochastic_depth"})
"""Hyper-parameters that do not change the limits of any model, as a test proves."""

Mode = Literal["eval", "train"]


@dataclass(frozen=True)
class Verdict:
    """The verdict on a model of the zoo with its default hyper-parameters, in one mode.

    Attributes:
        outcome: ``proved`` if the contract holds for all sizes that meet the preconditions, and the
            call raises for all others; ``proved in part`` if that is known for some sizes only.
        axes: The axes that may have any size.
        preconditions: The conditions that sizes must meet.
        is_exact: Whether all sizes that meet them are accepted.
        sampled: Axes for which only some sizes were tried.
    """

    outcome: str
    axes: tuple[str, ...]
    preconditions: tuple[Condition, ...]
    is_exact: bool
    sampled: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = self.outcome
        if self.axes:
            text += f" for all {', '.join(self.axes)}"
        if self.preconditions:
            text += f" with {all_of(self.preconditions)}"
        if not self.is_exact:
            text += "; some other sizes may raise as well"
        if self.sampled:
            text += f" ({', '.join(self.sampled)} at some sizes only)"
        return text

    def to_dict(self) -> dict[str, Any]:
        """Return the verdict as JSON-ready data."""
        return vars(self) | {"preconditions": [str(c) for c in self.preconditions]}


def verdicts(name: str, changed: Collection[str] = ()) -> dict[Mode, Verdict]:
    """Return the stored verdict on a model in each mode.

    Args:
        name: The name of the model.
        changed: The hyper-parameters that differ from the defaults. The result is empty if they may
            change the limits.
    """
    stored = _stored().get(name, {}) if INDIFFERENT.issuperset(changed) else {}
    return {mode: _read(verdict) for mode, verdict in stored.items()}


def stored_limits(name: str, changed: Collection[str] = ()) -> dict[Mode, tuple[Condition, ...]]:
    """Return the preconditions of a model in each mode; the arguments are those of `verdicts`."""
    return {mode: verdict.preconditions for mode, verdict in verdicts(name, changed).items()}


def _read(verdict: Mapping[str, Any]) -> Verdict:
    return Verdict(
        outcome=verdict["outcome"],
        axes=tuple(verdict["axes"]),
        preconditions=tuple(map(Condition, verdict["preconditions"])),
        is_exact=verdict["is_exact"],
        sampled=tuple(verdict["sampled"]),
    )


@functools.cache
def _stored() -> dict[str, dict[Mode, Mapping[str, Any]]]:
    text = resources.files("shapezoo").joinpath("verdicts.json").read_text("utf-8")
    stored: dict[str, dict[Mode, Mapping[str, Any]]] = json.loads(text)
    return stored
