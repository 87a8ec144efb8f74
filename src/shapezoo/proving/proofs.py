"""What `prove` returns: a verdict, and everything that it rests on."""

import ast
from dataclasses import dataclass
from typing import ClassVar, Literal

from shapezoo.contracts import Signature
from shapezoo.contracts.language.conditions import Condition
from shapezoo.proving.findings import Case, Counterexample, ModuleProof, Region, RestsOn
from shapezoo.proving.rendering import case_rows, counterexample_rows, rests_on_text, row


def _equal_axes(condition: Condition) -> tuple[str, str] | None:
    """The two axes that a condition wants to be equal, if it does."""
    match ast.parse(condition.text, mode="eval").body:
        case ast.Compare(left=ast.Name(id=left), ops=[ast.Eq()], comparators=[ast.Name(id=right)]):
            return left, right
    return None


@dataclass(frozen=True)
class Result:
    """What every verdict tells.

    Attributes:
        name: The dotted name of what was proved.
        contract: Its contract.
        mode: Whether the model was in eval or in train mode.
        cases: The contract with each choice that it leaves.
        modules: What was proved of each module with a contract.
        assumptions: What was assumed of the sizes.
        rests_on: What it rests on besides sizes.
        seconds: The CPU time that it took, in seconds.
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
                lines += case_rows(case)
        modules = [module for module in self.modules if module.path]
        if modules:
            counts = {module.outcome: 0 for module in modules}
            for module in modules:
                counts[module.outcome] += 1
            words = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
            lines.append(row("modules", f"{len(modules)} with contracts: {words}"))
            lines += [
                row("", f"{module.path}: {module.outcome}")
                for module in modules
                if module.outcome != "holds"
            ]
        lines += [row("rests on", rests_on_text(self.rests_on))]
        lines += [row("warning", warning) for warning in self.warnings]
        lines.append(row("seconds", f"{self.seconds:.2f}"))
        if isinstance(self, Refuted):
            lines += counterexample_rows(self.counterexample, self.regions)
        return "\n".join(lines)

    @property
    def axes(self) -> tuple[str, ...]:
        """All that may have any size, in order of first use."""
        return tuple(dict.fromkeys(axis for case in self.cases for axis in case.axes))

    @property
    def preconditions(self) -> tuple[Condition, ...]:
        """What sizes must meet in every case; those of one case alone stand in `cases`."""
        first, *others = [case.preconditions for case in self.cases] or [()]
        return tuple(c for c in first if all(c in other for other in others))

    @property
    def is_exact(self) -> bool:
        """Whether the preconditions say just which sizes are accepted, in every case."""
        same = len({frozenset(case.preconditions) for case in self.cases}) == 1
        return same and all(case.is_exact for case in self.cases)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is more likely a mistake than meant.

        Axes of different names that must be equal, and axes of the result that a call without
        optional arguments does not have.
        """
        pairs = (pair for c in self.preconditions if (pair := _equal_axes(c)) is not None)
        equal = [
            f"{left} and {right} must be equal; if that is meant, give the two axes one name"
            for left, right in pairs
        ]
        required = [a for a in self.contract.inputs if a.default is None]
        missing = sorted(self.contract.unbound(required))
        return (
            *equal,
            *(
                f"calls without optional arguments raise: only those have axis {m!r}"
                for m in missing
            ),
        )

    @property
    def regions(self) -> tuple[Region, ...]:
        """The regions of all cases."""
        return tuple(region for case in self.cases for region in case.regions)

    @property
    def sampled(self) -> dict[str, tuple[int, ...]]:
        """What was tried with some sizes only, with these."""
        return {axis: tried for case in self.cases for axis, tried in case.sampled.items()}


@dataclass(frozen=True)
class Proved(Result):
    """The contract holds for all sizes for which the call does not raise, and these are told.

    For sizes that do not meet the preconditions the call raises. If these are exact, the contract
    holds for all that meet them; if not, some of those raise too, and `regions` tells which.
    """

    verdict = "proved"


@dataclass(frozen=True)
class ProvedInPart(Result):
    """The contract holds in all regions that were closed, but these are not all sizes.

    Attributes:
        reason: What is missing.
    """

    verdict = "proved in part"

    reason: str


@dataclass(frozen=True)
class Refuted(Result):
    """There are sizes for which a contract is broken; preconditions are not looked for.

    That is: a result is not what its annotation says; or no size at all is accepted; or one is
    refused that the assumptions allow.

    Attributes:
        counterexample: The smallest sizes that were found, tried on real kernels.
        reason: Which of these it is.
    """

    verdict = "refuted"

    counterexample: Counterexample
    reason: str


@dataclass(frozen=True)
class Unknown(Result):
    """Nothing was proved, and nothing refuted.

    Attributes:
        reason: Why.
    """

    verdict = "unknown"

    reason: str


Proof = Proved | ProvedInPart | Refuted | Unknown
"""What `prove` gives."""
