"""Vision transformer (ViT): an image as a sequence of patches, which attend to each other.

Dosovitskiy et al., "An image is worth 16x16 words: transformers for image recognition at scale",
2020, arXiv:2010.11929, Figure 1, Table 1 and Equations 1 to 4. The hidden layer of each MLP is four
times as wide as a token, as in all rows of the table. The paper does not say how weights begin;
they do as torchvision's.
"""

import functools
import math
from collections import OrderedDict
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from shapezoo.contracts import Module, checked
from shapezoo.layers import MLPBlock, SelfAttention
from shapezoo.registry import register


class EncoderBlock(Module):
    """Attention and an MLP, both of normalised tokens and as residuals (Figure 1, right).

    Args:
        hidden_size: Width of a token.
        num_heads: Heads of the attention.
        dropout: The probability that a number becomes zero in train mode, after each linear layer
            but those that make queries, keys and values (Appendix B.1).
    """

    def __init__(self, hidden_size: int, *, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.ln_1 = nn.LayerNorm(hidden_size, eps=1e-6)
        self.self_attention = SelfAttention(hidden_size, num_heads)
        self.dropout = nn.Dropout(dropout)
        self.ln_2 = nn.LayerNorm(hidden_size, eps=1e-6)
        self.mlp = MLPBlock(hidden_size, 4 * hidden_size, dropout=dropout)

    def forward(
        self, tokens: Float[Tensor, "batch seq hidden={self.hidden_size}"]
    ) -> Float[Tensor, "batch seq hidden={self.hidden_size}"]:
        """The tokens, corrected (Equations 2 and 3)."""
        tokens = tokens + self.dropout(self.self_attention(self.ln_1(tokens)))
        corrected: Tensor = tokens + self.mlp(self.ln_2(tokens))
        return corrected


class Encoder(Module):
    """Position embeddings, a row of blocks, and normalisation.

    Args:
        hidden_size: Width of a token.
        seq_length: Number of tokens.
        num_layers: Number of blocks.
        num_heads: Heads of the attention.
        dropout: As in `EncoderBlock`, and after the position embeddings are added.
    """

    def __init__(
        self, hidden_size: int, *, seq_length: int, num_layers: int, num_heads: int, dropout: float
    ) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.seq_length = seq_length
        self.pos_embedding = nn.Parameter(torch.empty(1, seq_length, hidden_size))
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.Sequential()
        for index in range(num_layers):
            block = EncoderBlock(hidden_size, num_heads=num_heads, dropout=dropout)
            self.layers.add_module(f"encoder_layer_{index}", block)
        self.ln = nn.LayerNorm(hidden_size, eps=1e-6)
        nn.init.normal_(self.pos_embedding, std=0.02)

    def forward(
        self, tokens: Float[Tensor, "batch seq={self.seq_length} hidden={self.hidden_size}"]
    ) -> Float[Tensor, "batch seq={self.seq_length} hidden={self.hidden_size}"]:
        """The tokens as all layers together leave them, normalised."""
        encoded: Tensor = self.ln(self.layers(self.dropout(tokens + self.pos_embedding)))
        return encoded


class VisionTransformer(Module):
    """A classifier of images, by a transformer over their patches.

    Args:
        image_size: Height and width of the images.
        patch_size: Height and width of a patch.
        num_layers: Number of blocks of the encoder.
        num_heads: Heads of the attention.
        hidden_size: Width of a token.
        in_channels: Channels of the images: 1 for grey, 3 for colour.
        num_classes: Number of labels.
        dropout: The probability that a number becomes zero in train mode (Appendix B.1).

    Attributes:
        strides: By how much the feature map is coarser than the image.
        feature_channels: The channels of the feature map.

    Raises:
        ValueError: The images cannot be cut into whole patches, or the width of a token not into
            heads.
    """

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
        logits: Tensor = self.heads(self._encoded(images)[:, 0])
        return logits

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
        """The encoded patches, where they were in the image."""
        patches = self._encoded(images)[:, 1:]
        (hidden,) = self.feature_channels
        return (patches.transpose(1, 2).reshape(-1, hidden, self.grid_size, self.grid_size),)

    def adapted(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Weights for images of another size, fitted to this one (Section 3.2).

        Position embeddings are interpolated, bicubically, as a map of patches of the same size.
        The linear layers of an `MLPBlock` may have the names of torchvision's older files.

        Args:
            weights: What the ``state_dict()`` of such a model gave.

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

    def _encoded(self, images: Tensor) -> Tensor:
        """The class token and the patches, row by row, after the encoder (Equation 1)."""
        tokens = self.conv_proj(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_token.repeat(images.shape[0], 1, 1), tokens], dim=1)
        return self.encoder(tokens)


def _renamed(name: str) -> str:
    """What is called so in older files of torchvision, in a model."""
    return name.replace(".mlp.linear_1.", ".mlp.0.").replace(".mlp.linear_2.", ".mlp.3.")


def _init_ends(embedding: nn.Conv2d, head: nn.Linear) -> None:
    """Keep the variance of patches by LeCun's rule (normal, truncated at 2); no class is preferred.

    Only of a head for fine-tuning does the paper say that it begins at zero (Section 3.2).
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
    *, image_size: int = 32, in_channels: int = 3, num_classes: int = 1000
) -> VisionTransformer:
    """A vision transformer of two narrow blocks, for tests and first steps.

    Args:
        image_size: Height and width of the images, a multiple of 4.
        in_channels: Channels of the images: 1 for grey, 3 for colour.
        num_classes: Number of labels.
    """
    return _micro(image_size, patch_size=4, in_channels=in_channels, num_classes=num_classes)


@_register(published_by="torchvision")
def vit_b_16(
    *, image_size: int = 224, in_channels: int = 3, num_classes: int = 1000
) -> VisionTransformer:
    """ViT-Base, with patches of 16 x 16 pixels.

    Args:
        image_size: Height and width of the images, a multiple of 16.
        in_channels: Channels of the images: 1 for grey, 3 for colour.
        num_classes: Number of labels.
    """
    return _base(image_size, patch_size=16, in_channels=in_channels, num_classes=num_classes)


@_register(published_by="torchvision")
def vit_b_32(
    *, image_size: int = 224, in_channels: int = 3, num_classes: int = 1000
) -> VisionTransformer:
    """ViT-Base, with patches of 32 x 32 pixels.

    Args:
        image_size: Height and width of the images, a multiple of 32.
        in_channels: Channels of the images: 1 for grey, 3 for colour.
        num_classes: Number of labels.
    """
    return _base(image_size, patch_size=32, in_channels=in_channels, num_classes=num_classes)


@_register(published_by="torchvision")
def vit_l_16(
    *, image_size: int = 224, in_channels: int = 3, num_classes: int = 1000
) -> VisionTransformer:
    """ViT-Large, with patches of 16 x 16 pixels.

    Args:
        image_size: Height and width of the images, a multiple of 16.
        in_channels: Channels of the images: 1 for grey, 3 for colour.
        num_classes: Number of labels.
    """
    return _large(image_size, patch_size=16, in_channels=in_channels, num_classes=num_classes)


@_register(published_by="torchvision")
def vit_l_32(
    *, image_size: int = 224, in_channels: int = 3, num_classes: int = 1000
) -> VisionTransformer:
    """ViT-Large, with patches of 32 x 32 pixels.

    Args:
        image_size: Height and width of the images, a multiple of 32.
        in_channels: Channels of the images: 1 for grey, 3 for colour.
        num_classes: Number of labels.
    """
    return _large(image_size, patch_size=32, in_channels=in_channels, num_classes=num_classes)


@_register(published_by="torchvision")
def vit_h_14(
    *, image_size: int = 224, in_channels: int = 3, num_classes: int = 1000
) -> VisionTransformer:
    """ViT-Huge, with patches of 14 x 14 pixels.

    Args:
        image_size: Height and width of the images, a multiple of 14.
        in_channels: Channels of the images: 1 for grey, 3 for colour.
        num_classes: Number of labels.
    """
    return _huge(image_size, patch_size=14, in_channels=in_channels, num_classes=num_classes)
