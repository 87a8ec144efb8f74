"""Forecast a simulated weather; the baseline predicts that tomorrow will be like today."""

import torch
from torch import Tensor

from shapezoo.data import weather
from shapezoo.models import rnn_forecaster
from shapezoo.train import (
    EpochDone,
    Event,
    choose_optimizer,
    fit,
    init,
    install,
    mean_squared_error,
)


def main() -> None:
    """Train for five epochs, and print the errors in the units of the features."""
    torch.manual_seed(0)
    train, test = weather()
    model = rnn_forecaster()
    make_optimizer = choose_optimizer("adam", lr=0.01)
    state = fit(
        model,
        make_optimizer,
        init(model, make_optimizer),
        train,
        test,
        epochs=5,
        batch_size=32,
        loss=mean_squared_error,
        correct=None,
        observers=[report],
    )
    install(model, state)
    with torch.no_grad():
        predictions = model(test.windows)

    def errors(forecast: Tensor) -> list[float]:
        """Return the mean absolute error of each feature, in its unit."""
        difference = test.in_units(forecast) - test.in_units(test.targets)
        return difference.abs().mean(dim=0).tolist()

    print("mean error on the test days    forecast   like today")
    rows = zip(test.columns, errors(predictions), errors(test.windows[-1]), strict=True)
    for column, model_error, baseline_error in rows:
        print(f"{column:<30} {model_error:8.1f} {baseline_error:12.1f}")


def report(event: Event) -> None:
    """Print the test loss after each epoch."""
    if isinstance(event, EpochDone):
        print(f"epoch {event.epoch}: squared error on the test days {event.test.loss:.3f}")


if __name__ == "__main__":
    main()
