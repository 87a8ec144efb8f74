"""Classify surnames by country; plot the confusion matrix to each file on the command line."""

import functools
import sys
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from shapezoo.data import COUNTRIES, encode_names, names
from shapezoo.models import NameClassifier, name_classifier
from shapezoo.train import choose_optimizer, confusion_matrix, init, install, train_step

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@functools.cache
def trained() -> NameClassifier:
    """Train a small classifier for one epoch."""
    torch.manual_seed(0)
    model = name_classifier(hidden_size=64, num_layers=1)
    make_optimizer = choose_optimizer("adam", lr=0.005)
    state = init(model, make_optimizer)
    for batch in names().train.batches(128, torch.Generator().manual_seed(0)):
        state, _ = train_step(model, make_optimizer, state, batch)
    install(model, state)
    return model.eval()


@functools.cache
def confusion() -> Tensor:
    """Return the confusion matrix of the test names; each row is a true country."""
    test = names().test
    batch = test.select(torch.arange(len(test)))
    with torch.no_grad():
        predicted = trained()(*batch.inputs).argmax(dim=1)
    return confusion_matrix(predicted, batch.labels, len(COUNTRIES))


def draw() -> "Figure":
    """Plot the confusion matrix; each row is normalised to sum to 1."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 5.2), layout="constrained")
    axes = figure.subplots()
    counts = confusion()
    mesh = axes.pcolormesh(counts / counts.sum(dim=1, keepdim=True), vmin=0, vmax=1)
    middles = torch.arange(len(COUNTRIES)) + 0.5
    axes.set_xticks(middles, COUNTRIES, rotation=90)
    axes.set_yticks(middles, COUNTRIES)
    axes.set(xlabel="taken for", ylabel="is", aspect="equal")
    axes.invert_yaxis()
    figure.colorbar(mesh, label="share of the names")
    return figure


def main() -> None:
    """Print the accuracy, and predict the countries of a few names."""
    counts = confusion()
    correct, examples = counts.diagonal().sum().item(), counts.sum().item()
    print(f"{correct / examples:.0%} of {examples} unseen names right")
    surnames = ["Papadopoulos", "Kowalczyk", "Schmidt", "O'Sullivan", "Rossi"]
    encoded = encode_names(surnames)
    with torch.no_grad():
        probabilities = trained()(encoded.tokens, encoded.lengths).softmax(dim=1)
    for name, row in zip(surnames, probabilities, strict=True):
        best, country = row.max(dim=0)
        print(f"{name:14} {COUNTRIES[country]} ({best:.0%})")
    for path in sys.argv[1:]:
        draw().savefig(path)


if __name__ == "__main__":
    main()
