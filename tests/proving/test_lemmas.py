"""Modules that multiply the paths of a model are proved once, unless that could hide something."""

import itertools
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from shapezoo import Module, Proof, Proved, Refuted, prove
from shapezoo.proving import judging
from shapezoo.proving.audit import auditing
from shapezoo.proving.paths import lemmas

pytestmark = pytest.mark.slow

SIZES = range(1, 10)
WINDOW = 3
OFFSETS = [0.0]


class Windows(nn.Module):
    """Adds the mean of its window to each position; pads to whole windows, and asks whether to."""

    def __init__(self, change: Callable[["Windows", Tensor], Tensor] | None = None) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4)
        self.change = change
        self.last = 0

    def forward(self, x: Tensor) -> Tensor:
        batch, seq, width = x.shape
        pad = -seq % WINDOW
        if pad:
            x = functional.pad(x, (0, 0, 0, pad))
        parts = x.view(batch, (seq + pad) // WINDOW, WINDOW, width)
        if parts.shape[1] > 1:
            parts = torch.roll(parts, 1, 1)
        x = self.norm(parts + parts.mean(2, keepdim=True)).view(batch, seq + pad, width)
        x = x[:, :seq].contiguous() if pad else x
        return self.change(self, x) if self.change else x


class Shortened(Module):
    """Three such blocks in a row, each before a convolution that shortens the sequence."""

    def __init__(self, change: Callable[[Windows, Tensor], Tensor] | None = None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Windows(change) for _ in range(3))
        self.convs = nn.ModuleList(nn.Conv1d(4, 4, 2) for _ in range(3))

    def forward(self, x: Float[Tensor, "batch seq 4"]) -> Float[Tensor, "batch seq-3 4"]:
        for block, conv in zip(self.blocks, self.convs, strict=True):
            x = conv(block(x).transpose(1, 2)).transpose(1, 2).contiguous()
        return x


SHORT = 4
"""A budget that is enough to find lemmas, but not for the proof."""


def learned(net: nn.Module, budget: float = 60) -> tuple[Proof, set[str]]:
    """Return the proof of a net, and the modules with lemmas."""
    found: set[str] = set()
    original = lemmas.Lemmas.learn

    def learn(self: lemmas.Lemmas, model: nn.Module) -> bool:
        result = original(self, model)
        found.update(path for path, _ in self.by_key)
        return result

    with patch.object(lemmas.Lemmas, "learn", learn):
        return prove(net, budget=budget), found


def test_blocks_that_split_sizes_are_proved_once() -> None:
    net = Shortened().eval()
    proof, found = learned(net)
    assert isinstance(proof, Proved), proof
    assert found == learned(net, SHORT)[1] == {"blocks.0", "blocks.1", "blocks.2"}
    assert list(map(str, proof.preconditions)) == ["seq >= 4"]
    assert proof.is_exact
    for batch, seq in itertools.product((1, 2), SIZES):
        accepted = all(c.holds({"batch": batch, "seq": seq}) for c in proof.preconditions)
        assert accepted == runs(net, batch, seq)


def runs(net: nn.Module, batch: int, seq: int) -> bool:
    try:
        net(torch.zeros(batch, seq, 4))
    except RuntimeError:
        return False
    return True


def test_each_case_of_a_block_is_run_as_a_part_of_the_whole() -> None:
    tried: list[Any] = []
    original = auditing.audit

    def audit(exploration: Any) -> None:
        original(exploration)
        replays = (one for path in exploration.paths for one in path.replays)
        tried.extend(one.call.sizes["seq"] for one in replays if "seq" in one.call.sizes)

    with patch("shapezoo.proving.judging.audit", audit):
        prove(Shortened().eval())
    for place in range(3):  # the sequence is shorter by one in each block
        assert {(size - place) % WINDOW == 0 for size in tried if size > place + 1} == {True, False}


def keeps_state(self: Windows, x: Tensor) -> Tensor:
    self.last = x.shape[1]
    return x


def returns_a_view(self: Windows, x: Tensor) -> Tensor:
    return x.transpose(1, 2).contiguous().transpose(1, 2)


@pytest.mark.parametrize("change", [keeps_state, returns_a_view])
def test_there_is_no_lemma_about_a_module_that_does_more(change: Any) -> None:
    proof, found = learned(Shortened(change).eval(), SHORT)
    assert not found
    assert not isinstance(proof, Refuted)


def test_there_is_no_lemma_about_a_module_with_hooks() -> None:
    net = Shortened().eval()
    for block in net.blocks:
        block.register_forward_hook(lambda module, args, result: result)
    assert not learned(net, SHORT)[1]


class Reading(Windows):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + OFFSETS[0]


def test_there_is_no_lemma_about_a_module_that_reads_what_can_change() -> None:
    net = Shortened().eval()
    for place in range(3):
        net.blocks[place] = Reading()
    assert not learned(net, SHORT)[1]


class Writing(Windows):
    def forward(self, x: Tensor) -> Tensor:
        x.add_(1)
        return super().forward(x)


def test_there_is_no_lemma_about_a_module_that_writes_to_its_argument() -> None:
    net = Shortened().eval()
    for place in range(3):
        net.blocks[place] = Writing()
    assert not learned(net, SHORT)[1]


def test_a_false_lemma_is_denied_by_real_kernels() -> None:
    original = lemmas.written

    def longer(shape: Any) -> tuple[str, ...]:
        text = original(shape)
        assert text is not None
        batch, seq, width = text
        return batch, f"{seq} + 1", width

    with patch.object(judging, "written", longer):
        proof = prove(Shortened().eval())
    assert not isinstance(proof, Proved)


class Typed(Windows):
    def forward(self, x: Float[Tensor, "batch seq 4"]) -> Float[Tensor, "batch seq 4"]:
        return super().forward(x)


class TypedWrongly(Windows):
    def forward(self, x: Float[Tensor, "batch seq 4"]) -> Float[Tensor, "batch seq+seq//8 4"]:
        return super().forward(x)


def test_contracts_inside_a_lemma_count() -> None:
    net = Shortened().eval()
    for place in range(3):
        net.blocks[place] = Typed()
    proof, found = learned(net)
    assert isinstance(proof, Proved)
    assert found
    outcomes = {module.path: module.outcome for module in proof.modules}
    assert outcomes == dict.fromkeys(["", "blocks.0", "blocks.1", "blocks.2"], "holds")
    net.blocks[2] = TypedWrongly()
    assert isinstance(prove(net.eval()), Refuted)
