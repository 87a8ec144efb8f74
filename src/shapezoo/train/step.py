"""One step of training as a pure function, and the state that it takes and gives."""

import contextlib
import copy
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, Self

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import Optimizer

from shapezoo.train import losses, metrics

MakeOptimizer = Callable[[list[nn.Parameter]], Optimizer]
"""Builds an optimizer for parameters: ``functools.partial(torch.optim.Adam, lr=1e-3)``."""

Loss = Callable[[Tensor, Tensor], Tensor]
"""Maps a model's output and the targets to a mean over the targets."""

Correct = Callable[[Tensor, Tensor], Tensor]
"""Counts the targets that a model's output gets right."""


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


@dataclass(frozen=True, eq=False)
class State:
    """All that changes while a model is trained. Its tensors are never modified in place.

    Attributes:
        parameters: The values of the model's parameters, by name.
        buffers: The values of the model's buffers, by name.
        optimizer: The optimizer's ``state_dict``.
        step: How many steps have been taken.
    """

    parameters: dict[str, Tensor]
    buffers: dict[str, Tensor]
    optimizer: dict[str, Any]
    step: int


@dataclass(frozen=True)
class Metrics:
    """How well a model does on a set of examples.

    Attributes:
        loss: The mean loss.
        accuracy: The share of right answers, from 0 to 1; None where nothing is right or wrong.
        examples: How many answers there were: one for each target.
    """

    loss: float
    accuracy: float | None
    examples: int


def init(
    model: nn.Module, make_optimizer: MakeOptimizer, *, device: torch.device | None = None
) -> State:
    """The state before the first step, with copies of the model's parameters and buffers.

    Args:
        model: The model to train.
        make_optimizer: Builds the optimizer.
        device: Where to put the state, and so where `train_step`, `evaluate` and `fit` compute;
            without it the state is where the model is.
    """
    parameters = _copies(model.named_parameters(), device)
    optimizer = make_optimizer([nn.Parameter(value) for value in parameters.values()])
    return State(parameters, _copies(model.named_buffers(), device), optimizer.state_dict(), step=0)


def train_step(
    model: nn.Module,
    make_optimizer: MakeOptimizer,
    state: State,
    batch: Batch,
    *,
    loss: Loss = losses.cross_entropy,
) -> tuple[State, float]:
    """One step of gradient descent.

    The same as an ordinary step in place, but pure: neither the model nor the state that came
    in is modified. Frozen parameters stay as they are. Modules that draw random numbers, such
    as dropout, draw them from torch's global generator. Buffers must be updated in place, as
    torch's own modules do; one that ``forward`` replaces by a new tensor is lost.

    Args:
        model: The model; it gives the computation, the state gives its parameters.
        make_optimizer: Builds the optimizer, in the same way for every step.
        state: Where to start from.
        batch: The examples to learn from; they are moved to the device of the state.
        loss: What to lower.

    Returns:
        The state after the step, and the loss before it.
    """
    parameters = {
        name: nn.Parameter(state.parameters[name].clone(), requires_grad=parameter.requires_grad)
        for name, parameter in model.named_parameters()
    }
    buffers = _copies(state.buffers.items())
    values: dict[str, Tensor] = {**parameters, **buffers}
    trained = [parameter for parameter in parameters.values() if parameter.requires_grad]
    optimizer = make_optimizer(list(parameters.values()))
    optimizer.load_state_dict(copy.deepcopy(state.optimizer))
    batch = batch.to(_device(state))

    def closure() -> float:
        outputs = functional_call(model, values, batch.inputs)
        value = loss(outputs, batch.targets)
        gradients = torch.autograd.grad(value, trained, allow_unused=True)
        for parameter, gradient in zip(trained, gradients, strict=True):
            parameter.grad = gradient
        return value.item()

    with _mode(model, training=True), torch.enable_grad():
        value = optimizer.step(closure)
    after = {name: parameter.detach() for name, parameter in parameters.items()}
    return State(after, buffers, optimizer.state_dict(), state.step + 1), value


def evaluate(
    model: nn.Module,
    state: State,
    batches: Iterable[Batch],
    *,
    loss: Loss = losses.cross_entropy,
    correct: Correct | None = metrics.correct,
) -> Metrics:
    """Measure a model in evaluation mode, each target with the same weight.

    Args:
        model: The model; it gives the computation, the state gives its parameters.
        state: The parameters and buffers to measure.
        batches: The examples; they are moved to the device of the state.
        loss: The loss to report.
        correct: Counts the right answers; None for a regression, which has none.

    Raises:
        ValueError: There are no examples.
    """
    values, device = {**state.parameters, **state.buffers}, _device(state)
    total, right, examples = 0.0, 0, 0
    with _mode(model, training=False), torch.no_grad():
        for batch in batches:
            batch = batch.to(device)
            outputs = functional_call(model, values, batch.inputs)
            count = batch.targets.numel()
            total += loss(outputs, batch.targets).item() * count
            right += int(correct(outputs, batch.targets)) if correct else 0
            examples += count
    if examples == 0:
        raise ValueError("batches: there are no examples to evaluate")
    return Metrics(total / examples, right / examples if correct else None, examples)


def install(model: nn.Module, state: State) -> None:
    """Copy the parameters and buffers of a state into a model.

    Raises:
        ValueError: The state is that of another model. The model stays as it was.
    """
    targets = dict([*model.named_parameters(), *model.named_buffers()])
    values = {**state.parameters, **state.buffers}
    ours = {name: tuple(tensor.shape) for name, tensor in targets.items()}
    theirs = {name: tuple(tensor.shape) for name, tensor in values.items()}
    if ours != theirs:
        name = next(n for n in (*ours, *theirs) if ours.get(n) != theirs.get(n))
        raise ValueError(
            f"state: {name!r} is {theirs.get(name, 'missing')} in the state and "
            f"{ours.get(name, 'missing')} in {type(model).__name__}"
        )
    with torch.no_grad():
        for name, target in targets.items():
            target.copy_(values[name])


def _copies(
    tensors: Iterable[tuple[str, Tensor]], device: torch.device | None = None
) -> dict[str, Tensor]:
    return {name: tensor.detach().to(device, copy=True) for name, tensor in tensors}


def _device(state: State) -> torch.device:
    """Where a state is; one without parameters has nothing to train, and is on the CPU."""
    return next((value.device for value in state.parameters.values()), torch.device("cpu"))


@contextlib.contextmanager
def _mode(model: nn.Module, *, training: bool) -> Iterator[None]:
    """Put a model and all its parts into a mode, and back as they were."""
    before = {module: module.training for module in model.modules()}
    model.train(training)
    try:
        yield
    finally:
        for module, was_training in before.items():
            module.training = was_training
