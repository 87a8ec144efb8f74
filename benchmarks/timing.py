"""Ratios of times, measured side by side: in turns, in one process, on one thread."""

import gc
import random
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext

import torch


def times(
    cases: Mapping[str, Callable[[], object]],
    *,
    rounds: int,
    calls: int = 1,
    around: Mapping[str, Callable[[], AbstractContextManager[None]]] | None = None,
) -> dict[str, list[float]]:
    """Seconds for one call of each case, once a round, in another order each round.

    In a fixed order each case would suffer from what its predecessor does to the caches.

    Args:
        cases: What is timed.
        rounds: How often.
        calls: How many calls of a case make one measurement.
        around: A context to enter for the calls of a case; entering it is not timed.
    """
    torch.set_num_threads(1)
    contexts = {name: (around or {}).get(name, nullcontext) for name in cases}
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    names = list(cases)
    for name in names:
        with contexts[name]():
            for _ in range(10):
                cases[name]()
    gc.collect()
    gc.disable()
    order = random.Random(0)
    for _ in range(rounds):
        for name in order.sample(names, len(names)):
            run = cases[name]
            with contexts[name]():
                start = time.perf_counter()
                for _ in range(calls):
                    run()
                seconds[name].append((time.perf_counter() - start) / calls)
    gc.enable()
    return seconds


def table(title: str, seconds: Mapping[str, list[float]]) -> None:
    """Print the median time of each case, and the median over rounds of its ratio to the first."""
    base = next(iter(seconds.values()))
    print(f"\n{title}\n{'':26}{'median':>12}{'ratio':>9}", flush=True)
    for name, values in seconds.items():
        ratio = statistics.median(v / b for v, b in zip(values, base, strict=True))
        print(f"{name:26}{statistics.median(values) * 1e6:9.2f} us{ratio:9.3f}", flush=True)
