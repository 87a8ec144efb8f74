"""Teach three recurrent networks to read hello and write ohlol."""

from collections.abc import Callable

import torch
from torch import Tensor

from shapezoo import Module
from shapezoo.data import TokenBatch
from shapezoo.models import embedding_tagger, onehot_cell_tagger, onehot_tagger
from shapezoo.train import choose_optimizer, init, install, train_step

VOCABULARY = "ehlo"


def encode(word: str) -> Tensor:
    """Return the indices of the letters, as a batch of one word."""
    return torch.tensor([VOCABULARY.index(letter) for letter in word])[:, None]


def decode(labels: Tensor) -> str:
    """Return the word for a batch of one."""
    return "".join(VOCABULARY[label] for label in labels.flatten())


def main() -> None:
    """Train each of the three taggers."""
    torch.manual_seed(0)
    learn(onehot_cell_tagger)
    learn(onehot_tagger)
    learn(embedding_tagger)


def learn(build: Callable[[], Module]) -> None:
    """Train a tagger; print its output during training."""
    print(build.__name__)
    model, word = build(), TokenBatch(encode("hello"), encode("ohlol"))
    make_optimizer = choose_optimizer("adam", lr=0.1, weight_decay=0.02)
    state = init(model, make_optimizer)
    for epoch in range(1, 61):
        state, loss = train_step(model, make_optimizer, state, word)
        if epoch % 20 == 0 or epoch == 1:
            install(model, state)
            with torch.no_grad():
                written = decode(model(word.tokens).argmax(dim=-1))
            print(f"  epoch {epoch:2}  {written}  loss {loss:.2f}")


if __name__ == "__main__":
    main()
