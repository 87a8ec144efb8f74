"""Several processes that train one model together, and how they add up."""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from accelerate import Accelerator


@dataclass(frozen=True)
class Processes:
    """The processes of a training, seen from one of them.

    Attributes:
        rank: The number of this process, from 0.
        size: How many there are.
        total: The sum of a tensor over all processes. All must call it, in the same order.
    """

    rank: int
    size: int
    total: Callable[[Tensor], Tensor]

    def totals(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """The sum of each tensor over all processes, in one message for each dtype."""
        sums: dict[int, Tensor] = {}
        for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
            group = [i for i, tensor in enumerate(tensors) if tensor.dtype == dtype]
            flat = self.total(torch.cat([tensors[i].flatten() for i in group]))
            parts = torch.split(flat, [tensors[i].numel() for i in group])
            sums |= {i: part.view_as(tensors[i]) for i, part in zip(group, parts, strict=True)}
        return [sums[i] for i in range(len(tensors))]

    def numbers(self, *values: float, device: torch.device) -> list[float]:
        """The sums of some numbers over all processes."""
        if self.size == 1:
            return list(values)
        return self.total(torch.tensor(values, dtype=torch.float64, device=device)).tolist()


ALONE = Processes(rank=0, size=1, total=lambda tensor: tensor)
"""A training in one process."""


@contextlib.contextmanager
def joined(*, timeout: timedelta = timedelta(minutes=10)) -> Iterator[Processes]:
    """The processes that ``torchrun`` has started, or `ALONE` where it has not.

    On a machine with several accelerators each process gets one of its own.

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
    store = distributed.PrefixStore(f"start {_restarts()}", store)  # type: ignore[attr-defined]  # documented, not exported
    distributed.init_process_group(store=store, rank=rank, world_size=size, timeout=timeout)
    try:
        yield Processes(distributed.get_rank(), distributed.get_world_size(), _all_reduced)
    finally:
        distributed.destroy_process_group()


def accelerated(accelerator: "Accelerator") -> Processes:
    """The processes that ``accelerate launch`` has started.

    Args:
        accelerator: An `accelerate.Accelerator`. The model and the data are not to be prepared
            by it: a training shares out the data and adds up the gradients itself.
    """

    def total(tensor: Tensor) -> Tensor:
        summed = accelerator.reduce(tensor, reduction="sum")
        assert isinstance(summed, Tensor)  # as was given
        return summed

    return Processes(accelerator.process_index, accelerator.num_processes, total)


def _restarts() -> int:
    """How often ``torchrun`` has started the processes anew.

    It keeps its store over a restart, and with it the addresses of processes that are gone
    (https://github.com/pytorch/pytorch/issues/135712), so each start needs keys of its own. Each
    machine counts on its own, so this serves where there is one.
    """
    is_only_machine = os.environ["LOCAL_WORLD_SIZE"] == os.environ["WORLD_SIZE"]
    return int(os.environ["TORCHELASTIC_RESTART_COUNT"]) if is_only_machine else 0


def _all_reduced(tensor: Tensor) -> Tensor:
    from torch import distributed

    distributed.all_reduce(tensor)
    return tensor
