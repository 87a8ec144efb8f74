"""Measure the cost of a contract: none, jaxtyping with beartype, shapezoo, and shapezoo unchecked.

Run `python benchmarks/contracts.py`.
"""

import resource
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from beartype import beartype
from jaxtyping import Float, Int64, jaxtyped
from timing import table, times
from torch import Tensor, nn

from shapezoo import checked, unchecked

Decorator = Callable[[Any], Any]
KINDS: dict[str, Decorator] = {
    "raw": lambda forward: forward,
    "raw again": lambda forward: forward,
    "jaxtyping and beartype": jaxtyped(typechecker=beartype),
    "shapezoo": checked,
    "shapezoo, unchecked()": checked,
}


def identity(decorate: Decorator) -> nn.Module:
    """Build a module that returns its input."""

    class Identity(nn.Module):
        @decorate
        def forward(
            self, x: Float[Tensor, "batch channels height width"]
        ) -> Float[Tensor, "batch channels height width"]:
            return x

    return Identity()


def resnet(decorate: Decorator) -> nn.Module:
    """Build a network like ResNet-18 (He et al., arXiv:1512.03385), with 11 contracts."""

    class Block(nn.Module):
        def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
            super().__init__()
            self.in_channels, self.out_channels = in_channels, out_channels
            self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(out_channels)
            self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(out_channels)
            self.relu = nn.ReLU(inplace=True)
            self.shortcut: nn.Module = nn.Identity()
            if stride != 1:
                conv = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
                self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(out_channels))

        @decorate
        def forward(
            self, x: Float[Tensor, "batch {self.in_channels} height width"]
        ) -> Float[Tensor, "batch {self.out_channels} _ _"]:
            y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
            return self.relu(y + self.shortcut(x))

    class Stem(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
            self.bn = nn.BatchNorm2d(64)
            self.relu = nn.ReLU(inplace=True)
            self.pool = nn.MaxPool2d(3, 2, 1)

        @decorate
        def forward(
            self, x: Float[Tensor, "batch 3 height width"]
        ) -> Float[Tensor, "batch 64 _ _"]:
            return self.pool(self.relu(self.bn(self.conv(x))))

    class Head(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pool = nn.AdaptiveAvgPool2d(1)
            self.linear = nn.Linear(512, 1000)
            self.num_classes = 1000

        @decorate
        def forward(
            self, x: Float[Tensor, "batch 512 height width"]
        ) -> Float[Tensor, "batch {self.num_classes}"]:
            return self.linear(self.pool(x).flatten(1))

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = Stem()
            widths = [64, 64, 64, 128, 128, 256, 256, 512, 512]
            blocks = (Block(i, o, 1 if i == o else 2) for i, o in pairwise(widths))
            self.blocks = nn.Sequential(*blocks)
            self.head = Head()

        @decorate
        def forward(self, x: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 1000"]:
            return self.head(self.blocks(self.stem(x)))

    return Net().eval()


def encoder(decorate: Decorator) -> nn.Module:
    """Build a classifier of an embedding, a GRU and a linear layer, with 3 contracts."""

    class Embed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden_size = 64
            self.embedding = nn.Embedding(128, 64)

        @decorate
        def forward(
            self, tokens: Int64[Tensor, "batch seq"]
        ) -> Float[Tensor, "batch seq {self.hidden_size}"]:
            return self.embedding(tokens)

    class Encode(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden_size = 64
            self.gru = nn.GRU(64, 64, batch_first=True)

        @decorate
        def forward(
            self, x: Float[Tensor, "batch seq hidden={self.hidden_size}"]
        ) -> tuple[
            Float[Tensor, "batch seq {self.hidden_size}"],
            Float[Tensor, "1 batch {self.hidden_size}"],
        ]:
            return self.gru(x)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.encode, self.linear = Embed(), Encode(), nn.Linear(64, 18)

        @decorate
        def forward(self, tokens: Int64[Tensor, "batch seq"]) -> Float[Tensor, "batch 18"]:
            _, state = self.encode(self.embed(tokens))
            return self.linear(state[0])

    return Net().eval()


def own_code(decorate: Decorator) -> Decorator:
    """Copy the code object before decorating a function: Dynamo caches graphs per code object."""

    def decorated(forward: Any) -> Any:
        forward.__code__ = forward.__code__.replace()
        return decorate(forward)

    return decorated


def built(build: Callable[[Decorator], nn.Module]) -> dict[str, nn.Module]:
    """Build one module for each decorator, all of which share the same weights in memory."""
    modules = {kind: build(own_code(decorate)) for kind, decorate in KINDS.items()}
    weights = [*modules["raw"].named_parameters(), *modules["raw"].named_buffers()]
    for module in modules.values():
        for name, tensor in weights:
            owner, _, leaf = name.rpartition(".")
            setattr(module.get_submodule(owner), leaf, tensor)
    return modules


def calls_of(modules: dict[str, nn.Module], x: Tensor) -> dict[str, Callable[[], object]]:
    """Return a function for each module that calls it with this input."""

    def call(module: Any) -> Callable[[], object]:
        return lambda: module(x)

    return {kind: call(module) for kind, module in modules.items()}


def compiled(modules: dict[str, nn.Module]) -> dict[str, nn.Module]:
    """Compile the modules; jaxtyping's own checks cause a graph break at every call."""
    for module in modules.values():
        module.compile()
    return modules


def kernel(decorate: Decorator) -> nn.Module:
    """Build a module that compiles to one small kernel."""

    class Kernel(nn.Module):
        @decorate
        def forward(
            self, x: Float[Tensor, "batch channels height width"]
        ) -> Float[Tensor, "batch channels height width"]:
            return 2 * x + 1

    return Kernel()


def never_repeating() -> None:
    """Measure calls with shapes that never repeat, so that each call is checked in full."""
    tensors = [torch.empty(1 + i, 3, 1 + j, 1) for i in range(60) for j in range(60)]

    def sweep(module: Any) -> Callable[[], object]:
        return lambda: [module(x) for x in tensors]

    kinds = ("jaxtyping and beartype", "shapezoo", "raw")
    seconds = times({kind: sweep(identity(KINDS[kind])) for kind in kinds}, rounds=15)
    per_call = {kind: [s / len(tensors) for s in values] for kind, values in seconds.items()}
    table("one call, of a shape that never repeats", per_call)


def import_time() -> None:
    """Measure the import of shapezoo against the import of its main dependencies."""
    seconds: dict[str, list[float]] = {"torch, jaxtyping, beartype": [], "shapezoo": []}
    for _ in range(11):
        for modules, values in seconds.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", f"import {modules}"], check=True)
            values.append(time.perf_counter() - start)
    table("import", seconds)


def memory() -> None:
    """Measure the peak memory of the process over a million sequence lengths.

    Run this before anything that needs a lot of memory: the peak covers the whole process so far.
    """

    @checked
    def encode(x: Float[Tensor, "seq features"]) -> Float[Tensor, "seq features"]:
        return x

    x = torch.zeros(1, 2).expand(1_000_000, 2)
    print("\na million lengths\ncalls         most memory used")
    for length in range(1, 1_000_001):
        encode(x[:length])
        if length in (1_000, 10_000, 100_000, 1_000_000):
            kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            print(f"{length:9,}{kilobytes / 1024:16.1f} MB", flush=True)


if __name__ == "__main__":
    memory()
    torch.manual_seed(0)
    images, tokens = torch.randn(1, 3, 32, 32), torch.randint(128, (8, 20))
    off = {"shapezoo, unchecked()": unchecked}
    with torch.no_grad():
        cases = calls_of(built(identity), torch.zeros(2, 3, 8, 8))
        table("one call, one tensor in and out", times(cases, rounds=101, calls=1000, around=off))
        never_repeating()
        cases = calls_of(built(resnet), images)
        table("ResNet-18, 11 contracts, 1x3x32x32", times(cases, rounds=601, around=off))
        cases = calls_of(built(encoder), tokens)
        table("GRU encoder, 3 contracts, 8x20", times(cases, rounds=601, calls=5, around=off))
        cases = calls_of(compiled(built(resnet)), images)
        table("ResNet-18, compiled", times(cases, rounds=401, around=off))
        cases = calls_of(compiled(built(kernel)), torch.zeros(2, 3, 8, 8))
        table("one kernel, compiled", times(cases, rounds=101, calls=100, around=off))
    import_time()
