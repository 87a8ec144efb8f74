"""Train LeNet with two worker processes that load the batches; the main guard protects them."""

import torch

from shapezoo.data import digits, loader
from shapezoo.models import lenet
from shapezoo.train import choose_optimizer, init, iterations, train_step


def main() -> None:
    """Train for two epochs; each has its own order of the examples."""
    torch.manual_seed(0)
    dataset = digits().train
    generator = torch.Generator().manual_seed(0)
    batches = loader(dataset, 100, generator, num_workers=2, start_method="spawn")
    print(f"{len(dataset)} digits in batches of 100 are {iterations(len(dataset), 100)} iterations")
    model = lenet()
    make_optimizer = choose_optimizer("adam", lr=0.005)
    state = init(model, make_optimizer)
    for epoch in (1, 2):
        seen = 0
        for batch in batches:
            state, loss = train_step(model, make_optimizer, state, batch)
            seen += len(batch.labels)
        print(f"epoch {epoch}: {seen} digits, the loss of the last batch is {loss:.2f}")


if __name__ == "__main__":
    main()
