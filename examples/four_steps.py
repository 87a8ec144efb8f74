"""Train a network in four steps, first in plain PyTorch and then with shapezoo: the same bits."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from shapezoo import Module
from shapezoo.data import ImageBatch, digits
from shapezoo.train import choose_optimizer, evaluate, init, install, train_step

EPOCHS = 5


class Network(Module):
    """A network with one hidden layer; without annotations it could derive from `nn.Module`."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(784, 64)
        self.output = nn.Linear(64, 10)

    def forward(
        self, images: Float[Tensor, "batch channels=1 28 28"]
    ) -> Float[Tensor, "batch classes=10"]:
        """Score every class for each image."""
        scores: Tensor = self.output(self.hidden(images.flatten(1)).relu())
        return scores


def main() -> None:
    """Train twice, and compare the weights."""
    # 1. prepare the data
    data = digits()
    everything = data.train.select(torch.arange(len(data.train)))
    examples = TensorDataset(everything.images, everything.labels)
    generator = torch.Generator().manual_seed(0)
    batches = list(DataLoader(examples, batch_size=64, shuffle=True, generator=generator))

    # 2. define the model
    torch.manual_seed(0)
    plain, model = Network(), Network()
    model.load_state_dict(plain.state_dict())

    # 3. choose the loss and the optimizer
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.1, momentum=0.5)
    make_optimizer = choose_optimizer("sgd", lr=0.1, momentum=0.5)
    state = init(model, make_optimizer)

    # 4. run the training cycle
    for epoch in range(1, EPOCHS + 1):
        for images, labels in batches:
            loss = criterion(plain(images), labels)  # forward
            optimizer.zero_grad()
            loss.backward()  # backward
            optimizer.step()  # update
        for images, labels in batches:
            state, value = train_step(model, make_optimizer, state, ImageBatch(images, labels))
        accuracy = evaluate(model, state, data.test.batches(64)).accuracy
        print(
            f"epoch {epoch}: loss {loss.item():.3f} in plain PyTorch and {value:.3f} with "
            f"shapezoo, {accuracy:.1%} of the test digits right"
        )

    install(model, state)
    pairs = zip(plain.parameters(), model.parameters(), strict=True)
    print("the weights are the same:", all(torch.equal(first, second) for first, second in pairs))


if __name__ == "__main__":
    main()
