"""What mypy and pyright know of a call: a file of good calls and bad ones.

It is never executed. ``test_typing.py`` gives it to ``mypy --strict`` and to pyright's standard
mode, and asserts that each refuses the lines that are marked as refused, and no other line.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Literal, NamedTuple, TypeVar, assert_type, overload

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from shapezoo import (
    Module,
    ShapeError,
    checked,
    create_model,
    list_models,
    model_info,
    scan,
    signature,
    unchecked,
)
from shapezoo.models import (
    GRU,
    BatchFirstGRU,
    HasPooledFeatures,
    Headless,
    LeNet,
    ResNet,
    gru,
    lenet,
)

T = TypeVar("T")
M = TypeVar("M", bound=Module)


# A module of one's own: a call takes what `forward` takes, and gives what it returns.


class Head(Module):
    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.linear = nn.Linear(8, num_classes)

    def forward(
        self,
        inputs: Float[Tensor, "batch features=8"],
        scale: float = 1.0,
        *,
        bias: Float[Tensor, "classes={self.num_classes}"] | None = None,
    ) -> Float[Tensor, "batch classes={self.num_classes}"]:
        logits: Tensor = self.linear(inputs)
        return scale * logits if bias is None else scale * logits + bias


def arguments(head: Head, inputs: Tensor) -> None:
    assert_type(head(inputs), Tensor)
    assert_type(head(inputs, 2.0), Tensor)
    assert_type(head(scale=2, inputs=inputs), Tensor)
    assert_type(head(inputs, bias=torch.zeros(3)), Tensor)
    assert_type(head(inputs, bias=None), Tensor)
    head()  # refused
    head("text")  # refused
    head(inputs=None)  # refused
    head(inputs, "loud")  # refused
    head(inputs, 2.0, None)  # refused
    head(inputs, bias=[0.0])  # refused
    head(inputs, volume=2.0)  # refused
    head(inputs, inputs=inputs)  # refused


def results(head: Head, inputs: Tensor) -> None:
    assert_type(head(inputs).mean(), Tensor)
    assert_type(head(inputs).shape, torch.Size)
    head(inputs).logits()  # refused
    str.upper(head(inputs))  # refused
    assert_type(head(inputs), Any)  # refused


def forward_itself(head: Head, inputs: Tensor) -> None:
    assert_type(head.forward(inputs, scale=2.0), Tensor)
    head.forward("text")  # refused


def modules_stay_what_they_are(head: Head, inputs: Tensor) -> None:
    assert_type(head.eval().to("cpu").requires_grad_(False)(inputs), Tensor)
    head.eval().to("cpu")("text")  # refused


def models_as_functions(head: Head, inputs: Tensor) -> None:
    def map_images(model: Callable[[Tensor], Tensor]) -> None: ...
    def map_names(model: Callable[[str], Tensor]) -> None: ...

    map_images(head)
    map_names(head)  # refused
    assert_type(list(map(head, [inputs])), list[Tensor])
    assert_type([model(inputs) for model in (head, head)], list[Tensor])


# Any argument list: none at all, positional only, any number.


class Constant(Module):
    def forward(self) -> float:
        return 1.0


class Sum(Module):
    def forward(
        self,
        first: Float[Tensor, "*sizes"],
        /,
        *more: Float[Tensor, "*sizes"],
        times: int = 1,
        **named: Float[Tensor, "*sizes"],
    ) -> Float[Tensor, "*sizes"]:
        return times * sum([*more, *named.values()], first)


def argument_lists(x: Tensor) -> None:
    assert_type(Constant()(), float)
    Constant()(x)  # refused
    assert_type(Sum()(x, x, x, times=2, bias=x), Tensor)
    Sum()(first=x)  # refused
    Sum()(x, 1.0)  # refused
    Sum()(x, bias=1.0)  # refused
    Sum()(x, times=1.5)  # refused


# Subclasses: the nearest `forward` counts, and it must take what the one above takes.


class CooledHead(Head):
    def forward(
        self,
        inputs: Float[Tensor, "batch features=8"],
        scale: float = 1.0,
        *,
        bias: Float[Tensor, "classes={self.num_classes}"] | None = None,
        temperature: float = 1.0,
    ) -> Float[Tensor, "batch classes={self.num_classes}"]:
        super().forward(inputs, temperature=temperature)  # refused
        return assert_type(super().forward(inputs, scale, bias=bias), Tensor) / temperature


class RenamedHead(CooledHead):
    pass


class NumberHead(Head):
    def forward(self, inputs: int) -> int:  # refused
        return inputs


def subclasses(inputs: Tensor) -> None:
    assert_type(CooledHead(3)(inputs, temperature=2.0), Tensor)
    assert_type(RenamedHead(3)(inputs, temperature=2.0), Tensor)
    Head(3)(inputs, temperature=2.0)  # refused
    CooledHead(3)(inputs, temperature="hot")  # refused
    RenamedHead(3)(inputs, temperature="hot")  # refused
    RenamedHead(3)(temperature=2.0)  # refused


# Modules inside modules.


class Network(Module):
    def __init__(self, extra: Head | None) -> None:
        super().__init__()
        self.head = Head(3)
        self.extra = extra

    def forward(
        self, inputs: Float[Tensor, "batch features=8"]
    ) -> Float[Tensor, "batch classes=3"]:
        self.head("text")  # refused
        self.extra(inputs)  # refused
        if self.extra is not None:
            assert_type(self.extra(inputs), Tensor)
        return assert_type(self.head(inputs, scale=2.0), Tensor)


class Frozen(Module, Generic[M]):
    def __init__(self, inner: M) -> None:
        super().__init__()
        self.inner = inner.requires_grad_(False)

    def forward(self, inputs: Float[Tensor, "*sizes"]) -> Float[Tensor, "*sizes"]:
        outputs: Tensor = self.inner(inputs)  # here it may be any model, so the call is Any
        return outputs


def modules_inside(inputs: Tensor) -> None:
    assert_type(Network(None).head(inputs), Tensor)
    Network(None).head(inputs, volume=1.0)  # refused
    assert_type(Frozen(Head(3)).inner(inputs), Tensor)
    Frozen(Head(3)).inner("text")  # refused


# Results of several parts.


class Split(Module):
    def forward(
        self, x: Float[Tensor, "batch features"]
    ) -> tuple[Float[Tensor, "batch"], Float[Tensor, "batch"]]:
        return x.amin(1), x.amax(1)


class Range(NamedTuple):
    least: Float[Tensor, "batch"]
    most: Float[Tensor, "batch"]


class Extremes(Module):
    def forward(self, x: Float[Tensor, "batch features"]) -> Range:
        return Range(x.amin(1), x.amax(1))


@dataclass(frozen=True)
class Summary:
    mean: Float[Tensor, "batch"]
    count: int


class Summarise(Module):
    def forward(self, x: Float[Tensor, "batch features"]) -> Summary:
        return Summary(x.mean(1), x.shape[1])


def results_of_several_parts(x: Tensor) -> None:
    least, most = Split()(x)
    assert_type(least, Tensor)
    assert_type(Split()(x), tuple[Tensor, Tensor])
    least, most, _mean = Split()(x)  # refused
    Split()(x).mean()  # refused
    assert_type(most, Tensor)

    assert_type(Extremes()(x), Range)
    assert_type(Extremes()(x).least, Tensor)
    Extremes()(x).mean()  # refused

    assert_type(Summarise()(x), Summary)
    assert_type(Summarise()(x).count, int)
    Summarise()(x).count.mean()  # refused
    Summarise()(x).median.item()  # refused
    least, most = Summarise()(x)  # refused


# A result whose type the class is given.


class Tagged(Module, Generic[T]):
    def __init__(self, tag: T) -> None:
        super().__init__()
        self.tag = tag

    def forward(self, x: Float[Tensor, "batch"]) -> tuple[Float[Tensor, "batch"], T]:
        return x, self.tag


def generic_modules(x: Tensor) -> None:
    assert_type(Tagged("blue")(x), tuple[Tensor, str])
    assert_type(Tagged(3)(x)[1], int)
    Tagged(3)(3)  # refused


# The zoo. Every builder is tested in the same way, from the registry.


def the_zoo(images: Tensor, sequences: Tensor) -> None:
    assert_type(lenet(num_classes=26), LeNet)
    assert_type(lenet()(images), Tensor)
    lenet(26)  # refused
    lenet(num_classes="26")  # refused
    lenet(classes=26)  # refused
    lenet()("image.png")  # refused
    lenet()(images, images)  # refused

    assert_type(gru(), GRU | BatchFirstGRU)
    assert_type(gru(batch_first=True)(sequences), tuple[Tensor, Tensor])
    assert_type(gru()(inputs=sequences, state=None), tuple[Tensor, Tensor])
    gru()(sequences, 0)  # refused
    gru()(sequences).mean()  # refused

    list_models(task="image-classification")
    list_models(task="image classification")  # refused
    list_models(["lenet*", "gru"])
    list_models(3)  # refused
    assert_type(model_info("lenet").parameters, int)


# A name stands for a class, if the call shows it. Every name is tested in the same way.


def models_by_name(images: Tensor, name: str, either: Literal["lenet", "resnet18"]) -> None:
    assert_type(create_model("lenet"), LeNet)
    assert_type(create_model("lenet")(images), Tensor)
    assert_type(create_model("resnet18", weights="DEFAULT", device="cpu", num_classes=7), ResNet)
    assert_type(create_model(name="resnet18").feature_maps(images)[-1], Tensor)
    assert_type(create_model("gru"), GRU | BatchFirstGRU)
    assert_type(create_model(either), Module)
    assert_type(create_model(name), Module)
    assert_type(create_model("resnet18".upper()), Module)
    assert_type(create_model("no_such_model"), Module)
    model = create_model("resnet18")
    model.num_classes = 7
    model.num_classes = "seven"  # refused
    create_model("lenet")("image.png")  # refused
    create_model("resnet18").logits()  # refused
    create_model()  # refused
    create_model("lenet", "weights.safetensors")  # refused
    create_model("lenet", device=3)  # refused


# Models without a head. What has no pooled features is refused.


def headless(images: Tensor) -> None:
    assert_type(Headless(create_model("resnet18"))(images), Tensor)
    assert_type(Headless(create_model("vit_micro")).num_features, int)
    encoder: HasPooledFeatures = create_model("vgg11")
    assert_type(encoder.pooled_features(images), Tensor)
    Headless(create_model("lenet"))  # refused
    Headless(nn.Linear(2, 3))  # refused


# `scan` knows the type of the state.


def counted(count: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    return count + 1, x


def paired(state: tuple[Tensor, Tensor], x: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor]:
    return (state[1], x), state[0]


def over_time(x: Tensor) -> None:
    assert_type(scan(counted, x, x), tuple[Tensor, Tensor])
    assert_type(scan(paired, (x, x), x), tuple[tuple[Tensor, Tensor], Tensor])
    scan(counted, (x, x), x)  # refused
    scan(paired, (x, x, x), x)  # refused
    scan(counted, 0, x)  # refused


# `checked`: the function keeps its signature.


@checked
def shift(
    x: Float[Tensor, "batch"],
    /,
    by: float = 1.0,
    *,
    where: Float[Tensor, "batch"],
    times: int = 1,
) -> Float[Tensor, "batch"]:
    return x + times * by * where


@checked
def pair(x: Float[Tensor, "batch"], other: T) -> tuple[Float[Tensor, "batch"], T]:
    return x, other


def checked_functions(x: Tensor) -> None:
    assert_type(shift(x, where=x), Tensor)
    assert_type(shift(x, 2.0, where=x, times=3), Tensor)
    shift(x)  # refused
    shift(x=x, where=x)  # refused
    shift(x, 2.0, x)  # refused
    shift(x, by="far", where=x)  # refused
    shift(x, where=x, times=1.5)  # refused
    shift(x, where=x).moved()  # refused
    assert_type(pair(x, "blue"), tuple[Tensor, str])
    pair("blue", x)  # refused
    checked(3)  # refused


class Plain(nn.Module):
    @checked
    def forward(
        self, x: Float[Tensor, "batch"], times: int = 1, *, bias: float = 0.0
    ) -> Float[Tensor, "batch"]:
        return times * x + bias

    @classmethod
    @checked
    def build(cls, size: int) -> "Plain":
        return cls()

    @staticmethod
    @checked
    def halved(x: Float[Tensor, "batch"]) -> Float[Tensor, "batch"]:
        return x / 2

    @property
    @checked
    def zero(self) -> Float[Tensor, "batch=1"]:
        return torch.zeros(1)


def checked_methods(plain: Plain, x: Tensor) -> None:
    assert_type(plain.forward(x), Tensor)
    assert_type(plain.forward(x, 2, bias=1.0), Tensor)
    plain.forward()  # refused
    plain.forward("text")  # refused
    plain.forward(x, 2, 1.0)  # refused
    assert_type(Plain.build(3), Plain)
    Plain.build("3")  # refused
    assert_type(plain.halved(x), Tensor)
    plain.halved(3)  # refused
    assert_type(plain.zero, Tensor)


@checked
@dataclass(frozen=True)
class Batch:
    images: Float[Tensor, "batch features"]
    labels: Int64[Tensor, "batch"]
    weight: float = 1.0


def checked_dataclasses(x: Tensor) -> None:
    batch = Batch(x, labels=x)
    assert_type(batch, Batch)
    assert_type(batch.images, Tensor)
    assert_type(batch.weight, float)
    Batch(x)  # refused
    Batch(x, x, "heavy")  # refused
    Batch(x, x, label=x)  # refused
    batch.weight = 2.0  # refused
    batch.names.sort()  # refused


# A compiled model keeps the types of the call. It is a function to both tools: what else a
# module has is out of sight, as PyTorch declares it.


def compiled(head: Head, inputs: Tensor) -> None:
    assert_type(torch.compile(head)(inputs, bias=None), Tensor)
    assert_type(torch.compile(mode="reduce-overhead")(head)(inputs), Tensor)
    assert_type(torch.compile(gru())(inputs), tuple[Tensor, Tensor])
    torch.compile(head)("text")  # refused
    torch.compile(head)(inputs, volume=1.0)  # refused
    torch.compile(shift)(inputs)  # refused
    head.compile()
    assert_type(head(inputs), Tensor)


# Errors, contracts as data, and the switch.


def errors(head: Head, inputs: Tensor) -> None:
    try:
        head(inputs)
    except ShapeError as error:
        assert_type(error.argument, str)
        assert_type(error.axis, int | None)
        range(error.axis)  # refused
        error.shape()  # refused


def contracts_as_data(head: Head) -> None:
    contract = signature(head)
    assert_type(contract.inputs[0].name, str)
    assert_type(contract.inputs[0].default, str | None)
    assert_type(contract.axes, tuple[str, ...])
    assert_type(signature(Head).accepts((None, 8)), bool)
    assert_type(signature(shift).name, str)
    contract.inputs.name()  # refused
    contract.accepts("batch")  # refused
    signature("lenet")  # refused


def the_switch(head: Head, inputs: Tensor) -> Tensor:
    with unchecked(inputs):  # refused
        pass
    with unchecked() as nothing:
        assert_type(nothing, None)
        return head(inputs)  # no tool misses a return after the block: it swallows no error


# What is not typed. A line here that begins to fail is good news.


class Overloaded(Module):
    @overload
    def forward(self, x: Float[Tensor, "batch"]) -> Float[Tensor, "batch"]: ...
    @overload
    def forward(self, x: Float[Tensor, "batch"], count: int) -> int: ...
    def forward(self, x: Float[Tensor, "batch"], count: int = 0) -> Float[Tensor, "batch"] | int:
        return count or x


def what_is_not_typed(module: Module, plain: Plain, inputs: Tensor, name: str) -> None:
    # which model a name stands for that is computed shows at run time
    assert_type(create_model(name)(inputs), Any)
    # and so do the keywords of a model: call the builder where they matter
    create_model("lenet", no_such_option=1)
    assert_type(module(inputs), Any)
    # PyTorch types the call of its own modules and containers so, whatever is inside
    assert_type(plain(inputs), Any)
    assert_type(nn.Sequential(Head(8), Head(3))(inputs), Any)
    assert_type([head(inputs) for head in nn.ModuleList([Head(3)])], list[Any])
    # and a misspelt attribute of a module passes for a tensor or a module
    assert_type(Head(3).linaer, Tensor | nn.Module)
    # of an overloaded forward, a call knows the first overload at most; forward knows them all (of
    # one with a type variable of its own, pyright knows the calls and mypy refuses them)
    Overloaded()(inputs, 3)  # refused
    assert_type(Overloaded().forward(inputs, 3), int)
    # shapes and dtypes: they are checked when the call runs
    assert_type(Head(3)(torch.zeros(2, 9, dtype=torch.int64)), Tensor)
