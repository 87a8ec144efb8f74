"""The losses of batches combine into the loss of all targets, whatever a loss divides by."""

import functools
import math
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from shapezoo import train
from shapezoo.train import (
    Event,
    Loss,
    Processes,
    State,
    choose_optimizer,
    evaluate,
    fit,
    init,
    train_step,
)

SGD = choose_optimizer("sgd", lr=0.5)
WEIGHTS = torch.tensor([0.1, 2.0, 1.0], dtype=torch.float64)


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of numbers with their targets, which is a dataset too."""

    features: Tensor
    targets: Tensor

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        return (self.features,)

    def to(self, device: torch.device) -> "Rows":
        return replace(self, features=self.features.to(device), targets=self.targets.to(device))

    def __len__(self) -> int:
        return len(self.targets)

    def select(self, indices: Tensor) -> "Rows":
        return Rows(self.features[indices], self.targets[indices])

    def cut(self, *sizes: int) -> list["Rows"]:
        return [self.select(part) for part in torch.split(torch.arange(len(self)), list(sizes))]


def rows(count: int, targets: Tensor, seed: int = 0) -> Rows:
    generator = torch.Generator().manual_seed(seed)
    return Rows(torch.randn(count, 4, dtype=torch.float64, generator=generator), targets)


# of label 0 there are many in the first rows and none in the last
LABELS = rows(9, torch.tensor([0, 0, 0, 0, 1, 2, 1, 1, 2]))
CHANCES = rows(9, torch.rand(9, 3, generator=torch.Generator().manual_seed(1)).double())


def model() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).double()


def counted(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """A loss that returns its sum and its weight."""
    is_counted = targets != 0
    total = functional.cross_entropy(outputs[is_counted], targets[is_counted], reduction="sum")
    return total, is_counted.sum()


def log_likelihood(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """What `nn.NLLLoss` computes, of logits and with class weights."""
    scores = outputs.log_softmax(1).gather(1, targets[:, None])[:, 0]
    return -(scores * WEIGHTS[targets]).sum(), WEIGHTS[targets].sum()


IGNORING: Loss = nn.CrossEntropyLoss(ignore_index=0)
COMBINABLE: dict[str, tuple[Loss, Rows]] = {
    "cross_entropy": (train.cross_entropy, LABELS),
    "CrossEntropyLoss": (nn.CrossEntropyLoss(), LABELS),
    "ignore_index": (IGNORING, LABELS),
    "weight": (nn.CrossEntropyLoss(WEIGHTS), LABELS),
    "smoothing": (nn.CrossEntropyLoss(WEIGHTS, ignore_index=1, label_smoothing=0.2), LABELS),
    "function": (functional.cross_entropy, LABELS),
    "partial": (functools.partial(functional.cross_entropy, ignore_index=0), LABELS),
    "probabilities": (nn.CrossEntropyLoss(WEIGHTS), CHANCES),
    "nll": (nn.NLLLoss(WEIGHTS, ignore_index=2), LABELS),
    "sum-and-weight": (counted, LABELS),
    "float-weight": (log_likelihood, LABELS),
    "unknown-mean": (lambda outputs, targets: functional.mse_loss(outputs, targets), CHANCES),
    "bce": (nn.BCEWithLogitsLoss(pos_weight=WEIGHTS), CHANCES),
    "huber": (nn.HuberLoss(), CHANCES),
}


def contrastive(outputs: Tensor, targets: Tensor) -> Tensor:
    """Compares each row with all others of its batch."""
    return functional.cross_entropy(outputs @ outputs.T, torch.arange(len(targets)))


NOT_COMBINABLE: dict[str, tuple[Loss, Rows]] = {
    "hidden-ignore": (lambda o, t: functional.cross_entropy(o, t, ignore_index=0), LABELS),
    "hidden-weight": (lambda o, t: functional.cross_entropy(o, t, WEIGHTS), LABELS),
    "sum": (nn.CrossEntropyLoss(reduction="sum"), LABELS),
    "mse-sum": (nn.MSELoss(reduction="sum"), CHANCES),
    "root": (lambda o, t: functional.mse_loss(o, t).sqrt(), CHANCES),
    "contrastive": (contrastive, LABELS),
}


def whole_loss(loss: Loss, outputs: Tensor, targets: Tensor) -> Tensor:
    result = loss(outputs, targets)
    return result[0] / result[1] if isinstance(result, tuple) else result


def ordinary_step(loss: Loss, data: Rows) -> tuple[float, dict[str, Tensor]]:
    """An ordinary step in PyTorch, on the whole batch."""
    ours = model()
    optimizer = SGD(list(ours.parameters()))
    value = whole_loss(loss, ours(data.features), data.targets)
    torch.autograd.backward(value)
    optimizer.step()
    return value.item(), {name: p.detach() for name, p in ours.named_parameters()}


def require_close(state: State, expected: dict[str, Tensor]) -> None:
    for name, value in expected.items():
        torch.testing.assert_close(state.parameters[name], value, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("sizes", [(9,), (4, 5), (1, 0, 5, 3)])
@pytest.mark.parametrize("name", COMBINABLE)
def test_parts_of_a_batch_are_the_batch(name: str, sizes: tuple[int, ...]) -> None:
    loss, data = COMBINABLE[name]
    expected, parameters = ordinary_step(loss, data)
    state, value = train_step(model(), SGD, init(model(), SGD), data.cut(*sizes), loss=loss)
    assert value == pytest.approx(expected, rel=1e-12)
    require_close(state, parameters)


@pytest.mark.parametrize("name", COMBINABLE)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=5))
def test_an_evaluation_in_batches_is_that_of_the_whole(name: str, sizes: list[int]) -> None:
    loss, data = COMBINABLE[name]
    ours = model()
    with torch.no_grad():
        expected = whole_loss(loss, ours(data.features), data.targets).item()
    sizes = [size for end, size in enumerate(sizes, 1) if sum(sizes[:end]) <= 9]
    measured = evaluate(
        ours, init(ours, SGD), data.cut(*sizes, 9 - sum(sizes)), loss=loss, correct=None
    )
    assert measured.loss == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", COMBINABLE)
def test_processes_together_do_what_one_does(name: str) -> None:
    loss, data = COMBINABLE[name]
    expected, parameters = ordinary_step(loss, data)
    barrier, given_ = threading.Barrier(2, timeout=60), dict[int, Tensor]()

    def run(rank: int) -> tuple[State, float]:
        def total(tensor: Tensor) -> Tensor:
            given_[rank] = tensor
            barrier.wait()
            whole = given_[0] + given_[1]
            barrier.wait()
            return whole

        ours = models[rank]
        share = data.select(torch.arange(rank, len(data), 2))
        return train_step(
            ours, SGD, init(ours, SGD), share, loss=loss, processes=Processes(rank, 2, total)
        )

    models = [model(), model()]
    with ThreadPoolExecutor(2) as pool:
        for state, value in pool.map(run, range(2)):
            assert value == pytest.approx(expected, rel=1e-12)
            require_close(state, parameters)


@pytest.mark.parametrize("name", NOT_COMBINABLE)
def test_a_loss_that_cannot_be_combined_is_refused_where_it_would_be(name: str) -> None:
    loss, data = NOT_COMBINABLE[name]
    ours = model()
    start = init(ours, SGD)
    expected, parameters = ordinary_step(loss, data)
    state, value = train_step(ours, SGD, start, data, loss=loss)  # one batch is not combined
    assert value == pytest.approx(expected, rel=1e-12)
    require_close(state, parameters)
    with pytest.raises(ValueError, match=r"not a mean over all targets.*\(sum, weight\)"):
        train_step(ours, SGD, start, data.cut(4, 5), loss=loss)
    assert evaluate(ours, start, [data], loss=loss, correct=None).loss == pytest.approx(expected)
    with pytest.raises(ValueError, match="not a mean over all targets"):
        evaluate(ours, start, data.cut(4, 5), loss=loss, correct=None)


class Named(nn.Module):
    """Returns its scores in a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3, dtype=torch.float64)

    def forward(self, rows: Tensor) -> dict[str, Any]:
        return {"logits": self.layer(rows), "more": [rows]}


class TimeFirst(nn.Module):
    """Returns scores with time in axis 0."""

    def forward(self, rows: Tensor) -> Tensor:
        return rows.log_softmax(1).view(-1, 2, 2).transpose(0, 1) * 1.0


def test_outputs_in_containers_are_checked_too() -> None:
    ours = Named()
    start = init(ours, SGD)

    def total(outputs: dict[str, Tensor], targets: Tensor) -> Tensor:
        return functional.cross_entropy(outputs["logits"], targets, reduction="sum")

    def mean(outputs: dict[str, Tensor], targets: Tensor) -> Tensor:
        return functional.cross_entropy(outputs["logits"], targets)

    with pytest.raises(ValueError, match="not a mean over all targets"):
        evaluate(ours, start, LABELS.cut(4, 5), loss=total, correct=None)
    measured = evaluate(ours, start, LABELS.cut(4, 5), loss=mean, correct=None)
    whole = evaluate(ours, start, [LABELS], loss=mean, correct=None)
    assert measured.loss == pytest.approx(whole.loss, rel=1e-12)


class Output(dict[str, Any]):
    """A dict with attributes, as transformers have it."""

    def __getattr__(self, name: str) -> Any:
        return self[name]


@pytest.mark.parametrize(
    ("wrap", "logits"),
    [
        (lambda scores: (scores, None), lambda outputs: outputs[0]),
        (lambda scores: Output(logits=scores, cache=None), lambda outputs: outputs.logits),
        (lambda scores: [scores, {"scale": 0.5}], lambda outputs: outputs[0]),
    ],
)
def test_outputs_that_are_not_tensors_are_passed_on(
    wrap: Callable[[Tensor], Any], logits: Callable[[Any], Tensor]
) -> None:
    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 3, dtype=torch.float64)

        def forward(self, rows: Tensor) -> Any:
            return wrap(self.layer(rows))

    ours = Wrapped()
    start = init(ours, SGD)
    mean: Loss = lambda o, t: functional.cross_entropy(logits(o), t)  # noqa: E731
    total: Loss = lambda o, t: functional.cross_entropy(logits(o), t, reduction="sum")  # noqa: E731
    whole = evaluate(ours, start, [LABELS], loss=mean, correct=None)
    parts = evaluate(ours, start, LABELS.cut(4, 5), loss=mean, correct=None)
    assert parts.loss == pytest.approx(whole.loss, rel=1e-12)
    with pytest.raises(ValueError, match="not a mean over all targets"):
        evaluate(ours, start, LABELS.cut(4, 5), loss=total, correct=None)


@pytest.mark.parametrize("seed", range(5))
def test_what_was_computed_in_bfloat16_may_be_rounded(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(40, 4, generator=generator)
    rows = Rows(features, torch.rand(40, 3, generator=generator))
    ours = nn.Linear(4, 3)

    def rounded(outputs: Tensor, targets: Tensor) -> Tensor:
        difference = outputs.sigmoid() - targets.to(outputs.dtype)
        return difference.abs().mean() + 0.1 * functional.mse_loss(outputs.float(), targets)

    train_step(ours, SGD, init(ours, SGD), rows.cut(13, 27), loss=rounded, autocast=torch.bfloat16)


def test_a_sum_that_draws_at_random_is_noticed() -> None:
    ours = model()

    def total(outputs: Tensor, targets: Tensor) -> Tensor:
        return functional.cross_entropy(functional.dropout(outputs, 0.01), targets, reduction="sum")

    with pytest.raises(ValueError, match="not a mean over all targets"):
        train_step(ours, SGD, init(ours, SGD), LABELS.cut(4, 5), loss=total)


def test_sums_of_small_values_are_noticed() -> None:
    ours = model()
    small = Rows(LABELS.features, model()(LABELS.features).detach().float() + 1e-3)
    total: Loss = lambda o, t: ((o.float() - t) ** 2).sum()  # noqa: E731  # as users write it
    with pytest.raises(ValueError, match="not a mean over all targets"):
        evaluate(ours, init(ours, SGD), small.cut(4, 5), loss=total, correct=None)


def test_padding_at_the_end_of_long_batches_is_noticed() -> None:
    """Each batch has its longest row first, and only some rows fit into what is computed again."""
    words = nn.Sequential(nn.Embedding(9, 20_000))
    lengths = torch.tensor([60, 40, 20, 5])
    drawn = torch.randint(1, 9, (4, 60), generator=torch.Generator().manual_seed(0))
    labels = drawn * (torch.arange(60) < lengths[:, None])

    def hidden(outputs: Tensor, targets: Tensor) -> Tensor:
        return functional.cross_entropy(outputs.flatten(0, 1), targets.flatten(), ignore_index=0)

    batches = [Rows(labels, labels), Rows(drawn, drawn)]
    with pytest.raises(ValueError, match="not a mean over all targets"):
        evaluate(words, init(words, SGD), batches, loss=hidden, correct=None)


def test_a_loss_that_cannot_be_checked_is_refused_where_it_is_combined() -> None:
    ours = TimeFirst()
    ours.register_parameter("unused", nn.Parameter(torch.zeros(1)))
    start = init(ours, SGD)

    def last(outputs: Tensor, targets: Tensor) -> Tensor:
        return functional.cross_entropy(outputs[-1], targets % 2)

    evaluate(ours, start, [LABELS], loss=last, correct=None)
    with pytest.raises(ValueError, match="cannot be checked, as not all outputs have"):
        evaluate(ours, start, LABELS.cut(4, 5), loss=last, correct=None)


def test_rows_of_other_widths_cannot_be_checked() -> None:
    """A mean over examples and one over all their steps are the same within a batch."""
    ours = nn.Identity()
    ours.register_parameter("unused", nn.Parameter(torch.zeros(1)))
    start = init(ours, SGD)
    short, long = (Rows(torch.ones(2, n, 3), torch.zeros(2, n, 3)) for n in (2, 9))
    per_example: Loss = lambda o, t: ((o - t) ** 2).mean((1, 2)).mean()  # noqa: E731
    with pytest.raises(ValueError, match=r"rows of shape \(2, 3\) and \(9, 3\)"):
        evaluate(ours, start, [short, long], loss=per_example, correct=None)
    evaluate(ours, start, [short, long], loss=nn.MSELoss(), correct=None)  # which is known


def test_a_loss_of_pairs_is_refused_only_where_it_is_combined() -> None:
    ours = model()
    start = init(ours, SGD)
    pairs = LABELS.select(torch.arange(6))

    def paired(outputs: Tensor, targets: Tensor) -> Tensor:
        one, other = outputs.view(2, -1, 3)
        return functional.mse_loss(one, other)

    assert evaluate(ours, start, [pairs], loss=paired, correct=None).examples == 6
    train_step(ours, SGD, start, pairs, loss=paired)
    with pytest.raises(ValueError, match="on some rows of a batch it raises RuntimeError"):
        evaluate(ours, start, [pairs, pairs], loss=paired, correct=None)


def test_a_loss_that_draws_random_numbers_can_be_a_mean() -> None:
    ours = model()
    start = init(ours, SGD)

    def noisy(outputs: Tensor, targets: Tensor) -> Tensor:
        return functional.cross_entropy(outputs + 0.5 * torch.randn_like(outputs), targets)

    parts = LABELS.cut(4, 5)
    evaluate(ours, start, parts, loss=noisy, correct=None)
    after, _ = train_step(ours, SGD, start, parts, loss=noisy)
    with torch.random.fork_rng(devices=()):
        torch.set_rng_state(start.random["cpu"])
        for part in parts:  # the check draws nothing from the generator of the training
            torch.randn(len(part), 3, dtype=torch.float64)
        assert torch.equal(after.random["cpu"], torch.get_rng_state())


def test_infinite_scores_do_not_matter_where_nothing_counts() -> None:
    features = torch.zeros(4, 3)
    features[:, 0] = -math.inf
    ours = nn.Identity()
    ours.register_parameter("unused", nn.Parameter(torch.zeros(1)))
    ignored = Rows(features, torch.full((4,), -100))
    counted_ = Rows(features, torch.tensor([1, 2, 1, 2]))
    measured = evaluate(
        ours, init(ours, SGD), [counted_, ignored], loss=nn.CrossEntropyLoss(), correct=None
    )
    assert measured.loss == pytest.approx(math.log(2), rel=1e-6)


def test_what_the_message_advises_works() -> None:
    def as_sum(outputs: Tensor, targets: Tensor) -> tuple[Tensor, int]:
        return nn.MSELoss(reduction="sum")(outputs, targets), len(targets)

    ours = model()
    measured = evaluate(ours, init(ours, SGD), CHANCES.cut(4, 5), loss=as_sum, correct=None)
    with torch.no_grad():
        expected = functional.mse_loss(ours(CHANCES.features), CHANCES.targets).item() * 3
    assert measured.loss == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("loss", [IGNORING, counted])
def test_a_batch_in_which_nothing_counts_changes_nothing(loss: Loss) -> None:
    nothing = rows(3, torch.zeros(3, dtype=torch.int64))
    ours = model()
    start = init(ours, SGD)
    state, value = train_step(ours, SGD, start, nothing, loss=loss)
    assert value == 0
    require_close(state, start.parameters)
    expected, parameters = ordinary_step(loss, LABELS)
    state, value = train_step(ours, SGD, start, [nothing, LABELS], loss=loss)
    assert value == pytest.approx(expected, rel=1e-12)
    require_close(state, parameters)
    with pytest.raises(ValueError, match="none whose targets count"):
        evaluate(ours, start, [nothing], loss=loss)


@pytest.mark.parametrize("loss", [IGNORING, counted])
def test_the_loss_of_an_epoch_is_a_mean_over_what_counts(loss: Loss) -> None:
    events: list[Event] = []
    still = choose_optimizer("sgd", lr=0.0)
    ours = model()
    settings: dict[str, Any] = {"epochs": 1, "batch_size": 4, "accumulate": 2, "loss": loss}
    start = init(ours, still)
    fit(ours, still, start, LABELS, LABELS, observers=[events.append], **settings)
    with torch.no_grad():
        expected = whole_loss(loss, ours(LABELS.features), LABELS.targets).item()
    assert events[-1].loss == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (nn.CrossEntropyLoss(reduction="none"), r"single number, got shape \(9,\)"),
        (lambda outputs, targets: 1.5, r"single number, got 1\.5"),
        (lambda outputs, targets: (outputs.sum(), 1, 2), "returned 3 values"),
        (lambda outputs, targets: (outputs.sum(), -1), "not be negative|not negative, got -1"),
        (lambda outputs, targets: (outputs.sum(), math.nan), "not negative, got nan"),
        (lambda outputs, targets: (outputs, 9), r"sum of loss .* got shape \(9, 3\)"),
    ],
)
def test_wrong_results_of_a_loss_raise(loss: Callable[..., Any], message: str) -> None:
    ours = model()
    with pytest.raises(ValueError, match=message):
        train_step(ours, SGD, init(ours, SGD), LABELS, loss=loss)


def test_accuracy_may_leave_targets_out() -> None:
    def correct(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        is_counted = targets != 0
        return ((outputs.argmax(1) == targets) & is_counted).sum(), is_counted.sum()

    ours = model()
    measured = evaluate(ours, init(ours, SGD), LABELS.cut(4, 5), loss=IGNORING, correct=correct)
    is_right = ours(LABELS.features).argmax(1) == LABELS.targets
    assert measured.examples == 5
    assert measured.accuracy == is_right[LABELS.targets != 0].double().mean().item()
