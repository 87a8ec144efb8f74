"""Image models without the layers that score the classes."""

import copy
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn

from shapezoo.contracts import Module


@runtime_checkable
class HasPooledFeatures(Protocol):
    """An image classifier that can return the input of its last layer, a vector for each image.

    Every model with published weights can. Where the last layer is a convolution, as in SqueezeNet,
    the vector is the average of its input over all pixels.

    Attributes:
        in_channels: Channels of the images.
        num_features: Number of pooled features.
        head_names: The layers that `pooled_features` does not use, by their name in
            ``named_modules``.
    """

    @property
    def in_channels(self) -> int: ...  # noqa: D102  # the class documents it

    @property
    def num_features(self) -> int: ...  # noqa: D102  # the class documents it

    @property
    def head_names(self) -> tuple[str, ...]: ...  # noqa: D102  # the class documents it

    def pooled_features(self, images: Tensor, /) -> Tensor:
        """Return a vector of features for each image."""
        ...


class Headless(Module):
    """A classifier without its head: it returns the pooled features of images.

    It shares its layers with the classifier: moving one of the two to a device, or changing its
    dtype or mode, changes the other. The classifier keeps its head. This module does not contain
    the head, so it uses all its parameters, as `DistributedDataParallel` requires. The contract of
    the model's own ``pooled_features`` is checked too: that of a vision transformer fixes height
    and width.

    To freeze the encoder, call ``encoder.requires_grad_(False).eval()``. In train mode BatchNorm
    would update its statistics, which are buffers of the classifier too.

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
    """Return a model that shares all layers of another, except its heads.

    Only the modules that contain a head are copied. All others must stay the same objects: a change
    of dtype replaces the buffers of a module, and a copy would keep the old ones.
    """
    view: Any = model
    for name in model.head_names:
        view = _without(view, name.split("."))
    return view  # type: ignore[no-any-return]  # a copy of the model


def _without(module: nn.Module, path: list[str]) -> Any:
    """Return a shallow copy of a module, in which the layer at a path is an `nn.Identity`."""
    first, *rest = path
    child = getattr(module, first)  # an AttributeError for a name that does not exist
    view = copy.copy(module)
    # copy.copy shares the dict of sub-modules, so setattr on the copy would change the model; no
    # public function gives a module a dict of its own
    view._modules = dict(module._modules)
    if child is not None:  # models may have been built without auxiliary classifiers
        setattr(view, first, _without(child, rest) if rest else nn.Identity())
    return view
