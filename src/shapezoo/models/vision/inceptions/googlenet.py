"""GoogLeNet: convolutions of several sizes side by side, and auxiliary classifiers for training.

Szegedy et al., "Going deeper with convolutions", 2014, arXiv:1409.4842, Table 1, Figures 2(b) and
3. Like torchvision's GoogLeNet, whose weights load, it departs from the paper: batch normalisation
follows the convolutions, which have no bias; there is no local response normalisation; 3x3
convolutions replace those of 5x5; the last pooling before the average is 2x2; the input of an
auxiliary classifier is averaged to 4x4, whatever its size; and 20 % of the features are dropped
instead of 40 %.
"""

import functools
from collections.abc import Iterator, Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from shapezoo.contracts import Module, checked
from shapezoo.layers import ConvNormReLU, init_truncated_normal
from shapezoo.registry import register


class InceptionModule(Module):
    """Four branches with the same input, whose outputs are concatenated (Figure 2(b)).

    The numbers of channels are the columns of Table 1. `InceptionBlock` is the course's version.

    Args:
        in_channels: Input channels.
        ch1x1: Output channels of the 1x1 convolution.
        ch3x3red: Input channels of the 3x3 convolution.
        ch3x3: Output channels of the 3x3 convolution.
        ch5x5red: Input channels of the 5x5 convolution, which is 3x3 here.
        ch5x5: Output channels of the 5x5 convolution.
        pool_proj: Output channels of the convolution after pooling.
    """

    def __init__(
        self,
        in_channels: int,
        ch1x1: int,
        ch3x3red: int,
        ch3x3: int,
        ch5x5red: int,
        ch5x5: int,
        pool_proj: int,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = ch1x1 + ch3x3 + ch5x5 + pool_proj
        self.branch1 = ConvNormReLU(in_channels, ch1x1, kernel_size=1)
        self.branch2 = nn.Sequential(
            ConvNormReLU(in_channels, ch3x3red, kernel_size=1),
            ConvNormReLU(ch3x3red, ch3x3, kernel_size=3, padding=1),
        )
        self.branch3 = nn.Sequential(
            ConvNormReLU(in_channels, ch5x5red, kernel_size=1),
            ConvNormReLU(ch5x5red, ch5x5, kernel_size=3, padding=1),
        )
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1),
            ConvNormReLU(in_channels, pool_proj, kernel_size=1),
        )

    def forward(
        self, x: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> Float[Tensor, "batch channels={self.out_channels} height width"]:
        """Concatenate the outputs of the four branches."""
        branches = self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)
        return torch.cat(branches, dim=1)


class GoogLeNetAuxiliary(Module):
    """A classifier of feature maps from the middle of the network (Section 5).

    Args:
        in_channels: Input channels.
        num_classes: Number of classes.
        channels: Output channels of the convolution.
        hidden_features: Width of the hidden layer.
    """

    def __init__(
        self, in_channels: int, num_classes: int, *, channels: int, hidden_features: int
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.num_classes = num_classes
        self.avgpool = nn.AdaptiveAvgPool2d(4)
        self.conv = ConvNormReLU(in_channels, channels, kernel_size=1)
        self.fc1 = nn.Linear(16 * channels, hidden_features)
        self.relu = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(0.7)
        self.fc2 = nn.Linear(hidden_features, num_classes)

    def forward(
        self, x: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> Float[Tensor, "batch classes={self.num_classes}"]:
        """Score every class."""
        hidden = self.relu(self.fc1(self.conv(self.avgpool(x)).flatten(1)))
        logits: Tensor = self.fc2(self.dropout(hidden))
        return logits


class GoogLeNet(Module):
    """An image classifier of nine Inception modules and two auxiliary classifiers.

    Args:
        in_channels: Channels of the images: 1 for grey, 3 for colour.
        num_classes: Number of classes.
        divisor: Divides all other numbers of channels and features.
        dropout: Probability of dropping a pooled feature in train mode.
        aux_logits: Whether there are auxiliary classifiers, whose logits are returned too in train
            mode. Without them ``aux1`` and ``aux2`` are None; setting both to None later has the
            same effect.

    Attributes:
        strides: Stride of each feature map relative to the image, highest resolution first.
        feature_channels: Channels of each feature map.
        num_features: Number of pooled features.
        head_names: The layers that `pooled_features` does not use.
    """

    strides = (4, 8, 16, 32)
    head_names = ("fc", "aux1", "aux2")

    def __init__(
        self,
        *,
        in_channels: int = 3,
        num_classes: int = 1000,
        divisor: int = 1,
        dropout: float = 0.2,
        aux_logits: bool = True,
    ) -> None:
        super().__init__()

        def widths(*maps: int) -> Iterator[int]:
            return (number // divisor for number in maps)

        self.in_channels = in_channels
        self.num_classes = num_classes
        self.feature_channels = tuple(widths(192, 480, 832, 1024))
        self.conv1 = ConvNormReLU(in_channels, *widths(64), kernel_size=7, stride=2, padding=3)
        self.maxpool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.conv2 = ConvNormReLU(*widths(64, 64), kernel_size=1)
        self.conv3 = ConvNormReLU(*widths(64, 192), kernel_size=3, padding=1)
        self.maxpool2 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception3a = InceptionModule(*widths(192, 64, 96, 128, 16, 32, 32))
        self.inception3b = InceptionModule(*widths(256, 128, 128, 192, 32, 96, 64))
        self.maxpool3 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception4a = InceptionModule(*widths(480, 192, 96, 208, 16, 48, 64))
        self.inception4b = InceptionModule(*widths(512, 160, 112, 224, 24, 64, 64))
        self.inception4c = InceptionModule(*widths(512, 128, 128, 256, 24, 64, 64))
        self.inception4d = InceptionModule(*widths(512, 112, 144, 288, 32, 64, 64))
        self.inception4e = InceptionModule(*widths(528, 256, 160, 320, 32, 128, 128))
        self.maxpool4 = nn.MaxPool2d(2, stride=2, ceil_mode=True)
        self.inception5a = InceptionModule(*widths(832, 256, 160, 320, 32, 128, 128))
        self.inception5b = InceptionModule(*widths(832, 384, 192, 384, 48, 128, 128))
        channels, features = widths(128, 1024)
        self.num_features = features

        self.aux1: GoogLeNetAuxiliary | None = None
        self.aux2: GoogLeNetAuxiliary | None = None
        if aux_logits:
            sizes = {"num_classes": num_classes, "channels": channels, "hidden_features": features}
            self.aux1 = GoogLeNetAuxiliary(self.inception4a.out_channels, **sizes)
            self.aux2 = GoogLeNetAuxiliary(self.inception4d.out_channels, **sizes)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(features, num_classes)
        init_truncated_normal(self, std=0.01)  # as in the authors' code: the paper has no value

    def forward(
        self, images: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> (
        Float[Tensor, "batch classes={self.num_classes}"]
        | tuple[
            Float[Tensor, "batch classes={self.num_classes}"],
            Float[Tensor, "batch classes={self.num_classes}"],
            Float[Tensor, "batch classes={self.num_classes}"],
        ]
    ):
        """Score every class for each image.

        Returns:
            In eval mode the logits. In train mode also those of the second auxiliary classifier,
            then of the first; only the logits if either classifier is missing.
        """
        aux1, aux2 = (self.aux1, self.aux2) if self.training else (None, None)
        if aux1 is None or aux2 is None:
            logits: Tensor = self.fc(self.pooled_features(images))
            return logits
        x = self._until_4a(images)
        first = aux1(x)
        x = self._until_4d(x)
        second = aux2(x)
        logits = self.fc(self._pooled(x))
        return logits, second, first

    @checked
    def pooled_features(
        self, images: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> Float[Tensor, "batch features={self.num_features}"]:
        """Return the input of the last layer: the averages of the last maps, after dropout."""
        return self._pooled(self._until_4d(self._until_4a(images)))

    @checked
    def feature_maps(
        self, images: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> tuple[
        Float[
            Tensor,
            "batch channels={self.feature_channels[0]} height=(height-3)//4+1 width=(width-3)//4+1",
        ],
        Float[
            Tensor,
            "batch channels={self.feature_channels[1]} height=(height-7)//8+1 width=(width-7)//8+1",
        ],
        Float[
            Tensor,
            (
                "batch channels={self.feature_channels[2]} "
                "height=(height-15)//16+1 width=(width-15)//16+1"
            ),
        ],
        Float[
            Tensor,
            (
                "batch channels={self.feature_channels[3]} "
                "height=(height-15)//32+1 width=(width-15)//32+1"
            ),
        ],
    ]:
        """Return the last feature maps of each resolution, highest resolution first."""
        first = self._stem(images)
        second = self.inception3b(self.inception3a(self.maxpool2(first)))
        x = self.inception4b(self.inception4a(self.maxpool3(second)))
        third = self.inception4e(self.inception4d(self.inception4c(x)))
        fourth = self.inception5b(self.inception5a(self.maxpool4(third)))
        return first, second, third, fourth

    def adapted(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return weights without those of auxiliary classifiers that this model lacks.

        Args:
            weights: The ``state_dict()`` of a GoogLeNet.
        """
        classifiers = {"aux1.": self.aux1, "aux2.": self.aux2}
        missing = tuple(prefix for prefix, module in classifiers.items() if module is None)
        return {key: weight for key, weight in weights.items() if not key.startswith(missing)}

    def _stem(self, images: Tensor) -> Tensor:
        return self.conv3(self.conv2(self.maxpool1(self.conv1(images))))

    def _until_4a(self, images: Tensor) -> Tensor:
        x = self.maxpool2(self._stem(images))  # frees the large maps before allocating the next
        x = self.maxpool3(self.inception3b(self.inception3a(x)))
        return self.inception4a(x)

    def _until_4d(self, x: Tensor) -> Tensor:
        return self.inception4d(self.inception4c(self.inception4b(x)))

    def _pooled(self, x: Tensor) -> Tensor:
        x = self.maxpool4(self.inception4e(x))
        x = self.avgpool(self.inception5b(self.inception5a(x)))
        features: Tensor = self.dropout(x.flatten(1))
        return features


_register = functools.partial(
    register,
    task="image-classification",
    paper="Szegedy et al., Going deeper with convolutions, 2014, arXiv:1409.4842",
)


_micro = functools.partial(GoogLeNet, divisor=16)


@_register()
def googlenet_micro(
    *, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.2, aux_logits: bool = True
) -> GoogLeNet:
    """A tiny GoogLeNet for tests and experiments: a sixteenth of the width, not from a paper."""
    return _micro(
        in_channels=in_channels, num_classes=num_classes, dropout=dropout, aux_logits=aux_logits
    )


@_register(published_by="torchvision")
def googlenet(
    *, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.2, aux_logits: bool = True
) -> GoogLeNet:
    """GoogLeNet, of 22 layers."""
    return GoogLeNet(
        in_channels=in_channels, num_classes=num_classes, dropout=dropout, aux_logits=aux_logits
    )
