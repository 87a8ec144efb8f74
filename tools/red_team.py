"""Draw random networks, prove them, and compare each verdict with real kernels.

    python tools/red_team.py --networks 10000 --seed 0

prints each wrong verdict with the smallest network that still gets it, and a table at the end.
The exit code is 1 if a verdict was wrong.
"""

import argparse
import functools
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.proving.random_networks.judged import Judged, drawn_and_judged, minimised

MOST_SECONDS = 90
"""A network that takes longer is skipped, and counted as slow."""

MISTAKES = ("wrong", "crash", "replay", "division", "state", "dtype", "layout", "gradients")

KINDS = (*MISTAKES, "values")
"""All kinds of findings; verdicts are about zeros and ones, so `values` is not a mistake."""


class SlowError(BaseException):
    """A network takes too long. Not an Exception, since a network may catch those."""


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--networks", type=int, default=10_000, help="how many to draw")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="when to stop drawing")
    parser.add_argument(
        "--show",
        nargs="+",
        default=[*KINDS],
        choices=KINDS,
        metavar="KIND",
        help=f"the kinds of findings to print: {', '.join(KINDS)}",
    )
    parser.add_argument("--minimise", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args()
    counts, started = Counter[str](), time.monotonic()
    for seed in range(options.seed, options.seed + options.networks):
        if time.monotonic() - started > options.seconds:
            break
        found = _within(MOST_SECONDS, functools.partial(drawn_and_judged, seed))
        counts.update(_counted(found))
        if counts["networks"] % 50 == 0:
            print(f"{counts['networks']} networks", file=sys.stderr)
        if found is None or found.kinds:
            _show(seed, found, options.show, minimise=options.minimise)
    print(f"{counts.pop('networks', 0)} networks, {time.monotonic() - started:.0f} seconds")
    for name, count in counts.most_common():
        print(f"{count:6} {name}")
    return int(any(counts[kind] for kind in MISTAKES))


def _within(seconds: int, work: Callable[[], Judged]) -> Judged | None:
    """Do some work; return None if it takes too long."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise SlowError

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        return work()
    except SlowError:
        return None
    finally:
        signal.alarm(0)


def _counted(found: Judged | None) -> list[str]:
    if found is None:
        return ["networks", "slow"]
    verdict = [found.proof.verdict] if found.proof else []
    return ["networks", *verdict, *found.kinds]


def _show(seed: int, found: Judged | None, kinds: list[str], *, minimise: bool) -> None:
    if found is None:
        print(f"== seed {seed}: slow", flush=True)
        return
    for kind in sorted(found.kinds & {*kinds}):
        smallest = (
            _within(MOST_SECONDS, functools.partial(minimised, found, kind)) if minimise else found
        )
        smallest = smallest or found
        verdict = smallest.proof.verdict if smallest.proof else smallest.error
        print(f"== seed {seed}: {kind} ({verdict})\n{smallest.network.text}")
        texts = [finding.text for finding in smallest.findings if finding.kind == kind]
        print("\n".join(f"#  {text}" for text in texts[:2]), flush=True)


if __name__ == "__main__":
    sys.exit(main())
