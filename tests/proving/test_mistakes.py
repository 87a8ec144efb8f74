"""Mistakes that people make: each is refuted at its smallest sizes, and its twin is proved."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from shapezoo import Module, Proved, Refuted, ShapeError, checked, prove, scan

pytestmark = pytest.mark.slow

Subject = nn.Module | type[nn.Module] | Callable[..., Any]


class Logits(Module):
    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(8, 10)

    def forward(
        self, x: Float[Tensor, "batch channels=8 height width"]
    ) -> Float[Tensor, "batch classes=10"]:
        result: Tensor = self.linear(self.pool(x).flatten(1))
        return result


class SqueezedLogits(Logits):
    def forward(
        self, x: Float[Tensor, "batch channels=8 height width"]
    ) -> Float[Tensor, "batch classes=10"]:
        result: Tensor = self.linear(self.pool(x).squeeze())
        return result


class FlatPerExample(Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(3, 4, 3, padding=1)
        self.linear = nn.Linear(4 * 16, 10)

    def forward(self, x: Float[Tensor, "batch channels=3 seq"]) -> Float[Tensor, "batch 10"]:
        result: Tensor = self.linear(self.conv(x).flatten(1))
        return result


class FlatAcrossBatch(FlatPerExample):
    def forward(self, x: Float[Tensor, "batch channels=3 seq"]) -> Float[Tensor, "batch 10"]:
        result: Tensor = self.linear(self.conv(x).view(-1, 4 * 16))
        return result


class Same(Module):
    def __init__(self, kernel_size: int, padding: int, dilation: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv1d(4, 4, kernel_size, padding=padding, dilation=dilation)

    def forward(self, x: Float[Tensor, "batch channels=4 seq"]) -> Float[Tensor, "batch 4 seq"]:
        result: Tensor = self.conv(x)
        return result


class Halved(Module):
    def __init__(self, kernel_size: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, kernel_size, stride=2, padding=1)

    def forward(
        self, images: Float[Tensor, "batch channels=3 height width"]
    ) -> Float[Tensor, "batch channels=8 height//2 width//2"]:
        result: Tensor = self.conv(images)
        return result


class Doubled(Module):
    def __init__(self, output_padding: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(8, 3, 3, 2, padding=1, output_padding=output_padding)

    def forward(
        self, x: Float[Tensor, "batch channels=8 height width"]
    ) -> Float[Tensor, "batch channels=3 2*height 2*width"]:
        result: Tensor = self.conv(x)
        return result


class Hourglass(Module):
    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        return functional.interpolate(functional.max_pool2d(x, 2), size=x.shape[-2:])


class HourglassForEven(Module):
    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        return functional.interpolate(functional.max_pool2d(x, 2), scale_factor=2)


class HourglassWithSkip(Module):
    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch 2*channels height width"]:
        up = functional.interpolate(functional.max_pool2d(x, 2), scale_factor=2)
        return torch.cat([x, up], dim=1)


class Dense(Module):
    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.second = nn.Conv2d(in_channels, 8, 3, padding=1)

    def forward(
        self, images: Float[Tensor, "batch channels=3 height width"]
    ) -> Float[Tensor, "batch channels=8 height width"]:
        result: Tensor = self.second(torch.cat([images, self.first(images)], dim=1))
        return result


class Upscaled(Module):
    copies = 4

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.conv = nn.Conv2d(channels, self.copies * channels, 3, padding=1)

    def forward(
        self, x: Float[Tensor, "batch {self.channels} height width"]
    ) -> Float[Tensor, "batch {self.channels} 2*height 2*width"]:
        return functional.pixel_shuffle(self.conv(x), 2)


class UpscaledFromTwo(Upscaled):
    copies = 2


class Gate(Module):
    def __init__(self, channels: int, num_pixel_axes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, channels)
        self.pixels = (None,) * num_pixel_axes

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels 1 1"]:
        gates: Tensor = self.linear(x.mean((2, 3))).sigmoid()
        return gates[(..., *self.pixels)]


class Gated(nn.Module):
    def __init__(self, num_pixel_axes: int) -> None:
        super().__init__()
        self.stages = nn.Sequential(nn.Conv2d(3, 8, 3), Gate(8, num_pixel_axes))

    def forward(
        self, images: Float[Tensor, "batch channels=3 height width"]
    ) -> Float[Tensor, "batch channels=8"]:
        gates: Tensor = self.stages(images)
        return gates.flatten(1)


@checked
def channels_first(
    images: Float[Tensor, "batch height width channels"],
) -> Float[Tensor, "batch channels height width"]:
    return images.permute(0, 3, 1, 2)


@checked
def channels_first_turned(
    images: Float[Tensor, "batch height width channels"],
) -> Float[Tensor, "batch channels height width"]:
    return images.transpose(1, 3)


@checked
def resized(
    masks: Float[Tensor, "batch classes rows columns"],
    images: Float[Tensor, "batch channels height width"],
) -> Float[Tensor, "batch classes height width"]:
    return functional.interpolate(masks, size=images.shape[-2:])


@checked
def resized_to_width_and_height(
    masks: Float[Tensor, "batch classes rows columns"],
    images: Float[Tensor, "batch channels height width"],
) -> Float[Tensor, "batch classes height width"]:
    _, _, height, width = images.shape
    return functional.interpolate(masks, size=(width, height))


@checked
def grey(
    images: Float[Tensor, "batch channels height width"],
) -> Float[Tensor, "batch channels height width"]:
    if images.shape[1] == 3:
        return images.mean(1, keepdim=True).expand_as(images)
    return images


@checked
def grey_of_one_channel(
    images: Float[Tensor, "batch channels height width"],
) -> Float[Tensor, "batch channels height width"]:
    if images.shape[1] == 3:
        return images.mean(1, keepdim=True)
    return images


@checked
def pooled(x: Float[Tensor, "batch channels seq"]) -> Float[Tensor, "batch channels seq//2"]:
    return functional.avg_pool1d(x, 2)


@checked
def pooled_up(x: Float[Tensor, "batch channels seq"]) -> Float[Tensor, "batch channels seq//2"]:
    return functional.avg_pool1d(x, 2, ceil_mode=True)


class Split(Module):
    def __init__(self, num_heads: int, head_dim: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.head_dim = head_dim

    def forward(
        self, x: Float[Tensor, "batch seq {self.num_heads}*{self.head_dim}"]
    ) -> Float[Tensor, "batch {self.num_heads} seq {self.head_dim}"]:
        return x.view(*x.shape[:2], self.num_heads, self.head_dim).transpose(1, 2)


class SplitByWidth(Split):
    def forward(
        self, x: Float[Tensor, "batch seq {self.num_heads}*{self.head_dim}"]
    ) -> Float[Tensor, "batch {self.num_heads} seq {self.head_dim}"]:
        return x.view(*x.shape[:2], self.head_dim, self.num_heads).transpose(1, 2)


@checked
def merged(
    x: Float[Tensor, "batch heads seq head_dim"],
) -> Float[Tensor, "batch seq heads*head_dim"]:
    return x.transpose(1, 2).flatten(2)


@checked
def merged_within_heads(
    x: Float[Tensor, "batch heads seq head_dim"],
) -> Float[Tensor, "batch seq heads*head_dim"]:
    return x.flatten(2)


@checked
def weighted(
    states: Float[Tensor, "batch seq hidden"], weights: Float[Tensor, "batch seq"]
) -> Float[Tensor, "batch hidden"]:
    return torch.einsum("bsh,bs->bh", states, weights)


@checked
def weighted_over_hidden(
    states: Float[Tensor, "batch seq hidden"], weights: Float[Tensor, "batch seq"]
) -> Float[Tensor, "batch hidden"]:
    return torch.einsum("bsh,bs->bs", states, weights)


@checked
def masked(
    scores: Float[Tensor, "batch heads seq kv_seq"], mask: Bool[Tensor, "batch kv_seq"]
) -> Float[Tensor, "batch heads seq kv_seq"]:
    return scores.masked_fill(~mask[:, None, None], float("-inf"))


@checked
def masked_by_query(
    scores: Float[Tensor, "batch heads seq kv_seq"], mask: Bool[Tensor, "batch kv_seq"]
) -> Float[Tensor, "batch heads seq kv_seq"]:
    return scores.masked_fill(~mask, float("-inf"))


@checked
def causal(scores: Float[Tensor, "batch seq kv_seq"]) -> Float[Tensor, "batch seq kv_seq"]:
    _, seq, kv_seq = scores.shape
    return scores * torch.ones(seq, kv_seq).tril(kv_seq - seq)


@checked
def causal_when_square(
    scores: Float[Tensor, "batch seq kv_seq"],
) -> Float[Tensor, "batch seq kv_seq"]:
    seq = scores.shape[1]
    return scores * torch.ones(seq, seq).tril()


@checked
def extended(
    cache: Float[Tensor, "batch heads kv_seq head_dim"],
    keys: Float[Tensor, "batch heads seq head_dim"],
) -> Float[Tensor, "batch heads kv_seq+seq head_dim"]:
    return torch.cat([cache, keys], dim=2)


@checked
def extended_by_heads(
    cache: Float[Tensor, "batch heads kv_seq head_dim"],
    keys: Float[Tensor, "batch heads seq head_dim"],
) -> Float[Tensor, "batch heads kv_seq+seq head_dim"]:
    return torch.cat([cache, keys], dim=1)


class Attention(Module):
    def __init__(self, batch_first: bool) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=batch_first)

    def forward(
        self, x: Float[Tensor, "batch seq 4"], context: Float[Tensor, "batch kv_seq 4"]
    ) -> tuple[Float[Tensor, "batch seq 4"], Float[Tensor, "batch seq kv_seq"]]:
        x, weights = self.attention(x, context, context)
        return x, weights


class ClassToken(Module):
    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, 1, 4))

    def forward(
        self, x: Float[Tensor, "batch patches hidden=4"]
    ) -> Float[Tensor, "batch patches+1 hidden=4"]:
        return torch.cat([self.token.expand(x.shape[0], -1, -1), x], dim=1)


class ClassTokenOfOne(ClassToken):
    def forward(
        self, x: Float[Tensor, "batch patches hidden=4"]
    ) -> Float[Tensor, "batch patches+1 hidden=4"]:
        return torch.cat([self.token, x], dim=1)


class Positions(Module):
    def __init__(self) -> None:
        super().__init__()
        self.positions = nn.Parameter(torch.zeros(512, 4))

    def forward(self, x: Float[Tensor, "batch seq 4"]) -> Float[Tensor, "batch seq 4"]:
        return x + self.positions[: x.shape[1]]


class PositionsOfTruncated(Positions):
    def forward(self, x: Float[Tensor, "batch seq 4"]) -> Float[Tensor, "batch seq 4"]:
        x = x[:, :512]
        return x + self.positions[: x.shape[1]]


class PositionsOfBatch(Positions):
    def forward(self, x: Float[Tensor, "batch seq 4"]) -> Float[Tensor, "batch seq 4"]:
        return x + self.positions[: x.shape[0]]


class Autoencoder(Module):
    def __init__(self, in_features: int, latent: int) -> None:
        super().__init__()
        self.in_features = in_features
        self.encoder = nn.Linear(in_features, latent)
        self.decoder = nn.Linear(latent, in_features)

    def forward(
        self, x: Float[Tensor, "*batch {self.in_features}"]
    ) -> Float[Tensor, "*batch {self.in_features}"]:
        result: Tensor = self.decoder(self.encoder(x).relu())
        return result


class AutoencoderOfLatent(Autoencoder):
    def __init__(self, in_features: int, latent: int) -> None:
        super().__init__(in_features, latent)
        self.decoder = nn.Linear(latent, latent)


class LastState(Module):
    def __init__(self, batch_first: bool) -> None:
        super().__init__()
        self.gru = nn.GRU(3, 4, batch_first=batch_first)

    def forward(self, x: Float[Tensor, "batch seq features=3"]) -> Float[Tensor, "batch hidden=4"]:
        _, states = self.gru(x)
        last: Tensor = states[-1]
        return last


class LastOutput(Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.RNN(3, 4, batch_first=True)

    def forward(self, x: Float[Tensor, "batch seq features=3"]) -> Float[Tensor, "batch hidden=4"]:
        x, _ = self.rnn(x)
        return x[:, -1]


class LastExample(LastOutput):
    def forward(self, x: Float[Tensor, "batch seq features=3"]) -> Float[Tensor, "batch hidden=4"]:
        x, _ = self.rnn(x)
        return x[-1]


class BothDirections(Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(3, 4, batch_first=True, bidirectional=True)

    def forward(self, x: Float[Tensor, "batch seq features=3"]) -> Float[Tensor, "batch 8"]:
        _, (states, _) = self.lstm(x)
        return torch.cat([states[-2], states[-1]], dim=1)


class OneDirection(BothDirections):
    def forward(self, x: Float[Tensor, "batch seq features=3"]) -> Float[Tensor, "batch 8"]:
        states: Tensor = self.lstm(x)[1][0]
        return states[-1]


class FlatStates(BothDirections):
    def forward(self, x: Float[Tensor, "batch seq features=3"]) -> Float[Tensor, "batch 8"]:
        states: Tensor = self.lstm(x)[1][0]
        return states.flatten(1)


class Stateful(Module):
    def __init__(self, num_layers: int, directions: int) -> None:
        super().__init__()
        self.num_states = directions * num_layers
        self.gru = nn.GRU(3, 4, num_layers, bidirectional=True)

    def forward(
        self,
        x: Float[Tensor, "seq batch features=3"],
        state: Float[Tensor, "layers={self.num_states} batch hidden=4"],
    ) -> tuple[
        Float[Tensor, "seq batch hidden=8"],
        Float[Tensor, "layers={self.num_states} batch hidden=4"],
    ]:
        x, state = self.gru(x, state)
        return x, state


class Encoder(Module):
    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(3, 4, batch_first=True)

    def forward(
        self, x: Float[Tensor, "batch seq features=3"]
    ) -> tuple[Float[Tensor, "batch seq hidden=4"], Float[Tensor, "layers=1 batch hidden=4"]]:
        outputs, state = self.gru(x)
        return outputs, state


class EncoderStateFirst(Encoder):
    def forward(
        self, x: Float[Tensor, "batch seq features=3"]
    ) -> tuple[Float[Tensor, "batch seq hidden=4"], Float[Tensor, "layers=1 batch hidden=4"]]:
        state, outputs = self.gru(x)
        return outputs, state


class Packed(Module):
    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(3, 4, batch_first=True)

    def forward(
        self, x: Float[Tensor, "batch seq features=3"], lengths: Int64[Tensor, "batch"]
    ) -> Float[Tensor, "batch seq hidden=4"]:
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        outputs, _ = pad_packed_sequence(
            self.gru(packed)[0], batch_first=True, total_length=x.shape[1]
        )
        return outputs


class PackedToLongest(Packed):
    def forward(
        self, x: Float[Tensor, "batch seq features=3"], lengths: Int64[Tensor, "batch"]
    ) -> Float[Tensor, "batch seq hidden=4"]:
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        outputs, _ = pad_packed_sequence(self.gru(packed)[0], batch_first=True)
        return outputs


class PackedTimeFirst(Packed):
    def forward(
        self, x: Float[Tensor, "batch seq features=3"], lengths: Int64[Tensor, "batch"]
    ) -> Float[Tensor, "batch seq hidden=4"]:
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        outputs, _ = pad_packed_sequence(self.gru(packed)[0], total_length=x.shape[1])
        return outputs


class Unrolled(Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(3, 4)

    def step(self, state: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        state = self.cell(x, state)
        return state, state

    def forward(
        self, x: Float[Tensor, "batch seq features=3"]
    ) -> Float[Tensor, "batch seq hidden=4"]:
        _, outputs = scan(self.step, x.new_zeros(x.shape[0], 4), x.transpose(0, 1))
        return outputs.transpose(0, 1)


class UnrolledTimeFirst(Unrolled):
    def forward(
        self, x: Float[Tensor, "batch seq features=3"]
    ) -> Float[Tensor, "batch seq hidden=4"]:
        _, outputs = scan(self.step, x.new_zeros(x.shape[0], 4), x.transpose(0, 1))
        return outputs


class UnrolledOverBatch(Unrolled):
    def forward(
        self, x: Float[Tensor, "batch seq features=3"]
    ) -> Float[Tensor, "batch seq hidden=4"]:
        _, outputs = scan(self.step, x.new_zeros(x.shape[0], 4), x)
        return outputs.transpose(0, 1)


@checked
def differences(
    predictions: Float[Tensor, "batch 1"], targets: Float[Tensor, "batch"]
) -> Float[Tensor, "batch 1"]:
    return (predictions - targets[:, None]).abs()


@checked
def differences_of_all_pairs(
    predictions: Float[Tensor, "batch 1"], targets: Float[Tensor, "batch"]
) -> Float[Tensor, "batch 1"]:
    return (predictions - targets).abs()


@checked
def centred(x: Float[Tensor, "batch seq hidden"]) -> Float[Tensor, "batch seq hidden"]:
    return x - x.mean(1, keepdim=True)


@checked
def centred_without_axis(x: Float[Tensor, "batch seq hidden"]) -> Float[Tensor, "batch seq hidden"]:
    return x - x.mean(1)


@checked
def averaged(x: Float[Tensor, "*batch seq hidden"]) -> Float[Tensor, "*batch hidden"]:
    return x.mean(-2)


@checked
def averaged_after_batch(x: Float[Tensor, "*batch seq hidden"]) -> Float[Tensor, "*batch hidden"]:
    return x.mean(1)


@checked
def predicted(logits: Float[Tensor, "batch seq classes"]) -> Int64[Tensor, "batch seq"]:
    return logits.argmax(-1)


@checked
def predicted_over_time(logits: Float[Tensor, "batch seq classes"]) -> Int64[Tensor, "batch seq"]:
    return logits.argmax(1)


@checked
def joined(
    images: Float[Tensor, "batch features"], texts: Float[Tensor, "batch hidden"]
) -> Float[Tensor, "batch features+hidden"]:
    return torch.cat([images, texts], dim=1)


@checked
def joined_batches(
    images: Float[Tensor, "batch features"], texts: Float[Tensor, "batch hidden"]
) -> Float[Tensor, "batch features+hidden"]:
    return torch.cat([images, texts])


@checked
def summed_before(x: Float[Tensor, "batch seq"]) -> Float[Tensor, "batch seq"]:
    return functional.pad(x.cumsum(1)[:, :-1], (1, 0))


@checked
def summed_before_and_after(x: Float[Tensor, "batch seq"]) -> Float[Tensor, "batch seq"]:
    return functional.pad(x.cumsum(1), (1, 0))


@checked
def changes(x: Float[Tensor, "batch seq"]) -> Float[Tensor, "batch seq-1"]:
    return x[:, 1:] - x[:, :-1]


@checked
def changes_between_examples(x: Float[Tensor, "batch seq"]) -> Float[Tensor, "batch seq-1"]:
    return x[1:] - x[:-1]


PAIRS: list[tuple[Subject, Subject, str, str]] = [  # sizes other than 1; what the twin needs
    (SqueezedLogits(), Logits(), "", ""),
    (FlatAcrossBatch(), FlatPerExample(), "batch=4, seq=4", "seq == 16"),
    (Same(kernel_size=4, padding=2), Same(kernel_size=3, padding=1), "", ""),
    (Same(3, padding=1, dilation=2), Same(3, padding=2, dilation=2), "seq=3", ""),
    (Halved(3), Halved(4), "", "height >= 2 and width >= 2"),
    (Doubled(output_padding=0), Doubled(output_padding=1), "", ""),
    (
        HourglassForEven(),
        Hourglass(),
        "height=2, width=3 or height=3, width=2",
        "height >= 2 and width >= 2",
    ),
    (
        HourglassForEven(),
        HourglassWithSkip(),
        "height=2, width=3 or height=3, width=2",
        "height % 2 == 0 and width % 2 == 0",
    ),
    (UpscaledFromTwo, Upscaled, "channels=2", ""),
    (Gated(1), Gated(2), "height=3, width=3", "height >= 3 and width >= 3"),
    (channels_first_turned, channels_first, "height=2 or width=2", ""),
    (resized_to_width_and_height, resized, "height=2 or width=2", ""),
    (grey_of_one_channel, grey, "channels=3", ""),
    (pooled_up, pooled, "", "seq >= 2"),
    (SplitByWidth, Split, "num_heads=2 or head_dim=2", ""),
    (merged_within_heads, merged, "heads=2 or seq=2", ""),
    (weighted_over_hidden, weighted, "seq=2 or hidden=2", ""),
    (masked_by_query, masked, "batch=2", ""),
    (causal_when_square, causal, "seq=2", ""),
    (extended_by_heads, extended, "", ""),
    (Attention(batch_first=False), Attention(batch_first=True), "batch=2", ""),
    (PositionsOfTruncated(), Positions(), "seq=513", "seq <= 512"),
    (PositionsOfBatch(), Positions(), "batch=2", "seq <= 512"),
    (AutoencoderOfLatent, Autoencoder, "in_features=2 or latent=2", ""),
    (LastState(batch_first=False), LastState(batch_first=True), "batch=2 or seq=2", ""),
    (LastExample(), LastOutput(), "batch=2 or seq=2", ""),
    (OneDirection(), BothDirections(), "", ""),
    (FlatStates(), BothDirections(), "", ""),
    (EncoderStateFirst(), Encoder(), "batch=2 or seq=2", ""),
    (PackedToLongest(), Packed(), "seq=2", ""),
    (PackedTimeFirst(), Packed(), "batch=2 or seq=2", ""),
    (UnrolledTimeFirst(), Unrolled(), "batch=2 or seq=2", ""),
    (differences_of_all_pairs, differences, "batch=2", ""),
    (centred_without_axis, centred, "batch=2", ""),
    (averaged_after_batch, averaged, "seq=2 or hidden=2", ""),
    (predicted_over_time, predicted, "seq=2 or classes=2", ""),
    (joined_batches, joined, "", ""),
    (summed_before_and_after, summed_before, "", ""),
    (changes_between_examples, changes, "", ""),
]

RAISING: list[tuple[Subject, Subject]] = [
    (Dense(in_channels=8), Dense(in_channels=11)),
    (Stateful(2, directions=1), Stateful(2, directions=2)),
]

REFUSING: list[tuple[Subject, Subject, str]] = [  # what the mistaken one needs
    (ClassTokenOfOne(), ClassToken(), "batch == 1"),
    (UnrolledOverBatch(), Unrolled(), "batch == seq"),
]


def names(rows: Sequence[tuple[Any, ...]]) -> list[str]:
    return [getattr(mistaken, "__name__", type(mistaken).__name__) for mistaken, *_ in rows]


def assert_proved(subject: Subject, where: str) -> None:
    proof = prove(subject)
    assert isinstance(proof, Proved), str(proof)
    assert " and ".join(map(str, proof.preconditions)) == where
    assert proof.is_exact


@pytest.mark.parametrize(("mistaken", "twin", "smallest", "where"), PAIRS, ids=names(PAIRS))
def test_a_mistake_is_refuted_at_its_smallest_sizes_and_its_twin_is_proved(
    mistaken: Subject, twin: Subject, smallest: str, where: str
) -> None:
    proof = prove(mistaken)
    assert isinstance(proof, Refuted), str(proof)
    assert proof.reason == "a result does not match its annotation"
    sizes = [f"{axis}={size}" for axis, size in proof.counterexample.sizes.items() if size != 1]
    assert ", ".join(sizes) in smallest.split(" or ")
    with pytest.raises(ShapeError, match=r"result.* breaks its contract"):
        proof.counterexample.replay(model=mistaken)
    assert_proved(twin, where)


@pytest.mark.parametrize(("mistaken", "twin"), RAISING, ids=names(RAISING))
def test_what_raises_for_all_sizes_is_refuted(mistaken: Subject, twin: Subject) -> None:
    proof = prove(mistaken)
    assert isinstance(proof, Refuted), str(proof)
    assert proof.reason == "it raises for all sizes"
    assert set(proof.counterexample.sizes.values()) == {1}
    with pytest.raises(RuntimeError, match=r"[Ee]xpected"):
        proof.counterexample.replay(model=mistaken)
    assert_proved(twin, "")


@pytest.mark.parametrize(("mistaken", "twin", "accepted"), REFUSING, ids=names(REFUSING))
def test_what_raises_is_refuted_where_it_was_assumed_not_to(
    mistaken: Subject, twin: Subject, accepted: str
) -> None:
    assert_proved(mistaken, accepted)
    proof = prove(mistaken, assume="batch <= 64")
    assert isinstance(proof, Refuted), str(proof)
    assert proof.reason == "it raises for sizes that meet the assumptions"
    assert sorted(proof.counterexample.sizes.values())[-2:] == [1, 2]
    with pytest.raises(RuntimeError):
        proof.counterexample.replay(model=mistaken)
    assert_proved(twin, "")


def test_the_inner_module_that_breaks_its_contract_is_named() -> None:
    modules = {module.path: module.outcome for module in prove(Gated(1)).modules}
    assert modules["stages.1"] == "broken"
