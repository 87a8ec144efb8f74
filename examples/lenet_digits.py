"""Train LeNet on the packaged digits with pure functions, and print one prediction."""

import functools

import torch

from shapezoo.data import digits
from shapezoo.models import lenet
from shapezoo.train import evaluate, init, install, train_step


def main() -> None:
    """Train for five epochs."""
    torch.manual_seed(0)
    data = digits()
    model = lenet()
    make_optimizer = functools.partial(torch.optim.Adam, lr=0.002)

    state = init(model, make_optimizer)
    generator = torch.Generator().manual_seed(0)
    for epoch in range(1, 6):
        for batch in data.train.batches(32, generator):
            state, _ = train_step(model, make_optimizer, state, batch)
        metrics = evaluate(model, state, data.test.batches(128))
        print(f"epoch {epoch}: {metrics.accuracy:.1%} of {metrics.examples} test digits right")

    install(model, state)
    model.eval()
    batch = data.test.select(torch.tensor([0]))
    with torch.no_grad():
        predicted = model(batch.images).argmax(dim=1)
    print(f"a {batch.labels.item()} is read as {predicted.item()}")


if __name__ == "__main__":
    main()
