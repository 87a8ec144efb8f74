"""Verdicts as text."""

import textwrap
from collections.abc import Iterator

from shapezoo.contracts.language.conditions import all_of
from shapezoo.proving.proofs import (
    Case,
    ProvedInPart,
    Refuted,
    RestsOn,
    Result,
    Sizes,
    Unknown,
    sizes_as_text,
)

MOST_ERRORS = 4
"""How many errors are shown besides the first."""

MOST_SIZES = 3
"""At how many sizes a model is said to work, where not all is known."""


def _row(title: str, text: str) -> str:
    return f"  {title:<14}{text}"


def text_of(proof: Result) -> str:
    """Return a verdict as lines of text."""
    title = f"{proof.name}: {proof.verdict} ({proof.mode} mode)"
    lines = [title, _row("contract", str(proof.contract))]
    if isinstance(proof, ProvedInPart | Refuted | Unknown):
        lines.append(_row("because", proof.reason))
    if proof.assumptions:
        lines.append(_row("assuming", ", ".join(map(str, proof.assumptions))))
    if not isinstance(proof, Refuted):
        for case in proof.cases:
            lines += _case(case)
    modules = [module for module in proof.modules if module.path]
    if modules:
        counts = {module.outcome: 0 for module in modules}
        for module in modules:
            counts[module.outcome] += 1
        words = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
        lines.append(_row("modules", f"{len(modules)} with contracts: {words}"))
        lines += [
            _row("", f"{module.path}: {module.outcome}")
            for module in modules
            if module.outcome != "holds"
        ]
    lines += [_row("rests on", _rests_on(proof.rests_on))]
    lines += [_row("warning", warning) for warning in proof.warnings]
    lines.append(_row("seconds", f"{proof.seconds:.2f}"))
    if isinstance(proof, Refuted):
        lines += _counterexample(proof)
    return "\n".join(lines)


def _counterexample(proof: Refuted) -> Iterator[str]:
    found = proof.counterexample
    case = f" ({found.case})" if found.case else ""
    yield _row("smallest", f"{sizes_as_text(found.sizes)}{case}")
    yield textwrap.indent(str(found.error), "    ")
    yield "  replay"
    yield textwrap.indent(found.snippet, "    ")
    errors = _other_errors(proof)
    for error, sizes in errors[:MOST_ERRORS]:
        yield _row("also raises", f"{sizes_as_text(sizes)}: {error}")
    if (more := len(errors) - MOST_ERRORS) > 0:
        yield _row("", f"and {more} more")


def _other_errors(proof: Refuted) -> list[tuple[str, Sizes]]:
    """Return the other errors with the smallest sizes that raise each, where all sizes raise."""
    found: dict[str, Sizes] = {}
    regions = [region for region in proof.regions if region.smallest and region.error]
    if any(region.outcome != "raises" for region in proof.regions):
        return []
    for region in sorted(regions, key=lambda region: sum((region.smallest or {}).values())):
        found.setdefault(region.error, region.smallest or {})
    known = str(proof.counterexample.error)
    return [(error, sizes) for error, sizes in found.items() if error not in known]


def _rests_on(found: RestsOn) -> str:
    parts = [f"{found.mode} mode"]
    if found.dtypes:
        refused = f" (not {', '.join(found.refused_dtypes)})" if found.refused_dtypes else ""
        parts.append(", ".join(found.dtypes) + refused)
    parts.append(f"first call, as it keeps {', '.join(found.kept)}" if found.kept else "any call")
    parts += [f"{name} contiguous" for name in found.contiguous]
    parts += [f"values that {line} does not refuse" for line in found.checks]
    parts += [f"gradients {found.gradients}"] if found.gradients else []
    return "; ".join(parts)


def _case(case: Case) -> list[str]:
    lines = [_row("case", case.label)] if case.label else []
    sizes = ", ".join(axis for axis in case.axes if axis not in case.sampled)
    lines.append(_row("for all", sizes or "calls, which leave no size open"))
    for axis, tried in case.sampled.items():
        sizes = ", ".join(map(str, tried))
        lines.append(_row("sampled", f"{axis} = {sizes}" if tried else axis))
    if case.preconditions:
        words = all_of(case.preconditions)
        lines.append(_row("where", words if case.is_exact else f"{words}, and more"))
    elif not case.is_exact and any(region.outcome == "raises" for region in case.regions):
        lines.append(_row("where", "some sizes raise, which no short condition tells"))
    if case.gaps and (held := _held(case)):
        lines.append(_row("works at", "; ".join(held)))
    counts = {region.outcome: 0 for region in case.regions}
    for region in case.regions:
        counts[region.outcome] += 1
    words = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
    lines.append(_row("regions", words or "none"))
    zero = [f"{axis}=0 {outcome}" for axis, outcome in case.sizes_zero.items()]
    if zero:
        lines.append(_row("size zero", ", ".join(zero)))
    return lines


def _held(case: Case) -> list[str]:
    """Return the smallest sizes of some regions in which the contract holds."""
    held = (region.smallest for region in case.regions if region.outcome == "holds")
    return [sizes_as_text(sizes) for sizes in held if sizes][:MOST_SIZES]
