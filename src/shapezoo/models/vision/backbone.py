"""The interface that detection and segmentation build on: a network with feature maps."""

from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class Backbone(Protocol):
    """An image classifier that can return the feature maps under its head.

    The contract of a model's own ``feature_maps`` has the size of each.

    Attributes:
        strides: How much coarser than the image each map is, the finest first.
        feature_channels: Channels of each map.

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
    def strides(self) -> tuple[int, ...]: ...  # noqa: D102  # the class says it

    @property
    def feature_channels(self) -> tuple[int, ...]: ...  # noqa: D102  # the class says it

    def feature_maps(self, images: Tensor, /) -> tuple[Tensor, ...]:
        """Return the maps, the finest first."""
        ...
