"""From what was found of each variant to a verdict."""

import contextlib
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

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
from shapezoo.proving.paths.exploring import Exploration, Path, axes_of, explore
from shapezoo.proving.paths.lemmas import Lemma, Lemmas, Pattern, merged_shape, subject_for, written
from shapezoo.proving.proofs import Proof, Proved, ProvedInPart, Refuted, Unknown
from shapezoo.proving.replays import Call, Replay
from shapezoo.proving.subjects import Subject

FOR_REGIONS, FOR_SYMBOLS = 0.85, 0.7
"""The share of all work that finding and auditing regions may take, and in it that of symbols."""

MOST_ROUNDS = 4
"""How often limits are looked for anew after one was found to be wrong."""


@dataclass
class _Found:
    """All that was found of one variant."""

    exploration: Exploration
    premises: Premises
    conditions: tuple[Condition, ...] = ()
    is_exact: bool = False
    gaps: tuple[str, ...] = ()

    @property
    def variant(self) -> Variant:
        return self.exploration.variant

    def all_gaps(self) -> list[str]:
        """Why there are calls of which nothing is known."""
        earlier = [self.premises.gap] if self.premises.gap else []
        return [*self.exploration.gaps(), *self.gaps, *earlier]

    def replays(self) -> Iterator[Replay]:
        """What real kernels have done."""
        for path in self.exploration.paths:
            yield from path.replays
        yield from (*self.exploration.tried, *self.premises.replays)


def judge(subject: Subject, assumptions: tuple[Condition, ...], budget: float) -> Proof:
    """Explore and audit all variants, and say what that proves.

    Args:
        subject: What to prove.
        assumptions: What to assume of the sizes.
        budget: How much work it may take.

    Raises:
        ContractError: An assumption names an axis that no variant has.
    """
    started = time.thread_time()
    ways, are_all = variants(subject.contract)
    axes = [axis for way in ways for axis in axes_of(subject, way)]
    _require_known(assumptions, dict.fromkeys(axes))
    found: list[_Found] = []
    with solving.sound_sympy(), bounded(budgeted(budget)) as effort:
        for number, variant in enumerate(ways):
            share = FOR_REGIONS * effort.remaining / (len(ways) - number)
            found.append(_find(subject, variant, assumptions, share))
        if not any(_failure(one, assumptions) for one in found):
            for one in found:
                _find_limits(subject, one)
    failures = [(*failure, one) for one in found if (failure := _failure(one, assumptions))]
    about: dict[str, Any] = {
        "name": subject.name,
        "contract": subject.contract,
        "mode": "train" if subject.is_training else "eval",
        "cases": tuple(_case(subject, one, is_refuted=bool(failures)) for one in found),
        "modules": tuple(_modules(subject, found, is_refuted=bool(failures))),
        "assumptions": assumptions,
        "rests_on": _rests_on([one.premises.rests_on for one in found]),
        "seconds": time.thread_time() - started,
    }
    if failures:
        reason, run, one = min(failures, key=lambda failure: _size(failure[1]))
        error = run.error or AssertionError(reason)
        code, model = snippet(subject, one.variant, run), subject.make(run.call.sizes)
        example = Counterexample(run.call.sizes, one.variant.label, error, code, model)
        return Refuted(**about, reason=reason, counterexample=example)
    cases: Sequence[Case] = about["cases"]
    reasons = [f"{case.label}: {gap}" if case.label else gap for case in cases for gap in case.gaps]
    if not are_all:
        reasons.append(f"there are more than {len(ways)} ways of giving the arguments")
    if not any(one.exploration.ending("holds") for one in found):
        reasons += [path.error for one in found for path in one.exploration.ending("void")][:1]
        return Unknown(**about, reason="; ".join(reasons) or "no path was closed")
    if reasons:
        return ProvedInPart(**about, reason="; ".join(reasons))
    return Proved(**about)


def _find(
    subject: Subject, variant: Variant, assumptions: Sequence[Condition], share: float
) -> _Found:
    """Explore a variant and audit what was found, with a share of the work."""
    known = None if subject.free else subject.make({})
    before = {} if known is None else attributes_of(known)
    with bounded(Effort(share)):
        with bounded(Effort(FOR_SYMBOLS * share)):
            exploration = explore(subject, variant, assumptions, Lemmas(_prove_alone))
        audit(subject, exploration)
        found = premises(subject, exploration)
    if known is None:
        return _Found(exploration, found)
    kept = {*found.rests_on.kept, *changed(before, attributes_of(known))}  # no run has put it back
    rests_on = replace(found.rests_on, kept=tuple(sorted(kept)))
    return _Found(exploration, replace(found, rests_on=rests_on))


def _prove_alone(module: nn.Module, path: str, pattern: Pattern) -> Lemma | None:
    """Explore and audit a module by itself; None unless all its paths hold with one shape."""
    subject = subject_for(module, path, pattern)
    exploration = explore(subject, variants(subject.contract)[0][0], ())
    audit(subject, exploration)
    paths = exploration.paths
    replays = [one for path in paths for one in path.replays]
    if exploration.gaps() or any(p.outcome != "holds" or len(p.runs) > 1 for p in paths):
        return None
    if any(one.kept or not one.is_fresh for one in replays):
        return None
    shapes = [run.shapes[0] for path in paths for run in path.runs]
    regions = tuple(path.region for path in paths)
    shape = merged_shape(shapes, regions)
    called = dict.fromkeys(place for path in paths for place, _ in path.modules)
    text = None if shape is None else written(shape)
    if text is None:
        return None
    return Lemma(text, floating_dtype(module), regions, tuple(called))


def _find_limits(subject: Subject, found: _Found) -> None:
    """Look for the preconditions, run both sides of each, and again if one was wrong."""
    for _ in range(MOST_ROUNDS):
        unknown = len(found.exploration.ending("unknown"))
        try:
            found.conditions, found.is_exact = preconditions(found.exploration)
            found.gaps = tuple(audit_limits(subject, found.exploration, found.conditions))
        except WorkOverError as error:
            found.conditions, found.is_exact = (), False
            found.gaps = (f"the limits are not known: {error}",)
            return
        if len(found.exploration.ending("unknown")) == unknown:
            return
    found.conditions, found.is_exact = (), False


def _failure(found: _Found, assumptions: Sequence[Condition]) -> tuple[str, Replay] | None:
    """Why a variant is refuted, and the smallest call that shows it."""
    replays, exploration = list(found.replays()), found.exploration
    broken = [one for one in replays if one.outcome == "breaks"]
    if broken:
        return "a result is not what its contract says", min(broken, key=_size)
    refused = [one for one in replays if one.outcome == "raises" and one.is_plain]
    if refused and any(set(c.axes) <= set(exploration.axes) for c in assumptions):
        return "it raises for sizes that meet the assumptions", min(refused, key=_size)
    if refused and not exploration.gaps() and not exploration.ending("holds"):
        return "it raises for all sizes", min(refused, key=_size)
    return None


def _size(run: Replay) -> tuple[bool, int]:
    return not run.is_plain, sum(run.call.sizes.values())


def _case(subject: Subject, found: _Found, *, is_refuted: bool) -> Case:
    exploration = found.exploration
    return Case(
        label=found.variant.label,
        axes=exploration.axes,
        preconditions=found.conditions,
        is_exact=found.is_exact,
        regions=tuple(map(_region, exploration.paths)),
        sampled=exploration.sampled | dict.fromkeys(found.variant.sampled, ()),
        gaps=tuple(found.all_gaps()),
        sizes_zero={} if is_refuted else dict(_zeros(subject, exploration)),
    )


def _region(path: Path) -> Region:
    guards = tuple(dict.fromkeys(map(as_python, path.guards)))
    return Region(path.outcome, guards, path.smallest if path.replays else None, path.error)


def _rests_on(several: Sequence[RestsOn]) -> RestsOn:
    """What all variants rest on, together."""
    refused = dict.fromkeys(name for one in several for name in one.refused_dtypes)
    dtypes = dict.fromkeys(name for one in several for name in one.dtypes)
    gradients: Literal["", "on", "off"] = ""
    for one in several:
        gradients = gradients or one.gradients
    return RestsOn(
        several[0].mode,
        dtypes=tuple(name for name in dtypes if name not in refused),
        refused_dtypes=tuple(refused),
        contiguous=tuple(dict.fromkeys(name for one in several for name in one.contiguous)),
        gradients=gradients,
        kept=tuple(dict.fromkeys(name for one in several for name in one.kept)),
        checks=tuple(dict.fromkeys(line for one in several for line in one.checks)),
    )


def _zeros(subject: Subject, exploration: Exploration) -> Iterator[tuple[str, Outcome]]:
    """What happens when one axis has size zero, and the others the smallest that are accepted."""
    accepted = [path.smallest for path in exploration.ending("holds")]
    if not accepted:
        return
    sizes = min(accepted, key=lambda sizes: sum(sizes.values()))
    for axis in exploration.axes:
        if axis not in subject.free:
            with contextlib.suppress(TooLargeError):
                call = Call({**sizes, axis: 0})
                yield axis, worst(replay(subject, exploration.variant, call)).outcome


def _modules(
    subject: Subject, found: Sequence[_Found], *, is_refuted: bool
) -> Iterator[ModuleProof]:
    """What was proved of each module with a contract."""
    paths = [p for one in found for p in one.exploration.paths if p.outcome != "unknown"]
    held = [path.smallest for path in paths if path.outcome == "holds"]
    if subject.free and not held:
        return  # no sizes are known for which it can be made
    model = subject.make(held[0] if subject.free else {})
    is_all = not is_refuted and not any(one.exploration.gaps() for one in found)
    for place, module in model.named_modules() if isinstance(model, nn.Module) else ():
        if has_contract(module):
            outcomes: set[Outcome] = set()
            for path in paths:
                outcomes.update(how for where, how in path.modules if where == place)
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
