"""What was proved of the models of the zoo, as stored in the package.

`tools/verdicts.py` makes the file. Tests prove what is stored of small models anew, and compare
large ones with them.
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
"""Hyper-parameters that change no limit of any model; a test proves it."""

Mode = Literal["eval", "train"]


@dataclass(frozen=True)
class Verdict:
    """What was proved of a model of the zoo, with its default hyper-parameters, in one mode.

    Attributes:
        outcome: ``proved``: for all sizes of the axes that meet the preconditions the contract
            holds, for others the call raises; ``proved in part``: for some of them.
        axes: The axes that may have any size.
        preconditions: What the sizes must meet.
        is_exact: Whether all sizes that meet them are accepted.
        sampled: Axes of which only some sizes were tried.
    """

    outcome: str
    axes: tuple[str, ...]
    preconditions: tuple[Condition, ...]
    is_exact: bool
    sampled: tuple[str, ...] = ()

    def __str__(self) -> str:
        words = [self.outcome]
        if self.axes:
            words.append(f"for all {', '.join(self.axes)}")
        if self.preconditions:
            words.append(f"with {all_of(self.preconditions)}")
        if not self.is_exact:
            words.append("and more")
        if self.sampled:
            words.append(f"(of {', '.join(self.sampled)} some sizes)")
        return " ".join(words)

    def to_dict(self) -> dict[str, Any]:
        """The verdict as JSON-ready data."""
        return vars(self) | {"preconditions": [str(c) for c in self.preconditions]}


def verdicts(name: str, changed: Collection[str] = ()) -> dict[Mode, Verdict]:
    """What was proved of a model in each mode.

    Args:
        name: The name of the model.
        changed: The hyper-parameters that are not the defaults. If they may change the limits,
            nothing is known.
    """
    stored = _stored().get(name, {}) if INDIFFERENT.issuperset(changed) else {}
    return {mode: _read(verdict) for mode, verdict in stored.items()}


def stored_limits(name: str, changed: Collection[str] = ()) -> dict[Mode, tuple[Condition, ...]]:
    """Return the sizes that a model accepts in each mode; arguments as of `verdicts`."""
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
