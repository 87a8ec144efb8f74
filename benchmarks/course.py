"""Train the models of the course, and print tables of their mean accuracies over several seeds.

Run `python benchmarks/course.py [SEEDS]`; the default is 5 seeds.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from shapezoo import create_model, recipes
from shapezoo.data import (
    ImageBatch,
    NameDataset,
    SeriesDataset,
    TokenBatch,
    as_dataset,
    diabetes,
    digits,
    names,
    weather,
)
from shapezoo.models import (
    FeatureClassifier,
    conv_linear,
    fourier_linear,
    haar_linear,
    linear_regression,
    mlp,
    rnn_forecaster,
)
from shapezoo.train import (
    Batch,
    Dataset,
    State,
    choose_optimizer,
    evaluate,
    fit,
    init,
    mean_squared_error,
    train_step,
)

EXTRACTORS: dict[str, Callable[[], FeatureClassifier]] = {
    "pixels": lambda: FeatureClassifier(nn.Identity(), num_features=28 * 28),
    "fourier_linear": fourier_linear,
    "haar_linear": haar_linear,
    "conv_linear": conv_linear,
}
NETWORKS = ("softmax_classifier", "lenet", "lenet_small", "inception_small", "resnet_small")
TAGGERS = (
    ("onehot_cell_tagger", 0.0),
    ("onehot_cell_tagger", 0.02),
    ("onehot_tagger", 0.02),
    ("embedding_tagger", 0.02),
)
COMMANDS = (
    ("linear_regression", "diabetes"),
    ("logistic_regression", "breast_cancer"),
    ("mlp", "breast_cancer"),
    ("character_rnn", "text"),
    ("name_classifier", "names"),
)


def features(seeds: int, *, epochs: int = 5, more: int = 15) -> None:
    """Train a linear layer on four kinds of features; test it on original and rolled images."""
    data = digits()
    whole = data.test.select(torch.arange(len(data.test)))
    rolled = ImageBatch(whole.images.roll((7, 7), dims=(2, 3)), whole.labels)
    make_optimizer = choose_optimizer("adam", lr=0.01)

    def accuracies(build: Callable[[], FeatureClassifier], seed: int) -> list[float]:
        torch.manual_seed(seed)
        model = build()

        def train(state: State, epochs: int) -> State:
            return fit(
                model,
                make_optimizer,
                state,
                data.train,
                data.test,
                epochs=epochs,
                batch_size=64,
                seed=seed,
            )

        first = train(init(model, make_optimizer), epochs)
        last = train(first, epochs + more)
        return [share(model, first, whole), share(model, last, whole), share(model, last, rolled)]

    row("features", f"{epochs} epochs", f"{epochs + more} epochs", "the same, rolled images")
    for name, build in EXTRACTORS.items():
        found = [accuracies(build, seed) for seed in range(seeds)]
        row(name, *(percent(sum(shares) / seeds) for shares in zip(*found, strict=True)))


def networks(seeds: int, *, epochs: int = 5) -> None:
    """Train the networks for digits, all with the same settings."""
    data = digits()
    whole = data.test.select(torch.arange(len(data.test)))
    make_optimizer = choose_optimizer("adam", lr=0.002)

    def accuracy(name: str, seed: int) -> float:
        torch.manual_seed(seed)
        model = create_model(name)
        state = fit(
            model,
            make_optimizer,
            init(model, make_optimizer),
            data.train,
            data.test,
            epochs=epochs,
            batch_size=32,
            seed=seed,
        )
        return share(model, state, whole)

    row("network", f"{epochs} epochs", "worst seed", "best seed")
    for name in NETWORKS:
        found = [accuracy(name, seed) for seed in range(seeds)]
        row(name, *map(percent, (sum(found) / seeds, min(found), max(found))))


def taggers(seeds: int, *, steps: int = 200) -> None:
    """Count the taggers that learn to write ohlol, and how fast."""
    hello, ohlol = (torch.tensor([["ehlo".index(c)] for c in word]) for word in ("hello", "ohlol"))
    word = TokenBatch(hello, ohlol)

    def right_since(name: str, weight_decay: float, seed: int) -> int | None:
        """Return the step from which all letters stay right, or None if there is no such step."""
        torch.manual_seed(seed)
        model = create_model(name)
        make_optimizer = choose_optimizer("adam", lr=0.1, weight_decay=weight_decay)
        state, since = init(model, make_optimizer), None
        for step in range(1, steps + 1):
            state, _ = train_step(model, make_optimizer, state, word)
            since = (since or step) if share(model, state, word) == 1 else None
        return since

    right = f"right after {steps} steps"
    row("tagger", "weight decay", right, "the slowest of them is right from step")
    for name, weight_decay in TAGGERS:
        found = [right_since(name, weight_decay, seed) for seed in range(seeds)]
        learned = [step for step in found if step]
        right = f"{len(learned)} of {seeds}"
        row(name, str(weight_decay), right, str(max(learned, default="-")))


def commands(**settings: int) -> None:
    """Train models as `shapezoo train MODEL --data DATA` does, by default with all defaults."""
    row("model", "data", "epochs", "on the test data")
    for name, data in COMMANDS:
        config = recipes.configure(name, data, device="cpu", **settings)
        with TemporaryDirectory() as folder:
            metrics = recipes.train(config, run=Path(folder, "run")).test
        result = percent(metrics.accuracy or 0.0)
        if data == "diabetes":
            variance = diabetes().test.targets.var(correction=0).item()
            result = f"{percent(1 - metrics.loss / variance)} of the variance"
        row(name, data, str(config.epochs), result)


def forecasts(seeds: int, *, epochs: int = 5, more: int = 25) -> None:
    """Forecast the weather with networks, and compare their errors with those of simple methods."""
    data = weather()
    rows = [concatenated(part) for part in data]
    nine = [as_dataset(torch.utils.data.TensorDataset(*row)) for row in rows]
    make_optimizer = choose_optimizer("adam", lr=0.01)

    def error(predictions: Tensor) -> str:
        return f"{mean_squared_error(predictions, data.test.targets):.3f}"

    def errors(build: Callable[[], nn.Module], parts: Sequence[Dataset], seed: int) -> list[float]:
        torch.manual_seed(seed)
        model = build()
        state, found = init(model, make_optimizer), []
        for end in (epochs, epochs + more):
            state = fit(
                model,
                make_optimizer,
                state,
                *parts,
                epochs=end,
                batch_size=32,
                seed=seed,
                loss=mean_squared_error,
                correct=None,
            )
            whole = [parts[1].select(torch.arange(len(data.test)))]
            metrics = evaluate(model, state, whole, loss=mean_squared_error, correct=None)
            found.append(metrics.loss)
        return found

    row("forecast", "parameters", f"{epochs} epochs", f"{epochs + more} epochs")
    row("like today", "0", error(data.test.windows[-1]), "")
    for count in range(1, len(data.train.windows) + 1):
        (days, targets), (test_days, _) = (concatenated(part, days=count) for part in data)
        solution = torch.linalg.lstsq(with_ones(days), targets).solution
        name = f"least squares, {days.shape[1]} features"
        row(name, str(solution.numel()), error(with_ones(test_days) @ solution), "")
    networks: dict[str, tuple[Callable[[], nn.Module], Sequence[Dataset]]] = {
        "linear_regression, 9 features": (
            lambda: linear_regression(in_features=9, out_features=3),
            nine,
        ),
        "mlp, 9 features": (
            lambda: mlp(in_features=9, out_features=3, hidden_features=(29,)),
            nine,
        ),
        "rnn_forecaster": (rnn_forecaster, data),
    }
    for name, (build, parts) in networks.items():
        found = [errors(build, parts, seed) for seed in range(seeds)]
        means = (f"{sum(column) / seeds:.3f}" for column in zip(*found, strict=True))
        row(name, str(sum(p.numel() for p in build().parameters())), *means)


def concatenated(dataset: SeriesDataset, *, days: int = 3) -> tuple[Tensor, Tensor]:
    """Return the features of the last days of each window as one row, and the targets."""
    return dataset.windows[-days:].movedim(0, 1).flatten(1), dataset.targets


def with_ones(columns: Tensor) -> Tensor:
    """Return a table with a column of ones, for the constant of a least-squares fit."""
    return torch.cat([columns, torch.ones(len(columns), 1)], dim=1)


def pieces_of_names(*, longest: int = 5) -> None:
    """Fit a logistic regression on character n-grams; it has an exact solution, so no seed."""
    train, test = names()
    vectorizer = CountVectorizer(analyzer="char", ngram_range=(1, longest), binary=True)
    classifier = LogisticRegression(max_iter=300)
    classifier.fit(vectorizer.fit_transform(spelled(train)), train.labels)
    accuracy = classifier.score(vectorizer.transform(spelled(test)), test.labels)
    row("logistic regression on character n-grams", "test accuracy")
    row(f"1 to {longest} characters", percent(accuracy))


def spelled(dataset: NameDataset) -> list[str]:
    """Return the names as text, with a marker at each end."""
    rows = zip(dataset.names.tokens.tolist(), dataset.names.lengths.tolist(), strict=True)
    return [f"^{bytes(tokens[:length]).decode('ascii')}$" for tokens, length in rows]


def share(model: nn.Module, state: State, batch: Batch) -> float:
    """Return the accuracy on a batch, from 0 to 1."""
    return evaluate(model, state, [batch]).accuracy or 0.0


def percent(share: float) -> str:
    """Format a share as the pages do."""
    return f"{100 * share:.1f} %"


def row(*cells: str) -> None:
    """Print a row of a Markdown table."""
    print("| " + " | ".join(cells) + " |", flush=True)


def main(arguments: Sequence[str]) -> None:
    """Print all tables."""
    torch.set_num_threads(1)
    (seeds,) = map(int, arguments or ["5"])
    features(seeds)
    networks(seeds)
    taggers(10 * seeds)  # they are small
    commands()
    forecasts(seeds)
    pieces_of_names()


if __name__ == "__main__":
    main(sys.argv[1:])
