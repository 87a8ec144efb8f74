"""A made-up weather record, for forecasts: some days of it, and the day that followed.

Each quantity is a yearly cycle and a disturbance. High and low pressure follow one another about
every six days, as depressions do in the westerlies; the pressure of a day moves the temperature
and the humidity of the next one, and both fall back towards their cycles.
"""

from dataclasses import dataclass, replace
from math import inf, pi
from typing import Self

import torch
from jaxtyping import Float
from torch import Tensor

from shapezoo._seeding import draws_nothing
from shapezoo.contracts import checked
from shapezoo.data.memory import InMemory, Split
from shapezoo.layers import scan

_Days = tuple[Tensor, Tensor]


@checked
@dataclass(frozen=True, eq=False)
class SeriesBatch:
    """Stretches of a series, each with what followed.

    Attributes:
        windows: The stretches.
        targets: The values that followed.
    """

    windows: Float[Tensor, "seq batch features"]
    targets: Float[Tensor, "batch features"]

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """What a model takes."""
        return (self.windows,)

    def to(self, device: torch.device) -> Self:
        """The same examples on a device."""
        return replace(self, windows=self.windows.to(device), targets=self.targets.to(device))


@checked
@dataclass(frozen=True, eq=False)
class SeriesDataset(InMemory[SeriesBatch]):
    """All stretches of a series, in their order, each with what followed.

    Attributes:
        windows: The stretches, standardised: without `mean`, in units of `deviation`.
        targets: The values that followed, standardised alike.
        columns: The names of the features, with their units.
        mean: The mean of each feature over the days of training, in its own unit.
        deviation: The standard deviation of each feature over these days, in its own unit.
    """

    windows: Float[Tensor, "seq batch features"]
    targets: Float[Tensor, "batch features"]
    columns: tuple[str, ...]
    mean: Float[Tensor, "features"]
    deviation: Float[Tensor, "features"]

    def __len__(self) -> int:
        return len(self.targets)

    @draws_nothing
    def select(self, indices: Tensor) -> SeriesBatch:
        """The examples at these indices, as a batch."""
        return SeriesBatch(self.windows[:, indices], self.targets[indices])

    def subset(self, indices: Tensor) -> Self:
        """The examples at these indices, as a dataset."""
        return replace(self, windows=self.windows[:, indices], targets=self.targets[indices])

    @checked
    def in_units(
        self, values: Float[Tensor, "*batch features"]
    ) -> Float[Tensor, "*batch features"]:
        """Standardised values in the units of the columns."""
        return values * self.deviation + self.mean


def weather(*, num_days: int = 4 * 365, window: int = 3, seed: int = 0) -> Split[SeriesDataset]:
    """Some days of a made-up weather record, and the day that followed, over and over.

    The last quarter of the days is set aside for testing; no day stands in both parts.

    Args:
        num_days: How many days the record has, from the first of January.
        window: How many days to forecast from.
        seed: Seeds the weather.

    Raises:
        ValueError: The record is too short for an example in each part.
    """
    num_test = num_days // 4
    if not 1 <= window < num_test:
        raise ValueError(
            f"window must be positive and less than a quarter of num_days={num_days}, got {window}"
        )
    days = _record(num_days, torch.Generator().manual_seed(seed))
    past, future = days.tensor_split([num_days - num_test])
    deviation, mean = torch.std_mean(past, dim=0)

    def examples(part: Tensor) -> SeriesDataset:
        part = (part - mean) / deviation
        windows = (
            part[:-1]
            .unfold(0, window, 1)
            .movedim(-1, 0)
            .clone(  # not views of each other
                memory_format=torch.contiguous_format
            )
        )
        columns = ("temperature (°C)", "pressure (hPa)", "humidity (%)")
        return SeriesDataset(windows, part[window:], columns, mean, deviation)

    return Split(examples(past), examples(future))


def _record(num_days: int, generator: torch.Generator) -> Tensor:
    """Temperature, pressure and humidity of each day, in their units."""
    season = (torch.arange(num_days) - 20) * 2 * pi / 365  # coldest on the 21st of January
    swing = torch.cos(season)[:, None] * torch.tensor([-9.0, 0.0, 6.0])
    of_yesterday = torch.tensor([[0.7, 0.2, 0.0], [0.0, 0.9, 0.0], [0.0, -0.4, 0.5]])
    of_the_day_before = torch.tensor([0.0, -0.81, 0.0])  # swings the pressure back

    def step(last: _Days, chance: Tensor) -> tuple[_Days, Tensor]:
        before, yesterday = last
        today = of_yesterday @ yesterday + of_the_day_before * before + chance
        return (yesterday, today), today

    chances = torch.randn(num_days, 3, generator=generator) * torch.tensor([1.2, 4.0, 3.0])
    _, disturbances = scan(step, (torch.zeros(3), torch.zeros(3)), chances)
    days = torch.tensor([10.0, 1013.0, 75.0]) + swing + disturbances
    return days.clamp(max=torch.tensor([inf, inf, 100.0]))
