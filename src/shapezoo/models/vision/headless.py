"""Image models without the layer that scores the classes."""

import copy
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn

from shapezoo.contracts import Module


@runtime_checkable
class HasPooledFeatures(Protocol):
    """An image classifier that can return the input of its last layer.

    Every model with published weights is one.

    Attributes:
        in_channels: Channels of the images.
        num_features: Number of pooled features.
        head_names: The layers that `pooled_features` does not use, as ``named_modules`` names them.
    """

    @property
    def in_channels(self) -> int: ...  # noqa: D102  # the class says it

    @property
    def num_features(self) -> int: ...  # noqa: D102  # the class says it

    @property
    def head_names(self) -> tuple[str, ...]: ...  # noqa: D102  # the class says it

    def pooled_features(self, images: Tensor, /) -> Tensor:
        """Return a vector of features for each image."""
        ...


class Headless(Module):
    """A classifier without its head: it returns the pooled features of images.

    It shares its layers with the classifier: moving one of them to a device, or changing its dtype
    or mode, changes the other. The classifier keeps its head, whose layers are not among those of
    the encoder, so all parameters are used, as `DistributedDataParallel` requires. The contract of
    the model's own ``pooled_features`` is checked too: that of a vision transformer fixes height
    and width.

    To freeze the encoder, call ``encoder.requires_grad_(False).eval()``. In train mode BatchNorm
    would change its statistics, which are buffers of the classifier too.

    Args:
        model: A model with ``pooled_features``, such as any with published weights.

    Attributes:
        num_features: Number of features.

    Raises:
        TypeError: The model has no ``pooled_features``.

    Example:
        ```pycon
        >>> import torch
        >>> from shapezoo import create_model
        >>> from shapezoo.models import Headless
        >>> encoder = Headless(create_model("resnet18"))
        >>> encoder(torch.zeros(2, 3, 64, 64)).shape
        torch.Size([2, 512])

        ```
    """

    def __init__(self, model: HasPooledFeatures) -> None:
        super().__init__()
        if not isinstance(model, nn.Module) or not isinstance(model, HasPooledFeatures):
            raise TypeError(
                "model must be a module with pooled_features, num_features, in_channels and "
                f"head_names, such as create_model('resnet18'), got {type(model).__name__}"
            )
        self.in_channels = model.in_channels
        self.num_features = model.num_features
        self.model = _without_heads(model)
        self.training = model.training

    def forward(
        self, images: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> Float[Tensor, "batch features={self.num_features}"]:
        """Return a vector of features for each image."""
        return self.model.pooled_features(images)


def _without_heads(model: HasPooledFeatures) -> HasPooledFeatures:
    """Return a view of a model without its heads.

    Only the modules on the way to a head are copied: all others are those of the model, or a change
    of dtype would give each its own buffers.
    """
    twin: Any = model
    for name in model.head_names:
        twin = _without(twin, name.split("."))
    return twin  # type: ignore[no-any-return]  # a copy of the model


def _without(module: nn.Module, path: list[str]) -> Any:
    first, *rest = path
    child = getattr(module, first)  # an AttributeError for a name that does not exist
    twin = copy.copy(module)
    twin._modules = dict(module._modules)  # copy.copy shares it
    if child is not None:  # auxiliary classifiers may be left out
        setattr(twin, first, _without(child, rest) if rest else nn.Identity())
    return twin
