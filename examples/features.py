"""Compare pixels, Fourier, Haar wavelet and convolutional features for classifying digits."""

from collections.abc import Callable

import torch
from torch import nn

from shapezoo.data import ImageBatch, digits
from shapezoo.models import FeatureClassifier, conv_linear, fourier_linear, haar_linear
from shapezoo.train import choose_optimizer, evaluate, fit, init


def main() -> None:
    """Train a linear layer on each kind of features, for five epochs."""
    data = digits()
    all_digits = data.test.select(torch.arange(len(data.test)))
    shifted = ImageBatch(all_digits.images.roll((7, 7), dims=(2, 3)), all_digits.labels)
    builders: dict[str, Callable[[], FeatureClassifier]] = {
        "pixels": lambda: FeatureClassifier(nn.Identity(), 28 * 28),
        "Fourier": fourier_linear,
        "Haar": haar_linear,
        "convolution": conv_linear,
    }
    make_optimizer = choose_optimizer("adam", lr=0.01)
    print("features      number  parameters  test digits  shifted by 7")
    for name, build in builders.items():
        torch.manual_seed(0)
        model = build()
        state = fit(
            model,
            make_optimizer,
            init(model, make_optimizer),
            data.train,
            data.test,
            epochs=5,
            batch_size=64,
        )
        accuracies = [evaluate(model, state, [batch]).accuracy for batch in (all_digits, shifted)]
        parameters = sum(parameter.numel() for parameter in model.parameters())
        print(
            f"{name:12} {model.classifier.in_features:7} {parameters:11,}"
            f" {accuracies[0]:12.1%} {accuracies[1]:13.1%}"
        )


if __name__ == "__main__":
    main()
