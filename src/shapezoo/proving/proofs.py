"""What `prove` returns: a verdict, and everything that it rests on."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from shapezoo.contracts import Signature
from shapezoo.contracts.language.conditions import Condition
from shapezoo.proving import rendering
from shapezoo.proving.findings import Case, Counterexample, ModuleProof, Region, RestsOn
from shapezoo.proving.rendering import row


@dataclass(frozen=True)
class Result:
    """What all verdicts have in common.

    Attributes:
        name: The dotted name of what was proved.
        contract: Its contract.
        mode: Whether the model was in eval or in train mode.
        cases: The contract with each choice that it leaves.
        modules: The verdict on each module with a contract.
        assumptions: What was assumed about the sizes.
        rests_on: What the verdict rests on besides sizes.
        seconds: The CPU time of the proof, in seconds.
    """

    name: str
    contract: Signature
    mode: Literal["eval", "train"]
    cases: tuple[Case, ...]
    modules: tuple[ModuleProof, ...]
    assumptions: tuple[Condition, ...]
    rests_on: RestsOn
    seconds: float

    verdict: ClassVar[str]

    def __str__(self) -> str:
        title = f"{self.name}: {self.verdict} ({self.mode} mode)"
        lines = [title, row("contract", str(self.contract))]
        if isinstance(self, ProvedInPart | Refuted | Unknown):
            lines.append(row("because", self.reason))
        if self.assumptions:
            lines.append(row("assuming", ", ".join(map(str, self.assumptions))))
        if not isinstance(self, Refuted):
            for case in self.cases:
                lines += rendering.case_rows(case)
        lines += rendering.module_rows(self.modules)
        lines.append(row("rests on", rendering.rests_on_text(self.rests_on)))
        lines += [row("warning", warning) for warning in self.warnings]
        lines.append(row("seconds", f"{self.seconds:.2f}"))
        if isinstance(self, Refuted):
            lines += rendering.counterexample_rows(self.counterexample, self.regions)
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return the most important parts as JSON-ready data."""
        example = self.counterexample if isinstance(self, Refuted) else None
        return {
            "name": self.name,
            "verdict": self.verdict,
            "mode": self.mode,
            "contract": str(self.contract),
            "axes": list(self.axes),
            "preconditions": list(map(str, self.preconditions)),
            "is_exact": self.is_exact,
            "sampled": {axis: list(tried) for axis, tried in self.sampled.items()},
            "assumptions": list(map(str, self.assumptions)),
            "reason": self.reason if isinstance(self, ProvedInPart | Refuted | Unknown) else None,
            "counterexample": example
            and {
                "sizes": dict(example.sizes),
                "error": str(example.error),
                "replay": example.snippet,
            },
            "warnings": list(self.warnings),
            "seconds": self.seconds,
        }

    @property
    def axes(self) -> tuple[str, ...]:
        """Everything that may have any size, in order of first use."""
        return tuple(dict.fromkeys(axis for case in self.cases for axis in case.axes))

    @property
    def preconditions(self) -> tuple[Condition, ...]:
        """What sizes must meet in every case; `cases` has the conditions of single cases."""
        first, *others = [case.preconditions for case in self.cases] or [()]
        return tuple(c for c in first if all(c in other for other in others))

    @property
    def is_exact(self) -> bool:
        """Whether the preconditions describe exactly which sizes are accepted, in every case."""
        same = len({frozenset(case.preconditions) for case in self.cases}) == 1
        return same and all(case.is_exact for case in self.cases)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is probably a mistake.

        Axes of different names that must be equal, and axes of the result that calls without the
        optional arguments leave unbound.
        """
        pairs = (c.axes for c in self.preconditions if c.text == " == ".join(c.axes[:2]))
        required = [a for a in self.contract.inputs if a.default is None]
        warnings = [
            f"{left} and {right} must be equal; if that is intended, give both the same name"
            for left, right in pairs
        ]
        warnings += [
            f"calls without the optional arguments raise: nothing else has the axis {axis!r}"
            for axis in sorted(self.contract.unbound(required))
        ]
        return tuple(warnings)

    @property
    def regions(self) -> tuple[Region, ...]:
        """The regions of all cases."""
        return tuple(region for case in self.cases for region in case.regions)

    @property
    def sampled(self) -> dict[str, tuple[int, ...]]:
        """The axes that were tried with some sizes only, with these sizes."""
        return {axis: tried for case in self.cases for axis, tried in case.sampled.items()}


@dataclass(frozen=True)
class Proved(Result):
    """The contract holds for every size that the model accepts; see `preconditions`.

    For sizes that do not meet the preconditions the call raises. If the preconditions are exact,
    the contract holds for all sizes that meet them; if not, some of these raise too, and `regions`
    says which.
    """

    verdict = "proved"


@dataclass(frozen=True)
class ProvedInPart(Result):
    """The contract holds in all regions that could be explored, but these are not all sizes.

    Attributes:
        reason: What is missing.
    """

    verdict = "proved in part"

    reason: str


@dataclass(frozen=True)
class Refuted(Result):
    """There are sizes for which a contract is broken; preconditions are not searched for.

    A contract is broken if a result does not match its annotation, if no size at all is accepted,
    or if a size that the assumptions allow raises.

    Attributes:
        counterexample: The smallest sizes that were found, tried on real kernels.
        reason: Which of these is the case.
    """

    verdict = "refuted"

    counterexample: Counterexample
    reason: str


@dataclass(frozen=True)
class Unknown(Result):
    """Nothing was proved, and nothing refuted.

    Attributes:
        reason: Why not.
    """

    verdict = "unknown"

    reason: str


Proof = Proved | ProvedInPart | Refuted | Unknown
"""What `prove` returns."""
