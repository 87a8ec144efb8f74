import re
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from jaxtyping import Bool, Float, Float32, Float64, Int64, UInt8
from PIL import Image
from torch import Tensor, nn

from shapezoo import Module, ShapeError, checked, signature
from shapezoo.contracts.checking.contract import Contract
from shapezoo.contracts.matching.matching import MismatchError
from shapezoo.contracts.messages.fixes import suggest
from shapezoo.models import gru, lenet, lstm, resnet_micro
from shapezoo.train import cross_entropy
from shapezoo.train.steps.losses import binary_cross_entropy, mean_squared_error


@checked
def grey(x: Float[Tensor, "batch 1 28 28"]) -> None: ...
@checked
def colour(x: Float[Tensor, "batch 3 height width"]) -> None: ...
@checked
def sequences(x: Float[Tensor, "seq batch 4"], state: Float[Tensor, "1 batch 2"]) -> None: ...
@checked
def matrix(x: Float[Tensor, "batch 5"]) -> None: ...
@checked
def tokens(x: Float[Tensor, "batch seq 5"]) -> None: ...
@checked
def classes(x: Float[Tensor, "batch 5"], y: Int64[Tensor, "batch"]) -> None: ...
@checked
def precise(x: Float64[Tensor, "batch"]) -> None: ...
@checked
def precise32(x: Float32[Tensor, "batch"]) -> None: ...
@checked
def images(x: Float[Tensor, "batch channels height width"]) -> None: ...
@checked
def masked(x: Float[Tensor, "batch"], mask: Bool[Tensor, "batch"]) -> None: ...
@checked
def attend(x: Float[Tensor, "batch seq"], mask: Bool[Tensor, "batch 1 1 seq"]) -> None: ...
@checked
def either(x: Float[Tensor, "batch 3"] | Int64[Tensor, "batch"]) -> None: ...
@checked
def scalar(x: Float[Tensor, ""]) -> None: ...
@checked
def layered(x: Float[Tensor, "1 batch 5"]) -> None: ...
@checked
def deep(x: Float[Tensor, "batch 1 1 1 5"]) -> None: ...
@checked
def counted(n: int, x: Float[Tensor, "seq batch 4"], y: Float[Tensor, "batch 2"]) -> None: ...


@checked
def pixels(x: UInt8[Tensor, "channels height width"]) -> None: ...
@checked
def pair(x: tuple[Float[Tensor, "7 batch"], Float[Tensor, "7 batch"]]) -> None: ...


def picture(mode: str, width: int = 9, height: int = 8) -> Image.Image:
    return Image.new(mode, (width, height))


z = torch.zeros
MENDED: list[tuple[str, Any, *tuple[Any, ...]]] = [
    ("x.unsqueeze(0)", colour, z(3, 8, 9)),
    ("x.unsqueeze(1)", grey, z(2, 28, 28)),
    ("x.unsqueeze(0).unsqueeze(1)", grey, z(28, 28)),
    ("mask.unsqueeze(1).unsqueeze(2)", attend, z(2, 5), z(2, 5).bool()),
    ("mask.transpose(-1, -2)", attend, z(2, 5), z(2, 1, 5, 1).bool()),
    ("x.unflatten(1, (1, 28, 28))", grey, z(2, 784)),
    ("x.permute(0, 3, 1, 2)", colour, z(2, 8, 9, 3)),
    ("x.permute(2, 0, 1).unsqueeze(0)", colour, z(8, 9, 3)),
    ("x.permute(0, 3, 1, 2).float().div(255)", colour, z(2, 8, 9, 3).byte()),
    ("x.transpose(0, 1)", sequences, z(2, 7, 4), z(1, 2, 2)),
    ("x.transpose(-1, -2)", tokens, z(2, 5, 7)),
    ("x.squeeze(-1)", matrix, z(2, 5, 1)),
    ("x.float()", matrix, z(2, 5).int()),
    ("y.argmax(-1)", classes, z(2, 5), z(2, 5)),
    ("y.argmax(-1)", classes, z(2, 5), z(2, 5).long()),
    ("y.squeeze(-1)", classes, z(2, 5), z(2, 1).long()),
    ("y.long()", classes, z(2, 5), z(2).int()),
    ("x.double()", precise, z(2)),
    ("mask.bool()", masked, z(2), z(2).int()),
    ("torch.from_numpy(x)", matrix, np.zeros((2, 5), np.float32)),
    ("torch.from_numpy(x).float()", matrix, np.zeros((2, 5))),
    ("torch.from_numpy(x)", precise, np.zeros(2)),
    ("x.permute(2, 0, 1).unsqueeze(0)", images, z(28, 28, 3)),
    ("x.float()", precise32, z(2).byte()),
    ("torch.from_numpy(x).unsqueeze(0)", matrix, np.zeros(5, np.float32)),
    ("torch.tensor(x)", matrix, [[0.0] * 5]),
    ("torch.stack(x)", matrix, [z(5), z(5)]),
    ("torch.stack(x)", matrix, [z(5)]),
    ("x[0]", matrix, (z(2, 5), z(1, 2, 5))),
    ("x[3]", matrix, (0, 0, 0, z(2, 5))),
    ("x.permute(2, 0, 1).unsqueeze(0)", images, z(8, 9, 1)),
    ("x.permute(2, 0, 1).unsqueeze(0)", images, z(8, 9, 4)),
    ("x.unsqueeze(0)", images, z(8, 9, 2)),
    ("x.unsqueeze(0)", images, z(3, 9, 3)),
    ("x.unsqueeze(1)", layered, z(1, 5)),  # the batch, and not the axis of size 1
    ("mask.unsqueeze(0).unsqueeze(1).unsqueeze(2)", attend, z(1, 5), z(5).bool()),
    ("x.transpose(0, 1)", matrix, z(5, 2)),
    ("x.squeeze(-1)", scalar, z(1)),
    ("x.squeeze(-1)", colour, z(2, 3, 8, 9, 1)),
    ("x.float()", matrix, z(2, 5).byte()),
    ("x.float().div(255)", tokens, z(2, 7, 5).byte()),
    ("torch.from_numpy(x).float()", matrix, np.zeros((2, 5), np.int64)),
    ("torch.tensor(x)", scalar, 0.5),
    ("torch.tensor(x).float()", scalar, 1),
    ("y.long()", classes, z(2, 5), z(2)),
    ("y.squeeze(-1).long()", classes, z(2, 5), torch.ones(2, 1)),
    ("targets.unsqueeze(1)", mean_squared_error, z(8, 1), z(8)),
    ("labels.squeeze(-1).long()", binary_cross_entropy, z(8, 1), z(8, 1)),
    ("logits.movedim(1, -1)", cross_entropy, z(8, 5, 6, 7), z(8, 6, 7).long()),
    ("labels.argmax(-1)", cross_entropy, z(8, 5), z(8, 5)),
    ("torch.from_numpy(x)", pixels, np.zeros((3, 8, 9), np.uint8)),
    ("torchvision.transforms.functional.pil_to_tensor(x)", pixels, picture("RGB")),
    (
        "torchvision.transforms.functional.pil_to_tensor(x).unsqueeze(0).float().div(255)",
        colour,
        picture("RGB"),
    ),
    (
        "torchvision.transforms.functional.pil_to_tensor(x).unsqueeze(0).float().div(255)",
        grey,
        picture("L", 28, 28),
    ),
    (
        "torch.stack([*map(torchvision.transforms.functional.pil_to_tensor, x)]).float().div(255)",
        colour,
        [picture("RGB"), picture("RGB")],
    ),
    ("tuple(x)", pair, z(2, 7, 5)),
    ("tuple(x)", pair, [z(7, 5), z(7, 5)]),
    ("(x, torch.zeros_like(x))", pair, z(7, 5)),
    ("tuple(item.transpose(0, 1) for item in x)", pair, (z(5, 7), z(5, 7))),
    ("tuple(item.transpose(0, 1) for item in x)", pair, [z(5, 7), z(5, 7)]),
]


def evaluated(hint: str, values: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call after the code of a hint ran; empty if it has no code."""
    found = re.search(r"; use (.*?)(?:$| (?:for|if|as|to) [a-z ]+$)", hint)
    mended = {}
    for code in found[1].split(" and ") if found else ():
        (name,) = [name for name in values if re.search(rf"(?<![\w.]){name}\b", code)]
        mended[name] = eval(code, {"torch": torch, "torchvision": torchvision}, values)
    return mended


@pytest.mark.parametrize(("fix", "function", "arguments"), [(f, g, a) for f, g, *a in MENDED])
def test_the_proposed_fix_mends_the_call(fix: str, function: Any, arguments: list[Any]) -> None:
    with pytest.raises(ShapeError) as error:
        function(*arguments)
    hint = str(error.value).splitlines()[-1]
    assert f"; use {fix}" in hint
    assert re.sub(r" (for|if|as|to) [a-z ]+$", "", hint).endswith(fix)
    names = [name for name in function.__annotations__ if name != "return"]
    values = dict(zip(names, arguments, strict=True))
    mended = evaluated(hint, values)
    assert len(mended) == 1
    function(**(values | mended))


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (colour, [z(2, 4, 8, 9)]),
        (masked, [z(2), z(2)]),  # an additive mask would be turned upside down
        (either, [z(8)]),  # the intended option is ambiguous
        (matrix, [[z(5), z(4)]]),
        (matrix, [[[0.0], [0.0, 1.0]]]),
        (matrix, [np.array(["a"])]),
        (matrix, [None]),
        (classes, [z(4, 5), torch.rand(4)]),  # whole numbers would all be 0
        (classes, [z(4, 5), z(4, 7)]),
        (matrix, [np.zeros((2, 5), ">f4")]),
        (matrix, [(0, 0, 0, 0, z(2, 5))]),  # an index that nobody would mean
        (matrix, [z(2, 5, dtype=torch.complex64)]),
        (deep, [z(5)]),  # four missing axes are not a slip
        (cross_entropy, [z(8), z(8).long()]),  # no classes to choose from
        (cross_entropy, [z(8), z(8)]),
        (classes, [z(4, 5), torch.full((4,), torch.nan)]),
        (classes, [z(4, 5), torch.ones(4, 5)]),  # several classes at once
        (classes, [z(4, 5), torch.ones(4, 5).long()]),
        (classes, [z(4, 5, 6, 7), z(4).long()]),
        (colour, [picture("L")]),
        (colour, [picture("F")]),
        (colour, [[picture("RGB"), picture("RGB", 7)]]),
        (pair, [z(7, 5, 1)]),
        (pair, [(z(7, 5),)]),
        (pair, [(z(7, 5), 1)]),
    ],
)
def test_no_fix_is_proposed_where_none_helps(function: Any, arguments: list[Any]) -> None:
    with pytest.raises(ShapeError) as error:
        function(*arguments)
    assert "hint" not in str(error.value)


def test_the_culprit_may_be_an_earlier_argument() -> None:
    with pytest.raises(ShapeError) as error:
        sequences(torch.zeros(2, 7, 4), torch.zeros(1, 2, 2))
    assert error.value.argument == "state"
    hint = "perhaps it is argument 'x': its first two axes are swapped; use x.transpose(0, 1)"
    assert str(error.value).endswith(hint)


def test_arguments_that_are_no_tensors_are_passed_over() -> None:
    with pytest.raises(ShapeError, match=r"perhaps it is argument 'x'.*; use x\.transpose\(0, 1\)"):
        counted(1, z(2, 7, 4), z(2, 2))


@pytest.mark.parametrize(
    ("function", "arguments", "hint"),
    [
        (grey, [z(2, 28, 28)], "axis 1 (size 1) is missing; use x.unsqueeze(1)"),
        (
            grey,
            [z(28, 28)],
            (
                "axis 0 (batch) and axis 1 (size 1) are missing; "
                "use x.unsqueeze(0).unsqueeze(1) for one example"
            ),
        ),
        (
            matrix,
            [np.zeros(5, np.int64)],
            (
                "it is an array, axis 0 (batch) is missing, it is int64; "
                "use torch.from_numpy(x).unsqueeze(0).float() for one example"
            ),
        ),
    ],
)
def test_the_words_of_a_hint(function: Any, arguments: list[Any], hint: str) -> None:
    with pytest.raises(ShapeError) as error:
        function(*arguments)
    assert str(error.value).splitlines()[-1] == f"  hint      {hint}"


def test_a_fix_is_tried_without_copying_data() -> None:
    seen = []

    def accepts(arguments: dict[str, Any], braces: dict[str, object]) -> bool:
        seen.append(arguments["x"].device.type)
        return False

    contract, x = signature(matrix), torch.zeros(2, 3)
    mismatch = MismatchError("x", contract.inputs[0].type, x)
    assert suggest(contract, {"x": x}, mismatch, accepts) is None
    assert set(seen) == {"meta"}


def test_the_batch_is_put_where_the_contract_has_it() -> None:
    with pytest.raises(
        ShapeError, match=r"axis 1 \(batch\) is missing; use inputs\.unsqueeze\(1\)"
    ):
        gru()(torch.zeros(7, 4))


@pytest.mark.parametrize("dtype", [torch.bool, torch.complex64])
def test_scores_and_whole_numbers_are_not_guessed(dtype: torch.dtype) -> None:
    with pytest.raises(ShapeError) as error:
        classes(torch.zeros(2, 5), torch.zeros(2, 5, dtype=dtype))
    assert "hint" not in str(error.value)


def test_a_tensor_without_a_plain_shape_gets_no_hint_and_no_crash() -> None:
    jagged = torch.nested.nested_tensor([torch.zeros(2, 4), torch.zeros(3, 4)], layout=torch.jagged)
    with pytest.raises(ShapeError, match="expected 5, got 4"):
        tokens(jagged)


def test_arguments_in_each_others_place_are_told() -> None:
    with pytest.raises(ShapeError, match=r"hint      arguments 'x' and 'y' are swapped"):
        classes(z(2).long(), z(2, 5))


class Linear(Module):
    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features

    def forward(
        self,
        x: Float[Tensor, "batch features={self.in_features}"],
        state: Float[Tensor, "batch {self.out_features}"] | None = None,
    ) -> None: ...


def test_another_module_is_proposed_where_it_would_take_the_input() -> None:
    with pytest.raises(ShapeError, match=r"hint      build Linear with in_features=4$"):
        Linear(3, 2)(z(5, 4))
    Linear(4, 2)(z(5, 4))
    with pytest.raises(ShapeError) as error:
        Linear(3, 2)(z(5, 3), z(5, 9))  # the state is wrong, not the module
    assert "build" not in str(error.value)


def test_a_replaced_layer_tells_which_attribute_to_set() -> None:
    model, images = resnet_micro(), z(2, 3, 32, 32)
    model.fc = nn.Linear(64, 7)
    with pytest.raises(ShapeError) as error:
        model(images)
    assert str(error.value).splitlines()[-1] == (
        "  hint      its fc returns 7; set model.num_classes = 7, or build ResNet with "
        "num_classes=7"
    )
    model.num_classes = 7
    assert model(images).shape == (2, 7)
    model.conv1 = nn.Conv2d(1, 8, 7, stride=2, padding=3)
    with pytest.raises(ShapeError) as error:
        model(z(2, 1, 32, 32))
    assert str(error.value).splitlines()[-1] == (
        "  hint      its conv1 accepts 1; "
        "set model.in_channels = 1, or build ResNet with in_channels=1"
    )
    model.in_channels = 1
    assert model(z(2, 1, 32, 32)).shape == (2, 7)


def test_the_attribute_is_named_with_the_place_of_the_model() -> None:
    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = resnet_micro()
            self.body.fc = nn.Linear(64, 7)

        def forward(self, images: Tensor) -> Tensor:
            return self.body(images)

    with pytest.raises(ShapeError, match=r"its fc returns 7; set model\.body\.num_classes = 7, or"):
        Outer()(z(2, 3, 32, 32))


class Head(Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.layer = nn.Linear(4, 6)

    @property
    def size(self) -> int:
        return self.width


class Doubling(Head):
    def forward(self, x: Float[Tensor, "batch 4"]) -> Float[Tensor, "batch {2*self.width}"]:
        y: Tensor = self.layer(x)
        return y


class Reading(Head):
    def forward(
        self, x: Float[Tensor, "batch {self.width}"]
    ) -> Float[Tensor, "batch {self.width}"]:
        y: Tensor = self.layer(x)
        return y


class Computing(Head):
    def forward(self, x: Float[Tensor, "batch 4"]) -> Float[Tensor, "batch {self.size}"]:
        y: Tensor = self.layer(x)
        return y


class Averaging(Head):
    def forward(self, x: Float[Tensor, "batch 4"]) -> Float[Tensor, "batch {self.width}"]:
        y: Tensor = self.layer(x)
        return y[:, :5]  # no layer gives five


@pytest.mark.parametrize("head", [Doubling(5), Reading(4), Computing(5), Averaging(7)])
def test_no_attribute_is_proposed_where_setting_it_would_not_do(head: Module) -> None:
    with pytest.raises(ShapeError, match="the result breaks its contract") as error:
        head(z(2, 4))
    assert "hint" not in str(error.value)


def test_the_scores_of_positions_become_examples() -> None:
    logits, labels = z(8, 5, 6, 7), z(8, 6, 7).long()
    with pytest.raises(ShapeError) as error:
        classes(logits, labels)
    hint = str(error.value).splitlines()[-1]
    assert hint.endswith("; use x.movedim(1, -1).flatten(0, -2) and y.flatten()")
    classes(**evaluated(hint, {"x": logits, "y": labels}))


@pytest.mark.parametrize("state", [(z(1, 3, 2), z(1, 3, 2)), (z(2, 3, 2), z(1, 3, 2))])
def test_what_the_layers_of_a_state_are(state: tuple[Tensor, Tensor]) -> None:
    with pytest.raises(ShapeError) as error:
        lstm(bidirectional=True)(z(5, 3, 4), state)
    assert str(error.value).endswith(
        "  hint      layers: stacked recurrent states (layers x directions)"
    )
    with pytest.raises(ShapeError) as error:
        lstm(bidirectional=True)(z(5, 3, 4), (z(2, 3, 9), z(2, 3, 9)))
    assert "hint" not in str(error.value)


def test_one_class_is_no_choice() -> None:
    with pytest.raises(ShapeError, match="hint      with one class, cross-entropy is always 0"):
        cross_entropy(z(8, 1), z(8, 1).long())


def wrong(rng: Random, value: Any) -> Any:
    """Something that is passed instead of a tensor."""
    changes: list[Callable[[Any], Any]] = [
        lambda x: x.unsqueeze(rng.randrange(x.dim() + 1)),
        lambda x: x[0],
        lambda x: x.transpose(0, -1),
        lambda x: x.movedim(-1, 0),
        lambda x: x.flatten(min(1, x.dim() - 1)),
        lambda x: x.to(rng.choice([torch.uint8, torch.int32, torch.int64, torch.float64])),
        lambda x: x.float(),
        lambda x: x.numpy(),
        lambda x: x.tolist(),
        lambda x: list(x),
        lambda x: (x, x),
        lambda x: torch.stack([x, x]),
    ]
    for _ in range(rng.randrange(1, 3)):
        if isinstance(value, Tensor) and value.dim():
            value = rng.choice(changes)(value)
    return value


FUNCTIONS: list[tuple[Any, list[tuple[int, ...]]]] = [
    (grey, [(2, 1, 28, 28)]),
    (colour, [(2, 3, 4, 5)]),
    (sequences, [(3, 2, 4), (1, 2, 2)]),
    (classes, [(2, 5), (2,)]),
    (tokens, [(2, 3, 5)]),
    (precise, [(2,)]),
    (masked, [(2,), (2,)]),
    (attend, [(2, 3), (2, 1, 1, 3)]),
    (layered, [(1, 3, 5)]),
    (cross_entropy, [(2, 3, 4), (2, 3)]),
    (mean_squared_error, [(3, 1), (3, 1)]),
    (binary_cross_entropy, [(3, 1), (3,)]),
]


def calls_that_hints_mend(calls: int) -> int:
    """Make wrong calls, apply the fixes that the hints suggest, and count the hints with code."""
    rng, tried = Random(0), 0
    made = {"Int64": torch.int64, "Bool": torch.bool, "Float64": torch.float64}
    for _ in range(calls):
        function, shapes = rng.choice(FUNCTIONS)
        contract = signature(function)
        values: dict[str, Any] = {
            argument.name: torch.zeros(shape, dtype=made.get(kind.dtype, torch.float32))
            for argument, kind, shape in zip(
                contract.inputs, contract.tensors, shapes, strict=False
            )
        }
        for name in rng.sample([*values], rng.randrange(1, len(values) + 1)):
            values[name] = wrong(rng, values[name])
        try:
            function(**values)
        except ShapeError as error:
            hint = str(error).splitlines()[-1]
            mended = evaluated(hint, values)
            if "are swapped" in hint and not mended:
                one, other = re.findall(r"'(\w+)'", hint)
                mended = {one: values[other], other: values[one]}
            if mended:
                function(**(values | mended))
                tried += 1
    return tried


def test_every_hint_with_code_makes_its_call_pass() -> None:
    assert calls_that_hints_mend(1500) > 400


def test_a_hint_that_was_not_tried_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Contract, "_accepts", lambda *_: True)
    with pytest.raises(ShapeError):
        calls_that_hints_mend(100)


def test_a_proposal_is_made_for_the_sizes_of_the_example_where_a_graph_is_traced() -> None:
    def graph(x: Tensor) -> Tensor:
        colour(x)
        return x + 1

    torch.compiler.reset()
    with pytest.raises(ShapeError, match=r"use x\.permute\(0, 3, 1, 2\)") as error:
        torch.compile(graph, backend="eager", dynamic=True)(z(2, 8, 9, 3))
    assert "got       Tensor float32 (2, 8, 9, 3)" in str(error.value)


def test_a_proposal_is_made_where_a_graph_is_traced_for_a_module_with_sizes_of_its_own() -> None:
    model = lenet(in_channels=3)

    def graph(x: Tensor) -> Tensor:
        return model(x) + 1

    torch.compiler.reset()
    with pytest.raises(ShapeError, match=r"use images\.permute\(0, 3, 1, 2\)"):
        torch.compile(graph, backend="eager", dynamic=True)(z(2, 28, 28, 3))


def test_a_size_that_is_computed_is_no_argument_to_change() -> None:
    class Doubled(Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self._width = 2 * width
            self.step = width

        @property
        def width(self) -> int:
            return self._width

        def forward(self, x: Float[Tensor, "batch {self.width}"]) -> None: ...

    class Stepping(Doubled):
        def forward(self, x: Float[Tensor, "batch {self.step}"]) -> None: ...

    for module in (Doubled(3), Stepping(3)):
        with pytest.raises(ShapeError) as error:
            module(z(2, 10))
        assert "hint" not in str(error.value)


def test_many_missing_axes_are_no_slip() -> None:
    def wide(x: Any) -> None: ...

    wide.__annotations__["x"] = Float[Tensor, " ".join(["1"] * 30)]
    with pytest.raises(ShapeError) as error:
        checked(wide)(z(*[1] * 15))
    assert "hint" not in str(error.value)


def test_a_mask_of_floats_is_made_one_of_bools() -> None:
    @checked
    def masked(mask: Bool[Tensor, "batch seq"]) -> None: ...

    keep = ".eq(0) if True means keep"
    for values, code in (([[1.0, 0.0]], ".bool()"), ([[0.0, -torch.inf]], keep)):
        with pytest.raises(ShapeError, match=re.escape(f"use mask{code}")):
            masked(torch.tensor(values))
    with pytest.raises(ShapeError) as error:
        masked(torch.tensor([[0.5, 1.0]]))
    assert "hint" not in str(error.value)


def test_heads_that_are_missing_are_not_taken_for_the_batch() -> None:
    @checked
    def attend(
        q: Float[Tensor, "batch heads seq width"], mask: Bool[Tensor, "#batch #heads seq seq"]
    ) -> None: ...

    for heads in (2, 3):
        with pytest.raises(ShapeError, match=r"use mask\.unsqueeze\(1\)$") as error:
            attend(torch.zeros(2, heads, 5, 4), torch.zeros(2, 5, 5).bool())
        assert "for one example" not in str(error.value)


def test_a_tensor_for_another_argument_is_recognised() -> None:
    @checked
    def either(
        tokens: Int64[Tensor, "batch seq"] | None = None,
        embeddings: Float[Tensor, "batch seq 8"] | None = None,
    ) -> None: ...

    with pytest.raises(ShapeError, match="it fits argument 'embeddings'; pass it as embeddings="):
        either(torch.zeros(2, 3, 8))


def test_an_argument_that_takes_anything_is_not_proposed() -> None:
    @checked
    def noted(x: Float[Tensor, "batch 3"] | None = None, meta: Any = None) -> None: ...
    @checked
    def ordered(
        x: Int64[Tensor, "batch"] | None = None, y: Float[Tensor, "batch"] | None = None, /
    ) -> None: ...

    for call, value in ((noted, z(2, 4)), (ordered, z(2))):
        with pytest.raises(ShapeError) as error:
            call(value)
        assert "it fits argument" not in str(error.value)


def test_a_batch_of_a_loader_is_taken_apart() -> None:
    @checked
    def model(images: Float[Tensor, "batch 3 8 8"]) -> None: ...

    batch: Any = [torch.zeros(2, 3, 8, 8), torch.zeros(2).long()]
    with pytest.raises(ShapeError, match=re.escape("use images[0]")):
        model(batch)


def test_numbers_that_int64_cannot_hold_are_no_labels() -> None:
    @checked
    def labelled(labels: Int64[Tensor, "batch"]) -> None: ...

    for value in (torch.inf, 1e30):
        with pytest.raises(ShapeError) as error:
            labelled(torch.tensor([value, 2.0]))
        assert "long" not in str(error.value)


def test_an_array_that_runs_backwards_is_copied() -> None:
    @checked
    def model(x: Float[Tensor, "n m"]) -> None: ...

    array: Any = np.zeros((2, 3), dtype="float32")[:, ::-1]
    with pytest.raises(ShapeError, match=re.escape("torch.from_numpy(x.copy())")):
        model(array)


def test_a_head_that_was_removed_is_not_called_a_layer() -> None:
    model: Any = resnet_micro(num_classes=10)
    model.fc = nn.Identity()
    with pytest.raises(ShapeError) as error:
        model(torch.zeros(2, 3, 64, 64))
    hint = str(error.value).splitlines()[-1]
    assert re.fullmatch(r"  hint      set model.num_classes = \d+", hint), hint
