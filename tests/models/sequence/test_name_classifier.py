import functools
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from shapezoo import ShapeError, signature
from shapezoo.data import (
    COUNTRIES,
    SequenceError,
    encode_names,
    names,
    restore_order,
    sort_by_length,
)
from shapezoo.models import NameClassifier, name_classifier
from shapezoo.train import EpochDone, fit, init

NAMES = st.lists(
    st.text("abcXYZ '-", min_size=1, max_size=9).map("x".__add__), min_size=1, max_size=6
)


def small() -> NameClassifier:
    return name_classifier(num_classes=3, hidden_size=4).double().eval()


def masked(model: NameClassifier, characters: Tensor, lengths: Tensor) -> Tensor:
    """The same scores without packing: every step is computed, and past the end it is undone."""
    width, state = model.gru.hidden_size, model.state_dict()
    inputs = model.embedding(characters)
    inside = torch.arange(characters.shape[1]) < lengths[:, None]
    for layer in range(model.gru.num_layers):
        outputs, last = [], []
        for suffix in ("", "_reverse"):
            cell = nn.GRUCell(inputs.shape[2], width).double()
            cell.load_state_dict(
                {name: state[f"gru.{name}_l{layer}{suffix}"] for name in cell.state_dict()}
            )
            hidden = torch.zeros(len(lengths), width, dtype=torch.float64)
            seen: dict[int, Tensor] = {}
            steps = range(characters.shape[1])
            for step in reversed(steps) if suffix else steps:
                hidden = torch.where(inside[:, step, None], cell(inputs[:, step], hidden), hidden)
                seen[step] = hidden
            outputs.append(torch.stack([seen[step] for step in steps], dim=1))
            last.append(hidden)
        inputs = torch.cat(outputs, dim=2)
    scores: Tensor = model.classifier(torch.cat(last, dim=1))
    return scores


@settings(max_examples=25)
@given(texts=NAMES)
def test_packing_equals_masking(texts: list[str]) -> None:
    model, encoded = small(), encode_names(texts)
    torch.testing.assert_close(
        model(encoded.tokens, encoded.lengths), masked(model, encoded.tokens, encoded.lengths)
    )


@settings(max_examples=25)
@given(texts=NAMES, extra=st.integers(0, 5), filler=st.integers(0, 127))
def test_padding_does_not_matter(texts: list[str], extra: int, filler: int) -> None:
    model, encoded = small(), encode_names(texts)
    wide = nn.functional.pad(encoded.tokens, (0, extra))
    wide[torch.arange(wide.shape[1]) >= encoded.lengths[:, None]] = filler
    assert torch.equal(model(wide, encoded.lengths), model(encoded.tokens, encoded.lengths))


@settings(max_examples=25)
@given(texts=NAMES)
def test_batch_mates_do_not_matter(texts: list[str]) -> None:
    model, encoded = small(), encode_names(texts)
    together = model(encoded.tokens, encoded.lengths)
    for text, scores in zip(texts, together, strict=True):
        alone = encode_names([text])
        torch.testing.assert_close(model(alone.tokens, alone.lengths)[0], scores)


@settings(max_examples=25)
@given(texts=NAMES)
def test_scores_come_in_the_order_of_the_names(texts: list[str]) -> None:
    model, encoded = small(), encode_names(texts)
    longest_first, order = sort_by_length(encoded)
    scores = model(longest_first.tokens, longest_first.lengths)
    torch.testing.assert_close(restore_order(scores, order), model(encoded.tokens, encoded.lengths))


def test_the_laws_find_a_classifier_that_reads_padding() -> None:
    model, encoded = small(), encode_names(["Li", "Papadopoulos"])
    _, last = model.gru(model.embedding(encoded.tokens))
    scores = model.classifier(torch.cat([last[-2], last[-1]], dim=1))
    assert not torch.allclose(scores, masked(model, encoded.tokens, encoded.lengths))


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([3, 5], "lengths[1] must be between 1 and seq=4, got 5"),
        ([0, 4], "lengths[0] must be between 1 and seq=4, got 0"),
        ([4, -1], "lengths[1] must be between 1 and seq=4, got -1"),
    ],
)
def test_impossible_lengths_are_told(lengths: list[int], message: str) -> None:
    with pytest.raises(SequenceError, match=re.escape(message)):
        small()(torch.ones(2, 4, dtype=torch.int64), torch.tensor(lengths))


def test_a_character_outside_the_vocabulary_is_told() -> None:
    with pytest.raises(IndexError, match="tokens must be from 0 to 127, got 128 to 128"):
        small()(torch.tensor([[128]]), torch.tensor([1]))


def test_an_empty_batch_is_told() -> None:
    nothing = torch.ones(0, 4, dtype=torch.int64), torch.ones(0, dtype=torch.int64)
    with pytest.raises(SequenceError, match="there are no sequences"):
        small()(*nothing)


def test_shapes_that_do_not_fit_are_told() -> None:
    with pytest.raises(ShapeError, match="expected batch = 2, got 3"):
        small()(torch.ones(2, 4, dtype=torch.int64), torch.ones(3, dtype=torch.int64))
    assert str(signature(name_classifier())) == (
        '(characters: Int64[Tensor, "batch seq"], lengths: Int64[Tensor, "batch"]) '
        '-> Float[Tensor, "batch classes=18"]'
    )


def test_it_compiles() -> None:
    model, encoded = small(), encode_names(["Li", "Papadopoulos"])
    compiled = torch.compile(model, backend="eager")
    with torch.no_grad():  # with gradients, PyTorch warns of its own doing where the graph breaks
        scores = compiled(encoded.tokens, encoded.lengths)
    torch.testing.assert_close(scores, model(encoded.tokens, encoded.lengths))


@pytest.mark.slow
def test_countries_are_learned() -> None:
    data = names()
    majority = data.test.labels.bincount().max().item() / len(data.test)
    model = name_classifier(hidden_size=64, num_layers=1)
    assert len(COUNTRIES) == 18
    make_optimizer = functools.partial(torch.optim.Adam, lr=0.005)
    accuracies: list[float | None] = []
    fit(
        model,
        make_optimizer,
        init(model, make_optimizer),
        data.train,
        data.test,
        epochs=1,
        batch_size=128,
        observers=[
            lambda e: accuracies.append(e.test.accuracy) if isinstance(e, EpochDone) else None
        ],
    )
    assert majority < 0.25
    assert accuracies[-1] is not None
    assert accuracies[-1] > 0.5
