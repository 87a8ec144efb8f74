"""One step of training as a pure function, and many of them in place on copies."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, Self, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from shapezoo.train import losses
from shapezoo.train.processes import ALONE, Processes
from shapezoo.train.schedules import Schedule, constant
from shapezoo.train.state import (
    MakeOptimizer,
    State,
    StateError,
    copied,
    generators,
    lent,
    require_same,
    reshard,
    seeded,
    tree_copied,
)

Loss = Callable[[Tensor, Tensor], Tensor]
"""Maps a model's output and the targets to a mean over the targets."""

# the one lays uneven parts in one row, the other writes to elements that it picks
_UNSHARDED = (torch.optim.LBFGS, torch.optim.Rprop)

# those of torch.optim in PyTorch 2.13 that can be off
_OPTIONS = {
    *("adjust_lr_fn", "amsgrad", "capturable", "centered", "decoupled_weight_decay"),
    *("differentiable", "foreach", "fused", "line_search_fn", "max_eval", "maximize", "nesterov"),
}


class Batch(Protocol):
    """Examples that a model can learn from."""

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """What a model takes."""
        ...

    @property
    def targets(self) -> Tensor:
        """What a loss compares with."""
        ...

    def to(self, device: torch.device) -> Self:
        """The same examples on a device, but for what a model wants elsewhere."""
        ...


SomeBatch = TypeVar("SomeBatch", bound=Batch)


def train_step(
    model: nn.Module,
    make_optimizer: MakeOptimizer,
    state: State,
    batch: SomeBatch | list[SomeBatch],
    *,
    loss: Loss = losses.cross_entropy,
    schedule: Schedule = constant,
    clip_norm: float | None = None,
    autocast: torch.dtype | None = None,
    processes: Processes = ALONE,
) -> tuple[State, float]:
    """One step of gradient descent.

    The same as an ordinary step in place, bit for bit, but pure: neither the model nor the state
    that came in is modified, and torch's global generators stay as they are. Frozen parameters
    stay too. A model that ``model.compile()`` has prepared runs compiled.

    Args:
        model: The model; it gives the computation, the state gives its parameters.
        make_optimizer: Builds the optimizer, in the same way for every step.
        state: Where to start from.
        batch: The examples to learn from; they are moved to the device of the state. Of several
            batches the gradients are added up, as if they were one; only what normalises over a
            batch sees the difference.
        loss: What to lower.
        schedule: Maps the number of steps taken to a factor of the learning rate.
        clip_norm: Gradients whose norm, over all parameters, is larger are scaled down to it.
        autocast: The dtype of mixed precision, such as ``torch.bfloat16``: the model and the loss
            run under `torch.autocast`.
        processes: Those that train together; each gives its own share of the examples, and all
            come to the same state.

    Returns:
        The state after the step, and the loss before it.

    Raises:
        StateError: The state is that of another model or optimizer.
        ValueError: There are no examples.
    """
    training = Training(
        model,
        make_optimizer,
        state,
        loss=loss,
        schedule=schedule,
        clip_norm=clip_norm,
        autocast=autocast,
        processes=processes,
    )
    with training.running():
        value, _ = training.step(batch if isinstance(batch, list) else [batch])
    return training.state(), value


class Training:
    """A training in place, on copies of all that a state holds.

    Attributes:
        device: Where it computes.
        steps: How many steps have been taken.
    """

    def __init__(
        self,
        model: nn.Module,
        make_optimizer: MakeOptimizer,
        state: State,
        *,
        loss: Loss,
        schedule: Schedule,
        clip_norm: float | None,
        autocast: torch.dtype | None,
        processes: Processes,
    ) -> None:
        require_same(model, state)
        self._model = model
        self._loss = loss
        self._schedule = schedule
        self._clip_norm = clip_norm
        self._autocast = autocast
        self._processes = processes
        self._sharded = reshard(model)
        self.device = state.device
        self._parameters = {
            name: nn.Parameter(state.parameters[name].clone(), parameter.requires_grad)
            for name, parameter in model.named_parameters()
        }
        self._trained = [p for p in self._parameters.values() if p.requires_grad]
        self._buffers = copied(state.buffers.items())
        self._optimizer = make_optimizer(list(self._parameters.values()))
        if self._sharded and isinstance(self._optimizer, _UNSHARDED):
            raise ValueError(
                f"make_optimizer: {type(self._optimizer).__name__} cannot train parameters that "
                "lie in parts on several processes; Adam and SGD can"
            )
        saved = _require_same_settings(self._optimizer, state.optimizer)
        _load(self._optimizer, tree_copied(saved))
        self._random = state.random
        self.steps = state.step

    def running(self) -> AbstractContextManager[None]:
        """A block in which steps can be taken: the model computes with the copies."""
        return lent(self._model, {**self._parameters, **self._buffers}, training=True)

    def state(self) -> State:
        """The state reached, which shares its tensors with this training."""
        parameters = {name: parameter.detach() for name, parameter in self._parameters.items()}
        optimizer = self._optimizer.state_dict()
        return State(parameters, dict(self._buffers), optimizer, self._random, self.steps)

    def snapshot(self) -> State:
        """The state reached, for keeping."""
        state = self.state()
        return State(
            copied(state.parameters.items()),
            copied(state.buffers.items()),
            tree_copied(state.optimizer),
            state.random,
            state.step,
        )

    def step(self, batches: Sequence[Batch]) -> tuple[float, int]:
        """Take a step in place.

        Returns:
            The loss before it, and the number of targets, over all processes.

        Raises:
            ValueError: There are no examples.
        """
        batches = [batch.to(self.device) for batch in batches]
        mine = sum(batch.targets.numel() for batch in batches)
        count = int(*self._processes.numbers(mine, device=self.device))
        if count == 0:
            raise ValueError("batch: there are no examples to learn from")
        for group in self._optimizer.param_groups:
            base = group.setdefault("initial_lr", group["lr"])
            group["lr"] = base * self._schedule(self.steps)
        before = copied(self._buffers.items()) if self._processes.size > 1 else {}
        with self._drawing(), torch.enable_grad():
            value: float = self._optimizer.step(lambda: self._gradients(batches, count))
        self._buffers = {  # forward may have replaced some
            name: b.detach() for name, b in self._model.named_buffers() if name in self._buffers
        }
        if self._processes.size > 1:
            self._average_buffers(before, mine / count)
        self.steps += 1
        return value, count

    def _gradients(self, batches: Sequence[Batch], count: int) -> float:
        """Leave the gradients at the parameters.

        Returns:
            The loss.
        """
        self._optimizer.zero_grad()
        value = 0.0
        for batch in batches:
            examples = batch.targets.numel()
            if examples == 0 and not self._sharded:
                continue
            with self._precision():
                loss = self._loss(self._model(*batch.inputs), batch.targets)
            if examples == 0:  # parameters in parts want all processes to take part
                loss = loss.nan_to_num()
            if examples != count:
                loss = loss * (examples / count)
            value += loss.item()
            # where parameters lie in parts, the mean over the processes is taken on the way
            torch.autograd.backward(loss * self._processes.size if self._sharded else loss)
        if self._processes.size > 1:
            value = self._total(value)
        if self._clip_norm is not None:
            nn.utils.clip_grad_norm_(self._trained, self._clip_norm)
        return value

    def _precision(self) -> AbstractContextManager[object]:
        if self._autocast is None:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, self._autocast)

    def _total(self, value: float) -> float:
        """Add up the loss and the gradients of all processes."""
        if self._sharded:
            return self._processes.numbers(value, device=self.device)[0]
        used = [float(parameter.grad is not None) for parameter in self._trained]
        value, *used = self._processes.numbers(value, *used, device=self.device)
        trained = [p for p, anywhere in zip(self._trained, used, strict=True) if anywhere]
        mine = [torch.zeros_like(p) if p.grad is None else p.grad for p in trained]
        for parameter, gradient in zip(trained, self._processes.totals(mine), strict=True):
            parameter.grad = gradient
        return value

    @contextlib.contextmanager
    def _drawing(self) -> Iterator[None]:
        """Let what is random in a step draw from the generators of the state.

        Of several processes each draws other numbers, yet all come to the same state.
        """
        with generators(self._random, self.device) as after:
            if self._processes.size == 1:
                yield
            else:
                seed = int(torch.randint(2**62, ()))
        if self._processes.size > 1:
            with generators(seeded(seed + self._processes.rank, self.device), self.device):
                yield
        self._random = after

    def _average_buffers(self, before: Mapping[str, Tensor], weight: float) -> None:
        """Change the buffers by the mean of what the processes, each by its examples, changed."""
        changing = {name: b for name, b in self._buffers.items() if b.dtype != torch.bool}
        changes = [
            torch.where(now == before[name], 0, now - before[name]) * weight
            for name, now in changing.items()
        ]
        for (name, now), change in zip(
            changing.items(), self._processes.totals(changes), strict=True
        ):
            whole = change if now.is_floating_point() else change.round()
            now.copy_(before[name] + whole.to(now.dtype))


def _require_same_settings(optimizer: Optimizer, saved: Mapping[str, Any]) -> Mapping[str, Any]:
    """Raise StateError for the state of another optimizer, whose settings would replace these.

    Releases of PyTorch add options, which the states of earlier releases lack. Such an option may
    be off. One that only the state has is refused, as this optimizer would ignore it.

    Returns:
        The state, with the options that it lacks.
    """
    kind, ours = type(optimizer).__name__, optimizer.param_groups
    match saved:
        case {"state": dict(), "param_groups": [*theirs]} if all(map(_is_group, theirs)):
            pass
        case _:
            raise StateError("state: its optimizer state is not the state_dict of an optimizer")
    if len(ours) != len(theirs):
        raise StateError(
            f"state: its optimizer has {len(theirs)} parameter groups, {kind} has {len(ours)}"
        )
    for mine, other in zip(map(_settings, ours), map(_settings, theirs), strict=True):
        other |= {name: mine[name] for name in mine.keys() - other if _is_later(name, mine[name])}
        for name in {**mine, **other}:
            if (a := other.get(name, "missing")) != (b := mine.get(name, "missing")):
                raise StateError(
                    f"state: {name!r} is {a} in the state of the optimizer and {b} in {kind}"
                )
    groups = [{**mine, **other} for mine, other in zip(ours, theirs, strict=True)]
    return {**saved, "param_groups": groups}


def _is_group(group: object) -> bool:
    """Whether this is a parameter group of an optimizer's ``state_dict``."""
    return isinstance(group, dict) and isinstance(group.get("params"), list) and "lr" in group


def _is_later(name: str, value: object) -> bool:
    """Whether an option has come after the first release that shapezoo works with, and is off.

    The earlier ones tell apart optimizers that have the other options in common.
    """
    return name not in _OPTIONS and (value is None or value is False)


def _settings(group: Mapping[str, Any]) -> dict[str, Any]:
    """What must not change, with the learning rate from before any schedule."""
    settings = {name: value for name, value in group.items() if name != "initial_lr"}
    base = group.get("initial_lr", group["lr"])
    return settings | {"lr": base, "params": len(group["params"])}


def _load(optimizer: Optimizer, saved: Mapping[str, Any]) -> None:
    """Load a state; torch would cast what is kept beside parameters of another dtype."""
    optimizer.load_state_dict(dict(saved))
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for index, parts in saved["state"].items():
        loaded = optimizer.state[parameters[index]]
        for name, part in parts.items():
            if isinstance(part, Tensor):
                loaded[name] = part.to(loaded[name].device)
