"""Measure the cost of training with shapezoo against plain PyTorch.

Covers steps, batches, whole runs and checkpoints. Run `python benchmarks/training.py`.
"""

import copy
import functools
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import torch
from timing import table, times
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset

from shapezoo.data import ImageBatch, ImageDataset, TableBatch, digits, loader
from shapezoo.data.packaged import FILES
from shapezoo.models import MLP, lenet, resnet_small
from shapezoo.train import (
    ALONE,
    Checkpoint,
    State,
    constant,
    init,
    load_checkpoint,
    save_checkpoint,
    train_step,
)
from shapezoo.train.steps import losses
from shapezoo.train.steps.step import Batch, StepSettings, Training

# so small a learning rate that the weights hardly change: all steps compute with similar values
make_optimizer = functools.partial(torch.optim.Adam, lr=1e-7)
Case = Callable[[], object]


def images(batch: int, channels: int, side: int) -> ImageBatch:
    """Return a batch of random images and labels."""
    return ImageBatch(torch.rand(batch, channels, side, side), torch.randint(10, (batch,)))


def ordinary(model: nn.Module, batch: Batch) -> Case:
    """Return an ordinary in-place training step."""
    model.train()
    optimizer = make_optimizer(list(model.parameters()))

    def step() -> float:
        optimizer.zero_grad()
        loss = cross_entropy(model(*batch.inputs), batch.targets)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def pure(model: nn.Module, batch: Batch) -> Case:
    """Return a step of `train_step`, from one state to the next."""
    state = init(model, make_optimizer)

    def step() -> float:
        nonlocal state
        state, loss = train_step(model, make_optimizer, state, batch)
        return loss

    return step


def in_place(model: nn.Module, batch: Batch, stack: ExitStack) -> Case:
    """Return a training step of `fit`; it is valid until the stack closes."""
    settings = StepSettings(losses.cross_entropy, constant, None, None, "continue", ALONE)
    training = Training(model, make_optimizer, init(model, make_optimizer), settings)
    stack.enter_context(training.running())
    return lambda: training.step([batch])


def steps(rounds: int, *, calls: int = 5) -> None:
    """Measure a step of `fit` and of `train_step` against an ordinary one."""
    for title, model, batch in (
        ("LeNet, 32 images", lenet(), images(32, 1, 28)),
        (
            "MLP 784-256-10, 64 rows",
            MLP(784, 10, hidden_features=[256]),
            TableBatch(torch.randn(64, 784), torch.randint(10, (64,))),
        ),
        ("resnet_small, 32 images", resnet_small(), images(32, 1, 28)),
    ):
        with ExitStack() as stack:
            cases = {
                "ordinary": ordinary(copy.deepcopy(model), batch),
                "ordinary again": ordinary(copy.deepcopy(model), batch),
                "fit": in_place(copy.deepcopy(model), batch, stack),
                "train_step": pure(copy.deepcopy(model), batch),
            }
            table(f"a step: {title}", times(cases, rounds=rounds, calls=calls))


class Examples(Dataset[tuple[Tensor, int]]):
    """The same examples as a map-style dataset, one by one."""

    def __init__(self, dataset: ImageDataset) -> None:
        self._images, self._labels = dataset.images, dataset.labels.tolist()

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self._images[index].float() / 255, self._labels[index]


def epoch(rounds: int, *, num_workers: int = 2) -> None:
    """Measure the iteration over the batches of an epoch, without training."""
    data = digits().train
    generator = torch.Generator().manual_seed(0)
    by_example = functools.partial(DataLoader, Examples(data), 32, shuffle=True)
    workers = f"{num_workers} workers"
    sources = {
        "batches": lambda: data.batches(32, generator),
        "DataLoader": by_example,
        f"DataLoader, {workers}": lambda: by_example(num_workers=num_workers),
        f"loader, {workers}": lambda: loader(data, 32, generator, num_workers=num_workers),
    }
    cases = {name: functools.partial(exhaust, source) for name, source in sources.items()}
    measured = times(cases, rounds=rounds, warm_up=1)
    table(f"the batches of an epoch, {len(data)} digits", measured, "ms")


def exhaust(source: Callable[[], object]) -> int:
    """Iterate over the batches of an epoch, and count them."""
    return sum(1 for _ in source())


def wide() -> nn.Sequential:
    """Build a network of three convolutions with 64 feature maps at full resolution."""
    layers: list[nn.Module] = []
    for in_channels in (3, 64, 64):
        layers += [nn.Conv2d(in_channels, 64, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def layouts(rounds: int, *, compiled: bool = True) -> None:
    """Measure a step of `fit` in both memory formats, eager and compiled."""
    for title, model, batch in (
        ("resnet_small, 32x1x28x28", resnet_small(), images(32, 1, 28)),
        ("3 x 64 maps, 32x3x32x32", wide(), images(32, 3, 32)),
    ):
        cases: dict[str, Case] = {}
        with ExitStack() as stack:
            for kind in ("eager", "compiled") if compiled else ("eager",):
                for layout in (torch.contiguous_format, torch.channels_last):
                    ours = copy.deepcopy(model).to(memory_format=layout)
                    if kind == "compiled":
                        ours.compile()
                    laid = ImageBatch(batch.images.contiguous(memory_format=layout), batch.labels)
                    suffix = ", channels last" if layout == torch.channels_last else ""
                    cases[kind + suffix] = in_place(ours, laid, stack)
            measured = times(cases, rounds=rounds, warm_up=3)
        table(f"a step of fit: {title}", measured, "ms")
        torch.compiler.reset()


# A small process in between: right after a fork, the peak memory of a child includes that of its
# parent, which would be this large process.
LAUNCH = """
import os, sys
quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=quiet)
_, status, usage = os.wait4(child, 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def commands(folder: Path, epochs: int) -> dict[str, list[str]]:
    """Return the command lines of a whole training: the plain PyTorch script, and shapezoo."""
    script, data = Path(__file__).with_name("bare_lenet.py"), FILES / "digits.safetensors"
    number = str(epochs)
    return {
        "by hand": [str(script), str(data), str(folder), number],
        "shapezoo": ["-m", "shapezoo", "train", "lenet", "--run", str(folder), "--epochs", number],
    }


def whole(rounds: int, *, epochs: int = 10) -> None:
    """Measure the time and the memory of a training from the command line."""
    memory: dict[str, list[float]] = {name: [] for name in commands(Path(), epochs)}

    def run(name: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            command = commands(Path(folder, "run"), epochs)[name]
            outcome = subprocess.run(
                [sys.executable, "-ISc", LAUNCH, sys.executable, *command],
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                stdout=subprocess.PIPE,
                check=True,
            )
        memory[name].append(1024 * float(outcome.stdout))

    cases = {name: functools.partial(run, name) for name in memory}
    title = f"train lenet, {epochs} epochs"
    table(f"{title}: time", times(cases, rounds=rounds, warm_up=1), "s")
    table(f"{title}: peak memory", {name: m[-rounds:] for name, m in memory.items()}, "MB")


def checkpoint(rounds: int, *, width: int = 2048) -> None:
    """Measure saving and loading a checkpoint; torch.save does not wait for the disk."""
    model = nn.Sequential(*(nn.Linear(width, width) for _ in range(6)))
    batch = TableBatch(torch.randn(1, width), torch.zeros(1, dtype=torch.int64))
    state, _ = train_step(model, make_optimizer, init(model, make_optimizer), batch)
    with tempfile.TemporaryDirectory() as folder:
        theirs, ours = Path(folder, "theirs.pt"), Path(folder, "ours.safetensors")
        saving = {
            "torch.save": lambda: torch.save(vars(state), theirs),
            "torch.save, on the disk": lambda: save_synced(state, theirs),
            "save_checkpoint": lambda: save_checkpoint(Checkpoint(state), ours),
        }
        millions = sum(value.numel() for value in state.parameters.values()) / 1e6
        title = f"a checkpoint, {millions:.1f} M parameters and Adam"
        table(f"{title}: saving", times(saving, rounds=rounds, warm_up=1), "ms")
        loading = {
            "torch.load": lambda: torch.load(theirs),
            "load_checkpoint": lambda: load_checkpoint(ours),
        }
        table(f"{title}: loading", times(loading, rounds=rounds, warm_up=1), "ms")


def save_synced(state: State, path: Path) -> None:
    """Call torch.save, and wait until the file is on the disk."""
    with path.open("wb") as file:
        torch.save(vars(state), file)
        file.flush()
        os.fsync(file.fileno())


if __name__ == "__main__":
    torch.manual_seed(0)
    steps(101)
    epoch(21)
    layouts(21)
    whole(5)
    checkpoint(5)
