"""One training step as a pure function, and many of them in place on copies.

`train_step` is pure: it makes a `Training` with copies of everything in the state, takes one step
in place on them, and returns them as the next state. `fit` keeps one `Training` for all its steps.
Both run the same operations on the same values in the same order, which is why their results are
equal bit for bit; so any shortcut here must be taken by both.

With several processes, each computes the gradients of its share of the examples, already divided
by the number of targets in all shares, and the sum over the processes is the gradient of the mean.
Everything after that sum is the same computation on the same numbers in each process, so their
states stay equal without being compared or sent.
"""

import contextlib
import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

import torch
from torch import Tensor, nn

from shapezoo._dataset_errors import require_batch_or_list
from shapezoo._datasets import Batch
from shapezoo.train.optimization.optimizers import MakeOptimizer, build_optimizer, parameter_like
from shapezoo.train.optimization.schedules import Schedule, constant
from shapezoo.train.steps import losses
from shapezoo.train.steps.batch_losses import BatchLosses, Loss
from shapezoo.train.steps.optimizer_state import restore
from shapezoo.train.steps.processes import ALONE, Processes, average_buffers
from shapezoo.train.steps.state import (
    State,
    copied,
    forget_new_buffers,
    generators_from,
    lent,
    registered_buffers,
    require_same,
    reshard,
    seeded_generators,
    untrained_copies,
)

OnNan = Literal["continue", "stop"]
"""What to do if the loss is NaN or infinite."""

# LBFGS concatenates shards of different sizes, Rprop writes to single elements by a mask; DTensor
# supports neither
_WITHOUT_SHARDING = (torch.optim.LBFGS, torch.optim.Rprop)


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
    """Take one step of gradient descent.

    Equal to an ordinary step in place, bit for bit, but pure: the model, the state and torch's
    global generators are left unchanged. Frozen parameters keep their values. A model prepared
    with ``model.compile()`` runs compiled.

    Args:
        model: The model; only its computation is used, its parameters come from the state.
        make_optimizer: Builds the optimizer, in the same way for every step.
        state: The state to start from.
        batch: The examples to learn from; they are moved to the device of the state. The gradients
            of several batches are accumulated as for one large batch; only layers that normalise
            over a batch see the difference.
        loss: The loss to minimise. It returns the mean over all targets, or a sum and the weight
            to divide it by.
        schedule: Maps the number of steps taken to a factor of the learning rate.
        clip_norm: Gradients with a larger norm, over all parameters, are scaled down to it.
        autocast: ``torch.bfloat16`` for mixed precision: the model and the loss run under
            `torch.autocast`.
        on_nan: ``"stop"`` to raise an error if the loss is NaN or infinite.
        processes: The processes that train together; each passes its own share of the examples,
            and all return the same state.

    Returns:
        The state after the step, and the loss before it.

    Raises:
        TypeError: `batch` is not a batch; it is a tuple of tensors, for example.
        StateError: The state does not belong to this model or optimizer.
        ValueError: There are no examples, all parameters are frozen, a setting is out of range, or
            the losses of several batches cannot be combined.
        NonFiniteLossError: The loss is NaN or infinite, and `on_nan` is ``"stop"``.
    """
    settings = StepSettings(loss, schedule, clip_norm, autocast, on_nan, processes)
    training = Training(model, make_optimizer, state, settings)
    require_batch_or_list("batch", batch)
    batches = batch if isinstance(batch, list) else [batch]
    with training.running():
        value, _ = training.step(batches)
    return training.state(), value


@dataclass(frozen=True)
class StepSettings:
    """The settings of a step, see `train_step`.

    Raises:
        ValueError: A setting is out of range.
    """

    loss: Loss
    schedule: Schedule
    clip_norm: float | None
    autocast: torch.dtype | None
    on_nan: OnNan
    processes: Processes

    def __post_init__(self) -> None:
        clip_norm, autocast, on_nan = self.clip_norm, self.autocast, self.on_nan
        if clip_norm is not None and not (
            isinstance(clip_norm, float | int) and 0 < clip_norm < math.inf
        ):
            raise ValueError(f"clip_norm must be positive and finite, got {clip_norm!r}")
        if autocast not in (None, torch.bfloat16):
            raise ValueError(
                f"autocast must be torch.bfloat16 or None, got {autocast!r}; float16 is not "
                "supported, as it needs a gradient scaler"
            )
        if on_nan not in get_args(OnNan):
            raise ValueError(f"on_nan must be 'continue' or 'stop', got {on_nan!r}")


class Training:
    """A training in place, on copies of everything in a state.

    Attributes:
        device: The device of the copies.
        steps: The number of steps taken.
    """

    def __init__(
        self,
        model: nn.Module,
        make_optimizer: MakeOptimizer,
        state: State,
        settings: StepSettings,
    ) -> None:
        require_same(model, state)
        self._model = model
        self._settings = settings
        self._processes = settings.processes
        self._loss = BatchLosses(settings.loss)
        self._registered = registered_buffers(model)
        self._sharded = reshard(model)
        self.device = state.device
        self._parameters = {
            name: parameter_like(parameter, state.parameters[name].clone())
            for name, parameter in model.named_parameters()
        }
        self._trained = [p for p in self._parameters.values() if p.requires_grad]
        if not self._trained:
            raise ValueError(
                f"model: there is nothing to train, {type(model).__name__} has no parameter with "
                "requires_grad=True; unfreeze the layers to train with .requires_grad_(True)"
            )
        self._buffers: dict[str, Tensor] = copied(state.buffers)
        self._optimizer = build_optimizer(make_optimizer, list(self._parameters.values()))
        if self._sharded and isinstance(self._optimizer, _WITHOUT_SHARDING):
            raise ValueError(
                f"make_optimizer: {type(self._optimizer).__name__} cannot train parameters that "
                "are sharded over several processes; Adam and SGD can"
            )
        restore(self._optimizer, state.optimizer)
        self._random = state.random
        self.steps = state.step

    def running(self) -> AbstractContextManager[None]:
        """Return the context in which steps can be taken: the model computes with the copies."""
        return lent(self._model, {**self._parameters, **self._buffers}, training=True)

    def state(self) -> State:
        """Return the current state, which shares its tensors with this training."""
        parameters = {name: parameter.detach() for name, parameter in self._parameters.items()}
        optimizer = self._optimizer.state_dict()
        return State(parameters, dict(self._buffers), optimizer, self._random, self.steps)

    def snapshot(self) -> State:
        """Return a copy of the current state."""
        self.release_gradients()  # their memory is enough for the copy
        return State(**copied(vars(self.state())))

    def release_gradients(self) -> None:
        """Free the memory of the gradients, which the next step computes again."""
        self._optimizer.zero_grad()

    def rehearse(self, batch: Batch) -> None:
        """Compute the outputs for a batch as a step would, and leave everything unchanged."""
        with (
            lent(self._model, untrained_copies(self.state()), training=True),
            generators_from(self._random, self.device),
            self._precision(),
            torch.no_grad(),
        ):
            self._model(*batch.to(self.device).inputs)

    def step(self, batches: Sequence[Batch]) -> tuple[float, float]:
        """Take a step in place.

        Returns:
            The loss before the step, over all processes, and its weight in a mean over several
            steps: the number of targets, unless the loss returns another weight.

        Raises:
            ValueError: There are no examples, the schedule returned NaN or infinity, or the losses
                of these batches cannot be combined.
            NonFiniteLossError: The loss is NaN or infinite, and `on_nan` is ``"stop"``.
        """
        batches = [batch.to(self.device) for batch in batches]
        own_count = sum(batch.targets.numel() for batch in batches)
        count = int(*self._processes.numbers(own_count, device=self.device))
        if count == 0:
            raise ValueError("batch: there are no examples to learn from")
        factor = self._settings.schedule(self.steps)
        if not math.isfinite(factor):
            raise ValueError(f"schedule: the factor of step {self.steps} is {factor}")
        for group in self._optimizer.param_groups:
            # the key that torch.optim.lr_scheduler uses: the learning rate before any schedule
            base = group.setdefault("initial_lr", group["lr"])
            group["lr"] = base * factor
        before = copied(self._buffers) if self._processes.size > 1 else {}
        with self._drawing(), torch.enable_grad():
            # as a closure, because LBFGS evaluates the loss several times in a step
            value: float = self._optimizer.step(lambda: self._compute_gradients(batches, count))
        forget_new_buffers(self._registered)
        self._buffers = {  # forward may have replaced some
            name: b.detach() for name, b in self._model.named_buffers()
        }
        if self._processes.size > 1:
            average_buffers(self._processes, self._buffers, before, own_count / count)
        self.steps += 1
        return value, self._weight

    def _compute_gradients(self, batches: Sequence[Batch], count: int) -> float:
        """Set the gradients of the parameters, and the weight of the loss on this object.

        Args:
            batches: The batches of this process.
            count: The number of targets in the batches of all processes.

        Returns:
            The loss over all processes.
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
            # a single batch is not divided and multiplied again, to get the bits of ordinary code
            loss = part.mean if is_whole else part.over(count)
            if examples == 0:  # a mean of nothing is NaN, but FSDP needs a backward in each process
                loss = loss.nan_to_num()
            value += loss.item()
            self._weight += part.weight
            # FSDP averages gradients over the processes during backward; here they must add up
            torch.autograd.backward(loss * self._processes.size if self._sharded else loss)
        if self._processes.size > 1:
            value, self._weight = self._sum_over_processes(value, self._weight)
        if not is_whole and self._weight not in (0, count):
            # the weight of all batches is only known now: the losses were divided by the count
            factor = count / self._weight
            value *= factor
            for gradient in self._gradients():
                gradient.mul_(factor)
        if self._settings.on_nan == "stop":
            self._require_finite(value)
        if self._settings.clip_norm is not None:
            nn.utils.clip_grad_norm_(self._trained, self._settings.clip_norm)
        return value

    def _gradients(self) -> list[Tensor]:
        return [p.grad for p in self._trained if p.grad is not None]

    def _require_finite(self, value: float) -> None:
        """Raise before the step if the loss or the gradients are not finite.

        A finite loss can have gradients that are not, such as that of a square root at 0, and one
        step with them makes every parameter NaN.
        """
        if not math.isfinite(value):
            raise NonFiniteLossError(
                f"the loss of step {self.steps + 1} is {value}; the step was not taken. Start "
                "again with a smaller learning rate or clip_norm, and look for NaN or infinity in "
                "the examples"
            )
        norm = nn.utils.get_total_norm(self._gradients()).item()
        if not math.isfinite(norm):
            raise NonFiniteLossError(
                f"the norm of the gradients of step {self.steps + 1} is {norm}; the step was not "
                "taken. Look for operations with an infinite derivative, such as sqrt(0)"
            )

    def _precision(self) -> AbstractContextManager[object]:
        if self._settings.autocast is None:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, self._settings.autocast)

    def _sum_over_processes(self, value: float, weight: float) -> tuple[float, float]:
        """Sum the loss, its weight and the gradients over all processes."""
        if self._sharded:  # FSDP has reduced the gradients
            value, weight = self._processes.numbers(value, weight, device=self.device)
            return value, weight
        # A parameter that no process has used keeps a gradient of None, as in one process: with
        # zeros, weight decay and momentum would change it.
        used = [float(parameter.grad is not None) for parameter in self._trained]
        value, weight, *used = self._processes.numbers(value, weight, *used, device=self.device)
        trained = [p for p, num_users in zip(self._trained, used, strict=True) if num_users]
        gradients = [torch.zeros_like(p) if p.grad is None else _dense(p.grad) for p in trained]
        for parameter, total in zip(trained, self._processes.totals(gradients), strict=True):
            parameter.grad = total
        return value, weight

    @contextlib.contextmanager
    def _drawing(self) -> Iterator[None]:
        """Run a step with torch's generators in the states of the training, and advance these.

        Each of several processes must draw other numbers, or its dropout would repeat the masks of
        the others; yet all must end with the same state. So the generators of the state only
        draw a seed, and each process seeds its own from that and its rank.
        """
        with generators_from(self._random, self.device) as after:
            if self._processes.size == 1:
                yield
            else:
                seed = int(torch.randint(2**62, ()))
        if self._processes.size > 1:
            own = seeded_generators(seed + self._processes.rank, self.device)
            with generators_from(own, self.device):
                yield
        self._random = after


def _dense(gradient: Tensor) -> Tensor:
    return gradient.to_dense() if gradient.layout != torch.strided else gradient
