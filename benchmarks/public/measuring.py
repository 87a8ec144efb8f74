"""Prove one network in its own process: the verdict, its cost, and whether it is right."""

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
    """The results for a network.

    Attributes:
        name: Name of the network.
        verdict: The verdict; ``too much`` if the proof ran out of CPU time or memory, ``skipped``
            if a package is missing.
        regions: Number of regions.
        seconds: CPU seconds of the proof.
        megabytes: Peak memory of the proof, without what the process used before.
        text: The preconditions, or the reason.
        full: The whole verdict as text.
        tried: Number of sizes at which the network was run.
        accepted: Number of these sizes that the network accepts.
        wrong: Descriptions of the sizes at which the verdict is wrong.
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
    """Prove a network in its own process, and check the verdict by brute force."""
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
    """Send a row as soon as there is a verdict, and again after the check by brute force."""
    row = Row(network.name)
    try:
        _limit_memory()
        model = network.build().eval()
        before = _memory("VmRSS")
        # reset the peak, so that building the model does not count
        Path("/proc/self/clear_refs").write_text("5")
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
    """Return the memory of this process in MB: current (``VmRSS``) or peak (``VmHWM``)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/self/status has no {key}; this script needs Linux")
