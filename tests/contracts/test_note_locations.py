"""A note names the module, the line of code and the tensors of an operation that failed."""

import linecache
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torchvision
from jaxtyping import Float
from tests.contracts.failing import Net, combine, failure, hints, note, z
from torch import Tensor, nn
from torch.nn import functional

from shapezoo import Module, checked


def test_the_whole_note() -> None:
    class Digits(Module):
        def __init__(self) -> None:
            super().__init__()
            self.features = nn.Sequential(nn.Conv2d(1, 10, 5), nn.MaxPool2d(2), nn.ReLU())
            self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(320, 10))

        def forward(
            self, images: Float[Tensor, "batch 1 height width"]
        ) -> Float[Tensor, "batch 10"]:
            logits: Tensor = self.classifier(self.features(images))
            return logits

    digits, images = Digits(), z(8, 1, 28, 28)
    error = failure(digits, images)
    assert type(error) is RuntimeError
    assert str(error) == "mat1 and mat2 shapes cannot be multiplied (8x1440 and 320x10)"
    assert note(digits, images) == [
        f"  module    classifier.1 of Digits: {digits.classifier[1]}",
        "  got       Tensor float32 (batch=8, 1440)",
        "  expected  (*, in_features=320)",
        "  hint      nn.Linear(1440, 10) would accept this input",
    ]
    mended = Digits()
    mended.classifier[1] = nn.Linear(1440, 10)
    assert mended(images).shape == (8, 10)


OPERATIONS: list[tuple[str, Callable[..., Any]]] = [
    ("x + y", lambda x, y: x + y),
    ("torch.cat([x, y], 1)", lambda x, y: torch.cat([x, y], 1)),
    ("torch.stack((x, y))", lambda x, y: torch.stack((x, y))),
    ("x.flatten(1) @ y", lambda x, y: x.flatten(1) @ y),
    ("torch.einsum('bchw,bqvw->b', x, y)", lambda x, y: torch.einsum("bchw,bqvw->b", x, y)),
    ("functional.linear(x, y)", lambda x, y: functional.linear(x, y)),
]


@pytest.mark.parametrize(("code", "how"), OPERATIONS, ids=[code for code, _ in OPERATIONS])
def test_an_operation_that_fails_is_told_with_its_tensors(
    code: str, how: Callable[..., Any]
) -> None:
    lines = note(combine, z(8, 3, 4, 5), z(8, 3, 5, 6), how)
    line = how.__code__.co_firstlineno
    assert lines == [
        f"  code      {code} (test_note_locations.py, line {line})",
        "  x         Tensor float32 (batch=8, channels=3, height=4, width=5)",
        "  y         Tensor float32 (batch=8, channels=3, height2=5, width2=6)",
    ]


class Skip(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(z(7))

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            try:
                return x * self.scale
            finally:
                x = z(1)


def test_a_module_without_a_contract_is_named_with_its_tensors() -> None:
    lines = note(Net(nn.Sequential(nn.Identity(), Skip())), z(2, 5))
    assert lines[0] == "  module    layer.1 of Net: Skip()"
    assert lines[1].startswith("  code      x * self.scale (test_note_locations.py, line ")
    assert lines[-1] == "  self.scale Tensor float32 (7,)"


def test_the_path_is_that_from_the_outermost_module() -> None:
    class Outer(Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.ModuleList([nn.Identity(), Net(Net(nn.Linear(3, 4)))])

        def forward(self, x: Float[Tensor, "batch width"]) -> Any:
            for block in self.blocks:
                x = block(x)
            return x

    lines = note(nn.Sequential(Outer()), z(2, 5))  # note() also sees that there is one only
    path = "0.blocks.1.layer.layer of Sequential"
    assert lines[0].startswith(f"  module    {path}: Linear(")
    assert hints(lines) == ["nn.Linear(5, 4) would accept this input"]


def test_a_layer_that_no_module_holds_has_no_path() -> None:
    layer = nn.Linear(3, 4)

    @checked
    def project(x: Float[Tensor, "batch width"]) -> Any:
        return layer(x)

    assert note(project, z(2, 5))[0] == (
        "  module    Linear(in_features=3, out_features=4, bias=True)"
    )


def test_models_of_others_inside_ours() -> None:
    body = torchvision.models.vision_transformer.VisionTransformer(32, 16, 2, 2, 12, 24)
    body.encoder.layers[1].ln_2 = nn.LayerNorm(10)
    lines = note(Net(body), z(2, 3, 32, 32))
    path = "layer.encoder.layers.encoder_layer_1.ln_2 of Net"
    assert lines[0].startswith(f"  module    {path}: LayerNorm(")
    assert hints(lines) == ["nn.LayerNorm(12) would accept this input"]
    block = torchvision.models.convnext.LayerNorm2d(7)  # calls functional.layer_norm itself
    lines = note(Net(block), z(2, 6, 4, 4))
    assert lines[0].startswith("  module    layer of Net: LayerNorm2d(")
    assert lines[1].startswith("  code      F.layer_norm(x, self.normalized_shape, ")


def add_in_place(x: Tensor) -> Tensor:
    y = z(7)
    x += y
    return x


def store(x: Tensor) -> None:
    x[:, 0] = z(7)


def divide(x: Tensor) -> Tensor:
    return x[
        x > 0,
        0,
    ]


@pytest.mark.parametrize(
    ("fail", "code", "names"),
    [
        (add_in_place, "x += y", ["x", "y"]),
        (store, "x[:, 0]", ["x"]),
        (divide, "x[x > 0, 0]", ["x"]),
        (lambda x: -x.bool(), "-x.bool()", ["x"]),
        (lambda x: x < z(7), "x < z(7)", ["x"]),
        (lambda x: x.sum(2), "x.sum(2)", ["x"]),
        (lambda x: [x @ row for row in [x, x]], "x @ row", ["x", "row"]),
    ],
)
def test_other_instructions_that_fail(
    fail: Callable[[Tensor], object], code: str, names: list[str]
) -> None:
    @checked
    def call(x: Float[Tensor, "batch width"]) -> Any:
        return fail(x)

    lines = note(call, z(2, 5))
    assert lines[0].startswith(f"  code      {code} (test_note_locations.py, line ")
    assert [line.split()[0] for line in lines[1:]] == names


def test_source_that_was_changed_since_is_not_read() -> None:
    def named(text: str) -> list[str]:
        source = "def fail(x, y):\n    return x + y\n"
        scope: dict[str, Any] = {}
        exec(compile(source, "<changed>", "exec"), scope)
        linecache.cache["<changed>"] = (len(text), None, text.splitlines(True), "<changed>")
        return note(combine, z(2, 3, 4, 5), z(2, 3, 6, 7), scope["fail"])

    try:
        assert named("def fail(x, y):\n    return x + y\n")[0] == (
            "  code      x + y (<changed>, line 2)"
        )
        assert named("def fail(x, y):\n    return x + w\n") == []
        assert named("def fail(x, y):\n    pass\n") == []
    finally:
        del linecache.cache["<changed>"]


def unpack(x: Tensor) -> Tensor:
    first = second = x
    first, second = x.chunk(3, 1)
    return first + second


def test_variables_that_an_instruction_does_not_read_are_not_shown() -> None:
    @checked
    def call(x: Float[Tensor, "batch width"]) -> Any:
        return unpack(x)

    assert note(call, z(2, 6)) == []


def test_a_note_is_short() -> None:
    layer = nn.MultiheadAttention(8, 2)
    others = [z(3, 2, 8)] * 2 + [z(2, 4).bool(), True, z(3, 4).bool()]
    assert 4 < len(note(Net(layer), z(3, 2, 8), *others)) <= 12
