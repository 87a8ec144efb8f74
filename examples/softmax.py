"""Train the softmax classifier on the packaged digits, and print some predicted probabilities."""

import torch

from shapezoo.data import digits
from shapezoo.models import softmax_classifier
from shapezoo.train import choose_optimizer, evaluate, init, install, train_step


def main() -> None:
    """Train for five epochs."""
    torch.manual_seed(0)
    data = digits()
    model = softmax_classifier()
    make_optimizer = choose_optimizer("adam", lr=0.002)

    state = init(model, make_optimizer)
    generator = torch.Generator().manual_seed(0)
    for epoch in range(1, 6):
        for batch in data.train.batches(32, generator):
            state, loss = train_step(model, make_optimizer, state, batch)
        metrics = evaluate(model, state, data.test.batches(128))
        print(f"epoch {epoch}: loss {loss:.3f}, {metrics.accuracy:.1%} of the test digits right")

    install(model, state)
    batch = data.test.select(torch.arange(3))
    with torch.no_grad():
        probabilities = model(batch.images).softmax(dim=1)
    print("\ndigit  " + "".join(f"{label:>7}" for label in data.test.classes))
    for label, row in zip(batch.labels, probabilities, strict=True):
        print(f"{label:>5}  " + "".join(f"{probability:>7.1%}" for probability in row))


if __name__ == "__main__":
    main()
