"""Mistakes in models of images and signals, each with its corrected twin."""

import torch
from jaxtyping import Float
from tests.proving.mistakes.rows import Subject
from torch import Tensor, nn
from torch.nn import functional

from shapezoo import Module, checked


class Logits(Module):
    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(8, 10)

    def forward(
        self, x: Float[Tensor, "batch channels=8 height width"]
    ) -> Float[Tensor, "batch classes=10"]:
        result: Tensor = self.linear(self.pool(x).flatten(1))
        return result


class SqueezedLogits(Logits):
    def forward(
        self, x: Float[Tensor, "batch channels=8 height width"]
    ) -> Float[Tensor, "batch classes=10"]:
        result: Tensor = self.linear(self.pool(x).squeeze())
        return result


class FlatPerExample(Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(3, 4, 3, padding=1)
        self.linear = nn.Linear(4 * 16, 10)

    def forward(self, x: Float[Tensor, "batch channels=3 seq"]) -> Float[Tensor, "batch 10"]:
        result: Tensor = self.linear(self.conv(x).flatten(1))
        return result


class FlatAcrossBatch(FlatPerExample):
    def forward(self, x: Float[Tensor, "batch channels=3 seq"]) -> Float[Tensor, "batch 10"]:
        result: Tensor = self.linear(self.conv(x).view(-1, 4 * 16))
        return result


class Same(Module):
    def __init__(self, kernel_size: int, padding: int, dilation: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv1d(4, 4, kernel_size, padding=padding, dilation=dilation)

    def forward(self, x: Float[Tensor, "batch channels=4 seq"]) -> Float[Tensor, "batch 4 seq"]:
        result: Tensor = self.conv(x)
        return result


class Halved(Module):
    def __init__(self, kernel_size: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, kernel_size, stride=2, padding=1)

    def forward(
        self, images: Float[Tensor, "batch channels=3 height width"]
    ) -> Float[Tensor, "batch channels=8 height//2 width//2"]:
        result: Tensor = self.conv(images)
        return result


class Doubled(Module):
    def __init__(self, output_padding: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(8, 3, 3, 2, padding=1, output_padding=output_padding)

    def forward(
        self, x: Float[Tensor, "batch channels=8 height width"]
    ) -> Float[Tensor, "batch channels=3 2*height 2*width"]:
        result: Tensor = self.conv(x)
        return result


class Hourglass(Module):
    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        return functional.interpolate(functional.max_pool2d(x, 2), size=x.shape[-2:])


class HourglassForEven(Module):
    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        return functional.interpolate(functional.max_pool2d(x, 2), scale_factor=2)


class HourglassWithSkip(Module):
    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch 2*channels height width"]:
        up = functional.interpolate(functional.max_pool2d(x, 2), scale_factor=2)
        return torch.cat([x, up], dim=1)


class Dense(Module):
    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.second = nn.Conv2d(in_channels, 8, 3, padding=1)

    def forward(
        self, images: Float[Tensor, "batch channels=3 height width"]
    ) -> Float[Tensor, "batch channels=8 height width"]:
        result: Tensor = self.second(torch.cat([images, self.first(images)], dim=1))
        return result


class Upscaled(Module):
    copies = 4

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.conv = nn.Conv2d(channels, self.copies * channels, 3, padding=1)

    def forward(
        self, x: Float[Tensor, "batch {self.channels} height width"]
    ) -> Float[Tensor, "batch {self.channels} 2*height 2*width"]:
        return functional.pixel_shuffle(self.conv(x), 2)


class UpscaledFromTwo(Upscaled):
    copies = 2


class Gate(Module):
    def __init__(self, channels: int, num_pixel_axes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, channels)
        self.pixels = (None,) * num_pixel_axes

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels 1 1"]:
        gates: Tensor = self.linear(x.mean((2, 3))).sigmoid()
        return gates[(..., *self.pixels)]


class Gated(nn.Module):
    def __init__(self, num_pixel_axes: int) -> None:
        super().__init__()
        self.stages = nn.Sequential(nn.Conv2d(3, 8, 3), Gate(8, num_pixel_axes))

    def forward(
        self, images: Float[Tensor, "batch channels=3 height width"]
    ) -> Float[Tensor, "batch channels=8"]:
        gates: Tensor = self.stages(images)
        return gates.flatten(1)


@checked
def channels_first(
    images: Float[Tensor, "batch height width channels"],
) -> Float[Tensor, "batch channels height width"]:
    return images.permute(0, 3, 1, 2)


@checked
def channels_first_turned(
    images: Float[Tensor, "batch height width channels"],
) -> Float[Tensor, "batch channels height width"]:
    return images.transpose(1, 3)


@checked
def resized(
    masks: Float[Tensor, "batch classes rows columns"],
    images: Float[Tensor, "batch channels height width"],
) -> Float[Tensor, "batch classes height width"]:
    return functional.interpolate(masks, size=images.shape[-2:])


@checked
def resized_to_width_and_height(
    masks: Float[Tensor, "batch classes rows columns"],
    images: Float[Tensor, "batch channels height width"],
) -> Float[Tensor, "batch classes height width"]:
    _, _, height, width = images.shape
    return functional.interpolate(masks, size=(width, height))


@checked
def grey(
    images: Float[Tensor, "batch channels height width"],
) -> Float[Tensor, "batch channels height width"]:
    if images.shape[1] == 3:
        return images.mean(1, keepdim=True).expand_as(images)
    return images


@checked
def grey_of_one_channel(
    images: Float[Tensor, "batch channels height width"],
) -> Float[Tensor, "batch channels height width"]:
    if images.shape[1] == 3:
        return images.mean(1, keepdim=True)
    return images


@checked
def pooled(x: Float[Tensor, "batch channels seq"]) -> Float[Tensor, "batch channels seq//2"]:
    return functional.avg_pool1d(x, 2)


@checked
def pooled_up(x: Float[Tensor, "batch channels seq"]) -> Float[Tensor, "batch channels seq//2"]:
    return functional.avg_pool1d(x, 2, ceil_mode=True)


PAIRS: list[tuple[Subject, Subject, str, str]] = [
    (SqueezedLogits(), Logits(), "", ""),
    (FlatAcrossBatch(), FlatPerExample(), "batch=4, seq=4", "seq == 16"),
    (Same(kernel_size=4, padding=2), Same(kernel_size=3, padding=1), "", ""),
    (Same(3, padding=1, dilation=2), Same(3, padding=2, dilation=2), "seq=3", ""),
    (Halved(3), Halved(4), "", "height >= 2 and width >= 2"),
    (Doubled(output_padding=0), Doubled(output_padding=1), "", ""),
    (
        HourglassForEven(),
        Hourglass(),
        "height=2, width=3 or height=3, width=2",
        "height >= 2 and width >= 2",
    ),
    (
        HourglassForEven(),
        HourglassWithSkip(),
        "height=2, width=3 or height=3, width=2",
        "height % 2 == 0 and width % 2 == 0",
    ),
    (UpscaledFromTwo, Upscaled, "channels=2", ""),
    (Gated(1), Gated(2), "height=3, width=3", "height >= 3 and width >= 3"),
    (channels_first_turned, channels_first, "height=2 or width=2", ""),
    (resized_to_width_and_height, resized, "height=2 or width=2", ""),
    (grey_of_one_channel, grey, "channels=3", ""),
    (pooled_up, pooled, "", "seq >= 2"),
]
"""A mistake, its twin, the sizes other than 1 that refute the one, what the other needs."""


RAISING: list[tuple[Subject, Subject]] = [
    (Dense(in_channels=8), Dense(in_channels=11)),
]
"""A mistake that raises for all sizes, and its twin."""
