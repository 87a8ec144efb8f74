"""A synthetic weather record for forecasting: windows of a few days, and the day after each.

Each quantity is the sum of a yearly cycle and a disturbance. High and low pressure alternate about
every six days, like depressions in the westerlies; the pressure of a day changes the temperature
and the humidity of the next day, and both return towards their cycles.
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
    """Windows of a series, each with the values that follow it.

    Attributes:
        windows: The windows.
        targets: The values that follow.
    """

    windows: Float[Tensor, "seq batch features"]
    targets: Float[Tensor, "batch features"]

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The arguments of the model."""
        return (self.windows,)

    def to(self, device: torch.device) -> Self:
        """Return the same examples on a device."""
        return replace(self, windows=self.windows.to(device), targets=self.targets.to(device))


@checked
@dataclass(frozen=True, eq=False)
class SeriesDataset(InMemory[SeriesBatch]):
    """All windows of a series, in order, each with the values that follow it.

    Attributes:
        windows: The windows, standardised with `mean` and `deviation`.
        targets: The values that follow, standardised in the same way.
        columns: The names of the features, with their units.
        mean: The mean of each feature over the training days, in its own unit.
        deviation: The standard deviation of each feature over the training days, in its own unit.
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
        """Return the examples at these indices as a batch."""
        return SeriesBatch(self.windows[:, indices], self.targets[indices])

    def subset(self, indices: Tensor) -> Self:
        """Return the examples at these indices as a dataset."""
        return replace(self, windows=self.windows[:, indices], targets=self.targets[indices])

    @checked
    def in_units(
        self, values: Float[Tensor, "*batch features"]
    ) -> Float[Tensor, "*batch features"]:
        """Convert standardised values to the units of the columns."""
        return values * self.deviation + self.mean


def weather(*, num_days: int = 4 * 365, window: int = 3, seed: int = 0) -> Split[SeriesDataset]:
    """Return windows of a synthetic weather record, each with the day after it.

    The last quarter of the days is for testing; no day is in both parts.

    Args:
        num_days: The number of days, from the first of January.
        window: The number of days in a window.
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
        windows = part[:-1].unfold(0, window, 1).movedim(-1, 0)
        # a copy, because windows that overlap in memory cannot be written to or saved
        windows = windows.clone(memory_format=torch.contiguous_format)
        columns = ("temperature (°C)", "pressure (hPa)", "humidity (%)")
        return SeriesDataset(windows, part[window:], columns, mean, deviation)

    return Split(examples(past), examples(future))


def _record(num_days: int, generator: torch.Generator) -> Tensor:
    """Return the temperature, pressure and humidity of each day, in their units."""
    season = (torch.arange(num_days) - 20) * 2 * pi / 365  # coldest on the 21st of January
    swing = torch.cos(season)[:, None] * torch.tensor([-9.0, 0.0, 6.0])
    # an autoregressive process of order 2; the negative second weight makes the pressure oscillate
    weights_1 = torch.tensor([[0.7, 0.2, 0.0], [0.0, 0.9, 0.0], [0.0, -0.4, 0.5]])
    weights_2 = torch.tensor([0.0, -0.81, 0.0])

    def step(last_days: _Days, noise: Tensor) -> tuple[_Days, Tensor]:
        before, yesterday = last_days
        today = weights_1 @ yesterday + weights_2 * before + noise
        return (yesterday, today), today

    noise = torch.randn(num_days, 3, generator=generator) * torch.tensor([1.2, 4.0, 3.0])
    _, disturbances = scan(step, (torch.zeros(3), torch.zeros(3)), noise)
    days = torch.tensor([10.0, 1013.0, 75.0]) + swing + disturbances
    return days.clamp(max=torch.tensor([inf, inf, 100.0]))
