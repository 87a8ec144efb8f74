"""Linear classifiers of three kinds of image features, to compare the features in the course.

Fourier magnitudes and Haar wavelets are fixed, convolutional features are learned; the linear
layer is all that the models share. The papers are those of the features.
"""

from jaxtyping import Float
from torch import Tensor, nn

from shapezoo.contracts import Module
from shapezoo.layers import ConvFeatures, FourierMagnitudes, HaarTransform
from shapezoo.registry import register


class FeatureClassifier(Module):
    """A linear classifier of image features.

    Args:
        extractor: Maps images to features of any shape; ``nn.Identity()`` keeps the pixels.
        num_features: Total number of features of an image.
        in_channels: Channels of the images: 1 for grey, 3 for colour.
        num_classes: Number of classes.
    """

    def __init__(
        self,
        extractor: nn.Module,
        num_features: int,
        *,
        in_channels: int = 1,
        num_classes: int = 10,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.num_classes = num_classes
        self.extractor = extractor
        self.classifier = nn.Linear(num_features, num_classes)

    def forward(
        self, images: Float[Tensor, "batch channels={self.in_channels} 28 28"]
    ) -> Float[Tensor, "batch classes={self.num_classes}"]:
        """Score every class for each image."""
        logits: Tensor = self.classifier(self.extractor(images).flatten(1))
        return logits


@register(
    task="image-classification",
    paper="Cooley, Tukey, An algorithm for the machine calculation of complex Fourier series, 1965",
)
def fourier_linear(*, in_channels: int = 1, num_classes: int = 10) -> FeatureClassifier:
    """A linear classifier of Fourier magnitudes, for handwritten digits."""
    return FeatureClassifier(
        FourierMagnitudes(), in_channels * 28 * 15, in_channels=in_channels, num_classes=num_classes
    )


@register(
    task="image-classification",
    paper="Mallat, A theory for multiresolution signal decomposition: the wavelet representation, "
    "1989",
)
def haar_linear(*, in_channels: int = 1, num_classes: int = 10) -> FeatureClassifier:
    """A linear classifier of Haar wavelets of two levels, for handwritten digits."""
    haar = HaarTransform(levels=2)
    return FeatureClassifier(
        haar, in_channels * 28 * 28, in_channels=in_channels, num_classes=num_classes
    )


@register(
    task="image-classification",
    paper="LeCun et al., Gradient-based learning applied to document recognition, 1998",
)
def conv_linear(*, in_channels: int = 1, num_classes: int = 10) -> FeatureClassifier:
    """A linear classifier of four convolutional feature maps, for handwritten digits."""
    return FeatureClassifier(
        ConvFeatures(in_channels, 4), 4 * 14 * 14, in_channels=in_channels, num_classes=num_classes
    )
