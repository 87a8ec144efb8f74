"""One network in a process of its own: the verdict, what it costs, and whether it is right."""

import multiprocessing
import resource
import time
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from public.table import Network
from public.truth import truth
from shapezoo import prove

PROOF_SECONDS = 150
BYTES = 8 << 30


@dataclass
class Row:
    """What is known of a network.

    Attributes:
        name: Its name.
        verdict: The verdict; ``too much`` if the proof ran out of CPU or memory, ``skipped`` if a
            package is missing.
        regions: How many regions there are.
        seconds: CPU seconds of the proof.
        megabytes: Peak memory of the proof, above what the process held before.
        text: The preconditions, or the reason.
        full: The whole verdict as text.
        tried: How many sizes were run for comparison.
        accepted: How many of them the network accepts.
        wrong: Where the verdict is wrong, in words.
    """

    name: str
    verdict: str = "too much"
    regions: int = 0
    seconds: float = 0.0
    megabytes: float = 0.0
    text: str = ""
    full: str = ""
    tried: int = 0
    accepted: int = 0
    wrong: tuple[str, ...] = ()


def measure(network: Network, budget: float, truth_seconds: float) -> Row:
    """Prove a network in a process of its own, and compare with the truth."""
    here, there = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(
        target=_work, args=(network, budget, truth_seconds, there)
    )
    process.start()
    there.close()
    row = Row(network.name)
    try:
        while True:
            row = here.recv()
    except EOFError:
        process.join()
    return row


def _work(network: Network, budget: float, truth_seconds: float, answers: Connection) -> None:
    """Send a row as soon as there is a verdict, and again with the truth."""
    row = Row(network.name)
    try:
        _limit_memory()
        model = network.build().eval()
        before = _memory("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # the peak of the build does not count
        started = time.process_time()
        row.text = f"over {PROOF_SECONDS} s of CPU or {BYTES >> 30} GB"
        answers.send(row)
        _limit_seconds(PROOF_SECONDS)
        proof = prove(model, budget=budget)
        row.seconds = time.process_time() - started
        row.megabytes = _memory("VmHWM") - before
        row.verdict, row.regions = type(proof).__name__, len(proof.regions)
        where = " and ".join(map(str, proof.preconditions)) or "-"
        exact = "" if proof.is_exact else " (not exact)"
        row.text = getattr(proof, "reason", f"{where}{exact}")
        row.full = str(proof)
        answers.send(row)
        _limit_seconds(int(truth_seconds) + PROOF_SECONDS)
        found = truth(model, network.usual, proof, truth_seconds)
        row.tried, row.accepted, row.wrong = found.tried, found.accepted, tuple(found.wrong)
    except ImportError as error:
        row.verdict, row.text = "skipped", str(error)
    except Exception as error:
        row.verdict, row.text = "error", f"{type(error).__name__}: {error}".splitlines()[0]
        row.full = traceback.format_exc()
    answers.send(row)


def _limit_memory() -> None:
    total = int(_memory("VmSize")) * 2**20 + BYTES
    resource.setrlimit(resource.RLIMIT_AS, (total, total))


def _limit_seconds(seconds: int) -> None:
    until = int(time.process_time()) + seconds
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (until, hard))


def _memory(key: str) -> float:
    """Megabytes, of this process now (``VmRSS``) or at most so far (``VmHWM``)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/self/status has no {key}; this script needs Linux")
