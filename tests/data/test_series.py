import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from shapezoo import ShapeError
from shapezoo.data import InMemory, SeriesBatch, SeriesDataset, weather


def days_of(part: SeriesDataset) -> Tensor:
    """The days that a part was cut from, in units."""
    return part.in_units(torch.cat([part.windows[:, 0], part.targets]))


@settings(max_examples=20)
@given(window=st.integers(1, 6), more=st.integers(1, 40))
def test_windows_slide_over_the_days_and_targets_follow_them(window: int, more: int) -> None:
    num_days = 4 * (window + more)
    for part, count in zip(
        weather(num_days=num_days, window=window), (3 * num_days // 4, num_days // 4), strict=True
    ):
        days = torch.cat([part.windows[:, 0], part.targets])
        assert len(days) == count
        assert len(part) == count - window
        for i in range(len(part)):
            assert torch.equal(part.windows[:, i], days[i : i + window])
            assert torch.equal(part.targets[i], days[i + window])


def test_the_test_days_come_after_those_of_training_and_are_not_among_them() -> None:
    data = weather(num_days=400)
    longer = weather(num_days=800)  # the same weather, of which the first 600 days are for training
    days = torch.cat([days_of(data.train), days_of(data.test)])
    torch.testing.assert_close(days, days_of(longer.train)[:400])
    known = set(map(tuple, days_of(data.train).tolist()))
    assert not known & set(map(tuple, days_of(data.test).tolist()))


def test_only_the_days_of_training_set_the_scale() -> None:
    train, test = weather()
    days = torch.cat([train.windows[:, 0], train.targets])
    torch.testing.assert_close(days.mean(0), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(days.std(0), torch.ones(3))
    assert torch.equal(test.mean, train.mean)
    assert torch.equal(test.deviation, train.deviation)
    assert (test.windows.mean((0, 1)).abs() > 1e-3).any()


def test_the_weather_is_that_of_a_temperate_coast() -> None:
    days = torch.cat([days_of(part) for part in weather()])
    temperature, pressure, humidity = days.T
    winter = torch.arange(len(days)) % 365 < 40
    summer = (torch.arange(len(days)) % 365 - 202).abs() < 20
    assert temperature[winter].mean() < 5 < 15 < temperature[summer].mean()
    assert 970 < pressure.min() < pressure.max() < 1055
    assert 30 < humidity.min() < humidity.max() <= 100
    swings = pressure - pressure.mean()
    after = [(swings[:-lag] * swings[lag:]).mean() / swings.square().mean() for lag in (3, 6)]
    assert after[0] < -0.4  # high and low follow one another in about six days
    assert after[1] > 0.2


def test_a_seed_is_a_weather() -> None:
    first, again, other = weather(num_days=40), weather(num_days=40), weather(num_days=40, seed=1)
    assert torch.equal(first.train.windows, again.train.windows)
    assert not torch.equal(first.train.windows, other.train.windows)


def test_batches_hold_all_examples() -> None:
    train: InMemory[SeriesBatch] = weather(num_days=40).train
    batches = list(train.batches(8))
    assert [len(batch.targets) for batch in batches] == [8, 8, 8, 3]
    whole = train.select(torch.arange(len(train)))
    assert torch.equal(torch.cat([batch.windows for batch in batches], dim=1), whole.windows)
    some = train.subset(torch.tensor([4, 2])).select(torch.tensor([1]))
    assert torch.equal(some.inputs[0], whole.windows[:, [2]])
    assert torch.equal(some.targets, whole.targets[[2]])
    assert some.to(torch.device("meta")).windows.is_meta


def test_windows_without_their_targets_are_refused() -> None:
    with pytest.raises(ShapeError, match="expected batch = 5, got 4"):
        SeriesBatch(torch.zeros(3, 5, 2), torch.zeros(4, 2))


@pytest.mark.parametrize(("num_days", "window"), [(12, 3), (400, 0), (0, 1)])
def test_a_record_that_is_too_short_is_refused(num_days: int, window: int) -> None:
    with pytest.raises(ValueError, match=f"less than a quarter of num_days={num_days}"):
        weather(num_days=num_days, window=window)


def test_examples_share_no_memory() -> None:
    train = weather().train
    before = train.targets.clone(), train.windows[:, 1].clone()
    train.windows[:, 0] = torch.inf
    train.windows[:, 4] = torch.inf
    assert torch.equal(train.targets, before[0])
    assert torch.equal(train.windows[:, 1], before[1])
