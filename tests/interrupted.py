"""Train in processes that are killed, and compare the results with those of undisturbed training.

``python interrupted.py WAY OPTIMIZER...`` prints how many processes were killed. The processes are
forked, which saves each of them importing PyTorch; so this process must not train itself, as
PyTorch's threads do not survive a fork.
"""

import functools
import itertools
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors.torch
import sklearn.datasets  # noqa: F401  # imported before the forks, as the next
import torch
import torch._dynamo  # which every optimizer imports

from shapezoo import recipes
from shapezoo.recipes import runs
from shapezoo.recipes.runs import Run, RunConfig
from shapezoo.train import Event
from shapezoo.weights import weight_files

RESULTS = ("model.safetensors", "metrics.jsonl", "confusion.tsv")


def train(folder: Path, optimizer: str, *observers: Callable[[Event], None]) -> None:
    config = RunConfig(
        "mlp", data="breast_cancer", epochs=4, batch_size=96, optimizer=optimizer, lr=0.01
    )
    is_begun = (folder / "config.json").exists()
    recipes.train(Run.open(folder) if is_begun else config, run=folder, observers=observers)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def at_the_call(number: int) -> None:
    """Die before or after this call of a function that writes to the disk."""
    calls = 0

    def watched(original: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **keywords: object) -> object:
            nonlocal calls
            calls += 1
            if calls == number:
                die()
            result = original(*arguments, **keywords)
            calls += 1
            if calls == number:
                die()
            return result

        return call

    for name in ("replace", "fsync", "mkdir"):
        setattr(os, name, watched(getattr(os, name)))


def in_the_middle_of_a_file(number: int) -> None:
    """Die when half of this checkpoint, or of the weights after the last one, has been written."""
    saved = 0

    def save_file(tensors: dict[str, torch.Tensor], path: Path, metadata: Any) -> None:
        nonlocal saved
        saved += 1
        content = safetensors.torch.save(tensors, metadata)
        path.write_bytes(content[: len(content) // 2] if saved == number else content)
        if saved == number:
            die()

    setattr(weight_files, "save_file", save_file)  # noqa: B010  # no attribute for mypy


def cut_off(
    folder: Path,
    optimizer: str,
    *,
    sabotage: Callable[[], None] | None = None,
    seconds: float | None = None,
) -> bool:
    """Return whether a training was killed, by its sabotage or after some seconds."""
    child = os.fork()
    if child == 0:
        try:
            if sabotage:
                sabotage()
            train(folder, optimizer)
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            os._exit(1)
        os._exit(0)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or status == 0, "it failed in another way"
    return status != 0


def results(folder: Path) -> list[bytes]:
    leftovers = [path.name for path in folder.iterdir() if path.name.endswith(".tmp")]
    assert leftovers == [], leftovers
    return [(folder / name).read_bytes() for name in RESULTS]


def main(way: str, optimizer: str) -> int:
    """Return how many processes were killed."""
    for name in ("draw_confusion", "draw_curves"):
        setattr(runs, name, lambda *_, **__: None)  # slow, and not part of the test
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        start = time.perf_counter()
        assert not cut_off(root / "undisturbed", optimizer)
        whole = time.perf_counter() - start
        expected = results(root / "undisturbed")
        if way == "moments":
            moments = random.Random(optimizer)
            folder = root / "run"
            times = sum(
                cut_off(folder, optimizer, seconds=moments.uniform(0, whole)) for _ in range(12)
            )
            assert not cut_off(folder, optimizer)
            assert results(folder) == expected
            return times
        sabotage = {"calls": at_the_call, "files": in_the_middle_of_a_file}[way]
        for number in itertools.count(1):
            folder = root / f"run{number}"
            if not cut_off(folder, optimizer, sabotage=functools.partial(sabotage, number)):
                return number - 1
            assert not cut_off(folder, optimizer)
            assert results(folder) == expected, number
    raise AssertionError


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(sum(main(sys.argv[1], optimizer) for optimizer in sys.argv[2:]))
