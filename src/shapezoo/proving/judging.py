"""Turn what was found about each variant of a contract into a verdict.

The steps of a proof, in the order in which `judge` takes them:

1. The contract is split into variants: an optional argument given or not, each option of a union,
   each number of axes that ``*batch`` can stand for (`contracts.examples.variants`).
2. Each variant is explored on symbolic sizes (`paths.exploring`), which yields regions of sizes
   with one outcome each.
3. Each region is compared with real kernels (`audit.auditing`), and dtypes, layouts, gradients and
   repeated calls are tried (`audit.premises`).
4. If nothing has failed so far, readable preconditions are searched (`limits.preconditions`), and
   both sides of each are run on real kernels (`audit.boundaries`). That may contradict a region;
   then the search starts again without it.
5. The verdict: a failure that real kernels show refutes the contract. Otherwise anything that is
   not known makes it `ProvedInPart`, or `Unknown` if no size is known to be accepted.

Only real kernels refute. A symbolic run that breaks a contract where no real kernel does leaves its
region unknown; so neither a wrong rule nor a wrong fake kernel can produce a false counterexample.
Each step has a share of the budget, so that a hard step leaves some work for the steps after it.
"""

import contextlib
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from shapezoo._modules import floating_dtype
from shapezoo.contracts import ContractError, signature
from shapezoo.contracts.examples.variants import Variant, variants
from shapezoo.contracts.language.conditions import Condition
from shapezoo.proving.audit.auditing import audit
from shapezoo.proving.audit.boundaries import audit_limits
from shapezoo.proving.audit.bounding import TooLargeError
from shapezoo.proving.audit.premises import Premises, premises
from shapezoo.proving.audit.replaying import attributes_of, changed, replay, snippet, worst
from shapezoo.proving.effort import Effort, WorkOverError, bounded, budgeted
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
from shapezoo.proving.paths.exploring import ExecutionPath, Exploration, axes_of, explore
from shapezoo.proving.paths.lemmas import Lemma, Lemmas, Pattern, merged_shape, subject_for, written
from shapezoo.proving.proofs import Proof, Proved, ProvedInPart, Refuted, Unknown
from shapezoo.proving.replays import CallSpec, Replay
from shapezoo.proving.subjects import Subject

FOR_REGIONS, FOR_SYMBOLS = 0.85, 0.7
"""The share of the budget for exploring and auditing, and the share of symbolic runs in it."""

MOST_ROUNDS = 4
"""How often limits are searched again after one was found to be wrong."""


@dataclass
class _VariantResult:
    """Everything that was found about one variant."""

    exploration: Exploration
    premises: Premises
    conditions: tuple[Condition, ...] = ()
    is_exact: bool = False
    gaps: tuple[str, ...] = ()

    @property
    def variant(self) -> Variant:
        return self.exploration.variant

    def all_gaps(self) -> tuple[str, ...]:
        """Return why nothing is known about some calls."""
        earlier = [self.premises.gap] if self.premises.gap else []
        return (*self.exploration.gaps(), *self.gaps, *earlier)

    def replays(self) -> Iterator[Replay]:
        """Yield what real kernels have done."""
        for path in self.exploration.paths:
            yield from path.replays
        yield from (*self.exploration.probes, *self.premises.replays)


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
    all_variants, is_complete = variants(subject.contract)
    axes = [axis for variant in all_variants for axis in axes_of(subject, variant)]
    _require_axes(assumptions, dict.fromkeys(axes))
    results: list[_VariantResult] = []
    with solving.sound_sympy(), bounded(budgeted(budget)) as effort:
        for number, variant in enumerate(all_variants):
            share = FOR_REGIONS * effort.remaining / (len(all_variants) - number)
            results.append(_result(subject, variant, assumptions, share))
        if not any(_failure(result, assumptions) for result in results):
            for result in results:
                _add_limits(subject, result)
    failures = [
        (*failure, result) for result in results if (failure := _failure(result, assumptions))
    ]
    common: dict[str, Any] = {
        "name": subject.name,
        "contract": subject.contract,
        "mode": "train" if subject.is_training else "eval",
        "cases": tuple(_case(subject, result, is_refuted=bool(failures)) for result in results),
        "modules": tuple(_modules(subject, results, is_refuted=bool(failures))),
        "assumptions": assumptions,
        "rests_on": _rests_on([result.premises.rests_on for result in results]),
        "seconds": time.thread_time() - started,
    }
    if failures:
        reason, run, result = min(failures, key=lambda failure: _size(failure[1]))
        error = run.error or AssertionError(reason)
        code, model = snippet(subject, result.variant, run), subject.make(run.call.sizes)
        example = Counterexample(run.call.sizes, result.variant.label, error, code, model)
        return Refuted(**common, reason=reason, counterexample=example)
    cases: Sequence[Case] = common["cases"]
    reasons = [f"{case.label}: {gap}" if case.label else gap for case in cases for gap in case.gaps]
    if not is_complete:
        reasons.append(f"there are more than {len(all_variants)} ways to pass the arguments")
    if not any(result.exploration.ending("holds") for result in results):
        reasons += [path.error for r in results for path in r.exploration.ending("void")][:1]
        return Unknown(
            **common, reason="; ".join(reasons) or "no path could be followed to its end"
        )
    if reasons:
        return ProvedInPart(**common, reason="; ".join(reasons))
    return Proved(**common)


def _result(
    subject: Subject, variant: Variant, assumptions: Sequence[Condition], share: float
) -> _VariantResult:
    """Explore a variant and audit the result, with a share of the budget."""
    model = subject.model
    before = {} if model is None else attributes_of(model)
    with bounded(Effort(share)):
        with bounded(Effort(FOR_SYMBOLS * share)):
            exploration = explore(subject, variant, assumptions, Lemmas(_prove_alone))
        audit(subject, exploration)
        found = premises(subject, exploration)
    if model is not None:
        # what differs now escaped `undisturbed`, so a call of the model keeps it
        kept = {*found.rests_on.kept, *changed(before, attributes_of(model))}
        found = replace(found, rests_on=replace(found.rests_on, kept=tuple(sorted(kept))))
    return _VariantResult(exploration, found)


def _prove_alone(module: nn.Module, module_path: str, pattern: Pattern) -> Lemma | None:
    """Explore and audit a module by itself; None unless all its paths hold with one shape."""
    subject = subject_for(module, module_path, pattern)
    exploration = explore(subject, variants(subject.contract)[0][0], ())
    audit(subject, exploration)
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


def _add_limits(subject: Subject, result: _VariantResult) -> None:
    """Search the preconditions and run both sides of each; again if one was wrong."""
    for _ in range(MOST_ROUNDS):
        num_unknown = len(result.exploration.ending("unknown"))
        try:
            result.conditions, result.is_exact = preconditions(result.exploration)
            result.gaps = tuple(audit_limits(subject, result.exploration, result.conditions))
        except WorkOverError as error:
            result.conditions, result.is_exact = (), False
            result.gaps = (f"the limits could not be determined: {error}",)
            return
        if len(result.exploration.ending("unknown")) == num_unknown:
            return
    result.conditions, result.is_exact = (), False


def _failure(result: _VariantResult, assumptions: Sequence[Condition]) -> tuple[str, Replay] | None:
    """Return why a variant is refuted, and the smallest call that shows it."""
    replays, exploration = list(result.replays()), result.exploration
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


def _case(subject: Subject, result: _VariantResult, *, is_refuted: bool) -> Case:
    exploration = result.exploration
    return Case(
        label=result.variant.label,
        axes=exploration.axes,
        preconditions=result.conditions,
        is_exact=result.is_exact,
        regions=tuple(map(_region, exploration.paths)),
        sampled=exploration.sampled | dict.fromkeys(result.variant.sampled, ()),
        gaps=result.all_gaps(),
        sizes_zero={} if is_refuted else dict(_zeros(subject, exploration)),
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
        gradients=next((part.gradients for part in parts if part.gradients), ""),
        kept=_joined(part.kept for part in parts),
        checks=_joined(part.checks for part in parts),
    )


def _joined(several: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the names of several tuples in order of first use, each once."""
    return tuple(dict.fromkeys(name for names in several for name in names))


def _zeros(subject: Subject, exploration: Exploration) -> Iterator[tuple[str, Outcome]]:
    """Yield what happens when one axis has size zero, and the others the smallest accepted ones."""
    accepted = [path.smallest for path in exploration.ending("holds")]
    if not accepted:
        return
    sizes = min(accepted, key=lambda sizes: sum(sizes.values()))
    for axis in exploration.axes:
        if axis not in subject.free:
            with contextlib.suppress(TooLargeError):
                call = CallSpec({**sizes, axis: 0})
                yield axis, worst(replay(subject, exploration.variant, call)).outcome


def _modules(
    subject: Subject, results: Sequence[_VariantResult], *, is_refuted: bool
) -> Iterator[ModuleProof]:
    """Yield the verdict on each module with a contract."""
    paths = [p for result in results for p in result.exploration.paths if p.outcome != "unknown"]
    accepted = [path.smallest for path in paths if path.outcome == "holds"]
    if subject.free and not accepted:
        return  # no sizes are known with which it can be built
    model = subject.make(accepted[0] if subject.free else {})
    is_all = not is_refuted and not any(result.exploration.gaps() for result in results)
    for module_path, module in model.named_modules() if isinstance(model, nn.Module) else ():
        if has_contract(module):
            calls = (call for path in paths for call in path.modules)
            outcomes = {outcome for called, outcome in calls if called == module_path}
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
