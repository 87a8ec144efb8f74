"""Obstacles are described in terms that the author of a model knows."""

import linecache
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import sympy
import torch
import torch.nn.functional as nnf
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import ShapeEnv

from shapezoo._frames import users_line
from shapezoo.proving.formulas.solving import UntranslatableError, translate
from shapezoo.proving.paths.obstacles import obstacle_of, of_sampled_axis
from shapezoo.proving.rules.values.value_ranges import UndecidedError

BRANCH = "the values of a tensor decide which branch is taken"
SIZE = "the values of a tensor decide the size of the result of"
NUMBER = "a number is read from the values of a tensor"
MEMORY = "reads the memory of a tensor"


@pytest.fixture(scope="module")
def library() -> Iterator[None]:
    """An operator without a rule for shapes."""
    made: Any = cast(Any, torch.library).Library("shapezoo_tests", "DEF")
    made.define("foo(Tensor x) -> Tensor")
    yield
    made._destroy()


def in_if(x: Any) -> Any:
    if x.sum() > 0:
        return x
    return -x


def in_while(x: Any) -> Any:
    while x.max() > 1:
        x = x / 2
    return x


def in_assert(x: Any) -> Any:
    assert torch.isfinite(x).all()
    return x


def in_expression(x: Any) -> Any:
    return x if x.min() > 0 else -x


def in_bool(x: Any) -> Any:
    return [-x, x][bool((x > 0).all())]


def by_mask(x: Any) -> Any:
    return list(range(x[x > 0].shape[0]))


def by_nonzero(x: Any) -> Any:
    return list(range(len(x.nonzero())))


def by_unique(x: Any) -> Any:
    return list(range(torch.unique(x).shape[0]))


def by_item(x: Any) -> Any:
    return x[: int(x.sum())]


def by_list(x: Any) -> Any:
    return range(int(x.sum().long().tolist()))


def by_range(x: Any) -> Any:
    return [x for _ in range(int(x.long().max()))]


def by_one_hot(x: Any) -> Any:
    return nnf.one_hot(x.long())


def by_equal(x: Any) -> Any:
    return x if torch.equal(x, x.flip(0)) else -x


def by_numpy(x: Any) -> Any:
    return x.numpy()


def by_pointer(x: Any) -> Any:
    return x.data_ptr()


def by_foo(x: Any) -> Any:
    return torch.ops.shapezoo_tests.foo(x)


CASES: list[tuple[Callable[[Any], Any], str]] = [
    (in_if, BRANCH),
    (in_while, BRANCH),
    (in_assert, BRANCH),
    (in_expression, BRANCH),
    (in_bool, BRANCH),
    (by_mask, SIZE),
    (by_nonzero, SIZE),
    (by_unique, SIZE),
    (by_item, NUMBER),
    (by_list, NUMBER),
    (by_range, NUMBER),
    (by_one_hot, NUMBER),
    (by_equal, "`equal` returns a Python value that depends on the values"),
    (by_numpy, MEMORY),
    (by_pointer, MEMORY),
    (by_foo, "shapezoo has no rule for `shapezoo_tests::foo`"),
]
COMPILERS = ["u0", "guard", "data-dependent", "Sym", "FakeTensor", "aten.", "zuf", "unbacked"]


def raised(function: Callable[[Any], Any]) -> Exception:
    """Return the error of a function on a fake tensor with a symbolic size."""
    environment = ShapeEnv(specialize_zero_one=False)
    mode = FakeTensorMode(shape_env=environment, allow_non_fake_inputs=True)
    x = mode.from_tensor(torch.ones(5))
    try:
        with mode:
            function(x)
    except Exception as error:
        return error
    raise AssertionError(f"{function.__name__} raises nothing")


@pytest.mark.parametrize(("function", "what"), CASES)
@pytest.mark.filterwarnings("ignore:Accessing the data pointer")
@pytest.mark.usefixtures("library")
def test_each_obstacle_is_described(function: Callable[[Any], Any], what: str) -> None:
    error = raised(function)
    path, _, number = users_line(error).rpartition(":")
    assert path == __file__
    code = linecache.getline(path, int(number)).strip()
    where, obstacle = f"{os.path.basename(path)}:{number}, `{code}`: ", obstacle_of(error)
    assert obstacle.startswith(where)
    assert what in obstacle
    assert "; " in obstacle
    assert not [word for word in COMPILERS if word in obstacle.removeprefix(where)], obstacle


def untranslatable(expression: Any) -> UntranslatableError:
    with pytest.raises(UntranslatableError) as caught:
        translate(expression)
    return UntranslatableError(str(caught.value))


h = sympy.Symbol("h", integer=True, positive=True)


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (
            untranslatable(h * sympy.Float(1 / 3)),
            "floating-point numbers, which are rounded",
        ),
        (untranslatable(sympy.sqrt(h)), "shapezoo has no formula for"),
        (UndecidedError("the data decide a size"), SIZE),
        (
            UndecidedError("the indices of an unpooling decide"),
            "the indices of an unpooling",
        ),
        (TypeError("f(): argument 'k' must be int, not SymInt"), "takes plain numbers only"),
        (
            RuntimeError("Could not run 'aten::foo' with arguments from"),
            "rule for `aten::foo`",
        ),
        (RuntimeError("Cannot call numel() on tensor with symbolic sizes"), MEMORY),
        (RuntimeError("Tensor.item() cannot be called on meta tensors"), MEMORY),
        (RuntimeError("Cannot call sizes() on tensor with symbolic sizes"), "plain numbers"),
        (ValueError("something else\nand more"), "cannot follow this: something else"),
        (ValueError(), "cannot follow this: ValueError"),
    ],
    ids=str,
)
def test_errors_without_a_line(error: Exception, what: str) -> None:
    obstacle = obstacle_of(error)
    assert what in obstacle.partition("; ")[0]
    assert ".py" not in obstacle


def test_what_an_error_was_raised_from() -> None:
    inner = UndecidedError("the data decide a size")
    outer = RuntimeError("the model's own words")
    outer.__cause__ = inner
    assert SIZE in obstacle_of(outer)
    assert SIZE not in obstacle_of(RuntimeError("the model's own words"))


def test_a_line_that_is_given(tmp_path: Path) -> None:
    path = tmp_path / "nets.py"
    path.write_text("import torch\nwhile x.max() > 1:\n    x = x / 2\n")
    obstacle = obstacle_of(raised(by_item), f"{path}:2")
    assert obstacle.startswith(f"nets.py:2, `while x.max() > 1:`: {BRANCH}; ")
    elsewhere = obstacle_of(raised(by_item), "a constructor that takes no symbols")
    assert elsewhere.startswith("a constructor that takes no symbols: ")


def test_an_axis_that_is_sampled(tmp_path: Path) -> None:
    path = tmp_path / "nets.py"
    path.write_text("for x in xs:\n    pass\n")
    text = of_sampled_axis("seq", f"{path}:1")
    assert text.startswith("nets.py:1, `for x in xs:`: seq was tried at some sizes only")
    assert of_sampled_axis("seq", "").startswith("seq was tried at some sizes only")
