"""MaxViT: convolutions, attention within windows, and attention among pixels that are far apart.

Tu et al., "MaxViT: multi-axis vision transformer", 2022, arXiv:2204.01697, Figure 2 and Table 1.
`maxvit_blocks` has the blocks. The biases of the attention depend on the size of a window alone, so
a model takes images of any size that its windows divide in every stage. torchvision fixes one size,
224x224; its weights work for all others too.
"""

import functools
from collections import OrderedDict

from jaxtyping import Float
from torch import Tensor, nn

from shapezoo.contracts import checked
from shapezoo.layers.conv_norm_activation import ConvNormActivation
from shapezoo.models.vision.staged_backbone import StagedBackbone, outputs_of
from shapezoo.models.vision.transformers.maxvit_blocks import MaxViTBlock, norm
from shapezoo.registry import register


class MaxViT(StagedBackbone):
    """An image classifier of four stages of blocks.

    Args:
        channels: Channels of each stage.
        depths: Number of blocks of each stage.
        stem_channels: Channels of the stem.
        head_dim: Width of an attention head, which divides the channels of every stage.
        partition_size: Height and width of a window and of a grid.
        in_channels: Channels of the images: 1 for grey, 3 for colour.
        num_classes: Number of classes.
        dropout: Probability of dropping an output of an attention or of an MLP in train mode.
        stochastic_depth: Probability of skipping a residual of the last block in train mode. It
            grows linearly with the depth, from 0.

    Attributes:
        strides: Stride of each feature map relative to the image, highest resolution first.
        feature_channels: Channels of each feature map.
        num_features: Number of pooled features.
        head_names: The layers that `pooled_features` does not use.
    """

    head_names = ("classifier.5",)

    def __init__(
        self,
        channels: tuple[int, int, int, int],
        depths: tuple[int, int, int, int],
        *,
        stem_channels: int,
        head_dim: int,
        partition_size: int,
        in_channels: int = 3,
        num_classes: int = 1000,
        dropout: float = 0.0,
        stochastic_depth: float = 0.0,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.num_classes = num_classes
        self.feature_channels = channels
        self.num_features = last = channels[-1]
        self.stem = nn.Sequential(
            ConvNormActivation(
                in_channels, stem_channels, 3, stride=2, norm=norm, activation=nn.GELU
            ),
            nn.Sequential(nn.Conv2d(stem_channels, stem_channels, 3, padding=1)),
        )
        self.blocks = nn.Sequential()
        rates = iter([stochastic_depth * i / (sum(depths) - 1) for i in range(sum(depths))])
        width = stem_channels
        for stage_width, depth in zip(channels, depths, strict=True):
            stage = nn.Sequential()
            for index in range(depth):
                stage.append(
                    MaxViTBlock(
                        width,
                        stage_width,
                        stride=1 if index else 2,
                        head_dim=head_dim,
                        size=partition_size,
                        dropout=dropout,
                        stochastic_depth=next(rates),
                    )
                )
                width = stage_width
            self.blocks.append(nn.Sequential(OrderedDict(layers=stage)))
        self.classifier = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.LayerNorm(last),
            nn.Linear(last, last),
            nn.Tanh(),
            nn.Linear(last, num_classes, bias=False),
        )
        _init_weights(self)

    def forward(
        self, images: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> Float[Tensor, "batch classes={self.num_classes}"]:
        """Score every class for each image."""
        logits: Tensor = self.classifier(self.blocks(self.stem(images)))
        return logits

    @checked
    def pooled_features(
        self, images: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> Float[Tensor, "batch features={self.num_features}"]:
        """Return the input of the last layer: the averages of the last maps, transformed."""
        x: Tensor = self.blocks(self.stem(images))
        for layer in list(self.classifier)[:-1]:
            x = layer(x)
        return x

    def _maps(self, images: Tensor) -> list[Tensor]:
        return outputs_of(self.blocks, range(4), self.stem(images))


def _init_weights(model: nn.Module) -> None:
    """Draw normal weights with a standard deviation of 0.02; biases are zero."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


_register = functools.partial(
    register,
    task="image-classification",
    paper="Tu et al., MaxViT: multi-axis vision transformer, 2022, arXiv:2204.01697",
    static_axes=("height", "width"),
)

_micro = functools.partial(
    MaxViT, (8, 8, 16, 16), (1, 1, 2, 1), stem_channels=8, head_dim=4, partition_size=7
)
_tiny = functools.partial(
    MaxViT, (64, 128, 256, 512), (2, 2, 5, 2), stem_channels=64, head_dim=32, partition_size=7
)


@_register()
def maxvit_micro(
    *,
    in_channels: int = 3,
    num_classes: int = 1000,
    dropout: float = 0.0,
    stochastic_depth: float = 0.2,
) -> MaxViT:
    """A tiny MaxViT for tests and experiments: five narrow blocks, not from a paper."""
    return _micro(
        in_channels=in_channels,
        num_classes=num_classes,
        dropout=dropout,
        stochastic_depth=stochastic_depth,
    )


@_register(published_by="torchvision")
def maxvit_t(
    *,
    in_channels: int = 3,
    num_classes: int = 1000,
    dropout: float = 0.0,
    stochastic_depth: float = 0.2,
) -> MaxViT:
    """MaxViT-T: 11 blocks, with 64 channels in the first stage."""
    return _tiny(
        in_channels=in_channels,
        num_classes=num_classes,
        dropout=dropout,
        stochastic_depth=stochastic_depth,
    )
