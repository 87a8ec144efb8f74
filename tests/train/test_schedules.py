import itertools
import pickle
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import Optimizer
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    ExponentialLR,
    LinearLR,
    LRScheduler,
    SequentialLR,
    StepLR,
)

from shapezoo.train import (
    SCHEDULES,
    CosineDecay,
    LinearDecay,
    Schedule,
    StepDecay,
    UnknownScheduleError,
    Warmup,
    choose_schedule,
    constant,
)

STEPS = st.integers(1, 40)
SHARES = st.floats(0, 1)
DECAYS = st.builds(LinearDecay, STEPS, SHARES) | st.builds(CosineDecay, STEPS, SHARES)


def pytorch(make: Callable[[Optimizer], LRScheduler], steps: int) -> list[float]:
    """The learning rates of a scheduler of PyTorch's, for steps with a base rate of 1."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make(optimizer)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize("steps", [1, 2, 7, 100])
@pytest.mark.parametrize("final", [0.0, 0.1, 1.0])
def test_decays_are_those_of_pytorch(steps: int, final: float) -> None:
    ours = [CosineDecay(steps, final)(step) for step in range(steps + 1)]
    theirs = pytorch(lambda o: CosineAnnealingLR(o, T_max=steps, eta_min=final), steps + 1)
    assert ours == pytest.approx(theirs, rel=1e-12, abs=1e-14)
    ours = [LinearDecay(steps, final)(step) for step in range(2 * steps)]
    theirs = pytorch(lambda o: LinearLR(o, 1.0, final, total_iters=steps), 2 * steps)
    assert ours == pytest.approx(theirs, rel=1e-12, abs=1e-14)


@pytest.mark.parametrize("gamma", [0.1, 0.97, 1.0])
def test_step_decay_is_that_of_pytorch(gamma: float) -> None:
    ours = [StepDecay(7, gamma)(step) for step in range(50)]
    assert ours == pytest.approx(pytorch(lambda o: StepLR(o, 7, gamma), 50), rel=1e-12)
    ours = [StepDecay(1, gamma)(step) for step in range(50)]
    assert ours == pytest.approx(pytorch(lambda o: ExponentialLR(o, gamma), 50), rel=1e-12)


def test_warmup_is_that_of_pytorch() -> None:
    def make(optimizer: Optimizer) -> LRScheduler:
        rise = LinearLR(optimizer, start_factor=1 / 6, total_iters=5)
        return SequentialLR(optimizer, [rise, CosineAnnealingLR(optimizer, 20)], milestones=[5])

    schedule = choose_schedule("cosine", 25, warmup_steps=5)
    assert [schedule(step) for step in range(25)] == pytest.approx(pytorch(make, 25), rel=1e-12)


def test_another_schedule_would_be_noticed() -> None:
    theirs = pytorch(lambda o: CosineAnnealingLR(o, T_max=10), 10)
    assert [CosineDecay(11)(step) for step in range(10)] != pytest.approx(theirs, rel=1e-3)


@given(decay=DECAYS)
def test_decays_fall_from_one_to_their_end_and_stay(decay: LinearDecay | CosineDecay) -> None:
    factors = [decay(step) for step in range(decay.steps + 3)]
    assert factors[0] == 1
    assert factors[-3:] == [decay.final] * 3
    assert all(later <= earlier + 1e-15 for earlier, later in itertools.pairwise(factors))


@given(every=STEPS, gamma=SHARES, step=st.integers(0, 100))
def test_step_decay_changes_at_its_times(every: int, gamma: float, step: int) -> None:
    decay = StepDecay(every, gamma)
    assert decay(0) == 1
    assert decay(step + every) == pytest.approx(gamma * decay(step), rel=1e-12)
    assert (decay(step) == decay(step + 1)) or (step + 1) % every == 0


@given(steps=st.integers(0, 40), then=DECAYS, step=st.integers(0, 100))
def test_warmup_rises_evenly_and_then_follows(steps: int, then: Schedule, step: int) -> None:
    schedule = Warmup(steps, then)
    assert schedule(steps + step) == then(step)
    rise = [0, *(schedule(step) for step in range(steps + 1))]
    each = [later - earlier for earlier, later in itertools.pairwise(rise)]
    assert each == pytest.approx([1 / (steps + 1)] * (steps + 1))


def test_warmup_rises_to_where_the_other_starts() -> None:
    half = Warmup(1, Warmup(1, constant))
    assert [half(step) for step in range(3)] == [0.25, 0.5, 1.0]


def test_thirds() -> None:
    schedule = choose_schedule("step", 7)
    assert [schedule(step) for step in range(7)] == pytest.approx([1, 1, 1, 0.1, 0.1, 0.1, 0.01])


@pytest.mark.parametrize("name", SCHEDULES)
@given(steps=st.integers(1, 30), data=st.data())
def test_every_schedule_has_factors_from_0_to_1_and_can_be_pickled(
    name: str, steps: int, data: st.DataObject
) -> None:
    schedule = choose_schedule(name, steps, warmup_steps=data.draw(st.integers(0, steps - 1)))
    factors = [schedule(step) for step in range(steps)]
    assert all(0 < factor <= 1 for factor in factors)
    assert max(factors) == 1
    copy = pickle.loads(pickle.dumps(schedule))
    assert copy == schedule
    assert [copy(step) for step in range(steps)] == factors


def test_the_repr_of_a_schedule_shows_its_settings() -> None:
    schedule = choose_schedule("cosine", 100, warmup_steps=10)
    assert repr(schedule) == "Warmup(steps=10, then=CosineDecay(steps=90, final=0.0))"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LinearDecay(0), "steps must be at least 1, got 0"),
        (lambda: CosineDecay(-1), "steps must be at least 1, got -1"),
        (lambda: LinearDecay(1, 1.5), "final must be from 0 to 1, got 1.5"),
        (lambda: CosineDecay(1, float("nan")), "final must be from 0 to 1, got nan"),
        (lambda: StepDecay(0, 0.5), "every must be at least 1, got 0"),
        (lambda: StepDecay(1, -0.5), "gamma must be from 0 to 1, got -0.5"),
        (lambda: Warmup(-1, constant), "steps must be at least 0, got -1"),
        (lambda: choose_schedule("constant", 0), "total_steps must be at least 1, got 0"),
        (
            lambda: choose_schedule("linear", 5, warmup_steps=5),
            "warmup_steps must be from 0 to 4, got 5",
        ),
        (
            lambda: choose_schedule("linear", 5, warmup_steps=-1),
            "warmup_steps must be from 0 to 4, got -1",
        ),
    ],
)
def test_settings_out_of_range_raise(make: Callable[[], Schedule], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        make()


@pytest.mark.parametrize(
    ("name", "hint"), [("cosin", "did you mean 'cosine'? "), ("Step", "did you"), ("poly", "")]
)
def test_an_unknown_name_raises_with_close_matches_and_all_names(name: str, hint: str) -> None:
    with pytest.raises(UnknownScheduleError) as error:
        choose_schedule(name, 10)
    assert str(error.value).startswith(f"no schedule is called {name!r}; {hint}")
    assert str(error.value).endswith("valid names: constant, cosine, linear, step")
