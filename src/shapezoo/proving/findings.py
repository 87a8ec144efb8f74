"""The parts of a proof: regions, cases, modules, counterexamples, and what they rest on."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from shapezoo.contracts import ShapeError, Signature
from shapezoo.contracts.language.conditions import Condition

Sizes = Mapping[str, int]


def sizes_as_text(sizes: Sizes) -> str:
    """Return sizes as Python keyword arguments: ``batch=1, seq=5``."""
    return ", ".join(f"{axis}={size}" for axis, size in sizes.items()) or "any call"


class SubjectError(TypeError):
    """The object cannot be proved, or cannot be built with these arguments."""

    __module__ = "shapezoo.proving"


Outcome = Literal["holds", "raises", "breaks", "void", "unknown"]
"""How a run ended: the contract held, the call raised, the result broke a contract, there are no
valid arguments of these sizes, or the symbolic run could not follow the model."""

SEVERITY: tuple[Outcome, ...] = ("void", "holds", "raises", "unknown", "breaks")
"""Outcomes in ascending order: of several, the most severe counts."""


def outcome_of(error: BaseException) -> Outcome:
    """Return ``breaks`` for an error that says a result breaks its contract, else ``raises``."""
    is_result = isinstance(error, ShapeError) and re.fullmatch(r"return(\W.*)?", error.argument)
    return "breaks" if is_result else "raises"


ModuleOutcome = Literal["holds", "broken", "not called", "in part"]
"""The verdict on a module: its contract held for all sizes that the model passes to it, was broken,
was never called, or holds in those regions that could be explored."""


@dataclass(frozen=True)
class Region:
    """Sizes that take the same path through a model.

    Attributes:
        outcome: How the run ended for all of them; ``unknown`` if the symbolic run could not
            follow, or if real kernels ended differently.
        guards: The conditions on the sizes in it, apart from what earlier regions have taken.
        smallest: The smallest sizes in it, which were run on real kernels; None if that was not
            possible.
        error: The error that was raised, if any.
    """

    outcome: Outcome
    guards: tuple[str, ...]
    smallest: Sizes | None
    error: str = ""


@dataclass(frozen=True)
class Case:
    """A contract with all choices made: which options are given, how many axes ``*batch`` is.

    Attributes:
        label: Distinguishes the case from others: ``state given``; empty if it is the only one.
        axes: The axes that may have any size, and the constructor arguments that may.
        preconditions: The conditions that sizes must meet.
        is_exact: Whether all sizes that meet them are accepted.
        regions: The regions that were explored.
        sampled: Axes for which only some sizes were tried, with these sizes.
        gaps: Why nothing is known about some sizes; empty if there are none.
        sizes_zero: How a call ends when one axis has size zero, by axis.
    """

    label: str
    axes: tuple[str, ...]
    preconditions: tuple[Condition, ...]
    is_exact: bool
    regions: tuple[Region, ...]
    sampled: Mapping[str, tuple[int, ...]]
    gaps: tuple[str, ...]
    sizes_zero: Mapping[str, Outcome]


@dataclass(frozen=True)
class RestsOn:
    """What a verdict rests on besides sizes.

    Attributes:
        mode: Whether the model was in eval or in train mode.
        dtypes: The dtypes for which it holds, if an argument may have several.
        refused_dtypes: Those dtypes for which the model raises.
        contiguous: The arguments that have to be contiguous.
        gradients: Whether gradients have to be on or off; empty if it does not matter.
        kept: The attributes that a call changes, so that it may affect the next call.
        checks: The lines that raise for some values of the arguments, and not for others.
    """

    mode: Literal["eval", "train"]
    dtypes: tuple[str, ...] = ()
    refused_dtypes: tuple[str, ...] = ()
    contiguous: tuple[str, ...] = ()
    gradients: Literal["", "on", "off"] = ""
    kept: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()

    @property
    def calls(self) -> Literal["any", "first"]:
        """Whether the verdict applies to any call, or to the first one only."""
        return "first" if self.kept else "any"


@dataclass(frozen=True)
class ModuleProof:
    """The verdict on one module inside the model.

    Attributes:
        path: Its path in the model; empty for the model itself.
        contract: Its contract.
        outcome: The verdict on it.
    """

    path: str
    contract: Signature
    outcome: ModuleOutcome


@dataclass(frozen=True)
class Counterexample:
    """Sizes for which a model breaks a contract, tried on real kernels.

    Attributes:
        sizes: The smallest such sizes that were found, by axis.
        case: The label of the case.
        error: The error that was raised.
        snippet: Python code that raises it. If it is not known how the model was built, the code
            needs it as ``model``.
        model: The module or function in which it was found; `replay` passes it as ``model``.
    """

    sizes: Sizes
    case: str
    error: Exception = field(repr=False)
    snippet: str
    model: Callable[..., Any] = field(repr=False, compare=False)

    def replay(self, **names: object) -> None:
        """Run the snippet.

        Args:
            **names: Further names that it needs, or another ``model``.
        """
        exec(self.snippet, {"model": self.model, **names})
