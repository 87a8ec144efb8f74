"""One step of training as a pure function, and many of them in place on copies."""

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Literal, TypeVar, get_args

import torch
from torch import Tensor, nn

from shapezoo._dataset_errors import require_batch_or_list
from shapezoo._datasets import Batch
from shapezoo.train.optimization.building import MakeOptimizer, built, copy_of
from shapezoo.train.optimization.schedules import Schedule, constant
from shapezoo.train.steps import losses
from shapezoo.train.steps.averages import BatchLosses, Loss
from shapezoo.train.steps.optimizer_state import restore
from shapezoo.train.steps.processes import ALONE, Processes
from shapezoo.train.steps.state import (
    State,
    buffers_of,
    copied,
    forget_new_buffers,
    generators,
    lent,
    require_same,
    reshard,
    seeded,
    tree_copied,
)

OnNan = Literal["continue", "stop"]
"""What to do where the loss is NaN or infinite."""

# the one lays uneven parts in one row, the other writes to elements that it picks
_UNSHARDED = (torch.optim.LBFGS, torch.optim.Rprop)


class NonFiniteLossError(ValueError):
    """The loss of a step is NaN or infinite."""

    __module__ = "shapezoo.train"


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
    on_nan: OnNan = "continue",
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
        loss: What to lower. It returns the mean over all targets, or a sum and the weight to
            divide it by.
        schedule: Maps the number of steps taken to a factor of the learning rate.
        clip_norm: Gradients whose norm, over all parameters, is larger are scaled down to it.
        autocast: ``torch.bfloat16`` for mixed precision: the model and the loss run under
            `torch.autocast`.
        on_nan: ``"stop"`` to raise an error if the loss is NaN or infinite.
        processes: Those that train together; each gives its own share of the examples, and all
            come to the same state.

    Returns:
        The state after the step, and the loss before it.

    Raises:
        TypeError: `batch` is not a batch, but a tuple of tensors, for example.
        StateError: The state is that of another model or optimizer.
        ValueError: There are no examples, all parameters are frozen, a setting is out of range, or
            the loss of several batches cannot be computed from theirs.
        NonFiniteLossError: The loss is NaN or infinite, and `on_nan` is ``"stop"``.
    """
    training = Training(
        model,
        make_optimizer,
        state,
        loss=loss,
        schedule=schedule,
        clip_norm=clip_norm,
        autocast=autocast,
        on_nan=on_nan,
        processes=processes,
    )
    require_batch_or_list("batch", batch)
    batches = batch if isinstance(batch, list) else [batch]
    with training.running():
        value, _ = training.step(batches)
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
        on_nan: OnNan,
        processes: Processes,
    ) -> None:
        require_same(model, state)
        _require_settings(clip_norm, autocast, on_nan)
        self._model = model
        self._registered = buffers_of(model)
        self._loss = BatchLosses(loss)
        self._on_nan = on_nan
        self._schedule = schedule
        self._clip_norm = clip_norm
        self._autocast = autocast
        self._processes = processes
        self._sharded = reshard(model)
        self.device = state.device
        self._parameters = {
            name: copy_of(parameter, state.parameters[name].clone())
            for name, parameter in model.named_parameters()
        }
        self._trained = [p for p in self._parameters.values() if p.requires_grad]
        if not self._trained:
            raise ValueError(
                f"model: there is nothing to train, {type(model).__name__} has no parameter with "
                "requires_grad=True; unfreeze the layers to train with .requires_grad_(True)"
            )
        self._buffers = copied(state.buffers.items())
        self._optimizer = built(make_optimizer, list(self._parameters.values()))
        if self._sharded and isinstance(self._optimizer, _UNSHARDED):
            raise ValueError(
                f"make_optimizer: {type(self._optimizer).__name__} cannot train parameters that "
                "lie in parts on several processes; Adam and SGD can"
            )
        restore(self._optimizer, state.optimizer)
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

    def rehearse(self, batch: Batch) -> None:
        """Compute the outputs for a batch as a step would, and leave everything as it was."""
        tensors = self._parameters | self._buffers  # copies: some forwards write to parameters
        values = {
            name: nn.Parameter(value, requires_grad=False) if name in self._parameters else value
            for name, value in copied(tensors.items()).items()
        }
        with (
            lent(self._model, values, training=True),
            generators(self._random, self.device),
            self._precision(),
            torch.no_grad(),
        ):
            self._model(*batch.to(self.device).inputs)

    def release_gradients(self) -> None:
        """Free the memory of the gradients, which the next step computes again."""
        self._optimizer.zero_grad()

    def snapshot(self) -> State:
        """The state reached, for keeping."""
        self.release_gradients()  # whose memory goes to the copies
        state = self.state()
        return State(
            copied(state.parameters.items()),
            copied(state.buffers.items()),
            tree_copied(state.optimizer),
            state.random,
            state.step,
        )

    def step(self, batches: Sequence[Batch]) -> tuple[float, float]:
        """Take a step in place.

        Returns:
            The loss before it, and its weight in a mean over several steps, which is the number
            of targets unless the loss returns another; over all processes.

        Raises:
            ValueError: There are no examples, the schedule returned no number, or the loss of
                these batches cannot be computed from theirs.
            NonFiniteLossError: The loss is NaN or infinite, and this is to stop the training.
        """
        batches = [batch.to(self.device) for batch in batches]
        mine = sum(batch.targets.numel() for batch in batches)
        count = int(*self._processes.numbers(mine, device=self.device))
        if count == 0:
            raise ValueError("batch: there are no examples to learn from")
        factor = self._schedule(self.steps)
        if not math.isfinite(factor):
            raise ValueError(f"schedule: the factor of step {self.steps} is {factor}")
        for group in self._optimizer.param_groups:
            base = group.setdefault("initial_lr", group["lr"])
            group["lr"] = base * factor
        before = copied(self._buffers.items()) if self._processes.size > 1 else {}
        with self._drawing(), torch.enable_grad():
            value: float = self._optimizer.step(lambda: self._gradients(batches, count))
        forget_new_buffers(self._registered)
        self._buffers = {  # forward may have replaced some
            name: b.detach() for name, b in self._model.named_buffers()
        }
        if self._processes.size > 1:
            self._average_buffers(before, mine / count)
        self.steps += 1
        return value, self._weight

    def _gradients(self, batches: Sequence[Batch], count: int) -> float:
        """Leave the gradients at the parameters, and the weight of the loss at this object.

        Returns:
            The loss.
        """
        self._optimizer.zero_grad()
        is_whole = len(batches) == 1 and self._processes.size == 1
        value, self._weight = 0.0, 0.0
        for batch in batches:
            examples = batch.targets.numel()
            if examples == 0 and not self._sharded:
                continue
            with self._precision():
                outputs = self._model(*batch.inputs)
                part = self._loss(outputs, batch.targets)
                if not is_whole and (obstacle := self._loss.obstacle(part, outputs, batch.targets)):
                    raise ValueError(obstacle)
            loss = part.mean if is_whole else part.over(count)
            if examples == 0:  # parameters in parts want all processes to take part
                loss = loss.nan_to_num()
            value += loss.item()
            self._weight += part.weight
            # where parameters lie in parts, the mean over the processes is taken on the way
            torch.autograd.backward(loss * self._processes.size if self._sharded else loss)
        if self._processes.size > 1:
            value, self._weight = self._total(value, self._weight)
        if not is_whole and self._weight not in (0, count):
            value *= self._scale_gradients(count / self._weight)
        if self._on_nan == "stop" and not math.isfinite(value):
            raise NonFiniteLossError(
                f"the loss of step {self.steps + 1} is {value}; the step was not taken. Start "
                "again with a smaller learning rate or clip_norm, and look for NaN or infinity in "
                "the examples"
            )
        if self._on_nan == "stop":
            self._require_finite_gradients()
        if self._clip_norm is not None:
            nn.utils.clip_grad_norm_(self._trained, self._clip_norm)
        return value

    def _require_finite_gradients(self) -> None:
        """Stop before gradients that a finite loss has, as of a square root at 0, spoil all."""
        gradients = [p.grad for p in self._trained if p.grad is not None]
        norm = nn.utils.get_total_norm(gradients).item()
        if not math.isfinite(norm):
            raise NonFiniteLossError(
                f"the norm of the gradients of step {self.steps + 1} is {norm}; the step was not "
                "taken. Look for operations with an infinite derivative, such as sqrt(0)"
            )

    def _scale_gradients(self, factor: float) -> float:
        """Multiply all gradients by a factor, and return it."""
        for parameter in self._trained:
            if parameter.grad is not None:
                parameter.grad.mul_(factor)
        return factor

    def _precision(self) -> AbstractContextManager[object]:
        if self._autocast is None:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, self._autocast)

    def _total(self, value: float, weight: float) -> tuple[float, float]:
        """Add up the loss, its weight and the gradients of all processes."""
        if self._sharded:
            value, weight = self._processes.numbers(value, weight, device=self.device)
            return value, weight
        used = [float(parameter.grad is not None) for parameter in self._trained]
        value, weight, *used = self._processes.numbers(value, weight, *used, device=self.device)
        trained = [p for p, anywhere in zip(self._trained, used, strict=True) if anywhere]
        mine = [torch.zeros_like(p) if p.grad is None else _dense(p.grad) for p in trained]
        for parameter, gradient in zip(trained, self._processes.totals(mine), strict=True):
            parameter.grad = gradient
        return value, weight

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
        finite = {name: b for name, b in changing.items() if before[name].isfinite().all()}
        changes = [
            torch.where(now == before[name], 0, now - before[name]) * weight
            for name, now in finite.items()
        ]
        for (name, now), change in zip(
            finite.items(), self._processes.totals(changes), strict=True
        ):
            whole = change if now.is_floating_point() else change.round()
            now.copy_(before[name] + whole.to(now.dtype))
        for name in [name for name in changing if name not in finite]:  # in the same order
            self._average_values(changing[name], before[name], weight)

    def _average_values(self, now: Tensor, before: Tensor, weight: float) -> None:
        """Take the mean of what has changed: from infinity no difference can be taken."""
        is_changed = ~((now == before) | (now.isnan() & before.isnan()))
        weights = is_changed.to(now.dtype) * weight
        values = torch.where(is_changed, now, 0) * weights
        total, whole = self._processes.totals([values, weights])
        now.copy_(torch.where(whole > 0, total / whole, before))


def _dense(gradient: Tensor) -> Tensor:
    return gradient.to_dense() if gradient.layout != torch.strided else gradient


def _require_settings(clip_norm: float | None, autocast: torch.dtype | None, on_nan: OnNan) -> None:
    """Raise ValueError if a setting of a step is out of range."""
    if clip_norm is not None and not (
        isinstance(clip_norm, float | int) and 0 < clip_norm < math.inf
    ):
        raise ValueError(f"clip_norm must be positive and finite, got {clip_norm!r}")
    if autocast not in (None, torch.bfloat16):
        raise ValueError(
            f"autocast must be torch.bfloat16 or None, got {autocast!r}; float16 is not supported, "
            "as it needs a gradient scaler"
        )
    if on_nan not in get_args(OnNan):
        raise ValueError(f"on_nan must be 'continue' or 'stop', got {on_nan!r}")
