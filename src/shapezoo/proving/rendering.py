"""The parts of a proof as text."""

import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from shapezoo.contracts.language.conditions import all_of
from shapezoo.proving.findings import (
    Case,
    Counterexample,
    ModuleProof,
    Region,
    RestsOn,
    Sizes,
    sizes_as_text,
)

MOST_ERRORS = 4
"""How many errors are shown besides the first."""

MOST_SIZES = 3
"""At how many sizes a model is said to work, if some sizes are unknown."""

_SINGULAR = {"void": "without valid arguments", "in part": "holds in part"}
_PLURAL = {"holds": "hold", "raises": "raise", "breaks": "break", "in part": "hold in part"}


def row(title: str, text: str) -> str:
    """Return a line with a title in front of it."""
    return f"  {title:<14}{text}"


def _phrase(outcome: str, count: int = 1) -> str:
    singular = _SINGULAR.get(outcome, outcome)
    return singular if count == 1 else _PLURAL.get(outcome, singular)


def _counts(outcomes: Iterable[str]) -> str:
    """Return how often each outcome occurs: ``1 holds, 3 raise``."""
    return ", ".join(f"{n} {_phrase(outcome, n)}" for outcome, n in Counter(outcomes).items())


def rests_on_text(rests_on: RestsOn) -> str:
    """Return what a verdict rests on, in one line."""
    parts = [f"{rests_on.mode} mode"]
    if rests_on.dtypes:
        refused = ", ".join(rests_on.refused_dtypes)
        parts.append(", ".join(rests_on.dtypes) + (f" (not {refused})" if refused else ""))
    kept = ", ".join(rests_on.kept)
    parts.append(f"first call only, since a call changes {kept}" if kept else "any call")
    parts += [f"{name} contiguous" for name in rests_on.contiguous]
    parts += [f"values that pass the check at {line}" for line in rests_on.checks]
    parts += [f"gradients {rests_on.gradients}"] if rests_on.gradients else []
    return "; ".join(parts)


def case_rows(case: Case) -> list[str]:
    """Return the lines about one case."""
    lines = [row("case", case.label)] if case.label else []
    sizes = ", ".join(axis for axis in case.axes if axis not in case.sampled)
    lines.append(row("for all", sizes or "calls, since no size is free"))
    for axis, tried in case.sampled.items():
        lines.append(row("sampled", f"{axis} = {', '.join(map(str, tried))}" if tried else axis))
    outcomes = [region.outcome for region in case.regions]
    if case.preconditions:
        exception = "" if case.is_exact else ", but some of these sizes may raise as well"
        lines.append(row("where", all_of(case.preconditions) + exception))
    elif not case.is_exact and "raises" in outcomes:
        lines.append(row("where", "some sizes raise; no short condition describes them"))
    if case.gaps and (accepted := _accepted(case)):
        lines.append(row("works at", "; ".join(accepted)))
    lines.append(row("regions", _counts(outcomes) or "none"))
    if case.sizes_zero:
        zero = (f"{axis}=0 {_phrase(outcome)}" for axis, outcome in case.sizes_zero.items())
        lines.append(row("size zero", ", ".join(zero)))
    return lines


def _accepted(case: Case) -> list[str]:
    """Return the smallest sizes of some regions in which the contract holds."""
    smallest = (region.smallest for region in case.regions if region.outcome == "holds")
    return [sizes_as_text(sizes) for sizes in smallest if sizes][:MOST_SIZES]


def module_rows(modules: Iterable[ModuleProof]) -> Iterator[str]:
    """Yield the lines about the modules inside a model."""
    inside = [module for module in modules if module.path]
    if inside:
        counts = _counts(module.outcome for module in inside)
        yield row("modules", f"{len(inside)} with contracts: {counts}")
    for module in inside:
        if module.outcome != "holds":
            yield row("", f"{module.path}: {_phrase(module.outcome)}")


def counterexample_rows(example: Counterexample, regions: Sequence[Region]) -> Iterator[str]:
    """Yield the lines about a counterexample, and about the other errors if all sizes raise."""
    case = f" ({example.case})" if example.case else ""
    yield row("smallest", f"{sizes_as_text(example.sizes)}{case}")
    notes: list[str] = getattr(example.error, "__notes__", [])
    yield textwrap.indent("\n".join([str(example.error), *notes]), "    ")
    yield "  replay"
    yield textwrap.indent(example.snippet, "    ")
    errors = _other_errors(example, regions)
    for error, sizes in errors[:MOST_ERRORS]:
        yield row("also raises", f"{sizes_as_text(sizes)}: {error}")
    if (more := len(errors) - MOST_ERRORS) > 0:
        yield row("", f"and {more} more")


def _other_errors(example: Counterexample, regions: Sequence[Region]) -> list[tuple[str, Sizes]]:
    """Return the other errors with the smallest sizes that raise each, if all sizes raise."""
    if any(region.outcome != "raises" for region in regions):
        return []
    errors: dict[str, Sizes] = {}
    for region in sorted(regions, key=lambda region: sum((region.smallest or {}).values())):
        # the region of the counterexample may word its own error with other sizes
        if region.error and region.smallest and region.smallest != example.sizes:
            errors.setdefault(region.error, region.smallest)
    shown = str(example.error)
    return [(error, sizes) for error, sizes in errors.items() if error not in shown]
