"""A symbolic run looks to a model like a run on the CPU; what cannot be hidden is found."""

import functools
import inspect
import numbers
import sys
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from jaxtyping import Float
from torch import Tensor, nn

from shapezoo import Module, Proved, Refuted, Unknown, prove
from shapezoo.proving.model_code import code_of_model
from shapezoo.proving.paths.symbolic_run import run_symbolically
from shapezoo.proving.subjects import subject_of

Ask = Callable[[Tensor], Any]


class Asking(Module):
    """Breaks its contract where an ordinary call answers yes."""

    def __init__(self, ask: Ask) -> None:
        super().__init__()
        self.ask = ask

    def forward(self, x: Float[Tensor, "batch seq"]) -> Float[Tensor, "batch seq"]:
        return x[:, 1:] if self.ask(x) else x


HIDDEN: dict[str, Ask] = {
    "is_meta": lambda x: not x.is_meta,
    "device": lambda x: x.device == torch.device("cpu") and x.device.type == "cpu",
    "is_cpu": lambda x: x.is_cpu,
    "isinstance": lambda x: isinstance(x.shape[1], int),
    "one of a tuple": lambda x: isinstance(x.shape[1], (str, int)),
    "a union": lambda x: isinstance(x.shape[1], str | int),
    "numbers": lambda x: isinstance(x.shape[1], numbers.Integral),
    "SymInt": lambda x: not isinstance(x.shape[1], torch.SymInt),
    "type of a size": lambda x: type(x.shape[1]) is int,
    "type of a tensor": lambda x: type(x) is Tensor,
    "not fake": lambda x: not isinstance(x, torch._subclasses.FakeTensor),
    "tracing": lambda x: not torch.compiler.is_compiling(),
}

REVEALING: dict[str, Ask] = {
    "class of a size": lambda x: x.shape[1].__class__ is int,
    "has_hint": lambda x: not hasattr(x.shape[1], "has_hint"),
    "is_fake": lambda x: not torch._subclasses.fake_tensor.is_fake(x),
    "FakeTensor": lambda x: type(x) is not torch._subclasses.FakeTensor,
    "sys.modules": lambda x: "torch._subclasses" not in sys.modules,
    "data_ptr": lambda x: x.data_ptr() != 0,
}


NAMESPACE: dict[str, Any] = {"__name__": __name__}
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Python's own warning of it
    exec(compile("def same(x):\n    return x.shape[1] is 5", __file__, "exec"), NAMESPACE)
REVEALING["the same number"] = NAMESPACE["same"]


def matches(x: Tensor) -> bool:
    match x.shape[1]:
        case int():
            return True
        case _:
            return False


REVEALING["match"] = matches
REVEALING["behind a name"] = functools.partial(lambda ask, x: ask(x), matches)

ABOUT_SIZES: dict[str, Ask] = {
    "len": lambda x: len(x) == 9,
    "key of a dictionary": lambda x: x.shape[1] in {9: "nine"},
    "value of a dictionary": lambda x: {9: True}.get(x.shape[1], False),
    "member of a set": lambda x: x.shape[1] in {9, 11},
    "int": lambda x: int(x.shape[1] * 0.5) == 6,
    "round": lambda x: round(x.shape[1] / 3) == 4,
    "round halves": lambda x: round(x.shape[1] / 2) == 6,
    "round a product": lambda x: round(x.shape[1] * 0.5) == 6,
    "divmod": lambda x: divmod(x.shape[1], 4) == (2, 1),
    "float": lambda x: float(x.shape[1]) * 0.25 >= 2.5,
}


def outcome_and_regions(ask: Ask, size: int) -> tuple[str, list[Any]]:
    subject = subject_of(Asking(ask), None)
    sizes = {"batch": size, "seq": size}
    run = run_symbolically(subject.variants()[0][0], sizes)
    return run.outcome, run.guards


@pytest.mark.parametrize("name", HIDDEN)
def test_a_model_sees_what_it_sees_in_an_ordinary_call(name: str) -> None:
    assert HIDDEN[name](torch.zeros(5, 5))
    assert outcome_and_regions(HIDDEN[name], 5) == ("breaks", [])


@pytest.mark.parametrize("name", REVEALING)
def test_what_cannot_be_hidden_is_found(name: str) -> None:
    code = code_of_model(Asking(REVEALING[name]))
    assert "test_looks_like_cpu.py:" in code.reveals
    assert outcome_and_regions(REVEALING[name], 5)[0] == "unknown"


def test_the_line_is_named() -> None:
    proof = prove(Asking(lambda x: x.dim() > 2 and matches(x)))
    assert isinstance(proof, Unknown)
    line = matches.__code__.co_firstlineno + 2
    assert f"test_looks_like_cpu.py:{line} asks for 'case int()'" in str(proof)


def refuses_by_name(x: Tensor) -> bool:
    if x.shape[0] > 4:
        frame = inspect.getouterframes(inspect.currentframe())[1]
        name, line = frame.function, frame.lineno
        raise TypeError(f"{name}, line {line}, wants fewer rows")
    return False


def decides_by_name(x: Tensor) -> bool:
    frame = inspect.getouterframes(inspect.currentframe())[1]
    if frame.function == "forward":
        raise TypeError("not from forward")
    return False


def test_an_error_may_name_its_caller() -> None:
    assert not code_of_model(Asking(refuses_by_name)).reveals
    assert "asks for 'getouterframes'" in code_of_model(Asking(decides_by_name)).reveals
    proof = prove(Asking(refuses_by_name))
    assert isinstance(proof, Proved)
    assert [str(c) for c in proof.preconditions] == ["batch <= 4"]


def test_gradients_are_on_as_in_an_ordinary_call() -> None:
    assert outcome_and_regions(lambda x: torch.is_grad_enabled(), 5)[0] == "breaks"
    with torch.no_grad():
        assert outcome_and_regions(lambda x: torch.is_grad_enabled(), 5)[0] == "holds"


@pytest.mark.parametrize("name", ABOUT_SIZES)
def test_regions_are_those_of_numbers(name: str) -> None:
    """At each size the run and its guards are right, and no guard fixes the other sizes."""
    for size in range(1, 16):
        outcome, guards = outcome_and_regions(ABOUT_SIZES[name], size)
        expected = {n: bool(ABOUT_SIZES[name](torch.zeros(n, n))) for n in range(1, 16)}
        assert outcome == ("breaks" if expected[size] else "holds"), size
        for other in range(1, 16):
            sizes = {"batch": other, "seq": other}
            taken = all(bool(g.subs({s: sizes[s.name] for s in g.free_symbols})) for g in guards)
            assert not taken or expected[other] == expected[size], (size, other)


def test_a_key_asks_for_no_more_than_it_must() -> None:
    _, guards = outcome_and_regions(ABOUT_SIZES["member of a set"], 5)
    assert sorted(map(str, guards)) == ["Ne(seq, 11)", "Ne(seq, 9)"]


class Parametrised(Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4))
        self.fixed = nn.Parameter(torch.ones(4), requires_grad=False)

    def forward(self, x: Float[Tensor, "batch 4"]) -> Float[Tensor, "batch 4"]:
        if not isinstance(self.weight, nn.Parameter) or not self.weight.requires_grad:
            raise RuntimeError("the weight is gone")
        with torch.no_grad():
            self.weight.clamp_(0)
        self.fixed.mul_(2)
        return x * self.weight * self.fixed


class Overwriting(Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4))

    def forward(self, x: Float[Tensor, "batch 4"]) -> Float[Tensor, "batch 4"]:
        self.weight.mul_(2)
        return x * self.weight


def test_parameters_stay_parameters() -> None:
    assert isinstance(prove(Parametrised()), Proved)
    assert not isinstance(prove(Overwriting()), Proved)


class Norms(Module):
    def __init__(self, dim: int, ratio: int) -> None:
        super().__init__()
        self.dim, self.ratio = dim, ratio
        self.norms = nn.Sequential(nn.LayerNorm(dim), nn.RMSNorm(dim))
        self.recurrent = nn.GRU(dim, dim * ratio, batch_first=True)

    def forward(
        self, x: Float[Tensor, "batch seq dim={self.dim}"]
    ) -> Float[Tensor, "batch seq {self.dim*self.ratio}"]:
        result: Tensor = self.recurrent(self.norms(x))[0]
        return result


class WrongNorms(Norms):
    def forward(
        self, x: Float[Tensor, "batch seq dim={self.dim}"]
    ) -> Float[Tensor, "batch seq {self.dim+self.ratio}"]:
        result: Tensor = self.recurrent(self.norms(x))[0]
        return result


def test_layers_that_want_an_int_take_a_symbol() -> None:
    proof = prove(Norms)
    assert isinstance(proof, Proved)
    assert proof.axes == ("batch", "seq", "dim", "ratio")
    assert isinstance(prove(WrongNorms), Refuted)


def test_python_is_as_before_after_a_proof() -> None:
    before = dict(globals())
    outcome_and_regions(HIDDEN["isinstance"], 5)
    assert globals() == before
    assert not hasattr(torch.SymInt, "numerator")
    assert not issubclass(torch.SymInt, numbers.Integral)
