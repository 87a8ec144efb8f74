"""Packed sequences, whose lengths only the data decide."""

import pytest
import torch
from jaxtyping import Bool, Float, Int64
from tests.proving.recurrent import (
    FEATURES,
    HIDDEN,
    Packed,
    assert_proved,
    assert_refuted,
    build,
    directions,
    kinds,
)
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from shapezoo import Proved, Refuted, ShapeError, prove

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN"),
]


class PackedSeqFirst(Packed):
    def forward(
        self, x: Float[Tensor, "seq batch features=3"], lengths: Int64[Tensor, "batch"]
    ) -> tuple[
        Float[Tensor, "seq batch hidden={self.width}"],
        Float[Tensor, "layers={self.layers} batch hidden={self.hidden}"],
        Int64[Tensor, "batch"],
    ]:
        outputs, state = self.run(x, lengths)
        padded, lengths = pad_packed_sequence(outputs, total_length=x.shape[0])
        return padded, state, lengths


class PackedBatchFirst(Packed):
    def forward(
        self, x: Float[Tensor, "batch seq features=3"], lengths: Int64[Tensor, "batch"]
    ) -> tuple[
        Float[Tensor, "batch seq hidden={self.width}"],
        Float[Tensor, "layers={self.layers} batch hidden={self.hidden}"],
        Int64[Tensor, "batch"],
    ]:
        outputs, state = self.run(x, lengths)
        padded, lengths = pad_packed_sequence(outputs, batch_first=True, total_length=x.shape[1])
        return padded, state, lengths


@kinds
@directions
@pytest.mark.parametrize("is_sorted", [False, True])
def test_packed_sequences_are_proved(kind: str, bidirectional: bool, is_sorted: bool) -> None:
    assert_proved(PackedSeqFirst(build(kind, 2, bidirectional), is_sorted=is_sorted))
    rnn = build(kind, 1, bidirectional, batch_first=True)
    assert_proved(PackedBatchFirst(rnn, is_sorted=is_sorted))


@pytest.mark.parametrize(
    ("kind", "claims"),
    [
        ("gru", {"width": HIDDEN}),
        ("relu", {"layers": 2}),
        ("projected", {"hidden": HIDDEN}),
    ],
)
def test_wrong_widths_of_packed_sequences(kind: str, claims: dict[str, int]) -> None:
    rnn = build(kind, 2, bidirectional=True)
    assert_refuted(PackedSeqFirst(rnn, is_sorted=kind == "gru", **claims), seq=1, batch=1)


class PackedWithState(Packed):
    def forward(
        self,
        x: Float[Tensor, "seq batch features=3"],
        lengths: Int64[Tensor, "batch"],
        state: Float[Tensor, "layers={self.layers} batch hidden={self.hidden}"],
    ) -> Float[Tensor, "layers={self.layers} batch hidden={self.hidden}"]:
        packed = pack_padded_sequence(x, lengths, enforce_sorted=self.is_sorted)
        after: Tensor = self.rnn(packed, state)[1]
        return after


class Tagger(Packed):
    """Layers over packed sequences, one after another, and over what is packed."""

    def __init__(self, rnn: nn.RNNBase) -> None:
        super().__init__(rnn, is_sorted=False)
        self.second = nn.LSTM(self.width, 5, proj_size=2, bidirectional=True)
        self.head = nn.Linear(4, 7)

    def forward(
        self, x: Float[Tensor, "seq batch features=3"], lengths: Int64[Tensor, "batch"]
    ) -> Float[Tensor, "seq batch classes=7"]:
        packed, _ = self.second(self.run(x, lengths)[0])
        logits = PackedSequence(self.head(packed.data), *packed[1:])
        return pad_packed_sequence(logits, total_length=x.shape[0])[0]


def test_more_of_packed_sequences() -> None:
    for is_sorted in (False, True):
        assert_proved(PackedWithState(build("gru", 2), is_sorted=is_sorted))
    assert_proved(Tagger(build("gru", 2, bidirectional=True)))


class Unpadded(Packed):
    """Forgets how long the sequences were."""

    def forward(
        self, x: Float[Tensor, "batch seq features=3"], lengths: Int64[Tensor, "batch"]
    ) -> Float[Tensor, "batch seq hidden={self.width}"]:
        return pad_packed_sequence(self.run(x, lengths)[0], batch_first=True)[0]


class Total(Packed):
    """Takes what is packed for padded."""

    def forward(
        self, x: Float[Tensor, "seq batch features=3"], lengths: Int64[Tensor, "batch"]
    ) -> Float[Tensor, "seq*batch hidden={self.width}"]:
        return self.run(x, lengths)[0].data


class PaddedWrongly(Packed):
    """Forgets batch_first."""

    def forward(
        self, x: Float[Tensor, "batch seq features=3"], lengths: Int64[Tensor, "batch"]
    ) -> Float[Tensor, "batch seq hidden={self.width}"]:
        return pad_packed_sequence(self.run(x, lengths)[0], total_length=x.shape[1])[0]


@pytest.mark.parametrize("cls", [Unpadded, Total, PaddedWrongly])
def test_wrong_padding_is_refuted(cls: type[Packed]) -> None:
    """At small sizes where a length can be less than that of all."""
    model = cls(build("gru", batch_first=cls is not Total), is_sorted=False)
    proof = prove(model.eval())
    assert isinstance(proof, Refuted), str(proof)
    assert sorted(proof.counterexample.sizes.values()) in ([1, 2], [2, 2])
    with pytest.raises(ShapeError):
        proof.counterexample.replay(model=model)


class LastState(Packed):
    """Makes nothing of a size that only data decide."""

    def forward(
        self, x: Float[Tensor, "batch seq features=3"], lengths: Int64[Tensor, "batch"]
    ) -> Float[Tensor, "batch hidden={self.width}"]:
        padded, _ = pad_packed_sequence(self.run(x, lengths)[0], batch_first=True)
        return padded.sum(1) + padded[:, 0] + padded[:, -1]


class SecondPosition(Packed):
    """Raises if there is none."""

    def forward(
        self, x: Float[Tensor, "batch seq features=3"], lengths: Int64[Tensor, "batch"]
    ) -> Float[Tensor, "batch hidden={self.width}"]:
        return pad_packed_sequence(self.run(x, lengths)[0], batch_first=True)[0][:, 1]


class FiveAtMost(Packed):
    """Raises for longer ones."""

    def forward(
        self, x: Float[Tensor, "batch seq features=3"], lengths: Int64[Tensor, "batch"]
    ) -> Float[Tensor, "batch 5 hidden={self.width}"]:
        packed, _ = self.run(x, lengths)
        return pad_packed_sequence(packed, batch_first=True, total_length=5)[0]


def test_sizes_that_only_data_decide_may_vanish() -> None:
    assert_proved(LastState(build("gru", batch_first=True), is_sorted=False))


@pytest.mark.parametrize("cls", [SecondPosition, FiveAtMost])
def test_sizes_that_only_data_decide_are_not_proved(cls: type[Packed]) -> None:
    proof = prove(cls(build("gru", batch_first=True), is_sorted=False).eval())
    assert not isinstance(proof, Proved | Refuted)


class Masked(Packed):
    """The mask is as long as the input, the padded result as the longest of its sequences."""

    def forward(
        self,
        x: Float[Tensor, "batch seq features=3"],
        lengths: Int64[Tensor, "batch"],
        mask: Bool[Tensor, "batch seq"],
    ) -> Float[Tensor, "batch hidden={self.width}"]:
        padded, _ = pad_packed_sequence(self.run(x, lengths)[0], batch_first=True)
        return padded.masked_fill(mask[..., None], 0).sum(1)


class Expanded(Packed):
    def forward(
        self, x: Float[Tensor, "batch seq features=3"], lengths: Int64[Tensor, "batch"]
    ) -> Float[Tensor, "batch seq hidden={self.width}"]:
        padded, _ = pad_packed_sequence(self.run(x, lengths)[0], batch_first=True)
        return padded.expand(-1, x.shape[1], -1)


class Correlated(Packed):
    def forward(
        self, x: Float[Tensor, "batch seq features=3"], lengths: Int64[Tensor, "batch"]
    ) -> Float[Tensor, "batch features=3 hidden={self.width}"]:
        padded, _ = pad_packed_sequence(self.run(x, lengths)[0], batch_first=True)
        return torch.einsum("bsf,bsh->bfh", x, padded)


class Positioned(Packed):
    def forward(
        self, x: Float[Tensor, "batch seq features=3"], lengths: Int64[Tensor, "batch"]
    ) -> Float[Tensor, "batch hidden={self.width}"]:
        padded, _ = pad_packed_sequence(self.run(x, lengths)[0], batch_first=True)
        return (padded + x.new_zeros(x.shape[1], 1)).sum(1)


@pytest.mark.parametrize("cls", [Masked, Expanded, Correlated, Positioned])
def test_lengths_between_one_and_all_count(cls: type[Packed]) -> None:
    """They hold where all lengths are 1, and where all are that of the input; not between."""
    model = cls(build("gru", batch_first=True), is_sorted=False).eval()
    args = [torch.zeros(2, 3, FEATURES), torch.tensor([1, 2])]
    args += [torch.zeros(2, 3, dtype=torch.bool)] if cls is Masked else []
    with pytest.raises(RuntimeError):
        model(*args)
    assert not isinstance(prove(model), Proved)


class MaskOfLengths(Packed):
    def forward(
        self, x: Float[Tensor, "batch seq features=3"], lengths: Int64[Tensor, "batch"]
    ) -> Float[Tensor, "batch seq hidden={self.width}"]:
        packed, _ = self.run(x, lengths)
        padded, lengths = pad_packed_sequence(packed, batch_first=True, total_length=x.shape[1])
        mask = torch.arange(x.shape[1]) < lengths[:, None]
        return padded.where(mask[..., None], -1)


def test_a_mask_of_lengths() -> None:
    assert_proved(MaskOfLengths(build("gru", batch_first=True), is_sorted=False))
