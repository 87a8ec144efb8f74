"""Vision transformer (ViT): an image as a sequence of patches, which attend to each other.

Dosovitskiy et al., "An image is worth 16x16 words: transformers for image recognition at scale",
2020, arXiv:2010.11929, Figure 1, Table 1 and Equations 1 to 4. The paper does not say how weights
are initialised; torchvision's initialisation is used.
"""

import functools
import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from shapezoo.contracts import Module, checked
from shapezoo.models.vision.transformers.vit_encoder import Encoder
from shapezoo.registry import register


class VisionTransformer(Module):
    """An image classifier: a transformer encoder over patches.

    Args:
        image_size: Height and width of the images, a multiple of the patch size.
        patch_size: Height and width of a patch.
        num_layers: Number of encoder blocks.
        num_heads: Number of attention heads.
        hidden_size: Width of a token.
        in_channels: Channels of the images: 1 for grey, 3 for colour.
        num_classes: Number of classes.
        dropout: Probability of dropping an output of a linear layer in train mode
            (Appendix B.1).

    Attributes:
        strides: Stride of the feature map relative to the image.
        feature_channels: Channels of the feature map.
        num_features: Number of pooled features: the width of the class token.
        head_names: The layers that `pooled_features` does not use.

    Raises:
        ValueError: The image size is not divisible by the patch size, or the width of a token not
            by the number of heads.
    """

    head_names = ("heads",)

    def __init__(
        self,
        image_size: int,
        *,
        patch_size: int,
        num_layers: int,
        num_heads: int,
        hidden_size: int,
        in_channels: int = 3,
        num_classes: int = 1000,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if image_size % patch_size != 0:
            raise ValueError(
                f"image_size must be divisible by patch_size = {patch_size}, got {image_size}"
            )
        self.in_channels = in_channels
        self.num_classes = num_classes
        self.image_size = image_size
        self.grid_size = image_size // patch_size
        self.strides = (patch_size,)
        self.feature_channels = (hidden_size,)
        self.num_features = hidden_size
        self.class_token = nn.Parameter(torch.zeros(1, 1, hidden_size))
        self.conv_proj = nn.Conv2d(in_channels, hidden_size, patch_size, stride=patch_size)
        self.encoder = Encoder(
            hidden_size,
            seq_length=self.grid_size**2 + 1,
            num_layers=num_layers,
            num_heads=num_heads,
            dropout=dropout,
        )
        head = nn.Linear(hidden_size, num_classes)
        self.heads = nn.Sequential(OrderedDict(head=head))
        _init_ends(self.conv_proj, head)

    def forward(
        self,
        images: Float[
            Tensor,
            "batch channels={self.in_channels} height={self.image_size} width={self.image_size}",
        ],
    ) -> Float[Tensor, "batch classes={self.num_classes}"]:
        """Score every class for each image, from the class token (Equation 4)."""
        logits: Tensor = self.heads(self.pooled_features(images))
        return logits

    @checked
    def pooled_features(
        self,
        images: Float[
            Tensor,
            "batch channels={self.in_channels} height={self.image_size} width={self.image_size}",
        ],
    ) -> Float[Tensor, "batch features={self.num_features}"]:
        """Return the encoded class token, the input of the last layer."""
        encoded: Tensor = self.encoder(self._tokens(images))
        return encoded[:, 0]

    @checked
    def feature_maps(
        self,
        images: Float[
            Tensor,
            "batch channels={self.in_channels} height={self.image_size} width={self.image_size}",
        ],
    ) -> tuple[
        Float[
            Tensor,
            (
                "batch channels={self.feature_channels[0]} "
                "height={self.grid_size} width={self.grid_size}"
            ),
        ]
    ]:
        """Return the encoded patches, arranged as in the image."""
        return (self._map(self.encoder(self._tokens(images))),)

    @checked
    def intermediate_maps(
        self,
        images: Float[
            Tensor,
            "batch channels={self.in_channels} height={self.image_size} width={self.image_size}",
        ],
        layers: Sequence[int],
    ) -> tuple[
        Float[
            Tensor,
            (
                "batch channels={self.feature_channels[0]} "
                "height={self.grid_size} width={self.grid_size}"
            ),
        ],
        ...,
    ]:
        """Return the patches after some blocks of the encoder, arranged as in the image.

        They are normalised by the last layer normalisation of the encoder, so the map of the last
        block is that of `feature_maps`. Blocks after the last one that is asked for do not run.

        Args:
            images: The images.
            layers: Indices of the blocks. Negative ones count from the last block, -1.

        Returns:
            A map for each index, in the order of the indices.

        Raises:
            ValueError: An index is out of range.
        """
        num_layers = len(self.encoder.layers)
        for index in layers:
            if not -num_layers <= index < num_layers:
                raise ValueError(
                    f"layers must be indices of blocks, from {-num_layers} to {num_layers - 1}, "
                    f"got {index}"
                )
        wanted = [index % num_layers for index in layers]
        x = self.encoder.dropout(self._tokens(images) + self.encoder.pos_embedding)
        maps = {}
        for index, block in enumerate(list(self.encoder.layers)[: max(wanted, default=-1) + 1]):
            x = block(x)
            if index in wanted:
                maps[index] = self._map(self.encoder.ln(x))
        return tuple(maps[index] for index in wanted)

    def adapted(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return weights for images of another size, fitted to this model (Section 3.2).

        Position embeddings are interpolated bicubically, as a map of patches of the same size. The
        linear layers of an `MLPBlock` may have the names of torchvision's older files.

        Args:
            weights: The ``state_dict()`` of a vision transformer.

        Raises:
            ValueError: The position embeddings are not those of a square of patches.
        """
        weights = {_renamed(name): weight for name, weight in weights.items()}
        name = "encoder.pos_embedding"
        if name not in weights:
            return weights
        of_class, of_patches = weights[name].tensor_split([1], dim=1)
        number = of_patches.shape[1]
        side = math.isqrt(number)
        if side**2 != number:
            raise ValueError(f"{name} must be of a square of patches, got {number} patches")
        resized = functional.interpolate(
            of_patches.transpose(1, 2).reshape(1, -1, side, side),
            (self.grid_size, self.grid_size),
            mode="bicubic",
            align_corners=True,
        )
        return {**weights, name: torch.cat([of_class, resized.flatten(2).transpose(1, 2)], dim=1)}

    def _tokens(self, images: Tensor) -> Tensor:
        """Return the class token and the patches, row by row (Equation 1)."""
        tokens = self.conv_proj(images).flatten(2).transpose(1, 2)
        return torch.cat([self.class_token.repeat(images.shape[0], 1, 1), tokens], dim=1)

    def _map(self, tokens: Tensor) -> Tensor:
        """Arrange the tokens, without the class token, as their patches in the image."""
        patches = tokens[:, 1:].transpose(1, 2)
        return patches.reshape(-1, self.num_features, self.grid_size, self.grid_size)


def _renamed(name: str) -> str:
    """Return the current name of a weight, given the name in an older file of torchvision."""
    return name.replace(".mlp.linear_1.", ".mlp.0.").replace(".mlp.linear_2.", ".mlp.3.")


def _init_ends(embedding: nn.Conv2d, head: nn.Linear) -> None:
    """Draw truncated normal embeddings that keep the variance of patches; the head is zero.

    The paper says only of a head for fine-tuning that it starts at zero (Section 3.2).
    """
    fan_in = embedding.weight[0].numel()
    nn.init.trunc_normal_(embedding.weight, std=fan_in**-0.5)
    for parameter in (embedding.get_parameter("bias"), head.weight, head.bias):
        nn.init.zeros_(parameter)


_register = functools.partial(
    register,
    task="image-classification",
    paper="Dosovitskiy et al., An image is worth 16x16 words: transformers for image recognition "
    "at scale, 2020, arXiv:2010.11929",
)

_micro = functools.partial(VisionTransformer, num_layers=2, num_heads=2, hidden_size=32)
_base = functools.partial(VisionTransformer, num_layers=12, num_heads=12, hidden_size=768)
_large = functools.partial(VisionTransformer, num_layers=24, num_heads=16, hidden_size=1024)
_huge = functools.partial(VisionTransformer, num_layers=32, num_heads=16, hidden_size=1280)


@_register()
def vit_micro(
    *, image_size: int = 32, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.0
) -> VisionTransformer:
    """A tiny ViT for tests and experiments: two narrow blocks, patches of 4 x 4 pixels."""
    return _micro(
        image_size, patch_size=4, in_channels=in_channels, num_classes=num_classes, dropout=dropout
    )


@_register(published_by="torchvision")
def vit_b_16(
    *, image_size: int = 224, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.0
) -> VisionTransformer:
    """ViT-Base, with patches of 16 x 16 pixels."""
    return _base(
        image_size, patch_size=16, in_channels=in_channels, num_classes=num_classes, dropout=dropout
    )


@_register(published_by="torchvision")
def vit_b_32(
    *, image_size: int = 224, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.0
) -> VisionTransformer:
    """ViT-Base, with patches of 32 x 32 pixels."""
    return _base(
        image_size, patch_size=32, in_channels=in_channels, num_classes=num_classes, dropout=dropout
    )


@_register(published_by="torchvision")
def vit_l_16(
    *, image_size: int = 224, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.0
) -> VisionTransformer:
    """ViT-Large, with patches of 16 x 16 pixels."""
    return _large(
        image_size, patch_size=16, in_channels=in_channels, num_classes=num_classes, dropout=dropout
    )


@_register(published_by="torchvision")
def vit_l_32(
    *, image_size: int = 224, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.0
) -> VisionTransformer:
    """ViT-Large, with patches of 32 x 32 pixels."""
    return _large(
        image_size, patch_size=32, in_channels=in_channels, num_classes=num_classes, dropout=dropout
    )


@_register(published_by="torchvision")
def vit_h_14(
    *, image_size: int = 224, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.0
) -> VisionTransformer:
    """ViT-Huge, with patches of 14 x 14 pixels."""
    return _huge(
        image_size, patch_size=14, in_channels=in_channels, num_classes=num_classes, dropout=dropout
    )
