# mypy: disable-error-code=no-any-return
# ruff: noqa: D102
"""Twelve modules with a planted shape mistake, each followed by its right twin, for `peers.py`.

They are plain PyTorch with jaxtyping annotations, in the subset of jaxtyping that all tools read.
The annotations say what the author means; the mistake is in the code, on the line with the comment.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

SHAPES: dict[str, tuple[tuple[int, ...], ...]] = {
    "LinearAfterConvolution": ((8, 1, 28, 28),),
    "BatchFirst": ((8, 12, 5),),
    "ConcatenationAxis": ((8, 16, 20),),
    "MeanAxis": ((8, 12, 64),),
    "BroadcastLoss": ((8, 1), (8,)),
    "ResidualChannels": ((8, 16, 32, 32),),
    "SkipConnection": ((8, 3, 32, 32),),
    "AttentionHeads": ((8, 12, 64),),
    "TransposedMatmul": ((8, 12, 64), (8, 10, 64)),
    "FixedPooling": ((8, 3, 64, 64),),
    "FlattenOrder": ((8, 3, 8, 8),),
    "EvenKernel": ((8, 16, 20),),
}
"""Mistakes, with the shapes of an ordinary call: the same for the mistake and for its twin."""


class LinearAfterConvolution(nn.Module):
    """A linear layer after a pooled feature map."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.linear = nn.Linear(8 * 28 * 28, 10)  # forgets the pooling

    def forward(self, images: Float[Tensor, "batch 1 28 28"]) -> Float[Tensor, "batch 10"]:
        return self.linear(self.pool(torch.relu(self.conv(images))).flatten(1))


class LinearAfterConvolutionRight(nn.Module):
    """The same, with the size after pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.linear = nn.Linear(8 * 14 * 14, 10)

    def forward(self, images: Float[Tensor, "batch 1 28 28"]) -> Float[Tensor, "batch 10"]:
        return self.linear(self.pool(torch.relu(self.conv(images))).flatten(1))


class BatchFirst(nn.Module):
    """A classifier of sequences, from the last step of an LSTM."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(5, 7)
        self.linear = nn.Linear(7, 2)

    def forward(self, sequences: Float[Tensor, "batch seq 5"]) -> Float[Tensor, "batch 2"]:
        states, _ = self.lstm(sequences)  # without batch_first, axis 0 is the time
        return self.linear(states[-1])


class BatchFirstRight(nn.Module):
    """The same, with the batch first."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(5, 7, batch_first=True)
        self.linear = nn.Linear(7, 2)

    def forward(self, sequences: Float[Tensor, "batch seq 5"]) -> Float[Tensor, "batch 2"]:
        states, _ = self.lstm(sequences)
        return self.linear(states[:, -1])


class ConcatenationAxis(nn.Module):
    """Two branches whose channels are concatenated."""

    def __init__(self) -> None:
        super().__init__()
        self.narrow = nn.Conv1d(16, 16, 1)
        self.wide = nn.Conv1d(16, 16, 3, padding=1)

    def forward(self, x: Float[Tensor, "batch 16 seq"]) -> Float[Tensor, "batch 32 seq"]:
        return torch.cat([self.narrow(x), self.wide(x)], dim=2)  # the axis of the positions


class ConcatenationAxisRight(nn.Module):
    """The same, along the channels."""

    def __init__(self) -> None:
        super().__init__()
        self.narrow = nn.Conv1d(16, 16, 1)
        self.wide = nn.Conv1d(16, 16, 3, padding=1)

    def forward(self, x: Float[Tensor, "batch 16 seq"]) -> Float[Tensor, "batch 32 seq"]:
        return torch.cat([self.narrow(x), self.wide(x)], dim=1)


class MeanAxis(nn.Module):
    """The mean over positions."""

    def forward(self, x: Float[Tensor, "batch seq 64"]) -> Float[Tensor, "batch 64"]:
        return x.mean(dim=2)  # the axis of the features


class MeanAxisRight(nn.Module):
    """The same, over axis 1."""

    def forward(self, x: Float[Tensor, "batch seq 64"]) -> Float[Tensor, "batch 64"]:
        return x.mean(dim=1)


class BroadcastLoss(nn.Module):
    """The squared error of each example."""

    def forward(
        self, predictions: Float[Tensor, "batch 1"], targets: Float[Tensor, "batch"]
    ) -> Float[Tensor, "batch"]:
        return (predictions - targets).square()  # every prediction with every target


class BroadcastLossRight(nn.Module):
    """The same, of tensors with one axis."""

    def forward(
        self, predictions: Float[Tensor, "batch 1"], targets: Float[Tensor, "batch"]
    ) -> Float[Tensor, "batch"]:
        return (predictions.squeeze(1) - targets).square()


class ResidualChannels(nn.Module):
    """A residual block that doubles the channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(16, 32, 3, padding=1)

    def forward(
        self, x: Float[Tensor, "batch 16 height width"]
    ) -> Float[Tensor, "batch 32 height width"]:
        return x + self.conv(x)  # 16 channels and 32


class ResidualChannelsRight(nn.Module):
    """The same, with a projection as its shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(16, 32, 3, padding=1)
        self.shortcut = nn.Conv2d(16, 32, 1)

    def forward(
        self, x: Float[Tensor, "batch 16 height width"]
    ) -> Float[Tensor, "batch 32 height width"]:
        return self.shortcut(x) + self.conv(x)


class SkipConnection(nn.Module):
    """One level of a U-Net: down, up, and a skip connection."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.up = nn.ConvTranspose2d(8, 8, 2, stride=2)

    def forward(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch 11 height width"]:
        upsampled = self.up(self.down(images))  # one row more than an odd height
        return torch.cat([images, upsampled], dim=1)


class SkipConnectionRight(nn.Module):
    """The same, cropped to the size of the images."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.up = nn.ConvTranspose2d(8, 8, 2, stride=2)

    def forward(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch 11 height width"]:
        upsampled = self.up(self.down(images))
        cropped = upsampled[:, :, : images.shape[2], : images.shape[3]]
        return torch.cat([images, cropped], dim=1)


class AttentionHeads(nn.Module):
    """The split of features into four heads."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Linear(64, 64)

    def forward(self, x: Float[Tensor, "batch seq 64"]) -> Float[Tensor, "batch 4 seq 16"]:
        batch, seq, _ = x.shape
        return self.query(x).view(batch, seq, 4, 16)  # without the transpose


class AttentionHeadsRight(nn.Module):
    """The same, with the heads in front of the positions."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Linear(64, 64)

    def forward(self, x: Float[Tensor, "batch seq 64"]) -> Float[Tensor, "batch 4 seq 16"]:
        batch, seq, _ = x.shape
        return self.query(x).view(batch, seq, 4, 16).transpose(1, 2)


class TransposedMatmul(nn.Module):
    """The scores of queries and keys."""

    def forward(
        self, queries: Float[Tensor, "batch seq 64"], keys: Float[Tensor, "batch kv_seq 64"]
    ) -> Float[Tensor, "batch seq kv_seq"]:
        return queries @ keys  # without the transpose


class TransposedMatmulRight(nn.Module):
    """The same, with transposed keys."""

    def forward(
        self, queries: Float[Tensor, "batch seq 64"], keys: Float[Tensor, "batch kv_seq 64"]
    ) -> Float[Tensor, "batch seq kv_seq"]:
        return queries @ keys.transpose(1, 2)


class FixedPooling(nn.Module):
    """A classifier of images of any size."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, stride=2, padding=1)
        self.linear = nn.Linear(32, 10)

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 10"]:
        maps = torch.relu(self.conv2(torch.relu(self.conv1(images))))
        return self.linear(functional.avg_pool2d(maps, 16).flatten(1))  # fits 64 x 64 pixels


class FixedPoolingRight(nn.Module):
    """The same, with the mean over all pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, stride=2, padding=1)
        self.linear = nn.Linear(32, 10)

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 10"]:
        maps = torch.relu(self.conv2(torch.relu(self.conv1(images))))
        return self.linear(functional.adaptive_avg_pool2d(maps, 1).flatten(1))


class FlattenOrder(nn.Module):
    """A head for weights that were trained on maps flattened with channels first."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3 * 8 * 8, 10)

    def forward(self, maps: Float[Tensor, "batch 3 8 8"]) -> Float[Tensor, "batch 10"]:
        return self.linear(maps.permute(0, 2, 3, 1).flatten(1))  # the right size, another order


class FlattenOrderRight(nn.Module):
    """The same, without the permutation."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3 * 8 * 8, 10)

    def forward(self, maps: Float[Tensor, "batch 3 8 8"]) -> Float[Tensor, "batch 10"]:
        return self.linear(maps.flatten(1))


class EvenKernel(nn.Module):
    """A convolution that keeps the length."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(16, 16, 4, padding=2)  # adds a position

    def forward(self, x: Float[Tensor, "batch 16 seq"]) -> Float[Tensor, "batch 16 seq"]:
        return self.conv(x)


class EvenKernelRight(nn.Module):
    """The same, with an odd kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(16, 16, 5, padding=2)

    def forward(self, x: Float[Tensor, "batch 16 seq"]) -> Float[Tensor, "batch 16 seq"]:
        return self.conv(x)
