"""Measure the peak memory of `fit` and of an ordinary loop, in multiples of the model's size.

The model itself is not counted. Run `python benchmarks/training_memory.py`. Each case runs in its
own process.
"""

import functools
import gc
import multiprocessing
import resource
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from shapezoo.data import TableBatch
from shapezoo.train import Checkpoint, fit, init, save_checkpoint

WIDTH, LAYERS, EPOCHS = 2048, 12, 3
make_optimizer = functools.partial(torch.optim.Adam, lr=1e-5)


class Rows:
    """Random rows with labels."""

    def __len__(self) -> int:
        return 8

    def select(self, indices: Tensor) -> TableBatch:
        """Return the rows at these indices."""
        generator = torch.Generator().manual_seed(0)
        return TableBatch(
            torch.randn(8, WIDTH, generator=generator)[indices],
            torch.randint(10, (8,), generator=generator)[indices],
        )


def ordinary(model: nn.Module) -> None:
    """Train in an ordinary in-place loop."""
    optimizer = make_optimizer(model.parameters())
    for _ in range(EPOCHS):
        model.train()
        batch = Rows().select(torch.arange(8))
        optimizer.zero_grad()
        cross_entropy(model(batch.features), batch.targets).backward()
        optimizer.step()
        model.eval()
        with torch.no_grad():
            cross_entropy(model(batch.features), batch.targets).item()


def ours(
    model: nn.Module,
    *,
    save: Callable[[Checkpoint], None] | None = None,
    patience: int | None = None,
) -> None:
    """Train with `fit`. Arguments in a dict to unpack would keep the initial state alive."""
    fit(
        model,
        make_optimizer,
        init(model, make_optimizer),
        Rows(),
        Rows(),
        epochs=EPOCHS,
        batch_size=8,
        save=save,
        patience=patience,
    )


def saving(model: nn.Module, *, patience: int | None = None) -> None:
    """Train with `fit` and checkpoints."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "checkpoint.safetensors")
        ours(model, save=lambda checkpoint: save_checkpoint(checkpoint, file), patience=patience)


CASES = {
    "ordinary": ordinary,
    "fit": ours,
    "fit, save": saving,
    "fit, save, patience": functools.partial(saving, patience=5),
}


def peak(name: str) -> float:
    """Train in this process; return the peak memory minus the model, in multiples of its size."""
    torch.set_num_threads(1)
    model = nn.Sequential(*(nn.Linear(WIDTH, WIDTH) for _ in range(LAYERS)), nn.Linear(WIDTH, 10))
    size = sum(p.numel() * p.element_size() for p in model.parameters())
    gc.collect()
    tiny = nn.Linear(2, 2)  # the first optimizer imports modules, which must not count
    make_optimizer(tiny.parameters())
    before = resident()
    CASES[name](model)
    return (1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / size


def resident() -> float:
    """Return the resident memory of this process, in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for name in sys.argv[1:] or CASES:
            print(f"{name:20} {pool.apply(peak, (name,)):.2f}")
