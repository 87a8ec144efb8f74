import functools
import io

import pytest
import torch
from rich.console import Console

from shapezoo.data import ImageDataset
from shapezoo.models import LeNet
from shapezoo.train import (
    EpochDone,
    Event,
    Metrics,
    Progress,
    State,
    StepDone,
    fit,
    init,
    iterations,
)

MAKE_OPTIMIZER = functools.partial(torch.optim.SGD, lr=0.1)


def dataset(count: int) -> ImageDataset:
    generator = torch.Generator().manual_seed(count)
    images = torch.randint(256, (count, 1, 28, 28), generator=generator, dtype=torch.uint8)
    return ImageDataset(images, torch.arange(count) % 2, ("even", "odd"))


def trained(*, seed: int = 0, epochs: int = 2, batch_size: int = 4) -> tuple[State, list[Event]]:
    torch.manual_seed(0)
    model = LeNet(num_classes=2)
    events: list[Event] = []
    state = fit(
        model,
        MAKE_OPTIMIZER,
        init(model, MAKE_OPTIMIZER),
        dataset(10),
        dataset(6),
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        observers=[events.append],
    )
    return state, events


def test_every_step_and_epoch_is_reported() -> None:
    state, events = trained()
    places = [(e.epoch, e.step, e.steps) for e in events if isinstance(e, StepDone)]
    assert places == [(1, 1, 3), (1, 2, 3), (1, 3, 3), (2, 1, 3), (2, 2, 3), (2, 3, 3)]
    assert [i for i, event in enumerate(events) if isinstance(event, EpochDone)] == [3, 7]
    assert state.step == 6


def test_the_loss_of_an_epoch_weighs_examples_not_batches() -> None:
    _, events = trained(epochs=1)
    losses = [event.loss for event in events]
    assert losses[3] == pytest.approx((4 * losses[0] + 4 * losses[1] + 2 * losses[2]) / 10)


def test_the_seed_decides_the_outcome() -> None:
    first, again, other = trained()[0], trained()[0], trained(seed=1)[0]
    name = "classifier.weight"
    assert torch.equal(first.parameters[name], again.parameters[name])
    assert not torch.equal(first.parameters[name], other.parameters[name])


def test_there_must_be_examples() -> None:
    model = LeNet(num_classes=2)
    nothing = dataset(0)
    with pytest.raises(ValueError, match="train: there are no examples"):
        fit(
            model,
            MAKE_OPTIMIZER,
            init(model, MAKE_OPTIMIZER),
            nothing,
            nothing,
            epochs=1,
            batch_size=1,
        )


@pytest.mark.parametrize("batch_size", [0, -3])
def test_iterations_need_a_batch(batch_size: int) -> None:
    with pytest.raises(ValueError, match=f"batch_size must be at least 1, got {batch_size}"):
        iterations(10, batch_size)


@pytest.mark.parametrize("name", ["epochs", "batch_size"])
def test_counts_below_one_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
        trained(**{name: 0})


EVENTS: list[Event] = [
    StepDone(epoch=1, step=1, steps=2, loss=1.25),
    StepDone(epoch=1, step=2, steps=2, loss=0.75),
    EpochDone(epoch=1, loss=1.0, test=Metrics(loss=0.5, accuracy=0.96, examples=50)),
]


def shown(*, terminal: bool) -> str:
    output = io.StringIO()
    with Progress(4, Console(file=output, force_terminal=terminal, width=100)) as progress:
        for event in EVENTS:
            progress(event)
    return output.getvalue()


def test_a_file_gets_a_line_for_each_epoch() -> None:
    assert shown(terminal=False) == (
        "epoch 1/4  loss 1.0000  test loss 0.5000  test accuracy 96.00%\n"
    )


def test_a_terminal_gets_a_bar_with_the_loss() -> None:
    text = shown(terminal=True)
    assert "epoch 1/4  loss 0.7500" in text
    assert "━" in text
    assert "test accuracy 96.00%" in text
