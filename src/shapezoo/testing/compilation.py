"""Assertions that a module can be compiled and exported, with its contract."""

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ShapesCollection

from shapezoo._containers import leaves_of
from shapezoo.contracts import Axis, ContractError, unchecked
from shapezoo.contracts.language.axes import computed
from shapezoo.testing.assertions import (
    Calls,
    assert_same,
    calls_of,
    copy_of,
    failing,
    for_all,
    outcome,
    require_checks,
    require_module,
    smallest,
)
from shapezoo.testing.calls import Call
from shapezoo.testing.enforcement import assert_all_refused
from shapezoo.testing.finding import Place
from shapezoo.testing.fixed_seed import seed
from shapezoo.testing.inputs import inputs
from shapezoo.testing.violations import violations

MOST_GRAPHS = 64
"""How many graphs Dynamo may make of one module: sizes of 1 have some of their own."""

ONES = """
a program is for sizes at which no size inside is 1, where the model asks for that; leave the others
out, as with inputs(..., height=range(33, 65))"""
"""What to do about a guard that fails."""


def assert_compiles(
    module: nn.Module,
    calls: Calls | None = None,
    *,
    backend: str = "eager",
    fullgraph: bool = True,
    max_examples: int = 5,
) -> None:
    """Assert that a compiled module gives the same results, and refuses the same calls.

    It is compiled once, with dynamic shapes, and called at several sizes, without gradients.
    Dynamo's caches are emptied before and after.

    Args:
        module: A module, in the mode that it is in. It is copied before.
        calls: The calls that are tried, as `inputs` gives them; without it all that it gives.
        backend: Makes code of the graph, as in `torch.compile`. ``"eager"`` runs the graph as it
            is; ``"inductor"`` needs a compiler of C++.
        fullgraph: Whether the module must be one graph, without breaks.
        max_examples: How many calls are tried.

    Raises:
        AssertionError: It cannot be compiled, gives something else, or accepts what it should not.
        ContractError: There is no contract, or no arguments can be made for it.
        TypeError: This is no module, or one that cannot be copied.
        RuntimeError: Checks are switched off.

    Example:
        ```pycon
        >>> from shapezoo.models import mlp
        >>> from shapezoo.testing import assert_compiles
        >>> def test_mlp_compiles() -> None:
        ...     assert_compiles(mlp())
        >>> test_mlp_compiles()

        ```
    """
    __tracebackhide__ = True
    require_checks()
    compiled = torch.compile(copy_of(module), backend=backend, fullgraph=fullgraph, dynamic=True)

    def check(call: Call) -> None:
        _assert_as_before(call, compiled, "compiled")

    calls = calls_of(module, calls)
    torch.compiler.reset()
    try:
        with torch._dynamo.config.patch(recompile_limit=MOST_GRAPHS):
            for_all(calls, check, max_examples)
            refused = calls.map(lambda call: replace(call, function=compiled))
            assert_all_refused(violations(module, refused), max_examples)
    finally:
        torch.compiler.reset()


def assert_exports(
    module: nn.Module,
    calls: Calls | None = None,
    *,
    static: Sequence[str] = (),
    strict: bool = False,
    max_examples: int = 5,
) -> None:
    """Assert that one exported program serves all sizes, and gives the same results.

    It is exported with `torch.export.export`, every open axis dynamic, for one way of calling it:
    the simplest of the calls. It is exported a second time with a named ``Dim`` for each axis
    name, whose guards PyTorch must be able to decide: this may fail only if it fails without the
    contract too.

    Args:
        module: A module, in the mode that it is in. It is copied before.
        calls: The calls that are tried, as `inputs` gives them; without it all that it gives.
        static: Axes whose size the program fixes, as a loop over time does. The calls are then
            of one size of these.
        strict: Whether Dynamo traces it, as in `torch.export.export`.
        max_examples: How many calls are tried.

    Raises:
        AssertionError: It cannot be exported, or the program gives something else.
        ContractError: There is no contract or no such axis, or no arguments can be made.
        TypeError: This is no module, or one that cannot be copied.

    Example:
        ```pycon
        >>> from shapezoo.models import gru, lenet
        >>> from shapezoo.testing import assert_exports
        >>> def test_models_can_be_exported() -> None:
        ...     assert_exports(lenet())
        ...     assert_exports(gru(), static=["seq"])
        >>> test_models_can_be_exported()

        ```
    """
    __tracebackhide__ = True
    require_module(module)
    known = calls_of(module, calls)
    example = smallest(known, lambda call: _is_telling(call, static)) or smallest(known)
    assert example is not None
    for axis in static:
        if axis not in example.sizes:
            raise ContractError(
                f"{example.contract.name} has no axis {axis!r} whose size is open; it has "
                f"{', '.join(example.sizes) or 'none'}"
            )
    if calls is None:
        fixed: dict[str, Any] = {axis: example.sizes[axis] for axis in static}
        known = calls_of(module, inputs(module, **fixed))
    with failing(f"{example!r} cannot be exported"):
        program = _exported(module, example, _dynamic(example, static), strict=strict).module()
    _assert_named_dims(module, example, static, strict=strict)
    way = _way(example, static)

    def check(call: Call) -> None:
        _assert_as_before(call, program, "exported")

    same = known.filter(lambda call: _way(call, static) == way)
    for_all(same, check, max_examples)


def _way(call: Call, static: Sequence[str]) -> list[Any]:
    """What one program is made for: these tensors, other arguments, and sizes of static axes."""
    tensors = [(p.path, p.tensor.dim(), p.tensor.dtype, _broadcast(p)) for p in call.places]
    others = {k: v for k, v in call.arguments.items() if isinstance(v, bool | int | float | str)}
    return [tensors, others, [call.sizes.get(axis) for axis in static]]


def _broadcast(place: Place) -> list[int]:
    """Which axes are 1 where they may have another size too."""
    return [position for position, axis, size in place.aligned if axis.broadcast and size == 1]


def _is_telling(call: Call, static: Iterable[str]) -> bool:
    """Whether all open sizes of a call are different, and none is 1, which torch fixes."""
    sizes = [size for axis, size in call.sizes.items() if axis not in static]
    return 1 not in call.sizes.values() and len({*sizes}) == len(sizes)


def _exported(module: nn.Module, call: Call, shapes: ShapesCollection, *, strict: bool) -> Any:
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of its own recurrent layers
        return torch.export.export(
            copy_of(module), call.args, call.kwargs, dynamic_shapes=shapes, strict=strict
        )


def _assert_named_dims(
    module: nn.Module, call: Call, static: Sequence[str], *, strict: bool
) -> None:
    """Assert that a contract adds no guard that PyTorch refuses for axes with a named ``Dim``.

    Raises:
        AssertionError: The module can be exported with named ones, but for its contract.
    """
    try:
        shapes = _named(call, static)
    except ContractError:  # the size of an argument is an expression such as height//2
        return
    try:
        _exported(module, call, shapes, strict=strict)
    except Exception as error:
        try:
            with unchecked():
                _exported(module, call, shapes, strict=strict)
        except Exception:
            return  # PyTorch cannot do it for this module
        raise AssertionError(
            f"{call!r} can be exported with named Dims only without its contract\n"
            f"{type(error).__name__}: {error}"
        ) from error


def _dynamic(call: Call, static: Sequence[str]) -> ShapesCollection:
    """Every open axis of the arguments as a dynamic one."""
    return _shapes(call, static, lambda axis, place, position: Dim.DYNAMIC)


def _named(call: Call, static: Sequence[str]) -> ShapesCollection:
    """Every open axis of the arguments as a ``Dim`` of its name, from the size in the call on.

    Raises:
        ContractError: An axis is an expression that a ``Dim`` cannot be.
    """
    dims: dict[str, Any] = {}

    def dim(axis: Axis, place: Place, position: int) -> Any:
        if axis.expression:
            return computed(axis.expression, dims)
        name = axis.name or f"axis_{len(dims)}"
        if axis.variadic:
            name += f"_{position}"
        return dims.setdefault(name, Dim(name, min=place.tensor.shape[position]))

    return _shapes(call, static, dim)


def _shapes(
    call: Call, static: Sequence[str], dim: Callable[[Axis, Place, int], Any]
) -> ShapesCollection:
    """How the axes of the arguments are exported.

    Args:
        call: The arguments.
        static: Axes whose size is fixed.
        dim: Gives what stands for an open axis, of the axis, the tensor and the position in it.
    """
    shapes = ShapesCollection()  # type: ignore[no-untyped-call]  # torch has no types for it
    for place in call.places:
        dims: list[Any] = []
        for _, axis, size in place.aligned:
            names = {axis.name, *axis.needs} - {None}
            is_open = axis.fixed is None and not (names and names <= {*static})
            for _ in range(len(size) if isinstance(size, tuple) else 1):
                dims.append(dim(axis, place, len(dims)) if is_open else Dim.STATIC)
        shapes[place.tensor] = dims
    return shapes


def _assert_as_before(call: Call, other: Any, how: str) -> None:
    """Hold what a module gives against what is made of it, with the same random numbers."""
    with torch.no_grad():
        ours = outcome(call)
        seed()
        try:
            theirs = replace(call, function=other)()
        except Exception as error:
            hint = ONES if "Guard failed" in str(error) else ""
            raise AssertionError(
                f"{call!r} fails when it is {how}\n{type(error).__name__}: {error}{hint}"
            ) from error
    message = f"{call!r} gives something else when it is {how}"
    assert_same(_comparable(ours), _comparable(theirs), message)


def _comparable(result: Any) -> dict[str, Any]:
    """The tensors and numbers in a result, by their places."""
    leaves = leaves_of(result, "return")
    return {path: leaf for path, leaf in leaves if isinstance(leaf, Tensor | bool | int | float)}
