"""Sizes that are always equal are found to be equal, and a contract on them adds no guard."""

import itertools
import re
from collections.abc import Iterator
from typing import Any

import pytest
import sympy
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import Float
from torch import Tensor, nn
from torch._dynamo.exc import UserError
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.export import Dim, ExportedProgram, export
from torch.fx.experimental.symbolic_shapes import ShapeEnv
from torch.utils._sympy.functions import FloorDiv

from shapezoo import ShapeError, checked, unchecked
from shapezoo.contracts.matching.identities import _is_zero, is_always_equal


def decided(one: str, other: str) -> bool:
    """Whether two expressions are found to be equal for all ``h`` and ``w``.

    Their sizes are such that to guard on one fails.
    """
    environment = ShapeEnv()
    names: Any = {name: environment.create_unbacked_symint() for name in ("h", "w")}
    values = [eval(text, {"max": torch.sym_max}, names) for text in (one, other)]
    return is_always_equal(*values)


def are_equal_at(one: str, other: str, sizes: range) -> bool:
    is_equal = eval(f"lambda h, w: ({one}) == ({other})")
    return all(is_equal(h, w) for h, w in itertools.product(sizes, sizes))


SIZES = st.recursive(
    st.sampled_from(["h", "w", "1", "(-7)"]),
    lambda size: st.one_of(
        st.builds("({}{}{})".format, size, st.sampled_from("+-*"), size),
        st.builds("({}{}{})".format, size, st.sampled_from(["//", "%"]), st.integers(1, 3)),
        st.builds("(({})**2)".format, size),
    ),
    max_leaves=4,
)
"""Expressions of the kinds that are decided, for both signs of ``h`` and ``w``."""

PAIRS = [
    ("{size}", "{size}//{n}*{n}+{size}%{n}"),
    ("({size}+{n}-1)//{n}", "-(-{size}//{n})"),
    ("({size}+{n}*h)//{n}", "h+{size}//{n}"),
    ("{size}*(h+{n})//{n}", "({size}*h)//{n}+{size}"),
    ("{size}//{n}//2", "{size}//(2*{n})"),
]


@settings(max_examples=150, deadline=None)
@given(SIZES, st.sampled_from(PAIRS), st.integers(1, 3), st.sampled_from(["+0", "+1", "-1", "+h"]))
def test_the_decision_is_that_of_many_sizes(
    size: str, pair: tuple[str, str], n: int, fault: str
) -> None:
    one, other = (side.format(size=size, n=n) for side in pair)
    assert decided(one, other)
    wrong = other.replace(size, f"({size}{fault})", 1)
    for text in (other + fault, wrong):
        assert decided(one, text) == are_equal_at(one, text, range(-30, 40))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("(h+3)//4", "(h-1)//4+1"),
        ("(h+31)//32", "((((h-1)//2+1-1)//2+1-1)//2+1-1)//4+1"),
        ("((h-7)//8-3)//4", "(h-31)//32"),
        ("(h+h%2)//2", "(h+1)//2"),
        ("h+(-h)%7", "(h+6)//7*7"),
        ("h//2*2*(w//2)", "h//2*(w-w%2)"),
        ("h*(h+1)//2", "h*(h-1)//2+h"),
        ("(h+w)**2-(h-w)**2", "4*h*w"),
        ("(h*w)%2", "(h%2)*(w%2)"),
        ("-(-h//4)", "(h+3)//4"),
        ("h//w+1", "1+h//w"),
        ("5", "5"),
    ],
)
def test_sizes_that_are_always_equal(one: str, other: str) -> None:
    assert are_equal_at(one.replace("//w", "//7"), other.replace("//w", "//7"), range(-70, 70))
    assert decided(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("(h+3)//4", "(h+2)//4"),
        ("h//4", "h//4+h//256"),  # equal at the first 256 sizes
        ("h", "w"),
        ("h**2", "h**3"),
        ("(h-1)*(h-2)*(h-3)", "0"),
        ("4", "5"),
        ("h", "4"),
    ],
)
def test_sizes_that_are_not(one: str, other: str) -> None:
    assert not are_equal_at(one, other, range(300))
    assert not decided(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("max(h, 0)+1", "max(h+1, 1)"),
        ("(h+w)//w", "h//w+1"),
        ("h/2*2", "h"),
        ("h//1000*(w//1000)*1000", "h//1000*(w-w%1000)"),
        ("2.0", "2"),
    ],
    ids=["another function", "division by a symbol", "not whole", "too many points", "a float"],
)
def test_what_is_not_decided_is_left_to_a_guard(one: str, other: str) -> None:
    assert not decided(one, other)


def test_fractions_are_not_decided() -> None:
    """PyTorch writes ``h`` as half of another size where it knows that this is even."""
    height = sympy.Symbol("h", integer=True)
    assert _is_zero(height - height)
    assert not _is_zero(height / 2 + FloorDiv(-height, 2))
    assert not _is_zero(FloorDiv(height, 2) - FloorDiv(height, 2) ** -1)
    assert not _is_zero(sympy.Max(height, 3) - 3)
    real = sympy.Symbol("r", real=True)
    assert not _is_zero(FloorDiv(real, 1) - real)  # zero for all whole numbers


class Written(nn.Module):
    """Layers with a contract as a user writes it: the result of the one, and the other's."""

    def __init__(self, shape: str, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

        def run(images: Tensor) -> Tensor:
            result: Tensor = self.layers(images)
            return result

        images = Float[Tensor, "batch 1 height width"]
        run.__annotations__ = {"images": images, "return": Float[Tensor, shape]}
        self.run = checked(run)

    def forward(self, images: Tensor) -> Tensor:
        return self.run(images)


def conv(kernel_size: int, **options: int) -> nn.Conv2d:
    return nn.Conv2d(1, 1, kernel_size, **options)  # type: ignore[arg-type]  # all are counts


DIMS = {0: Dim("batch", min=2, max=64), 2: Dim("height", min=32, max=512), 3: Dim("width", min=32)}
IMAGES = torch.zeros(3, 1, 65, 70)


def exported(module: nn.Module, *, strict: bool) -> ExportedProgram:
    return export(module, (IMAGES,), dynamic_shapes=(DIMS,), strict=strict)


HALF = conv(3, stride=2, padding=1)
QUARTER = nn.Sequential(conv(7, stride=2, padding=3), nn.MaxPool2d(3, stride=2, padding=1))


@pytest.mark.parametrize("strict", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("shape", "layers"),
    [
        ("batch 1 (height+1)//2 (width+1)//2", [HALF]),
        ("batch 1 height-height//2 width-width//2", [HALF]),
        ("batch 1 (height+height%2)//2 (width+width%2)//2", [HALF]),
        ("batch 1 -(-height//2) -(-width//2)", [HALF]),
        ("batch 1 h=(height-1)//2+1 w=(width-1)//2+1", [HALF]),
        ("batch 1 (height+3)//4 (width+3)//4", [QUARTER]),
        ("batch 1 ((height+1)//2+1)//2 ((width+1)//2+1)//2", [HALF, HALF]),
        ("batch 1 (height+15)//16 (width+15)//16", [QUARTER, HALF, HALF]),
        ("batch 1 (height-3)//4 (width-3)//4", [conv(3, stride=2), conv(3, stride=2)]),
        ("batch 1 height//2*2 width-width%2", [nn.MaxPool2d(2), nn.Upsample(scale_factor=2)]),
        ("batch 1 2*height+1 2*width+1", [nn.ConvTranspose2d(1, 1, 3, stride=2)]),
        ("batch ((height+1)//2)*((width+1)//2)", [HALF, nn.Flatten()]),
        ("batch 1 ((height+1)//2)*(width-width//2)", [HALF, nn.Flatten(2)]),
        ("#batch 1 #(height+1)//2 _", [HALF]),
        ("batch ... (width+1)//2", [HALF]),
    ],
    ids=lambda value: value if isinstance(value, str) else len(value),
)
def test_a_contract_that_holds_adds_no_guard(
    shape: str, layers: list[nn.Module], strict: bool
) -> None:
    module = Written(shape, *layers)
    program = exported(module, strict=strict)
    with unchecked():
        plain = exported(module, strict=strict)
    assert graph_of(program) == graph_of(plain)
    assert ranges_of(program) == ranges_of(plain)
    run = program.module()
    for height, width in ((32, 35), (33, 34), (67, 129)):
        images = torch.rand(2, 1, height, width)
        torch.testing.assert_close(run(images), module(images))


def graph_of(program: ExportedProgram) -> list[str]:
    return [str(node.target) for node in program.graph.nodes]


def ranges_of(program: ExportedProgram) -> list[str]:
    return list(map(str, program.range_constraints.values()))


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    ("shape", "layers"),
    [
        ("batch 1 height//2 width//2", [HALF]),
        ("batch 1 (height+7)//4 _", [QUARTER]),
        ("batch 1 (height+1)//2 (height+1)//2", [HALF]),
        ("batch 2 (height+1)//2 (width+1)//2", [HALF]),
        ("batch (height+1)//2 (width+1)//2", [HALF]),
    ],
    ids=lambda value: value if isinstance(value, str) else len(value),
)
def test_a_wrong_contract_is_refused_as_in_eager_mode(
    shape: str, layers: list[nn.Module], strict: bool
) -> None:
    module = Written(shape, *layers)
    with pytest.raises(ShapeError) as expected:
        module(IMAGES)
    with pytest.raises(ShapeError, match=f"^{re.escape(str(expected.value))}"):
        exported(module, strict=strict)


def test_a_contract_that_holds_for_some_sizes_is_a_guard() -> None:
    module = Written("batch 1 (height+4)//4 _", QUARTER)
    assert len(module(IMAGES)) == len(IMAGES)
    with pytest.raises(UserError, match="Constraints violated"):
        exported(module, strict=False)


def annotated(function: Any, **annotations: str) -> Any:
    """A function checked with these shapes."""
    result = annotations.pop("result")
    shapes = {name: Float[Tensor, shape] for name, shape in annotations.items()}
    function.__annotations__ = shapes | {"return": Float[Tensor, result]}
    return checked(function)


@pytest.fixture
def sizes() -> Iterator[tuple[ShapeEnv, Any, Any]]:
    """Two sizes that are always equal, in tensors of a graph to come."""
    environment = ShapeEnv()
    with FakeTensorMode(shape_env=environment) as mode:
        images = mode.from_tensor(torch.zeros(65, 70), static_shapes=False)
        height = images.shape[0]
        yield environment, (height + 3) // 4, (height - 1) // 4 + 1


@pytest.mark.parametrize("axes", ["*sizes", "*#sizes", "size _", "#size 3", "... size-1+1 3"])
def test_sizes_that_other_arguments_bind_add_none_either(axes: str, sizes: Any) -> None:
    environment, one, other = sizes
    pair = annotated(lambda x, y, z: z, x="size", y=axes, z=f"1 {axes}", result=f"1 {axes}")
    tensors = [torch.empty(one), torch.empty(one, 3), torch.empty(1, other, 3)]
    before = len(environment.guards)
    assert pair(*tensors).shape[0] == 1
    assert len(environment.guards) == before


def test_shapes_of_variadic_axes_may_differ_in_length(sizes: Any) -> None:
    _, one, other = sizes
    pair = annotated(lambda x, y: x, x="*sizes", y="*sizes", result="*sizes")
    with pytest.raises(ShapeError):
        pair(torch.empty(one, 3), torch.empty(other))
    with pytest.raises(ShapeError):
        pair(torch.empty(one, 3), torch.empty(other, 4))


def test_what_broadcasts_is_closed_by_what_does_not(sizes: Any) -> None:
    _, one, other = sizes
    add = annotated(lambda x, y, z: z, x="*#sizes", y="*sizes", z="*#sizes", result="...")
    add(torch.empty(1, 3), torch.empty(other, 3), torch.empty(one, 1))
    with pytest.raises(ShapeError):
        add(torch.empty(other, 3), torch.empty(one, 3), torch.empty(2, other, 3))


def test_names_are_bound_to_symbolic_sizes(sizes: Any) -> None:
    _, one, other = sizes
    pair = annotated(lambda x, y: y, x="size rest", y="size 3", result="size rest")
    pair(torch.empty(one, 3), torch.empty(other, 3))
    with pytest.raises(ShapeError, match="rest=4"):
        pair(torch.empty(one, 4), torch.empty(other, 3))


def test_sizes_that_only_data_decide_may_stand_beside_them(sizes: Any) -> None:
    environment, one, other = sizes
    pair = annotated(lambda x, y: x, x="found size", y="found 1 size", result="found size")
    found = torch.ones(4).nonzero().shape[0]
    tensors = torch.empty(found, one), torch.empty(found, 1, other)
    before = len(environment.guards)
    pair(*tensors)
    assert len(environment.guards) == before
    with pytest.raises(ShapeError):
        pair(tensors[0], torch.empty(found, 2, other))
