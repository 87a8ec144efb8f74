"""The equivalent of `shapezoo train lenet` in plain PyTorch, as a baseline for its cost.

It produces bit-identical weights, but writes no checkpoints. Run
`python benchmarks/bare_lenet.py DIGITS FOLDER EPOCHS`.
"""

import json
import sys
from pathlib import Path

import torch
from matplotlib.figure import Figure
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate


def examples(file: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the training images and labels, then the test images and labels."""
    tensors = load_file(file)
    images = interpolate(tensors["images"][:, None].float() / 16, (28, 28), mode="bilinear")
    images, labels = (images * 255).round() / 255, tensors["labels"].long()
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    test_size = len(labels) // 5
    train, test = order[:-test_size], order[-test_size:]
    return images[train], labels[train], images[test], labels[test]


def lenet() -> nn.Sequential:
    """Build the network."""
    return nn.Sequential(
        nn.Conv2d(1, 10, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(10, 20, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(320, 10),
    )


@torch.no_grad()
def scores(model: nn.Module, images: Tensor) -> Tensor:
    """Return the logits of each image."""
    model.eval()
    return torch.cat([model(batch) for batch in images.split(32)])


def train(
    model: nn.Module, images: Tensor, labels: Tensor, optimizer: torch.optim.Optimizer, seed: int
) -> float:
    """Train for one epoch, and return the mean loss."""
    model.train()
    total = 0.0
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    for indices in order.split(32):
        optimizer.zero_grad()
        loss = cross_entropy(model(images[indices]), labels[indices])
        loss.backward()
        optimizer.step()
        total += loss.item() * len(indices)
    return total / len(labels)


def draw_curves(records: list[dict[str, float]], file: Path) -> None:
    """Plot the losses and the accuracy over the epochs."""
    figure = Figure(figsize=(9, 3.5), layout="constrained", dpi=120)
    loss, accuracy = figure.subplots(1, 2)
    epochs = range(1, len(records) + 1)
    loss.plot(epochs, [record["loss"] for record in records], ".-", label="training")
    loss.plot(epochs, [record["test_loss"] for record in records], ".-", label="test")
    loss.set(xlabel="epoch", ylabel="loss")
    loss.legend()
    accuracy.plot(epochs, [100 * record["accuracy"] for record in records], ".-", color="C1")
    accuracy.set(xlabel="epoch", ylabel="test accuracy (%)")
    for axes in (loss, accuracy):
        axes.grid(alpha=0.3)
    figure.savefig(file)


def draw_confusion(confusion: Tensor, file: Path) -> None:
    """Plot the confusion matrix with its counts."""
    figure = Figure(figsize=(6.5, 6.5), layout="constrained", dpi=120)
    axes = figure.subplots()
    shares = (confusion / confusion.sum(1, keepdim=True)).numpy()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set(xticks=range(10), yticks=range(10), xlabel="taken for", ylabel="is")
    for row, column in confusion.nonzero().tolist():
        colour = "white" if shares[row, column] > 0.5 else "black"
        count = int(confusion[row, column])
        axes.text(column, row, count, ha="center", va="center", size=7, color=colour)
    figure.savefig(file)


def main(digits: str, folder: Path, num_epochs: int) -> None:
    """Train, and write the results to a folder."""
    folder.mkdir()
    images, labels, test_images, test_labels = examples(digits)
    torch.manual_seed(0)
    model = lenet()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.002)
    seeds = torch.randint(2**32, (num_epochs,), generator=torch.Generator().manual_seed(0))
    records = []
    for epoch, seed in enumerate(seeds.tolist(), start=1):
        loss = train(model, images, labels, optimizer, seed)
        logits = scores(model, test_images)
        record = {
            "epoch": epoch,
            "loss": loss,
            "test_loss": cross_entropy(logits, test_labels).item(),
            "accuracy": (logits.argmax(1) == test_labels).float().mean().item(),
        }
        with (folder / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(record) + "\n")
        records.append(record)
        print(record)
    predicted = scores(model, test_images).argmax(1)
    confusion = (test_labels * 10 + predicted).bincount(minlength=100).view(10, 10)
    table = "".join("\t".join(map(str, row)) + "\n" for row in confusion.tolist())
    (folder / "confusion.tsv").write_text(table)
    save_file(model.state_dict(), folder / "model.safetensors")
    draw_curves(records, folder / "curves.png")
    draw_confusion(confusion, folder / "confusion.png")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
