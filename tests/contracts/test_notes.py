"""What is added to an error that PyTorch raises inside a checked call."""

import gc
import linecache
import pickle
import re
import sys
import traceback
import weakref
from collections.abc import Callable
from random import Random
from types import FrameType
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from shapezoo import ContractError, Module, ShapeError, checked, unchecked
from shapezoo.contracts.checking import check
from shapezoo.contracts.checking.known_limits import set_limits
from shapezoo.contracts.matching.proof_mode import while_proving
from shapezoo.contracts.messages import notes

z = torch.zeros


class Net(Module):
    """Takes what its layer takes, and more arguments that are not in the contract."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(
        self,
        x: Float[Tensor, "batch *rest"] | Int64[Tensor, "batch *rest"],
        *others: Any,
    ) -> Any:
        return self.layer(x, *others)


def failure(function: Callable[..., object], *arguments: Any) -> Exception:
    try:
        function(*arguments)
    except Exception as error:
        return error
    raise AssertionError("no error")


def note(function: Callable[..., object], *arguments: Any) -> list[str]:
    """The lines of the only note; none where there is no note."""
    notes = getattr(failure(function, *arguments), "__notes__", [])
    assert len(notes) <= 1
    return notes[0].splitlines() if notes else []


def hints(lines: list[str]) -> list[str]:
    return [line[12:] for line in lines if line[2:12].strip() in ("hint", "or")]


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


@checked
def combine(
    x: Float[Tensor, "batch channels height width"],
    y: Float[Tensor, "batch channels height2 width2"],
    how: Callable[..., Tensor],
) -> Any:
    return how(x, y)


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
        f"  code      {code} (test_notes.py, line {line})",
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
    assert lines[1].startswith("  code      x * self.scale (test_notes.py, line ")
    assert lines[-1] == "  self.scale Tensor float32 (7,)"


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


@pytest.mark.parametrize(
    "fail",
    [
        lambda x: exec("raise ValueError('7 is no size')"),
        lambda x: [][x.dim()],
        lambda x: {}[x],
        lambda x: x.width,
        lambda x: nn.Linear(3, 4)(x, x),  # a call with wrong arguments tells enough
        lambda x: nn.Linear(3, 4)(),
        lambda x: nn.ModuleList()[3],
        lambda x: int("seven"),
        lambda x: eval("x + torch.zeros(7)"),  # there is no source
    ],
)
def test_errors_about_other_things_get_no_note(fail: Callable[[Tensor], object]) -> None:
    @checked
    def call(x: Float[Tensor, "batch width"]) -> Any:
        return fail(x)

    assert note(call, z(2, 5)) == []


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
    assert lines[0].startswith(f"  code      {code} (test_notes.py, line ")
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


def test_what_user_code_raises_gets_no_note() -> None:
    @checked
    def refuse(x: Float[Tensor, "batch width"]) -> Any:
        raise ValueError(f"odd width {x.shape[1]}")

    @checked
    def translate(x: Float[Tensor, "batch width"]) -> Any:
        try:
            return x + z(7)
        except RuntimeError as error:
            raise ValueError("does not fit") from error

    @checked
    def pass_on(x: Float[Tensor, "batch width"]) -> Any:
        try:
            return x.add(z(7))
        except RuntimeError:
            raise

    assert note(refuse, z(2, 5)) == []
    error = failure(translate, z(2, 5))
    assert not hasattr(error, "__notes__")
    assert isinstance(error.__cause__, RuntimeError)
    assert note(pass_on, z(2, 5))[0].startswith("  code      x.add(z(7)) (")


@pytest.mark.parametrize(
    "kind", [torch.OutOfMemoryError, torch.AcceleratorError, RecursionError, KeyError]
)
def test_errors_that_say_nothing_of_shapes(kind: type[Exception]) -> None:
    class Failing(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            raise kind("no")

    assert note(Net(Failing(3, 4)), z(2, 5)) == []


def test_errors_of_contracts_get_no_note() -> None:
    class Inner(Module):
        def forward(self, x: Float[Tensor, "batch 3"]) -> Float[Tensor, "batch 3"]:
            return x

    class Unreadable(Module):
        def forward(self, x: Float[Tensor, "batch {self.nothing}"]) -> None: ...

    for layer, kind in ((Inner(), ShapeError), (Unreadable(), ContractError)):
        error = failure(Net(layer), z(2, 5))
        assert type(error) is kind
        assert not hasattr(error, "__notes__")


def test_a_limit_that_is_known_is_told_in_place_of_a_note() -> None:
    class Limited(Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(3, 4, 8)

        def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Any:
            return self.layer(images)

    from shapezoo.contracts import Condition

    model = Limited().eval()
    set_limits(model, {"eval": (Condition("height >= 8"),)})
    error = failure(model, z(2, 3, 7, 9))
    assert isinstance(error, ShapeError)
    assert not hasattr(error.__cause__, "__notes__")


def test_no_note_while_a_model_is_proved_or_traced() -> None:
    model = Net(nn.Linear(3, 4))
    with while_proving():
        assert note(model, z(2, 5)) == []
    torch.compiler.reset()
    error = failure(torch.compile(model, backend="eager"), z(2, 5))
    assert not hasattr(error, "__notes__")
    inner: Any = torch.compile(nn.Linear(3, 4), backend="eager")
    assert note(Net(inner), z(2, 5)) == []


def test_checks_that_are_off_add_nothing() -> None:
    with unchecked():
        assert note(Net(nn.Linear(3, 4)), z(2, 5)) == []


def test_the_error_keeps_its_identity_and_can_be_pickled() -> None:
    raised: list[Exception] = []

    class Keeping(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            try:
                return x + z(7)
            except RuntimeError as error:
                raised.append(error)
                raise

    error = failure(Net(Keeping()), z(2, 5))
    assert error is raised[0]
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is RuntimeError
    assert str(again) == str(error)
    assert again.__notes__ == error.__notes__
    assert vars(error).keys() == {"__notes__"}


def test_a_note_that_cannot_be_made_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("the note")

    monkeypatch.setattr(notes, "_lines", fail)
    error = failure(Net(nn.Linear(3, 4)), z(2, 5))
    assert str(error).startswith("mat1 and mat2")
    assert error.__context__ is None
    assert not hasattr(error, "__notes__")


def test_a_layer_whose_text_cannot_be_made() -> None:
    class Silent(nn.Linear):
        def __repr__(self) -> str:
            raise RuntimeError("no text")

    assert note(Net(Silent(3, 4)), z(2, 5)) == []


def test_no_tensor_is_kept() -> None:
    gc.disable()
    try:
        model, x = Net(nn.Sequential(nn.Identity(), nn.Linear(3, 4))), z(2, 5)
        seen = weakref.ref(x)
        error = failure(model, x)
        assert error.__notes__
        traceback.clear_frames(error.__traceback__)
        del x
        assert seen() is None
    finally:
        gc.enable()


def test_a_caller_that_goes_on_keeps_no_tensor_either() -> None:
    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = Net(nn.Linear(3, 4))

        def forward(self, x: Tensor) -> bool:
            big = z(9)
            seen = weakref.ref(big)
            with pytest.raises(RuntimeError):
                self.net(x)
            del big
            return seen() is None

    assert Loop()(z(2, 5))


def test_nothing_is_changed_by_a_note() -> None:
    model, x = Net(nn.Linear(3, 4)), z(2, 5)
    state, before = torch.get_rng_state(), {k: v.clone() for k, v in model.state_dict().items()}
    note(model, x)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert torch.is_grad_enabled()


def test_a_debugger_keeps_the_variables() -> None:
    class Stopping(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = x + 1
            return 2 * y

    def stop(frame: FrameType, event: str, _: object) -> Any:
        if event == "line" and "y" in frame.f_locals:
            failure(Net(nn.Linear(3, 4)), z(2, 5))  # as in `print model(x)` of a debugger
        return stop if frame.f_code is Stopping.forward.__code__ else None

    before = sys.gettrace()
    sys.settrace(stop)
    try:
        y = Stopping()(z(2, 5))
    finally:
        sys.settrace(before)
    assert y.shape == (2, 5)


def test_the_locals_that_code_reads_are_left_to_it() -> None:
    class Reading(nn.Module):
        def forward(self, x: Tensor) -> dict[str, Any]:
            mine = locals()
            with pytest.raises(RuntimeError):
                Net(nn.Linear(3, 4))(x)
            return mine

    assert Reading()(z(2, 5)).keys() >= {"self", "x"}


def test_the_path_that_succeeds_runs_none_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    @checked
    def double(x: Float[Tensor, "batch"]) -> Float[Tensor, "batch"]:
        return 2 * x

    monkeypatch.setattr(check, "add_note", None)
    assert double(z(3)).shape == (3,)
    assert double(z(3)).shape == (3,)


def test_hooks_and_modes_see_no_call_that_was_only_tried() -> None:
    model, calls = Net(nn.Linear(3, 4)), []
    handle = nn.modules.module.register_module_forward_pre_hook(lambda m, _: calls.append(m))
    try:
        lines = note(model, z(2, 5))
    finally:
        handle.remove()
    assert hints(lines) == ["nn.Linear(5, 4) would accept this input"]
    assert calls == [model, model.layer]
    with FlopCounterMode(display=False) as counter:
        note(model, z(2, 5))
    assert counter.get_total_flops() in (0, 80)


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


def test_a_note_is_short() -> None:
    layer = nn.MultiheadAttention(8, 2)
    others = [z(3, 2, 8)] * 2 + [z(2, 4).bool(), True, z(3, 4).bool()]
    assert 4 < len(note(Net(layer), z(3, 2, 8), *others)) <= 12


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


@checked
def list_too_short(x: Float[Tensor, "batch"]) -> Tensor:
    return [x, x][len(x)]


def notes_of(call: Any, *args: Any) -> str:
    with pytest.raises((RuntimeError, IndexError)) as error:
        call(*args)
    return "\n".join(getattr(error.value, "__notes__", []))


def test_a_view_that_the_strides_do_not_allow_is_not_proposed() -> None:
    text = notes_of(viewed_transposed, z(2, 3, 4))
    assert "y.view(-1, 500)" in text
    assert "hint" not in text


def test_labels_out_of_range_are_told_their_range() -> None:
    text = notes_of(labels_out_of_range, z(2, 7), torch.tensor([1, 9]))
    assert "expected  labels from 0 to 6, as there are 7 classes" in text


def test_errors_of_python_itself_get_no_note() -> None:
    assert not notes_of(list_too_short, z(3))


def test_options_of_an_embedding_are_not_dropped() -> None:
    layer = nn.Embedding(5, 3, max_norm=1.0)
    assert "hint" not in "\n".join(note(Net(layer), torch.tensor([[1, 7]])))
