"""Swin Transformer: attention within windows, on feature maps that become coarser like a ResNet's.

Liu, Lin, Cao, Hu, Wei, Zhang, Lin, Guo, "Swin Transformer: hierarchical vision transformer using
shifted windows", 2021, arXiv:2103.14030, Section 3, Figure 3 and Table 7. The paper does not say
how weights are initialised; the initialisation is that of the authors' code. `swin_blocks` has the
blocks, and `shifted_windows` the windows.
"""

import functools
from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor, nn

from shapezoo.contracts import Module, checked
from shapezoo.models.vision.transformers.shifted_windows import ShiftedWindows, Windows
from shapezoo.models.vision.transformers.swin_blocks import (
    PatchEmbedding,
    PatchMerging,
    SwinBlock,
    WindowAttention,
)
from shapezoo.registry import register


class SwinTransformer(Module):
    """An image classifier of four stages of blocks, with regular and shifted windows by turns.

    Args:
        attention: Builds an attention: `WindowAttention` or `WindowAttentionV2`.
        block: Builds a block: `SwinBlock` or `SwinBlockV2`.
        merging: Builds what is between stages: `PatchMerging` or `PatchMergingV2`.
        channels: Channels of the first stage, doubled by each later one.
        depths: Number of blocks of each stage.
        window_size: Height and width of a window.
        head_dim: Width of a head, a divisor of the channels.
        in_channels: Channels of the images: 1 for grey, 3 for colour.
        num_classes: Number of classes.
        dropout: Probability of dropping an output of a linear layer in train mode, except those of
            queries, keys and values.
        stochastic_depth: Probability of skipping a residual of the last block in train mode. It
            grows linearly with the depth, from 0.

    Attributes:
        strides: Stride of each feature map relative to the image, highest resolution first.
        feature_channels: Channels of each feature map.
        num_features: Number of pooled features.
        head_names: The layers that `pooled_features` does not use.

    Raises:
        ValueError: `channels` is not divisible by `head_dim`.
    """

    strides = (4, 8, 16, 32)
    head_names = ("head",)

    def __init__(
        self,
        attention: Callable[..., nn.Module],
        block: Callable[..., nn.Module],
        merging: Callable[[int], nn.Module],
        channels: int,
        depths: tuple[int, int, int, int],
        *,
        window_size: int,
        head_dim: int = 32,
        in_channels: int = 3,
        num_classes: int = 1000,
        dropout: float = 0.0,
        stochastic_depth: float = 0.0,
    ) -> None:
        super().__init__()
        if channels % head_dim != 0:
            raise ValueError(f"channels must be divisible by head_dim = {head_dim}, got {channels}")
        self.in_channels = in_channels
        self.num_classes = num_classes
        self.feature_channels = channels, 2 * channels, 4 * channels, 8 * channels
        self.num_features = 8 * channels
        last = sum(depths) - 1
        rates = iter([stochastic_depth * index / last for index in range(last + 1)])
        self.features = nn.Sequential(PatchEmbedding(in_channels, channels))
        for width, depth in zip(self.feature_channels, depths, strict=True):
            if width > channels:
                self.features.append(merging(width // 2))
            stage = nn.Sequential()
            for index in range(depth):
                windows = (ShiftedWindows if index % 2 else Windows)(window_size)
                layer = attention(width, head_dim=head_dim, windows=windows, dropout=dropout)
                stage.append(block(width, layer, dropout=dropout, stochastic_depth=next(rates)))
            self.features.append(stage)
        self.norm = nn.LayerNorm(self.num_features)
        self.head = nn.Linear(self.num_features, num_classes)
        _init_linear(self)

    def forward(
        self, images: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> Float[Tensor, "batch classes={self.num_classes}"]:
        """Score every class for each image."""
        logits: Tensor = self.head(self.pooled_features(images))
        return logits

    @checked
    def pooled_features(
        self, images: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> Float[Tensor, "batch features={self.num_features}"]:
        """Return the input of the last layer: the averages of the last maps, normalised."""
        features: Tensor = self.norm(self.features(images)).mean((1, 2))
        return features

    @checked
    def feature_maps(
        self, images: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> tuple[
        Float[Tensor, "batch channels={self.feature_channels[0]} height=height//4 width=width//4"],
        Float[
            Tensor,
            (
                "batch channels={self.feature_channels[1]} "
                "height=(height//4+1)//2 width=(width//4+1)//2"
            ),
        ],
        Float[
            Tensor,
            (
                "batch channels={self.feature_channels[2]} "
                "height=(height//4+3)//4 width=(width//4+3)//4"
            ),
        ],
        Float[
            Tensor,
            (
                "batch channels={self.feature_channels[3]} "
                "height=(height//4+7)//8 width=(width//4+7)//8"
            ),
        ],
    ]:
        """Return the feature maps of each stage, highest resolution first, not normalised."""
        layers = list(self.features)
        maps, x = [], images
        for downsampling, stage in zip(layers[::2], layers[1::2], strict=True):
            x = stage(downsampling(x))
            maps.append(x.permute(0, 3, 1, 2))
        first, second, third, fourth = maps
        return first, second, third, fourth


def _init_linear(model: nn.Module) -> None:
    """Draw normal weights of linear layers, with a standard deviation of 0.02; biases are zero.

    The authors truncate at 2, a hundred standard deviations, which has no effect.
    """
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


_register = functools.partial(
    register,
    task="image-classification",
    paper="Liu et al., Swin Transformer: hierarchical vision transformer using shifted windows, "
    "2021, arXiv:2103.14030",
)

_swin = functools.partial(SwinTransformer, WindowAttention, SwinBlock, PatchMerging, window_size=7)
_micro = functools.partial(_swin, 8, (2, 1, 1, 1), head_dim=4)
_tiny = functools.partial(_swin, 96, (2, 2, 6, 2))
_small = functools.partial(_swin, 96, (2, 2, 18, 2))
_base = functools.partial(_swin, 128, (2, 2, 18, 2))


@_register()
def swin_micro(
    *,
    in_channels: int = 3,
    num_classes: int = 1000,
    dropout: float = 0.0,
    stochastic_depth: float = 0.2,
) -> SwinTransformer:
    """A tiny Swin Transformer for tests and experiments: five narrow blocks, not from a paper."""
    return _micro(
        in_channels=in_channels,
        num_classes=num_classes,
        dropout=dropout,
        stochastic_depth=stochastic_depth,
    )


@_register(published_by="torchvision")
def swin_t(
    *,
    in_channels: int = 3,
    num_classes: int = 1000,
    dropout: float = 0.0,
    stochastic_depth: float = 0.2,
) -> SwinTransformer:
    """Swin-T: 12 blocks, with 96 channels in the first stage."""
    return _tiny(
        in_channels=in_channels,
        num_classes=num_classes,
        dropout=dropout,
        stochastic_depth=stochastic_depth,
    )


@_register(published_by="torchvision")
def swin_s(
    *,
    in_channels: int = 3,
    num_classes: int = 1000,
    dropout: float = 0.0,
    stochastic_depth: float = 0.3,
) -> SwinTransformer:
    """Swin-S: 24 blocks, with 96 channels in the first stage."""
    return _small(
        in_channels=in_channels,
        num_classes=num_classes,
        dropout=dropout,
        stochastic_depth=stochastic_depth,
    )


@_register(published_by="torchvision")
def swin_b(
    *,
    in_channels: int = 3,
    num_classes: int = 1000,
    dropout: float = 0.0,
    stochastic_depth: float = 0.5,
) -> SwinTransformer:
    """Swin-B: 24 blocks, with 128 channels in the first stage."""
    return _base(
        in_channels=in_channels,
        num_classes=num_classes,
        dropout=dropout,
        stochastic_depth=stochastic_depth,
    )
