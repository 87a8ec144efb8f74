"""The private parts of torch that proofs rely on: a change there fails here first."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sympy
import torch
from torch import Tensor, nn
from torch._dynamo.source import ConstantSource
from torch._subclasses import fake_tensor
from torch.fx.experimental import symbolic_shapes
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from shapezoo.contracts.matching.proof_mode import hint_of
from shapezoo.proving.paths import symbolic_run as symbolic
from shapezoo.proving.paths.environment import Environment, canonical, is_deferred
from shapezoo.proving.rules.functions.function_rules import outermost_builtins
from shapezoo.proving.rules.symbols.numeric_symbols import numeric
from shapezoo.proving.rules.values.value_ranges import ValueRanges


@pytest.fixture
def environment() -> Any:
    return Environment(ValueRanges(), ())


def symbol(environment: Any, hint: int) -> torch.SymInt:
    made = environment.create_symbol(
        hint,
        ConstantSource(f"axis{hint}"),
        dynamic_dim=symbolic_shapes.DimDynamic.DYNAMIC,
        do_not_specialize_zero_one=True,
    )
    size: torch.SymInt = environment.create_symintnode(made, hint=hint)
    return size


def test_one_and_zero_are_sizes_like_others(environment: Any) -> None:
    one = symbol(environment, 1)
    name = one.node.expr
    assert isinstance(name, sympy.Symbol)
    assert environment.guards == []
    assert one == 1
    assert [guard.expr for guard in environment.guards] == [sympy.Eq(name, 1)]


def test_equal_sizes_stay_two_symbols(environment: Any) -> None:
    assert symbol(environment, 5).node.expr != symbol(environment, 7).node.expr


def test_each_question_has_the_line_that_asks(environment: Any) -> None:
    size = symbol(environment, 5)
    assert bool(size > 3)  # here
    lines = Path(__file__).read_text().splitlines()
    line = next(number for number, text in enumerate(lines, 1) if text.endswith("  # here"))
    assert environment.guard_lines == [f"{__file__}:{line}"]


def test_reading_the_hint_adds_no_guard(environment: Any) -> None:
    assert hint_of(symbol(environment, 5)) == 5
    assert environment.guards == []


def test_texts_and_divisions_are_those_of_numbers(environment: Any) -> None:
    size = symbol(environment, 5)
    with numeric() as asked:
        texts = str(size), f"{size:03d}", repr(size)
        assert texts == ("5", "005", "5")
        assert len(asked) == 3
        with pytest.raises(ValueError, match="5"):
            raise ValueError(f"{size}")  # in a message it decides nothing
        assert len(asked) == 3
        assert environment.guards == []
        with pytest.raises(ZeroDivisionError):
            12 // (size - 5)
        with pytest.raises(ZeroDivisionError):
            size % (size - 5)
    assert f"{symbol(environment, 7)}".startswith("s")


def test_questions_about_sizes_of_data_are_put_off(environment: Any) -> None:
    size = environment.create_unbacked_symint()
    torch._check(size >= 7)
    (put_off,) = [each for some in environment.deferred_runtime_asserts.values() for each in some]
    assert canonical(put_off.expr) == canonical((size >= 7).node.expr)
    assert is_deferred(environment)


def test_a_mode_sees_what_is_inside_functions_written_in_python() -> None:
    class Seen(TorchFunctionMode):
        def __init__(self) -> None:
            super().__init__()
            self.functions: list[Any] = []

        def __torch_function__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            self.functions.append(func)
            return func(*args, **(kwargs or {}))

    def functions() -> list[Any]:
        with Seen() as seen:
            functional.group_norm(torch.zeros(2, 4, 3), 2)
        found: list[Any] = seen.functions
        return found

    assert torch.group_norm not in functions()
    with outermost_builtins():
        assert torch.group_norm in functions()
    assert torch.group_norm not in functions()


def test_the_cache_of_fake_tensors_can_be_switched_off() -> None:
    assert isinstance(fake_tensor.FakeTensorMode().cache_enabled, bool)


@pytest.mark.parametrize("layer", symbolic._WITHOUT_INITIAL_VALUES)
def test_layers_have_first_weights_that_can_be_left_out(layer: type[nn.Module]) -> None:
    assert {"reset_parameters", "_reset_parameters"} & vars(layer).keys()


def test_recurrent_layers_keep_a_list_of_their_weights() -> None:
    layer = nn.LSTM(2, 3)
    layer._parameters["weight_ih_l0"] = nn.Parameter(torch.ones(12, 2))
    layer._init_flat_weights()
    first: Any = layer._flat_weights[0]
    assert isinstance(first, Tensor)
    assert bool((first == 1).all())


def test_a_module_is_made_for_symbols_of_its_sizes(environment: Any) -> None:
    def layers(width: Any) -> Iterator[nn.Module]:
        yield nn.Linear(width, 2 * width)
        yield nn.Conv2d(width, width, 3)
        yield nn.BatchNorm2d(width)
        yield nn.Embedding(width, width)
        yield nn.GRUCell(width, width)

    with symbolic._fakes(environment), symbolic._rules(environment, ValueRanges()):
        for layer in layers(symbol(environment, 6)):
            assert any(isinstance(n, torch.SymInt) for p in layer.parameters() for n in p.shape)
