"""Several processes that train one model together, and sums over them."""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from accelerate import Accelerator


@dataclass(frozen=True)
class Processes:
    """The processes of a training, as one of them sees them.

    Attributes:
        rank: The number of this process, from 0.
        size: The number of processes.
        total: Sums a tensor over all processes, which must all call it in the same order.
    """

    rank: int
    size: int
    total: Callable[[Tensor], Tensor]

    def totals(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Return the sum of each tensor over all processes, with one message per dtype."""
        sums: dict[int, Tensor] = {}
        for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
            group = [i for i, tensor in enumerate(tensors) if tensor.dtype == dtype]
            flat = self.total(torch.cat([tensors[i].flatten() for i in group]))
            parts = torch.split(flat, [tensors[i].numel() for i in group])
            sums |= {i: part.view_as(tensors[i]) for i, part in zip(group, parts, strict=True)}
        return [sums[i] for i in range(len(tensors))]

    def numbers(self, *values: float, device: torch.device) -> list[float]:
        """Return the sum of each number over all processes."""
        if self.size == 1:
            return list(values)
        return self.total(torch.tensor(values, dtype=torch.float64, device=device)).tolist()


ALONE = Processes(rank=0, size=1, total=lambda tensor: tensor)
"""Training in a single process."""


@contextlib.contextmanager
def joined(*, timeout: timedelta = timedelta(minutes=10)) -> Iterator[Processes]:
    """Join the processes that ``torchrun`` has started; without it, yield `ALONE`.

    On a machine with several accelerators each process uses the one of its local rank.

    Args:
        timeout: How long a process waits for the others before it fails.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield ALONE
        return
    from torch import distributed
    from torch.distributed.rendezvous import rendezvous

    if torch.accelerator.device_count() > 1:
        torch.accelerator.set_device_index(int(os.environ["LOCAL_RANK"]))
    store, rank, size = next(rendezvous("env://", timeout=timeout))
    # documented, but missing from __all__
    store = distributed.PrefixStore(f"start {_restarts()}", store)  # type: ignore[attr-defined]
    distributed.init_process_group(store=store, rank=rank, world_size=size, timeout=timeout)
    try:
        yield Processes(distributed.get_rank(), distributed.get_world_size(), _all_reduced)
    finally:
        distributed.destroy_process_group()


def accelerated(accelerator: "Accelerator") -> Processes:
    """Return the processes that ``accelerate launch`` has started.

    Args:
        accelerator: An `accelerate.Accelerator`. Do not pass the model and the data to its
            ``prepare``: training distributes the data and sums the gradients itself.
    """

    def total(tensor: Tensor) -> Tensor:
        summed = accelerator.reduce(tensor, reduction="sum")
        assert isinstance(summed, Tensor)  # for mypy: it returns the type that it is given
        return summed

    return Processes(accelerator.process_index, accelerator.num_processes, total)


def _restarts() -> int:
    """Return how often ``torchrun`` has restarted the processes.

    The store survives a restart, and with it the addresses of processes that have ended
    (https://github.com/pytorch/pytorch/issues/135712), so each start needs its own prefix. Machines
    count their restarts separately, so the count can only be used if there is one machine.
    """
    is_only_machine = os.environ["LOCAL_WORLD_SIZE"] == os.environ["WORLD_SIZE"]
    return int(os.environ["TORCHELASTIC_RESTART_COUNT"]) if is_only_machine else 0


def _all_reduced(tensor: Tensor) -> Tensor:
    from torch import distributed

    distributed.all_reduce(tensor)
    return tensor


def average_buffers(
    processes: Processes, buffers: Mapping[str, Tensor], before: Mapping[str, Tensor], weight: float
) -> None:
    """Average in place what the processes have changed in their buffers, such as BatchNorm's.

    The mean of the changes, rather than of the values, leaves unchanged buffers exactly as they
    were. Boolean buffers are left alone, as they have no mean.

    Args:
        processes: The processes.
        buffers: The buffers after a step of this process.
        before: Their values before the step, which are the same in all processes.
        weight: The share of all examples that this process had.
    """
    changing = {name: b for name, b in buffers.items() if b.dtype != torch.bool}
    # decided by the values before the step, so that all processes send the same messages
    finite = {name: b for name, b in changing.items() if before[name].isfinite().all()}
    changes = [
        torch.where(now == before[name], 0, now - before[name]) * weight
        for name, now in finite.items()
    ]
    for (name, now), change in zip(finite.items(), processes.totals(changes), strict=True):
        mean = change if now.is_floating_point() else change.round()
        now.copy_(before[name] + mean.to(now.dtype))
    for name in [name for name in changing if name not in finite]:
        _average_values(processes, changing[name], before[name], weight)


def _average_values(processes: Processes, now: Tensor, before: Tensor, weight: float) -> None:
    """Average in place the values that have changed; a change from infinity has no difference."""
    is_changed = ~((now == before) | (now.isnan() & before.isnan()))
    weights = is_changed.to(now.dtype) * weight
    values = torch.where(is_changed, now, 0) * weights
    total, total_weight = processes.totals([values, weights])
    now.copy_(torch.where(total_weight > 0, total / total_weight, before))
