"""The parts of a proof: regions, cases, modules, counterexamples, and what they rest on."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from shapezoo.contracts import ShapeError, Signature
from shapezoo.contracts.language.conditions import Condition

Sizes = Mapping[str, int]


def sizes_as_text(sizes: Sizes) -> str:
    """Sizes as keywords of Python: ``batch=1, seq=5``."""
    return ", ".join(f"{axis}={size}" for axis, size in sizes.items()) or "any call"


class SubjectError(TypeError):
    """This is nothing that can be proved, or it cannot be made with these arguments."""

    __module__ = "shapezoo.proving"


Outcome = Literal["holds", "raises", "breaks", "void", "unknown"]
"""How a run ended: the contract held, something was raised, the result broke a contract, there
are no such arguments, or the symbols could not follow."""

SEVERITY: tuple[Outcome, ...] = ("void", "holds", "raises", "unknown", "breaks")
"""Outcomes in order: of several, the last one decides."""


def outcome_of(error: BaseException) -> Outcome:
    """Whether an error says that a result breaks its contract, or is any other."""
    is_result = isinstance(error, ShapeError) and re.fullmatch(r"return(\W.*)?", error.argument)
    return "breaks" if is_result else "raises"


ModuleOutcome = Literal["holds", "broken", "not called", "in part"]
"""What is known of a module: its contract has held for all sizes that the model sends it, was
broken, was never called, or holds in the regions that were closed."""


@dataclass(frozen=True)
class Region:
    """Sizes that take the same path through a model.

    Attributes:
        outcome: How the run ended for all of them; ``unknown`` where the symbols could not
            follow, or real kernels have ended otherwise.
        guards: What holds for the sizes in it, apart from what the regions before have taken.
        smallest: The smallest sizes in it, at which it was run on real kernels; None where that
            was not possible.
        error: What was raised, if anything was.
    """

    outcome: Outcome
    guards: tuple[str, ...]
    smallest: Sizes | None
    error: str = ""


@dataclass(frozen=True)
class Case:
    """A contract with all its choices made: which options are given, how many axes ``*batch`` is.

    Attributes:
        label: What tells the case from others: ``state given``; empty where there is one only.
        axes: The axes that may have any size, and the arguments of the constructor that may.
        preconditions: What the sizes must meet.
        is_exact: Whether all sizes that meet them are accepted.
        regions: The regions that were explored.
        sampled: Axes of which only some sizes were tried, with these sizes.
        gaps: Why there are sizes of which nothing is known; empty where there are none.
        sizes_zero: What happens when one axis has size zero: how the run ends, by axis.
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
        dtypes: The dtypes for which it holds, where an argument may have several.
        refused_dtypes: Those of them for which the model raises.
        contiguous: The arguments that have to be contiguous.
        gradients: Whether gradients have to be on, or off; empty where that does not matter.
        kept: The attributes that a call changes, so that it may matter for the next one.
        checks: The lines that raise for some values of arguments, and not for others.
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
        """Whether the verdict is about any call, or about the first one only."""
        return "first" if self.kept else "any"


@dataclass(frozen=True)
class ModuleProof:
    """What was proved of one module inside the model.

    Attributes:
        path: Where it stands; empty for the model itself.
        contract: Its contract.
        outcome: What is known of it.
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
        error: What was raised.
        snippet: Python that raises it. Where nothing is known of how the model was made, it must
            be there as ``model``.
        model: The module or function in which it was found, which `replay` puts there.
    """

    sizes: Sizes
    case: str
    error: Exception = field(repr=False)
    snippet: str
    model: Callable[..., Any] = field(repr=False, compare=False)

    def replay(self, **names: object) -> None:
        """Run the snippet.

        Args:
            **names: What it needs besides the model in which it was found.
        """
        exec(self.snippet, {"model": self.model, **names})
