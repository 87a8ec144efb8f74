"""The parts of a proof as text."""

import textwrap
from collections.abc import Iterable, Iterator

from shapezoo.contracts.language.conditions import all_of
from shapezoo.proving.findings import Case, Counterexample, Region, RestsOn, Sizes, sizes_as_text

MOST_ERRORS = 4
"""How many errors are shown besides the first."""

MOST_SIZES = 3
"""At how many sizes a model is said to work, where not all is known."""


def row(title: str, text: str) -> str:
    """Return a line with a title in front of it."""
    return f"  {title:<14}{text}"


def rests_on_text(found: RestsOn) -> str:
    """Return what a verdict rests on, in one line."""
    parts = [f"{found.mode} mode"]
    if found.dtypes:
        refused = f" (not {', '.join(found.refused_dtypes)})" if found.refused_dtypes else ""
        parts.append(", ".join(found.dtypes) + refused)
    parts.append(f"first call, as it keeps {', '.join(found.kept)}" if found.kept else "any call")
    parts += [f"{name} contiguous" for name in found.contiguous]
    parts += [f"values that {line} does not refuse" for line in found.checks]
    parts += [f"gradients {found.gradients}"] if found.gradients else []
    return "; ".join(parts)


def case_rows(case: Case) -> list[str]:
    """Return the lines about one case."""
    lines = [row("case", case.label)] if case.label else []
    sizes = ", ".join(axis for axis in case.axes if axis not in case.sampled)
    lines.append(row("for all", sizes or "calls, which leave no size open"))
    for axis, tried in case.sampled.items():
        sizes = ", ".join(map(str, tried))
        lines.append(row("sampled", f"{axis} = {sizes}" if tried else axis))
    if case.preconditions:
        words = all_of(case.preconditions)
        lines.append(row("where", words if case.is_exact else f"{words}, and more"))
    elif not case.is_exact and any(region.outcome == "raises" for region in case.regions):
        lines.append(row("where", "some sizes raise, which no short condition tells"))
    if case.gaps and (held := _held(case)):
        lines.append(row("works at", "; ".join(held)))
    counts = {region.outcome: 0 for region in case.regions}
    for region in case.regions:
        counts[region.outcome] += 1
    words = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
    lines.append(row("regions", words or "none"))
    zero = [f"{axis}=0 {outcome}" for axis, outcome in case.sizes_zero.items()]
    if zero:
        lines.append(row("size zero", ", ".join(zero)))
    return lines


def _held(case: Case) -> list[str]:
    """Return the smallest sizes of some regions in which the contract holds."""
    held = (region.smallest for region in case.regions if region.outcome == "holds")
    return [sizes_as_text(sizes) for sizes in held if sizes][:MOST_SIZES]


def counterexample_rows(found: Counterexample, regions: Iterable[Region]) -> Iterator[str]:
    """Yield the lines about a counterexample, and about the other errors if all sizes raise."""
    case = f" ({found.case})" if found.case else ""
    yield row("smallest", f"{sizes_as_text(found.sizes)}{case}")
    yield textwrap.indent(str(found.error), "    ")
    yield "  replay"
    yield textwrap.indent(found.snippet, "    ")
    errors = _other_errors(found, regions)
    for error, sizes in errors[:MOST_ERRORS]:
        yield row("also raises", f"{sizes_as_text(sizes)}: {error}")
    if (more := len(errors) - MOST_ERRORS) > 0:
        yield row("", f"and {more} more")


def _other_errors(found: Counterexample, all_regions: Iterable[Region]) -> list[tuple[str, Sizes]]:
    """Return the other errors with the smallest sizes that raise each, where all sizes raise."""
    every = list(all_regions)
    if any(region.outcome != "raises" for region in every):
        return []
    errors: dict[str, Sizes] = {}
    regions = [region for region in every if region.smallest and region.error]
    for region in sorted(regions, key=lambda region: sum((region.smallest or {}).values())):
        errors.setdefault(region.error, region.smallest or {})
    known = str(found.error)
    return [(error, sizes) for error, sizes in errors.items() if error not in known]
