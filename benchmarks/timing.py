"""Compare running times side by side: in turn, in one process, on one thread."""

import gc
import random
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch

PER_UNIT = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "MB": 1e6}


def times(
    cases: Mapping[str, Callable[[], object]],
    *,
    rounds: int,
    calls: int = 1,
    warm_up: int = 10,
    around: Mapping[str, Callable[[], AbstractContextManager[None]]] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Return the seconds per call of each case, one value per round.

    The order of the cases is random in each round. In a fixed order, each case would always find
    the caches in the state in which the same other case left them.

    Args:
        cases: The functions to time.
        rounds: Number of measurements of each case.
        calls: Number of calls per measurement.
        warm_up: Number of calls of each case before the first measurement.
        around: A context manager to enter around the calls of a case; entering it is not timed.
        clock: The clock; `time.process_time` does not count the work of other processes.
    """
    torch.set_num_threads(1)
    contexts = {name: (around or {}).get(name, nullcontext) for name in cases}
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    names = list(cases)
    for name in names:
        with contexts[name]():
            for _ in range(warm_up):
                cases[name]()
    gc.collect()
    gc.disable()
    order = random.Random(0)
    for _ in range(rounds):
        for name in order.sample(names, len(names)):
            run = cases[name]
            with contexts[name]():
                start = clock()
                for _ in range(calls):
                    run()
                seconds[name].append((clock() - start) / calls)
    gc.enable()
    return seconds


def table(
    title: str,
    measured: Mapping[str, list[float]],
    unit: Literal["us", "ms", "s", "MB"] = "us",
) -> None:
    """Print the median of each case, and the median over rounds of its ratio to the first.

    Args:
        title: Title of the table.
        measured: Seconds or bytes of each case, one value per round.
        unit: Unit of the printed medians.
    """
    base = next(iter(measured.values()))
    print(f"\n{title}\n{'':26}{'median':>12}{'ratio':>9}", flush=True)
    for name, values in measured.items():
        ratio = statistics.median(v / b for v, b in zip(values, base, strict=True))
        median = statistics.median(values) / PER_UNIT[unit]
        print(f"{name:26}{median:9.2f} {unit:2}{ratio:9.3f}", flush=True)
