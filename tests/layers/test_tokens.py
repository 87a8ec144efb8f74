import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from shapezoo import ShapeError, signature
from shapezoo.layers import Embedding, one_hot

SHAPES = st.lists(st.integers(0, 4), max_size=3)


@given(shape=SHAPES, vocab_size=st.integers(1, 6), width=st.integers(1, 5))
def test_tokens_become_the_vectors_that_pytorch_gives(
    shape: list[int], vocab_size: int, width: int
) -> None:
    ours, theirs = Embedding(vocab_size, width), nn.Embedding(vocab_size, width)
    ours.load_state_dict(theirs.state_dict())
    tokens = torch.randint(vocab_size, shape)
    assert torch.equal(ours(tokens), theirs(tokens))
    assert torch.equal(copy.deepcopy(ours)(tokens), theirs(tokens))
    assert torch.equal(one_hot(tokens, vocab_size), torch.eye(vocab_size).long()[tokens])


def test_the_contract() -> None:
    assert str(signature(Embedding(6, 3))) == (
        '(tokens: Int64[Tensor, "*batch"]) -> Float[Tensor, "*batch features=3"]'
    )
    with pytest.raises(ShapeError, match="argument 'tokens'"):
        Embedding(6, 3)(torch.zeros(2))


@pytest.mark.parametrize("token", [-1, 6])
def test_tokens_outside_the_vocabulary_raise(token: int) -> None:
    tokens = torch.tensor([2, token])
    message = f"tokens must be from 0 to 5, got {min(2, token)} to {max(2, token)}"
    with pytest.raises(IndexError, match=message):
        Embedding(6, 3)(tokens)
    with pytest.raises(IndexError, match=message):
        one_hot(tokens, 6)
