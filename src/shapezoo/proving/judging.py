"""From what was found of each variant to a verdict."""

import contextlib
import time
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from torch import nn

from shapezoo.contracts import ContractError, signature
from shapezoo.contracts.conditions import Condition
from shapezoo.proving import solving
from shapezoo.proving.enforcing import has_contract
from shapezoo.proving.exploring import Exploration, Path, axes_of, explore
from shapezoo.proving.preconditions import TimeOverError, preconditions
from shapezoo.proving.printing import as_python
from shapezoo.proving.proofs import (
    Case,
    Counterexample,
    ModuleOutcome,
    ModuleProof,
    Outcome,
    Proof,
    Proved,
    ProvedInPart,
    Refuted,
    Region,
    Sizes,
    Unknown,
)
from shapezoo.proving.replaying import Replay, TooLargeError, replay, snippet
from shapezoo.proving.subjects import Subject
from shapezoo.proving.variants import variants


def judge(
    subject: Subject, assumptions: tuple[Condition, ...], started: float, budget: float
) -> Proof:
    """Explore all variants, and say what that proves.

    Args:
        subject: What to prove.
        assumptions: What to assume of the sizes.
        started: When it began, in seconds of `time.perf_counter`.
        budget: How many seconds it may take.

    Raises:
        ContractError: An assumption names an axis that no variant has.
    """
    deadline = started + budget
    ways, are_all = variants(subject.contract)
    axes = [axis for way in ways for axis in axes_of(subject, way)]
    _require_known(assumptions, dict.fromkeys(axes))
    with solving.sound_sympy():
        explorations = [explore(subject, variant, assumptions, deadline) for variant in ways]
    found = [(_failure(e, assumptions), e.variant) for e in explorations]
    failures = [(*failure, variant) for failure, variant in found if failure]
    cases = [_case(subject, e, deadline, is_refuted=bool(failures)) for e in explorations]
    about: dict[str, Any] = {
        "name": subject.name,
        "contract": subject.contract,
        "mode": "train" if subject.is_training else "eval",
        "cases": tuple(cases),
        "modules": tuple(_modules(subject, explorations, is_refuted=bool(failures))),
        "assumptions": assumptions,
        "seconds": time.perf_counter() - started,
    }
    if failures:
        reason, sizes, run, variant = min(failures, key=lambda failure: sum(failure[1].values()))
        error = run.error or AssertionError(reason)
        code = snippet(subject, variant, sizes, run)
        example = Counterexample(sizes, variant.label, error, code)
        return Refuted(**about, reason=reason, counterexample=example)
    reasons = [f"{case.label}: {gap}" if case.label else gap for case in cases for gap in case.gaps]
    if not are_all:
        reasons.append(f"there are more than {len(ways)} ways of giving the arguments")
    if not any(exploration.ending("holds") for exploration in explorations):
        reasons += [path.error for e in explorations for path in e.ending("void")][:1]
        return Unknown(**about, reason="; ".join(reasons) or "no path was closed")
    if reasons:
        return ProvedInPart(**about, reason="; ".join(reasons))
    return Proved(**about)


def _failure(
    exploration: Exploration, assumptions: Sequence[Condition]
) -> tuple[str, Sizes, Replay] | None:
    """Why a variant is refuted, at which smallest sizes, and what real kernels have done there."""
    shown = [(p.smallest, p.found) for p in exploration.paths] + exploration.tried
    runs = [(sizes, run) for sizes, run in shown if sizes is not None and run is not None]
    broken = [(sizes, run) for sizes, run in runs if run.outcome == "breaks"]
    if broken:
        return "a result is not what its contract says", *_smallest(broken)
    refused = [(sizes, run) for sizes, run in runs if run.outcome == "raises"]
    if refused and any(set(c.axes) <= set(exploration.axes) for c in assumptions):
        return "it raises for sizes that meet the assumptions", *_smallest(refused)
    if refused and not exploration.gaps() and not exploration.ending("holds"):
        return "it raises for all sizes", *_smallest(refused)
    return None


def _smallest(runs: Sequence[tuple[Sizes, Replay]]) -> tuple[Sizes, Replay]:
    return min(runs, key=lambda run: sum(run[0].values()))


def _case(subject: Subject, exploration: Exploration, deadline: float, *, is_refuted: bool) -> Case:
    conditions: tuple[Condition, ...] = ()
    is_exact, gaps = False, exploration.gaps()
    if not is_refuted:
        try:
            conditions, is_exact = preconditions(exploration, deadline)
        except TimeOverError:
            gaps.append("the time was over before the preconditions were found")
    return Case(
        label=exploration.variant.label,
        axes=exploration.axes,
        preconditions=conditions,
        is_exact=is_exact,
        regions=tuple(map(_region, exploration.paths)),
        sampled=exploration.sampled | dict.fromkeys(exploration.variant.sampled, ()),
        gaps=tuple(gaps),
        sizes_zero={} if is_refuted else dict(_zeros(subject, exploration)),
    )


def _region(path: Path) -> Region:
    guards = tuple(dict.fromkeys(map(as_python, path.run.guards)))
    return Region(path.outcome, guards, path.smallest, path.error)


def _zeros(subject: Subject, exploration: Exploration) -> Iterator[tuple[str, Outcome]]:
    """What happens when one axis has size zero, and the others the smallest that are accepted."""
    accepted = [path.smallest for path in exploration.ending("holds") if path.smallest]
    if not accepted:
        return
    sizes = min(accepted, key=lambda sizes: sum(sizes.values()))
    for axis in exploration.axes:
        if axis not in subject.free:
            with contextlib.suppress(TooLargeError):
                yield axis, replay(subject, exploration.variant, {**sizes, axis: 0}).outcome


def _modules(
    subject: Subject, explorations: Sequence[Exploration], *, is_refuted: bool
) -> Iterator[ModuleProof]:
    """What was proved of each module with a contract."""
    paths = [path for e in explorations for path in e.paths if path.outcome != "unknown"]
    held = [p.smallest for p in paths if p.outcome == "holds" and p.smallest is not None]
    if subject.free and not held:
        return  # no sizes are known for which it can be made
    model = subject.make(held[0] if subject.free else {})
    is_all = not is_refuted and not any(exploration.gaps() for exploration in explorations)
    for place, module in model.named_modules() if isinstance(model, nn.Module) else ():
        if has_contract(module):
            runs = [path.run.modules for path in paths]
            outcomes: set[Outcome] = {run[place] for run in runs if place in run}
            yield ModuleProof(place, signature(module), _of_module(outcomes, is_all))


def _of_module(outcomes: set[Outcome], is_all: bool) -> ModuleOutcome:
    if "breaks" in outcomes:
        return "broken"
    if "holds" not in outcomes:
        return "not called"
    return "holds" if is_all else "in part"


def _require_known(assumptions: Sequence[Condition], axes: Collection[str]) -> None:
    for condition in assumptions:
        if unknown := [axis for axis in condition.axes if axis not in axes]:
            known = ", ".join(axes) or "no axes"
            raise ContractError(f"assumption {condition}: no axis {unknown[0]!r}, but {known}")
