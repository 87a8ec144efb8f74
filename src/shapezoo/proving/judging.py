"""Turn what was found about each variant of a contract into a verdict.

The steps of a proof, in the order in which `judge` takes them:

1. The contract is split into variants: an optional argument given or not, each option of a union,
   each number of axes that ``*batch`` can stand for (`contracts.examples.variants`).
2. Each variant is explored on symbolic sizes (`paths.exploring`), which yields regions of sizes
   with one outcome each.
3. Each region is compared with real kernels (`audit.auditing`), and dtypes, layouts, gradients and
   repeated calls are tried (`audit.premises`).
4. If nothing has failed so far, readable preconditions are derived (`limits.preconditions`), and
   both sides of each are run on real kernels (`audit_limits`). That may contradict a region;
   then the search starts again without it.
5. The verdict: a failure that real kernels show refutes the contract. Otherwise anything that is
   not known makes it `ProvedInPart`, or `Unknown` if no size is known to be accepted.

Only real kernels refute. A symbolic run that breaks a contract where no real kernel does leaves its
region unknown; so neither a wrong rule nor a wrong fake kernel can produce a false counterexample.
Each step has a share of the budget, so that a hard step leaves some work for the steps after it.
"""

import contextlib
import itertools
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from shapezoo._modules import floating_dtype
from shapezoo.contracts import ContractError, signature
from shapezoo.contracts.language.conditions import Condition
from shapezoo.proving.audit.auditing import audit, audit_limits
from shapezoo.proving.audit.bounding import TooLargeError
from shapezoo.proving.audit.premises import try_premises
from shapezoo.proving.audit.replaying import attributes_of, changed, replay, snippet, worst
from shapezoo.proving.effort import SAFETY, Effort, WorkOverError, bounded
from shapezoo.proving.enforcing import has_contract
from shapezoo.proving.findings import (
    Case,
    Counterexample,
    ModuleOutcome,
    ModuleProof,
    Outcome,
    Region,
    RestsOn,
)
from shapezoo.proving.formulas import solving
from shapezoo.proving.formulas.printing import as_python
from shapezoo.proving.limits.preconditions import preconditions
from shapezoo.proving.paths.exploring import ExecutionPath, Exploration, explore
from shapezoo.proving.paths.lemmas import Lemma, Lemmas, Pattern, merged_shape, subject_for, written
from shapezoo.proving.proofs import Proof, Proved, ProvedInPart, Refuted, Unknown
from shapezoo.proving.replays import CallSpec, Replay
from shapezoo.proving.subjects import Subject

FOR_REGIONS, FOR_SYMBOLS = 0.85, 0.7
"""The share of the budget for exploring and auditing, and the share of symbolic runs in it."""

MOST_ROUNDS = 4
"""How often limits are searched for again after one was found to be wrong."""


def judge(subject: Subject, assumptions: tuple[Condition, ...], budget: float) -> Proof:
    """Explore and audit all variants, and return what that proves.

    Args:
        subject: What to prove.
        assumptions: What to assume about the sizes.
        budget: How much work it may take.

    Raises:
        ContractError: An assumption names an axis that no variant has.
    """
    started = time.thread_time()
    variants, is_complete = subject.variants()
    _require_axes(assumptions, dict.fromkeys(axis for each in variants for axis in each.axes))
    explored: list[Exploration] = []
    with solving.sound_sympy(), bounded(Effort(budget, started + SAFETY * budget)) as effort:
        for number, variant in enumerate(variants):
            share = FOR_REGIONS * effort.remaining / (len(variants) - number)
            explored.append(_explored(variant, assumptions, share))
        if not any(_failure(exploration, assumptions) for exploration in explored):
            for exploration in explored:
                _add_limits(exploration)
    failures = [
        (*failure, each.subject) for each in explored if (failure := _failure(each, assumptions))
    ]
    common: dict[str, Any] = {
        "name": subject.name,
        "contract": subject.contract,
        "mode": subject.mode,
        "cases": tuple(_case(each, is_refuted=bool(failures)) for each in explored),
        "modules": tuple(_modules(subject, explored, is_refuted=bool(failures))),
        "assumptions": assumptions,
        "rests_on": _rests_on([exploration.rests_on for exploration in explored]),
        "seconds": time.thread_time() - started,
    }
    if failures:
        reason, run, variant = min(failures, key=lambda failure: _size(failure[1]))
        error = run.error or AssertionError(reason)
        code, model = snippet(variant, run), subject.make(run.call.sizes)
        example = Counterexample(run.call.sizes, variant.label, error, code, model)
        return Refuted(**common, reason=reason, counterexample=example)
    cases: Sequence[Case] = common["cases"]
    reasons = [f"{case.label}: {gap}" if case.label else gap for case in cases for gap in case.gaps]
    if not is_complete:
        reasons.append(f"there are more than {len(variants)} ways to pass the arguments")
    if not any(exploration.ending("holds") for exploration in explored):
        reasons += [path.error for each in explored for path in each.ending("void")][:1]
        return Unknown(
            **common, reason="; ".join(reasons) or "no path could be followed to its end"
        )
    if reasons:
        return ProvedInPart(**common, reason="; ".join(reasons))
    return Proved(**common)


def _explored(subject: Subject, assumptions: Sequence[Condition], share: float) -> Exploration:
    """Explore a variant and audit the result, with a share of the budget."""
    model = subject.model
    before = attributes_of(model)
    with bounded(Effort(share)):
        with bounded(Effort(FOR_SYMBOLS * share)):
            exploration = explore(subject, assumptions, Lemmas(_prove_alone))
        audit(exploration)
        try_premises(exploration)
    # what differs now escaped `undisturbed`, so a call of the model keeps it
    kept = {*exploration.rests_on.kept, *changed(before, attributes_of(model))}
    exploration.rests_on = replace(exploration.rests_on, kept=tuple(sorted(kept)))
    return exploration


def _prove_alone(module: nn.Module, pattern: Pattern) -> Lemma | None:
    """Explore and audit a module by itself; None unless all its paths hold with one shape."""
    exploration = explore(subject_for(module, pattern), ())
    audit(exploration)
    paths = exploration.paths
    if exploration.gaps() or any(p.outcome != "holds" or len(p.runs) > 1 for p in paths):
        return None
    if any(each.kept or not each.is_fresh for path in paths for each in path.replays):
        return None
    shapes = [run.shapes[0] for path in paths for run in path.runs]
    regions = tuple(path.region for path in paths)
    shape = merged_shape(shapes, regions)
    expressions = None if shape is None else written(shape)
    if expressions is None:
        return None
    called = dict.fromkeys(inside for path in paths for inside, _ in path.modules)
    return Lemma(expressions, floating_dtype(module), regions, tuple(called))


def _add_limits(exploration: Exploration) -> None:
    """Search for the preconditions and run both sides of each; again if one was wrong."""
    gaps: list[str] = []
    for _ in range(MOST_ROUNDS):
        num_unknown = len(exploration.ending("unknown"))
        try:
            exploration.conditions, exploration.is_exact = preconditions(exploration)
            gaps = audit_limits(exploration)
        except WorkOverError as error:
            gaps = [f"the limits could not be determined: {error}"]
            break
        if len(exploration.ending("unknown")) == num_unknown:
            exploration.call_gaps = (*gaps, *exploration.call_gaps)
            return
    exploration.conditions, exploration.is_exact = (), False
    exploration.call_gaps = (*gaps, *exploration.call_gaps)


def _failure(
    exploration: Exploration, assumptions: Sequence[Condition]
) -> tuple[str, Replay] | None:
    """Return why a variant is refuted, and the smallest call that shows it."""
    replays = exploration.replays()
    broken = [each for each in replays if each.outcome == "breaks"]
    if broken:
        return "a result does not match its annotation", min(broken, key=_size)
    refused = [each for each in replays if each.outcome == "raises" and each.is_ordinary]
    if refused and any(set(c.axes) <= set(exploration.axes) for c in assumptions):
        return "it raises for sizes that meet the assumptions", min(refused, key=_size)
    if refused and not exploration.gaps() and not exploration.ending("holds"):
        return "it raises for all sizes", min(refused, key=_size)
    return None


def _size(run: Replay) -> tuple[bool, int]:
    return not run.is_ordinary, sum(run.call.sizes.values())


def _case(exploration: Exploration, *, is_refuted: bool) -> Case:
    return Case(
        label=exploration.subject.label,
        axes=exploration.axes,
        preconditions=exploration.conditions,
        is_exact=exploration.is_exact,
        regions=tuple(map(_region, exploration.paths)),
        sampled=exploration.sampled | dict.fromkeys(exploration.subject.sampled, ()),
        gaps=(*exploration.gaps(), *exploration.call_gaps),
        sizes_zero={} if is_refuted else dict(_zeros(exploration)),
    )


def _region(path: ExecutionPath) -> Region:
    guards = tuple(dict.fromkeys(map(as_python, path.guards)))
    return Region(path.outcome, guards, path.smallest if path.replays else None, path.error)


def _rests_on(parts: Sequence[RestsOn]) -> RestsOn:
    """Return what all variants rest on, together."""
    refused = _joined(part.refused_dtypes for part in parts)
    dtypes = _joined(part.dtypes for part in parts)
    return RestsOn(
        parts[0].mode,
        dtypes=tuple(name for name in dtypes if name not in refused),
        refused_dtypes=refused,
        contiguous=_joined(part.contiguous for part in parts),
        gradients=max((part.gradients for part in parts), key=bool),  # the first that is stated
        kept=_joined(part.kept for part in parts),
        checks=_joined(part.checks for part in parts),
    )


def _joined(parts: Iterable[Iterable[str]]) -> tuple[str, ...]:
    """Return the names in several collections, each once."""
    return tuple(dict.fromkeys(itertools.chain.from_iterable(parts)))


def _zeros(exploration: Exploration) -> Iterator[tuple[str, Outcome]]:
    """Yield what happens when one axis has size zero, and the others the smallest accepted ones."""
    accepted = [path.smallest for path in exploration.ending("holds")]
    if not accepted:
        return
    sizes = min(accepted, key=lambda sizes: sum(sizes.values()))
    for axis in exploration.axes:
        if axis not in exploration.subject.free:
            with contextlib.suppress(TooLargeError):
                call = CallSpec({**sizes, axis: 0})
                yield axis, worst(replay(exploration.subject, call)).outcome


def _modules(
    subject: Subject, explored: Sequence[Exploration], *, is_refuted: bool
) -> Iterator[ModuleProof]:
    """Yield the verdict on each module with a contract."""
    paths = [p for exploration in explored for p in exploration.paths if p.outcome != "unknown"]
    accepted = [path.smallest for path in paths if path.outcome == "holds"]
    if subject.free and not accepted:
        return  # no sizes are known with which it can be built
    model = subject.make(accepted[0] if subject.free else {})
    is_all = not is_refuted and not any(exploration.gaps() for exploration in explored)
    for module_path, module in model.named_modules() if isinstance(model, nn.Module) else ():
        if has_contract(module):
            calls = (call for path in paths for call in path.modules)
            outcomes: set[Outcome] = {outcome for called, outcome in calls if called == module_path}
            yield ModuleProof(module_path, signature(module), _of_module(outcomes, is_all))


def _of_module(outcomes: set[Outcome], is_all: bool) -> ModuleOutcome:
    if "breaks" in outcomes:
        return "broken"
    if "holds" not in outcomes:
        return "not called"
    return "holds" if is_all else "in part"


def _require_axes(assumptions: Sequence[Condition], axes: Collection[str]) -> None:
    for condition in assumptions:
        if unknown := [axis for axis in condition.axes if axis not in axes]:
            has = f"the axes are {', '.join(axes)}" if axes else "there are none"
            raise ContractError(f"assumption {condition}: no axis {unknown[0]!r}; {has}")
