"""The hints of a note propose code that works: another layer, or another input."""

import re
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from jaxtyping import Float, Int64
from tests.contracts.failing import Net, combine, hints, note, notes_of, z
from torch import Tensor, nn
from torch.nn import functional

from shapezoo import Module, checked


def what_a_hint_says(hint: str, layer: nn.Module, x: Tensor) -> tuple[Tensor, nn.Module]:
    """The input and the layer, as a hint has them."""
    change = re.search(r"(use|accept|with) (x\..*?)( if|$)", hint)
    proposed = re.match(r"(nn\..*?) would accept", hint)
    mended = eval(change[2], {"x": x, "torch": torch}) if change else x
    other = eval(proposed[1], {"nn": nn}) if proposed else layer
    return mended, other.to(mended.dtype)


SIZES: list[tuple[nn.Module, tuple[Any, ...], str]] = [
    (nn.Linear(320, 10), (z(8, 1440),), "nn.Linear(1440, 10)"),
    (nn.Linear(3, 10, bias=False), (z(8, 5, 4),), "nn.Linear(4, 10, bias=False)"),
    (nn.Conv1d(3, 8, 5, stride=2), (z(2, 4, 9),), "nn.Conv1d(4, 8, 5, stride=2)"),
    (nn.Conv2d(3, 8, (3, 5), padding=1), (z(2, 4, 9, 9),), "nn.Conv2d(4, 8, (3, 5), padding=1)"),
    (
        nn.Conv2d(4, 8, 3, groups=2, bias=False),
        (z(2, 6, 9, 9),),
        "nn.Conv2d(6, 8, 3, groups=2, bias=False)",
    ),
    (nn.Conv2d(3, 8, 3), (z(4, 9, 9),), "nn.Conv2d(4, 8, 3)"),  # without a batch
    (nn.Conv3d(3, 8, 3), (z(2, 4, 5, 6, 7),), "nn.Conv3d(4, 8, 3)"),
    (
        nn.ConvTranspose2d(4, 3, 2, 2),
        (z(2, 6, 5, 5),),
        "nn.ConvTranspose2d(6, 3, 2, stride=2)",
    ),
    (nn.BatchNorm1d(3), (z(2, 5),), "nn.BatchNorm1d(5)"),
    (nn.BatchNorm2d(3, eps=0.01), (z(2, 4, 9, 9),), "nn.BatchNorm2d(4, eps=0.01)"),
    (
        nn.InstanceNorm2d(3, affine=True),
        (z(2, 5, 9, 9),),
        "nn.InstanceNorm2d(5, affine=True)",
    ),
    (nn.GroupNorm(2, 4), (z(2, 6, 5),), "nn.GroupNorm(2, 6)"),
    (nn.LayerNorm(16), (z(2, 3, 12),), "nn.LayerNorm(12)"),
    (nn.LayerNorm((3, 16)), (z(2, 3, 12),), "nn.LayerNorm((3, 12))"),
    (nn.RMSNorm(16), (z(2, 3, 12),), "nn.RMSNorm(12)"),
    (
        nn.LSTM(4, 8, batch_first=True, bidirectional=True),
        (z(2, 3, 5),),
        "nn.LSTM(5, 8, batch_first=True, bidirectional=True)",
    ),
    (nn.LSTM(4, 8, dropout=0.0, bias=False), (z(3, 2, 5),), "nn.LSTM(5, 8, bias=False)"),
    (nn.GRU(4, 8, num_layers=2), (z(3, 2, 5),), "nn.GRU(5, 8, num_layers=2)"),
    (nn.RNN(4, 8, nonlinearity="relu"), (z(3, 2, 5),), "nn.RNN(5, 8, nonlinearity='relu')"),
    (nn.GRUCell(4, 8), (z(2, 5),), "nn.GRUCell(5, 8)"),
    (
        nn.MultiheadAttention(12, 2, batch_first=True),
        (z(2, 3, 16), z(2, 3, 16), z(2, 3, 16)),
        "nn.MultiheadAttention(16, 2, batch_first=True)",
    ),
    (
        nn.TransformerEncoderLayer(12, 2, 64, batch_first=True),
        (z(2, 3, 16),),
        "nn.TransformerEncoderLayer(16, 2, dim_feedforward=64, batch_first=True)",
    ),
]


@pytest.mark.parametrize(("layer", "inputs", "code"), SIZES, ids=[code for *_, code in SIZES])
def test_the_layer_that_is_proposed_takes_the_input(
    layer: nn.Module, inputs: tuple[Any, ...], code: str
) -> None:
    lines = note(Net(layer), *inputs)
    assert lines[0].startswith(f"  module    layer of Net: {type(layer).__name__}")
    assert hints(lines) == [f"{code} would accept this input"]
    Net(eval(code, {"nn": nn}))(*inputs)


@pytest.mark.parametrize(
    ("layer", "inputs", "expected"),
    [
        (nn.Linear(400, 4), (z(2, 16, 5, 5),), ["use x.flatten(1)"]),
        (nn.Linear(400, 4), (z(2, 16, 5, 5).double(),), ["use x.flatten(1).float()"]),
        (
            nn.Linear(400, 4),
            (z(2, 16, 6, 5),),
            [
                "nn.Linear(5, 4) would accept this input",
                "nn.Linear(480, 4) would accept x.flatten(1)",
            ],
        ),
        (
            nn.Linear(16, 4),
            (z(2, 16, 6),),
            [
                "use x.movedim(1, 2) if axis 1 holds the features",
                "nn.Linear(6, 4) would accept this input",
            ],
        ),
        (
            nn.Conv2d(3, 8, 3),
            (z(2, 9, 9, 3),),
            [
                "use x.movedim(3, 1) if axis 3 holds the channels",
                "nn.Conv2d(9, 8, 3) would accept this input",
            ],
        ),
        (nn.Linear(3, 4), (z(2, 3).double(),), ["use x.float()"]),
        (nn.Linear(3, 4).double(), (z(2, 3),), ["use x.double()"]),
        (nn.Linear(3, 4).bfloat16(), (z(2, 3),), ["use x.to(torch.bfloat16)"]),
        (nn.Linear(3, 4), (z(2, 3).long(),), ["use x.float() if it holds quantities"]),
        (
            nn.Linear(3, 4),
            (z(2, 5).double(),),
            ["nn.Linear(5, 4) would accept this input with x.float()"],
        ),
    ],
)
def test_where_the_input_can_be_changed(
    layer: nn.Module, inputs: tuple[Any, ...], expected: list[str]
) -> None:
    found = hints(note(Net(layer), *inputs))
    assert found == expected
    (x,) = inputs
    for hint in found:
        mended, other = what_a_hint_says(hint, layer, x)
        other(mended)


@pytest.mark.parametrize(
    ("layer", "inputs"),
    [
        (nn.Conv2d(3, 8, 3), (z(2, 3, 2, 2),)),  # the kernel is larger than the image
        (nn.Conv2d(4, 8, 3, groups=4), (z(2, 6, 9, 9),)),  # six channels are no four groups
        (nn.BatchNorm1d(3), (z(1, 3),)),  # one value per channel
        (nn.BatchNorm2d(3), (z(2, 4),)),  # too few axes
        (nn.GroupNorm(4, 8), (z(2, 6, 5),)),
        (nn.MultiheadAttention(8, 4), (z(2, 3, 6), z(2, 3, 6), z(2, 3, 6))),
        (nn.LSTM(4, 8), (z(3, 2, 4), z(1, 2, 8))),  # the state is one tensor
        (nn.GRU(4, 8), (z(3, 2, 4), z(1, 2, 9))),
        (nn.CrossEntropyLoss(), (z(8, 5), z(7).long())),
        (nn.MaxPool2d(4), (z(2, 3, 3, 3),)),
    ],
)
def test_no_number_is_proposed_where_none_fits(layer: nn.Module, inputs: tuple[Any, ...]) -> None:
    lines = note(Net(layer), *inputs)
    assert lines[0].startswith("  module    layer of ")
    assert hints(lines) == []


def test_indices_that_an_embedding_does_not_have() -> None:
    tokens = torch.tensor([[3, 10]])
    lines = note(Net(nn.Embedding(10, 4)), tokens)
    assert lines[1:] == [
        "  got       Tensor int64 (batch=1, 2)",
        "  values    from 3 to 10",
        "  expected  from 0 to 9",
        "  hint      if 10 is a valid index, use nn.Embedding(11, 4)",
    ]
    nn.Embedding(11, 4)(tokens)
    lines = note(Net(nn.Embedding(10, 4, padding_idx=0)), tokens)
    assert hints(lines) == ["if 10 is a valid index, use nn.Embedding(11, 4, padding_idx=0)"]
    lines = note(Net(nn.Embedding(10, 4)), z(2, 3))
    assert lines[2:] == [
        "  expected  int64 or int32",
        "  hint      use x.long() if it holds indices",
    ]
    nn.Embedding(10, 4)(z(2, 3).long())
    lines = note(Net(nn.Embedding(10, 4)), torch.tensor([[-1, 10]]))
    assert lines[2:] == ["  values    from -1 to 10", "  expected  from 0 to 9"]


def test_what_stands_on_another_device() -> None:
    lines = note(Net(nn.Linear(3, 4)), z(2, 3, device="meta"))
    assert lines[2:] == [
        "  expected  (*, in_features=3)",
        "  device    the input is on meta, the weights are on cpu",
    ]


def test_autocast_needs_no_cast() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        lines = note(Net(nn.Linear(3, 4)), z(2, 5).bfloat16())
    assert hints(lines) == ["nn.Linear(5, 4) would accept this input"]
    assert "weights" not in "".join(lines)


@pytest.mark.parametrize(
    ("how", "hint"),
    [
        (lambda x, y: x.view(x.size(0), 320), "x.view(x.size(0), 60) would work"),
        (lambda x, y: x.reshape(-1, 319), "x.reshape(-1, 60) would work"),
        (lambda x, y: x.view(8, 320), ""),  # which of the two is wrong?
        (lambda x, y: x.view(-1, 3, 3), ""),
        (lambda x, y: x.view(x.size(0) + 1, 320), ""),
    ],
)
def test_the_number_that_fits_in_a_view(how: Callable[..., Tensor], hint: str) -> None:
    x, y = z(8, 3, 4, 5), z(8, 3, 5, 6)
    assert hints(note(combine, x, y, how)) == [hint] * bool(hint)
    if hint:
        assert eval(hint.partition(" would work")[0], {"x": x}).shape == (8, 60)


def test_double_precision_from_numpy() -> None:
    images = torch.from_numpy(np.zeros((2, 3)))
    assert hints(note(Net(nn.Linear(3, 4)), images)) == ["use x.float()"]


def test_the_argument_is_named_whose_dtype_the_input_has() -> None:
    class Flat(Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(6, 4)

        def forward(self, images: Float[Tensor, "batch 2 3"]) -> Float[Tensor, "batch 4"]:
            logits: Tensor = self.layer(images.flatten(1))
            return logits

    images = z(5, 2, 3).double()
    assert hints(note(Flat(), images)) == ["use images.float()"]
    assert Flat()(images.float()).shape == (5, 4)


LAYERS: list[tuple[Callable[..., nn.Module], int]] = [
    (lambda n: nn.Linear(n, 3), 2),
    (lambda n: nn.Conv1d(n, 4, 2), 3),
    (lambda n: nn.Conv2d(n, 4, 2, padding=1), 4),
    (lambda n: nn.ConvTranspose2d(n, 4, 2), 4),
    (lambda n: nn.BatchNorm1d(n), 3),
    (lambda n: nn.BatchNorm2d(n), 4),
    (lambda n: nn.GroupNorm(1, n), 3),
    (lambda n: nn.LayerNorm(n), 3),
    (lambda n: nn.LayerNorm((n, 4)), 3),
    (lambda n: nn.GRU(n, 3, batch_first=True), 3),
    (lambda n: nn.LSTMCell(n, 3), 2),
    (lambda n: nn.MultiheadAttention(2 * n, 2), 3),
]


def test_every_hint_of_a_note_works() -> None:
    rng, tried = Random(0), 0
    for _ in range(400):
        build, dims = rng.choice(LAYERS)
        layer = build(rng.randrange(1, 6))
        x = z([rng.randrange(1, 6) for _ in range(dims + rng.choice([0, 0, 0, 1, -1]))])
        x = x.to(rng.choice([torch.float32, torch.float32, torch.float64]))
        others = [x, x] if isinstance(layer, nn.MultiheadAttention) else []
        try:
            Net(layer)(x, *others)
        except Exception as error:
            lines = error.__notes__[0].splitlines()
        else:
            continue
        for hint in hints(lines):
            mended, other = what_a_hint_says(hint, layer, x)
            other(mended, *(mended for _ in others))
            tried += 1
    assert tried > 200


@checked
def viewed_transposed(x: Float[Tensor, "batch seq width"]) -> Tensor:
    y = x.transpose(1, 2)
    return y.view(-1, 500)


@checked
def labels_out_of_range(
    logits: Float[Tensor, "batch classes"], labels: Int64[Tensor, "batch"]
) -> Float[Tensor, ""]:
    return functional.cross_entropy(logits, labels)


def test_a_view_that_the_strides_do_not_allow_is_not_proposed() -> None:
    text = notes_of(viewed_transposed, z(2, 3, 4))
    assert "y.view(-1, 500)" in text
    assert hints(text.splitlines()) == []


def test_labels_out_of_range_are_told_their_range() -> None:
    text = notes_of(labels_out_of_range, z(2, 7), torch.tensor([1, 9]))
    assert "expected  labels from 0 to 6, as there are 7 classes" in text


def test_options_of_an_embedding_are_not_dropped() -> None:
    layer = nn.Embedding(5, 3, max_norm=1.0)
    assert hints(note(Net(layer), torch.tensor([[1, 7]]))) == []
