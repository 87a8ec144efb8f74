"""jaxtyping's `PyTree` in contracts.

It needs `jax.tree_util`, which is not installed; a stand-in flattens trees as PyTorch does.
"""

import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import jaxtyping
import pytest
import torch
from jaxtyping import Float
from tests.contracts.jaxtyping_outcomes import Library, both_libraries, outcome
from torch import Tensor
from torch.utils import _pytree

from shapezoo import ContractError, ShapeError, checked, signature


@pytest.fixture
def tree() -> Iterator[Any]:
    """`PyTree`."""
    stub = types.ModuleType("jax.tree_util")
    for name in ("tree_flatten", "tree_leaves", "tree_map", "tree_structure"):
        setattr(stub, name, getattr(_pytree, name))
    stub.tree_unflatten = lambda structure, leaves: _pytree.tree_unflatten(leaves, structure)  # type: ignore[attr-defined]
    jax = types.ModuleType("jax")
    jax.tree_util = stub  # type: ignore[attr-defined]
    find: Any = jaxtyping.__getattr__  # remembers what it has found
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "jax", jax)
        patch.setitem(sys.modules, "jax.tree_util", stub)
        yield jaxtyping.PyTree
    del sys.modules["jaxtyping._pytree_type"], jaxtyping._pytree_type  # type: ignore[attr-defined]
    find.cache_clear()


def taking(*annotations: Any, result: Any = None) -> Callable[..., Any]:
    """A function of as many arguments; with an annotation of the result, it returns the last."""

    def take(*arguments: Any) -> Any:
        return None if result is None else arguments[-1]

    names = [f"x{k}" for k in range(len(annotations))]
    namespace = {"take": take}
    exec(f"def function({', '.join(names)}): return take({', '.join(names)})", namespace)
    function = namespace["function"]
    function.__annotations__ = {**dict(zip(names, annotations, strict=True)), "return": result}
    return function


def f(*shape: int) -> Tensor:
    return torch.zeros(shape)


Calls = list[tuple[tuple[Any, ...], bool]]


def assert_outcomes(library: Library, function: Any, calls: Calls) -> None:
    for arguments, is_accepted in calls * 2:  # the second time from memory
        expected = "accepted" if is_accepted else "refused"
        assert outcome(library, function, arguments) == expected, arguments


@both_libraries
def test_every_leaf_is_checked(library: Library, tree: Any) -> None:
    calls: Calls = [((1,), True), (([1, {"a": (2, 3)}],), True), (([1, {"a": "b"}],), False)]
    assert_outcomes(library, taking(tree[int]), calls)
    assert_outcomes(library, taking(tree[int | str]), [(([1, "a"],), True), (([1.5],), False)])
    assert_outcomes(library, taking(tree[tuple[int, int]]), [(([(1, 2)],), True), ((1,), False)])
    assert_outcomes(library, taking(tree), [((object(),), True)])


@both_libraries
def test_leaves_share_the_axes_of_the_call(library: Library, tree: Any) -> None:
    leaves = tree[Float[Tensor, "n"]]
    calls: Calls = [
        (([f(3), {"a": f(3)}], f(3)), True),
        (([f(3), {"a": f(4)}], f(3)), False),
        (([f(3), {"a": f(3)}], f(4)), False),
        (([f(3), {"a": 3}], f(3)), False),
    ]
    assert_outcomes(library, taking(leaves, Float[Tensor, "n"]), calls)
    turned: Calls = [((y, x), is_accepted) for (x, y), is_accepted in calls]
    assert_outcomes(library, taking(Float[Tensor, "n"], leaves), turned)
    assert_outcomes(library, taking(Float[Tensor, "n"], Any, result=leaves), turned)


@both_libraries
def test_a_structure_has_a_name(library: Library, tree: Any) -> None:
    same = tree[int, "T"]
    calls: Calls = [
        (([1, (2, 3)], [4, (5, 6)]), True),
        (([1, (2, 3)], [4, [5, 6]]), False),
        (([1, (2, 3)], [4, 5]), False),
    ]
    assert_outcomes(library, taking(same, same), calls)
    assert_outcomes(library, taking(same, Any, result=same), calls)
    assert_outcomes(library, taking(same, tree[int, "S"]), [((1, [2]), True)])


@both_libraries
def test_structures_are_composed_of_others(library: Library, tree: Any) -> None:
    key, pair = tree[int, "S"], tree[int, "T"]
    calls: Calls = [
        (({"k": 1}, (2, 3), {"k": (4, 5)}), True),
        (({"k": 1}, (2, 3), ({"k": 4}, {"k": 5})), False),
    ]
    assert_outcomes(library, taking(key, pair, tree[int, "S T"]), calls)
    assert_outcomes(library, taking(key, pair, Any, result=tree[int, "S T"]), calls)
    below: Calls = [(((1, 2), [(3, 4), (5, 6)]), True), (((1, 2), [3, 4]), False)]
    assert_outcomes(library, taking(pair, tree[int, "... T"]), below)
    above: Calls = [(((1, 2), ([3], 4)), True), (((1, 2), [3, 4]), False)]
    assert_outcomes(library, taking(pair, tree[int, "T ..."]), above)


@both_libraries
def test_a_structure_of_unknown_ones_cannot_be_computed(library: Library, tree: Any) -> None:
    function = taking(tree[int, "S T"])
    assert outcome(library, function, ([1],)) == "cannot be computed"


def test_a_structure_of_unknown_ones_is_a_contract_error_that_says_which(tree: Any) -> None:
    with pytest.raises(ContractError, match=r"function: .*structure name S has not been seen"):
        checked(taking(tree[int, "S T"]))([1])


@both_libraries
def test_a_leaf_may_have_an_axis_of_its_own(library: Library, tree: Any) -> None:
    leaves = tree[Float[Tensor, "?n"], "T"]
    calls: Calls = [
        (([f(2), f(3)], [f(2), f(3)]), True),
        (([f(2), f(3)], [f(2), f(4)]), False),
    ]
    assert_outcomes(library, taking(leaves, leaves), calls)


@both_libraries
def test_an_option_that_fails_binds_no_structure(library: Library, tree: Any) -> None:
    function = taking(tree[int, "T"] | tree[str, "T"], tree[int, "T"])
    assert_outcomes(library, function, [((["a"], [1]), True), ((["a"], (1,)), False)])


@both_libraries
def test_isinstance_in_a_body_knows_the_structures_of_the_call(library: Library, tree: Any) -> None:
    def ask(x: Any, y: Any) -> bool:
        return isinstance(y, tree[int, "T"])

    ask.__annotations__["x"] = tree[int, "T"]
    asked = library(ask)
    assert asked([1, 2], [3, 4])
    assert not asked([1, 2], (3, 4))
    assert not asked([1, 2], [3, "4"])


def test_trees_are_checked_in_a_graph(tree: Any) -> None:
    same = tree[Tensor, "T"]
    twice = checked(taking(same, same))
    compiled = torch.compile(lambda x, y: twice(x, y), backend="eager", fullgraph=True)
    compiled([f(1)], [f(2)])
    with pytest.raises(ShapeError, match=r"argument 'x1'"):
        compiled([f(1)], (f(2),))


def test_what_stands_in_a_tree_is_part_of_the_contract(tree: Any) -> None:
    leaves = tree[Float[Tensor, "n"], "T"]
    function = checked(taking(leaves, Float[Tensor, "2*n"], result=Float[Tensor, "2*n"]))
    assert function([f(3), f(3)], f(6)).shape == (6,)
    with pytest.raises(ShapeError):
        function([f(3), f(3)], f(7))
    contract = signature(taking(leaves, Any, result=Float[Tensor, "n"]))
    assert str(contract.inputs[0].type) == "PyTree[Float[Tensor, \"n\"], 'T']"
    assert contract.axes == ("n",)
    with pytest.raises(ShapeError, match="no argument of this call has"):
        checked(taking(leaves, Any, result=Float[Tensor, "n"]))([], f(3))


def test_what_nothing_can_bind_in_a_tree_is_refused(tree: Any) -> None:
    with pytest.raises(ContractError, match="no argument defines an axis 'm'"):
        checked(taking(Float[Tensor, "n"], Any, result=tree[Float[Tensor, "m"]]))
    with pytest.raises(ContractError, match="no argument defines the tree structure 'T'"):
        checked(taking(Any, result=tree[int, "T"]))
    with pytest.raises(ContractError, match="has braces"):
        checked(taking(tree[Float[Tensor, "{x1}"]], int))
