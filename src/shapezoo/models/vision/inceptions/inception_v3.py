"""Inception v3: modules whose large convolutions are factored into small and flat ones.

Szegedy, Vanhoucke, Ioffe, Shlens, Wojna, "Rethinking the Inception architecture for computer
vision", 2015, arXiv:1512.00567, Table 1 and Figure 8, with the numbers of channels of the authors'
code. Like that code and torchvision's, whose weights load, the network departs from the paper:
between the first pooling and the modules it has convolutions of 1x1 and 3x3 and another pooling,
instead of three convolutions. The course's `inception_small` is another architecture.
"""

import functools
from collections.abc import Iterator, Mapping

from jaxtyping import Float
from torch import Tensor, nn

from shapezoo.contracts import Module, checked
from shapezoo.layers import ConvNormReLU, init_truncated_normal
from shapezoo.models.vision.inceptions.inception_modules import (
    InceptionA,
    InceptionB,
    InceptionC,
    ReductionA,
    ReductionB,
)
from shapezoo.registry import register


class InceptionV3Auxiliary(Module):
    """A classifier of feature maps from the middle of the network (Section 4, Figure 8).

    Args:
        in_channels: Input channels.
        num_classes: Number of classes.
        channels: Output channels of the 1x1 convolution.
        features: Output channels of the 5x5 convolution.
    """

    def __init__(self, in_channels: int, num_classes: int, *, channels: int, features: int) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.num_classes = num_classes
        self.pool = nn.AvgPool2d(5, stride=3)
        self.conv0 = ConvNormReLU(in_channels, channels, kernel_size=1)
        self.conv1 = ConvNormReLU(channels, features, kernel_size=5)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(features, num_classes)

    def forward(
        self, x: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> Float[Tensor, "batch classes={self.num_classes}"]:
        """Score every class."""
        maps = self.conv1(self.conv0(self.pool(x)))
        logits: Tensor = self.fc(self.avgpool(maps).flatten(1))
        return logits


class InceptionV3(Module):
    """An image classifier of eleven Inception modules and an auxiliary classifier.

    Args:
        in_channels: Channels of the images: 1 for grey, 3 for colour.
        num_classes: Number of classes.
        divisor: Divides all other numbers of channels and features.
        dropout: Probability of dropping a pooled feature in train mode.
        aux_logits: Whether there is an auxiliary classifier, whose logits are returned too in train
            mode. Without one ``AuxLogits`` is None; setting it to None later has the same effect.

    Attributes:
        strides: Stride of each feature map relative to the image, highest resolution first.
        feature_channels: Channels of each feature map.
        num_features: Number of pooled features.
        head_names: The layers that `pooled_features` does not use.
    """

    strides = (4, 8, 16, 32)
    head_names = ("fc", "AuxLogits")

    def __init__(
        self,
        *,
        in_channels: int = 3,
        num_classes: int = 1000,
        divisor: int = 1,
        dropout: float = 0.5,
        aux_logits: bool = True,
    ) -> None:
        super().__init__()

        def widths(*maps: int) -> Iterator[int]:
            return (number // divisor for number in maps)

        self.in_channels = in_channels
        self.num_classes = num_classes
        self.feature_channels = tuple(widths(192, 288, 768, 2048))
        self.Conv2d_1a_3x3 = ConvNormReLU(in_channels, *widths(32), kernel_size=3, stride=2)
        self.Conv2d_2a_3x3 = ConvNormReLU(*widths(32, 32), kernel_size=3)
        self.Conv2d_2b_3x3 = ConvNormReLU(*widths(32, 64), kernel_size=3, padding=1)
        self.maxpool1 = nn.MaxPool2d(3, stride=2)
        self.Conv2d_3b_1x1 = ConvNormReLU(*widths(64, 80), kernel_size=1)
        self.Conv2d_4a_3x3 = ConvNormReLU(*widths(80, 192), kernel_size=3)
        self.maxpool2 = nn.MaxPool2d(3, stride=2)
        self.Mixed_5b = InceptionA(*widths(192, 64, 48, 64, 64, 96, 32))
        self.Mixed_5c = InceptionA(*widths(256, 64, 48, 64, 64, 96, 64))
        self.Mixed_5d = InceptionA(*widths(288, 64, 48, 64, 64, 96, 64))
        self.Mixed_6a = ReductionA(*widths(288, 384, 64, 96))
        self.Mixed_6b = InceptionB(*widths(768, 128, 192))
        self.Mixed_6c = InceptionB(*widths(768, 160, 192))
        self.Mixed_6d = InceptionB(*widths(768, 160, 192))
        self.Mixed_6e = InceptionB(*widths(768, 192, 192))
        self.AuxLogits: InceptionV3Auxiliary | None = None
        if aux_logits:
            channels, features = widths(128, 768)
            self.AuxLogits = InceptionV3Auxiliary(
                self.Mixed_6e.out_channels, num_classes, channels=channels, features=features
            )
        self.Mixed_7a = ReductionB(*widths(768, 192, 320))
        self.Mixed_7b = InceptionC(*widths(1280, 320, 448, 384, 192))
        self.Mixed_7c = InceptionC(*widths(2048, 320, 448, 384, 192))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.num_features = self.Mixed_7c.out_channels
        self.fc = nn.Linear(self.num_features, num_classes)
        # as in the authors' code: the paper has no values; that of `fc` is torchvision's
        init_truncated_normal(self, std=0.1)
        if self.AuxLogits is not None:
            init_truncated_normal(self.AuxLogits.conv1, std=0.01)
            init_truncated_normal(self.AuxLogits.fc, std=0.001)

    def forward(
        self, images: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> (
        Float[Tensor, "batch classes={self.num_classes}"]
        | tuple[
            Float[Tensor, "batch classes={self.num_classes}"],
            Float[Tensor, "batch classes={self.num_classes}"],
        ]
    ):
        """Score every class for each image.

        Returns:
            In eval mode the logits. In train mode also those of the auxiliary classifier, if there
            is one.
        """
        middle = self._until_sixth(images)
        classifier = self.AuxLogits if self.training else None
        auxiliary = None if classifier is None else classifier(middle)
        logits: Tensor = self.fc(self._pooled(middle))
        return logits if auxiliary is None else (logits, auxiliary)

    @checked
    def pooled_features(
        self, images: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> Float[Tensor, "batch features={self.num_features}"]:
        """Return the input of the last layer: the averages of the last maps, after dropout."""
        return self._pooled(self._until_sixth(images))

    @checked
    def feature_maps(
        self, images: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> tuple[
        Float[
            Tensor,
            (
                "batch channels={self.feature_channels[0]} "
                "height=(height-19)//4+1 width=(width-19)//4+1"
            ),
        ],
        Float[
            Tensor,
            (
                "batch channels={self.feature_channels[1]} "
                "height=(height-27)//8+1 width=(width-27)//8+1"
            ),
        ],
        Float[
            Tensor,
            (
                "batch channels={self.feature_channels[2]} "
                "height=(height-43)//16+1 width=(width-43)//16+1"
            ),
        ],
        Float[
            Tensor,
            (
                "batch channels={self.feature_channels[3]} "
                "height=(height-75)//32+1 width=(width-75)//32+1"
            ),
        ],
    ]:
        """Return the last feature maps of each resolution, highest resolution first."""
        first = self._stem(images)
        second = self._fifth(self.maxpool2(first))
        third = self._sixth(second)
        return first, second, third, self._seventh(third)

    def adapted(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return weights without those of an auxiliary classifier that this model lacks.

        Args:
            weights: The ``state_dict()`` of an Inception v3.
        """
        missing = "AuxLogits." if self.AuxLogits is None else ()
        return {key: weight for key, weight in weights.items() if not key.startswith(missing)}

    def _stem(self, images: Tensor) -> Tensor:
        x = self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(images))
        x = self.maxpool1(self.Conv2d_2b_3x3(x))
        return self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x))

    def _fifth(self, x: Tensor) -> Tensor:
        return self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x)))

    def _sixth(self, x: Tensor) -> Tensor:
        x = self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))
        return self.Mixed_6e(self.Mixed_6d(x))

    def _seventh(self, x: Tensor) -> Tensor:
        return self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))

    def _until_sixth(self, images: Tensor) -> Tensor:
        return self._sixth(self._fifth(self.maxpool2(self._stem(images))))

    def _pooled(self, x: Tensor) -> Tensor:
        features: Tensor = self.dropout(self.avgpool(self._seventh(x)).flatten(1))
        return features


_register = functools.partial(
    register,
    task="image-classification",
    paper="Szegedy et al., Rethinking the Inception architecture for computer vision, 2015, "
    "arXiv:1512.00567",
)


_micro = functools.partial(InceptionV3, divisor=16)


@_register()
def inception_v3_micro(
    *, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.5, aux_logits: bool = True
) -> InceptionV3:
    """A tiny Inception v3 for tests and experiments: a sixteenth of the width, not from a paper."""
    return _micro(
        in_channels=in_channels, num_classes=num_classes, dropout=dropout, aux_logits=aux_logits
    )


@_register(published_by="torchvision")
def inception_v3(
    *, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.5, aux_logits: bool = True
) -> InceptionV3:
    """Inception v3, of 48 layers."""
    return InceptionV3(
        in_channels=in_channels, num_classes=num_classes, dropout=dropout, aux_logits=aux_logits
    )
