"""The tasks of the processes in test_processes.py: ``torchrun worker.py TASK[,TASK] FOLDER``.

Each process writes what it found in each task to ``FOLDER/RANK.json``.
"""

import contextlib
import functools
import itertools
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypedDict, Unpack

import pytest
import torch
from accelerate import Accelerator
from safetensors import safe_open
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from shapezoo.data import digits
from shapezoo.models import lenet
from shapezoo.train import (
    OPTIMIZERS,
    Batch,
    Checkpoint,
    Event,
    MakeOptimizer,
    Processes,
    State,
    StepDone,
    accelerated,
    choose_optimizer,
    evaluate,
    fit,
    init,
    install,
    joined,
    load_checkpoint,
    save_checkpoint,
    train_step,
)

NAMES, FOLDER = sys.argv[1].split(","), Path(sys.argv[2])
MAKE: dict[str, MakeOptimizer] = {
    **{name: choose_optimizer(name, lr=0.01) for name in OPTIMIZERS},
    "lbfgs": choose_optimizer("lbfgs", lr=0.01, max_iter=3),
}


class Options(TypedDict, total=False):
    """Further arguments of `fit`."""

    processes: Processes
    accumulate: int
    clip_norm: float | None
    save: Callable[[Checkpoint], None]
    save_every: int
    stop: Callable[[], bool]


@dataclass(frozen=True)
class Points:
    """A dataset, and a batch of it."""

    features: Tensor
    labels: Tensor

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        return (self.features,)

    @property
    def targets(self) -> Tensor:
        return self.labels

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device) -> "Points":
        return Points(self.features.to(device), self.labels.to(device))

    def select(self, indices: Tensor) -> "Points":
        return Points(self.features[indices], self.labels[indices])


class Partly(nn.Module):
    """Has a frozen layer, one that the loss does not use, and a buffer that no file has."""

    mask: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.frozen = nn.Linear(6, 7).requires_grad_(False)
        self.unused = nn.Linear(6, 7)
        self.head = nn.Linear(7, 3)
        self.register_buffer("mask", torch.tensor([0.0, 0.0, -torch.inf]), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(torch.tanh(self.frozen(x)))
        return logits + self.mask.clamp_min(-1)


class Tied(nn.Module):
    """Uses a matrix in two places."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3)
        self.second.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(torch.tanh(self.second(torch.tanh(self.first(x)))))
        return logits


def noisy() -> nn.Module:
    return nn.Sequential(
        nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3)
    )


def built(make_model: Callable[[], nn.Module], dtype: torch.dtype = torch.float64) -> nn.Module:
    torch.manual_seed(1)
    return make_model().to(dtype)


def points(count: int, dtype: torch.dtype = torch.float64) -> Points:
    generator = torch.Generator().manual_seed(count)
    features = torch.randn(count, 6, generator=generator, dtype=dtype)
    return Points(features, torch.randint(3, (count,), generator=generator))


def pictures(count: int, dtype: torch.dtype = torch.float64) -> Points:
    images = digits().train
    return Points(images.images[:count].to(dtype) / 255, images.labels[:count])


def sharded(model: nn.Module, processes: Processes) -> nn.Module:
    """The parameters of each layer, and what is left, in parts on all processes."""
    mesh = init_device_mesh("cpu", (processes.size,))
    for layer in model.children():
        if isinstance(layer, nn.Sequential):
            fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    return model


def trained(
    model: nn.Module,
    make_optimizer: MakeOptimizer,
    train: Points,
    test: Points,
    *,
    start: State | Checkpoint | None = None,
    **options: Unpack[Options],
) -> tuple[State, list[float]]:
    """The state after two epochs, and all losses and accuracies on the way."""
    numbers = list[float]()

    def observe(event: Event) -> None:
        numbers.append(event.loss)
        if not isinstance(event, StepDone):
            numbers.extend([event.test.loss, event.test.accuracy or 0.0, event.test.examples])

    state = fit(
        model,
        make_optimizer,
        start or init(model, make_optimizer, seed=5),
        train,
        test,
        epochs=2,
        batch_size=5,
        observers=[observe],
        **options,
    )
    return state, numbers


def whole(state: State) -> State:
    """The state with the parts of each parameter put together; without its optimizer, if so."""
    if not any(isinstance(value, DTensor) for value in state.parameters.values()):
        return state
    parameters = {
        name: value.full_tensor() if isinstance(value, DTensor) else value
        for name, value in state.parameters.items()
    }
    return replace(state, parameters=parameters, optimizer={})


def digest(state: State) -> str:
    path = FOLDER / f"digest-{os.getpid()}"
    save_checkpoint(Checkpoint(whole(state)), path)
    with safe_open(path, "pt") as file:
        return str(file.metadata())


def compared(alone: tuple[State, list[float]], several: tuple[State, list[float]]) -> Any:
    """Return the difference of several processes from one, and their state."""
    (one, expected), (state, numbers) = alone, (whole(several[0]), several[1])
    assert len(expected) == len(numbers), (expected, numbers)
    return {
        "losses": max(abs(a - b) for a, b in zip(expected, numbers, strict=True)),
        "parameters": max(
            (one.parameters[name] - value).abs().max().item()
            for name, value in state.parameters.items()
        ),
        "moved": (state.step, len(numbers)),
        "digest": digest(several[0]),
    }


def equal(processes: Processes) -> dict[str, Any]:
    """Trainings that reach what one process reaches; in batches of 5, 5 and 1, tests of 5 and 1."""
    found = dict[str, Any]()
    for name, make_optimizer in MAKE.items():
        for options in (Options(), Options(clip_norm=0.05, accumulate=2)):
            run = functools.partial(
                trained, built(Partly), make_optimizer, points(11), points(6), **options
            )
            found[f"{name} {options}"] = compared(run(), run(processes=processes))
    for name in ("sgd", "adam", "lbfgs"):
        for dtype in (torch.float64, torch.float32):
            model, data = built(lenet, dtype), (pictures(11, dtype), pictures(6, dtype))
            run = functools.partial(trained, model, MAKE[name], *data)
            found[f"lenet {name} {dtype}"] = compared(run(), run(processes=processes))
    return found


def random(processes: Processes) -> dict[str, Any]:
    """Dropout and BatchNorm: other masks in each process, the same state in all."""
    model, data = built(noisy), (points(14), points(6))  # batches of 5, 5 and 4
    masks = list[list[bool]]()
    model.get_submodule("3").register_forward_hook(
        lambda module, inputs, output: masks.append((output != 0)[:2].flatten().tolist())
    )
    state, _ = trained(model, MAKE["adam"], *data, processes=processes)
    return {
        "masks": masks[:6],
        "digest": digest(state),
        "steps": state.buffers["1.num_batches_tracked"].item(),
        "lbfgs": digest(trained(model, MAKE["lbfgs"], *data, processes=processes)[0]),
    }


def stopped(processes: Processes) -> dict[str, Any]:
    """Process 1 wants to stop after 4 of 6 steps; then both go on, and one alone."""
    kept, path = list[Checkpoint](), FOLDER / "checkpoint"
    asked = iter([False, False, False, processes.rank == 1, False, False])
    run = functools.partial(trained, built(noisy), MAKE["adam"], points(14), points(6))
    state, _ = run(processes=processes, save=kept.append, stop=lambda: next(asked))
    if processes.rank == 0:
        save_checkpoint(kept[-1], path)
    processes.numbers(1, device=state.device)  # waits for the others
    loaded, _ = load_checkpoint(path)
    return {
        "step": state.step,
        "whole": digest(run(processes=processes)[0]),
        "resumed": digest(run(processes=processes, start=loaded)[0]),
        "alone": digest(run(start=loaded)[0]),
        "alone from memory": digest(run(start=kept[-1])[0]),
    }


def parts(processes: Processes) -> dict[str, Any]:
    """Sharded models reach the results of one process."""
    found = dict[str, Any]()
    for make_model, names, data in (
        (Partly, sorted(MAKE.keys() - {"lbfgs", "rprop"}), (points(11), points(6))),
        (Tied, ["sgd"], (points(11), points(6))),
        (lenet, ["sgd", "adam"], (pictures(11), pictures(6))),
    ):
        for name, clip_norm in itertools.product(names, (None, 0.05)):
            model = sharded(built(make_model), processes)
            model(data[0].select(torch.arange(2)).features)  # which puts the parts together
            several = trained(model, MAKE[name], *data, processes=processes, clip_norm=clip_norm)
            alone = trained(built(make_model), MAKE[name], *data, clip_norm=clip_norm)
            found[f"{make_model.__name__} {name} {clip_norm}"] = compared(alone, several)
            install(model, several[0])
            installed = evaluate(model, init(model, MAKE[name]), [data[1]], processes=processes)
            found[f"{make_model.__name__} {name} {clip_norm}"]["installed"] = (
                installed.loss - alone[1][-3]
            )
    return found


def refused(processes: Processes) -> dict[str, Any]:
    """Errors for what sharded models do not support."""
    model, data, found = sharded(built(Partly), processes), points(6), dict[str, Any]()
    for name in ("lbfgs", "rprop"):
        with pytest.raises(ValueError, match="sharded") as error:
            train_step(model, MAKE[name], init(model, MAKE[name]), data, processes=processes)
        found[name] = str(error.value)
    with pytest.raises(ValueError, match="sharded") as error:
        save_checkpoint(Checkpoint(init(model, MAKE["sgd"])), FOLDER / "refused")
    return {**found, "checkpoint": str(error.value)}


def mixed(processes: Processes) -> dict[str, Any]:
    """Dropout and BatchNorm in parts are the same as in one piece on each process."""
    data, batches = (points(14), points(6)), list[Batch]([points(3), points(4)])
    found = dict[str, Any]()
    for make in (built, lambda make_model: sharded(built(make_model), processes)):
        model = make(noisy)
        state, _ = trained(model, MAKE["adam"], *data, processes=processes)
        state, _ = train_step(model, MAKE["adam"], state, batches, processes=processes)
        found[str(len(found))] = digest(replace(whole(state), optimizer={}))
    return found


def breaking(break_: Callable[[], object], processes: Processes) -> dict[str, Any]:
    """Process 1 breaks at step 4 of 6; those that are started anew go on from the checkpoint."""
    path, first = FOLDER / "checkpoint", os.environ["TORCHELASTIC_RESTART_COUNT"] == "0"
    steps, start = itertools.count(1), load_checkpoint(path)[0] if path.exists() else None

    def save(checkpoint: Checkpoint) -> None:
        if processes.rank == 0:
            save_checkpoint(checkpoint, path)

    def broken() -> bool:
        if processes.rank == 1 and first and next(steps) == 4:
            break_()
        return False

    run = functools.partial(trained, built(noisy), MAKE["adam"], points(14), points(6))
    state, _ = run(processes=processes, start=start, save=save, save_every=1, stop=broken)
    return {
        "started": start.state.step if start else 0,
        "resumed": digest(state),
        "whole": digest(run(processes=processes)[0]),
    }


TASKS: dict[str, Callable[[Processes], dict[str, Any]]] = {
    "equal": equal,
    "random": random,
    "stopped": stopped,
    "parts": parts,
    "refused": refused,
    "mixed": mixed,
    "dies": functools.partial(breaking, lambda: os._exit(3)),
    "killed": functools.partial(breaking, lambda: os.kill(os.getpid(), signal.SIGKILL)),
    "hangs": functools.partial(breaking, lambda: time.sleep(100)),
}


def joining() -> AbstractContextManager[Processes]:
    """Return the processes started by ``torchrun`` or ``accelerate launch``."""
    if "ACCELERATE_MIXED_PRECISION" in os.environ:
        return contextlib.nullcontext(accelerated(Accelerator(cpu=True)))
    return joined(timeout=timedelta(seconds=5 if NAMES == ["hangs"] else 60))


if __name__ == "__main__":
    torch.set_num_threads(1)
    with joining() as processes:
        found = {name: TASKS[name](processes) for name in NAMES}
        (FOLDER / f"{processes.rank}.json").write_text(json.dumps(found))
