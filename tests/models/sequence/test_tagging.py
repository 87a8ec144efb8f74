import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch._dynamo
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from shapezoo import signature
from shapezoo.data import TokenBatch
from shapezoo.models import embedding_tagger, onehot_cell_tagger, onehot_tagger
from shapezoo.train import evaluate, init, train_step

VOCABULARY = "ehlo"
TAGGERS = [onehot_cell_tagger, onehot_tagger, embedding_tagger]
SIZES = st.integers(1, 5)


def encode(word: str) -> Tensor:
    return torch.tensor([VOCABULARY.index(letter) for letter in word])[:, None]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("build", TAGGERS)
def test_hello_becomes_ohlol(build: Callable[..., nn.Module], seed: int) -> None:
    torch.manual_seed(seed)
    model = build()
    make_optimizer = functools.partial(torch.optim.Adam, lr=0.1, weight_decay=0.02)
    state, word = init(model, make_optimizer), TokenBatch(encode("hello"), encode("ohlol"))
    for _ in range(60):
        state, _ = train_step(model, make_optimizer, state, word)
    assert evaluate(model, state, [word]).accuracy == 1


@given(seq=SIZES, batch=SIZES, vocab_size=SIZES, num_classes=SIZES)
def test_the_states_of_a_network_over_one_hot_tokens_are_the_scores(
    seq: int, batch: int, vocab_size: int, num_classes: int
) -> None:
    stepped = onehot_cell_tagger(vocab_size=vocab_size, num_classes=num_classes).double()
    whole = onehot_tagger(vocab_size=vocab_size, num_classes=num_classes).double()
    reference = nn.RNN(vocab_size, num_classes).double()
    weights = reference.state_dict()
    whole.load_state_dict({f"rnn.rnn.{name}": w for name, w in weights.items()})
    stepped.load_state_dict(
        {f"rnn.cell.{name.removesuffix('_l0')}": w for name, w in weights.items()}
    )
    tokens = torch.randint(vocab_size, (seq, batch))
    expected, _ = reference(torch.eye(vocab_size, dtype=torch.float64)[tokens])
    for model in (stepped, whole):
        torch.testing.assert_close(model(tokens), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("build", TAGGERS)
@given(seq=SIZES, more=SIZES, batch=SIZES)
def test_a_label_does_not_depend_on_later_tokens(
    build: Callable[..., nn.Module], seq: int, more: int, batch: int
) -> None:
    model = build().double()
    tokens = torch.randint(4, (seq + more, batch))
    torch.testing.assert_close(model(tokens[:seq]), model(tokens)[:seq])


def test_the_contract_binds_the_classes() -> None:
    assert str(signature(embedding_tagger(num_classes=7))) == (
        '(tokens: Int64[Tensor, "seq batch"]) -> Float[Tensor, "seq batch classes=7"]'
    )


@pytest.mark.parametrize("token", [4, -1])
@pytest.mark.parametrize("build", TAGGERS)
def test_a_token_outside_the_vocabulary_is_refused(
    build: Callable[..., nn.Module], token: int
) -> None:
    with pytest.raises(IndexError, match=rf"tokens must be from 0 to 3, got .*{token}"):
        build()(torch.tensor([[0], [token]]))


@pytest.mark.parametrize("build", TAGGERS)
def test_it_compiles_into_one_graph(build: Callable[..., nn.Module]) -> None:
    torch.compiler.reset()
    model = build()
    with torch._dynamo.config.patch(allow_rnn=True):
        compiled: Any = torch.compile(model, fullgraph=True, backend="eager")
        torch.testing.assert_close(compiled(encode("hello")), model(encode("hello")))
