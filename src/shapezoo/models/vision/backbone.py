"""The interface for detection and segmentation: a network that returns feature maps."""

from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class Backbone(Protocol):
    """An image classifier that can return the feature maps before its head.

    The contract of a model's own ``feature_maps`` states the size of each.

    Attributes:
        strides: Stride of each feature map relative to the image, highest resolution first.
        feature_channels: Channels of each feature map.

    Example:
        ```pycon
        >>> import torch
        >>> from shapezoo.models import resnet18
        >>> backbone = resnet18()
        >>> maps = backbone.feature_maps(torch.zeros(1, 3, 64, 96))
        >>> for stride, map_ in zip(backbone.strides, maps, strict=True):
        ...     print(stride, tuple(map_.shape))
        4 (1, 64, 16, 24)
        8 (1, 128, 8, 12)
        16 (1, 256, 4, 6)
        32 (1, 512, 2, 3)

        ```
    """

    @property
    def strides(self) -> tuple[int, ...]: ...  # noqa: D102  # the class documents it

    @property
    def feature_channels(self) -> tuple[int, ...]: ...  # noqa: D102  # the class documents it

    def feature_maps(self, images: Tensor, /) -> tuple[Tensor, ...]:
        """Return the feature maps, highest resolution first."""
        ...
