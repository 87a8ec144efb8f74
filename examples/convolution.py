"""Train the three small convolutional networks of the course on the packaged digits."""

import torch

from shapezoo import create_model, model_info
from shapezoo.data import digits
from shapezoo.train import EpochDone, Event, choose_optimizer, fit, init


def main() -> None:
    """Train each network for two epochs."""
    data = digits()
    make_optimizer = choose_optimizer("adam", lr=0.002)
    for name in ("lenet_small", "inception_small", "resnet_small"):
        print(f"{name}, {model_info(name).parameters:,} parameters")

        def report(event: Event) -> None:
            if isinstance(event, EpochDone):
                print(f"  epoch {event.epoch}: {event.test.accuracy:.1%} of the test digits right")

        torch.manual_seed(0)
        model = create_model(name)
        fit(
            model,
            make_optimizer,
            init(model, make_optimizer),
            data.train,
            data.test,
            epochs=2,
            batch_size=32,
            observers=[report],
        )


if __name__ == "__main__":
    main()
