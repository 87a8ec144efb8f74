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
from shapezoo.proving.paths.obstacles import Obstacle, obstacle_of, of_sampled_axis
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


CASES: list[tuple[Callable[[Any], Any], str, bool]] = [
    (in_if, BRANCH, False),
    (in_while, BRANCH, False),
    (in_assert, BRANCH, False),
    (in_expression, BRANCH, False),
    (in_bool, BRANCH, False),
    (by_mask, SIZE, False),
    (by_nonzero, SIZE, False),
    (by_unique, SIZE, False),
    (by_item, NUMBER, False),
    (by_list, NUMBER, False),
    (by_range, NUMBER, False),
    (by_one_hot, NUMBER, False),
    (by_equal, "`equal` returns a Python value that depends on the values", False),
    (by_numpy, MEMORY, False),
    (by_pointer, MEMORY, False),
    (by_foo, "shapezoo has no rule for `shapezoo_tests::foo`", True),
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


@pytest.mark.parametrize(("function", "what", "is_ours"), CASES)
@pytest.mark.filterwarnings("ignore:Accessing the data pointer")
@pytest.mark.usefixtures("library")
def test_each_obstacle_is_described(
    function: Callable[[Any], Any], what: str, is_ours: bool
) -> None:
    error = raised(function)
    found = obstacle_of(error)
    assert what in found.what
    assert found.is_ours is is_ours
    path, _, number = users_line(error).rpartition(":")
    assert path == __file__
    assert found.source_line == f"{os.path.basename(path)}:{number}"
    assert found.code == linecache.getline(path, int(number)).strip() != ""
    assert not [word for word in COMPILERS if word in f"{found.what} {found.advice}"], str(found)


def untranslatable(expression: Any) -> UntranslatableError:
    with pytest.raises(UntranslatableError) as caught:
        translate(expression)
    return UntranslatableError(str(caught.value))


h = sympy.Symbol("h", integer=True, positive=True)


@pytest.mark.parametrize(
    ("error", "what", "is_ours"),
    [
        (
            untranslatable(h * sympy.Float(1 / 3)),
            "floating-point numbers, which are rounded",
            False,
        ),
        (untranslatable(sympy.sqrt(h)), "shapezoo has no formula for", True),
        (UndecidedError("the data decide a size"), SIZE, False),
        (
            UndecidedError("the indices of an unpooling decide"),
            "the indices of an unpooling",
            False,
        ),
        (TypeError("f(): argument 'k' must be int, not SymInt"), "takes plain numbers only", True),
        (
            RuntimeError("Could not run 'aten::foo' with arguments from"),
            "rule for `aten::foo`",
            True,
        ),
        (RuntimeError("Cannot call numel() on tensor with symbolic sizes"), MEMORY, False),
        (RuntimeError("Tensor.item() cannot be called on meta tensors"), MEMORY, False),
        (RuntimeError("Cannot call sizes() on tensor with symbolic sizes"), "plain numbers", True),
        (ValueError("something else\nand more"), "cannot follow this: something else", True),
        (ValueError(), "cannot follow this: ValueError", True),
    ],
    ids=str,
)
def test_errors_without_a_line(error: Exception, what: str, is_ours: bool) -> None:
    found = obstacle_of(error)
    assert what in found.what
    assert found.is_ours is is_ours
    assert found.source_line == found.code == ""
    assert str(found) == f"{found.what}; {found.advice}"


def test_what_an_error_was_raised_from() -> None:
    inner = UndecidedError("the data decide a size")
    outer = RuntimeError("the model's own words")
    outer.__cause__ = inner
    assert SIZE in obstacle_of(outer).what
    assert SIZE not in obstacle_of(RuntimeError("the model's own words")).what


def test_a_line_that_is_given(tmp_path: Path) -> None:
    path = tmp_path / "nets.py"
    path.write_text("import torch\nwhile x.max() > 1:\n    x = x / 2\n")
    found = obstacle_of(raised(by_item), f"{path}:2")
    assert found == Obstacle("nets.py:2", "while x.max() > 1:", BRANCH, False, found.advice)
    assert str(found).startswith(f"nets.py:2, `while x.max() > 1:`: {BRANCH}; ")
    elsewhere = obstacle_of(raised(by_item), "a constructor that takes no symbols")
    assert str(elsewhere).startswith("a constructor that takes no symbols: ")


def test_an_axis_that_is_sampled(tmp_path: Path) -> None:
    path = tmp_path / "nets.py"
    path.write_text("for x in xs:\n    pass\n")
    text = str(of_sampled_axis("seq", f"{path}:1"))
    assert text.startswith("nets.py:1, `for x in xs:`: seq was tried at some sizes only")
    assert str(of_sampled_axis("seq", "")).startswith("seq was tried at some sizes only")
