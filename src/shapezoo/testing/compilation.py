"""Assertions that a module with a contract can be compiled and exported."""

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ShapesCollection

from shapezoo._containers import leaves_of
from shapezoo.contracts import Axis, ContractError, unchecked
from shapezoo.contracts.language.axes import computed
from shapezoo.testing.calls import Call
from shapezoo.testing.enforcement import assert_all_refused
from shapezoo.testing.fixed_seed import seed
from shapezoo.testing.harness import (
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
from shapezoo.testing.inputs import inputs, require_open_axes
from shapezoo.testing.places import Place
from shapezoo.testing.violations import violations

MOST_GRAPHS = 64
"""How many graphs Dynamo may make of one module, as it makes another one for sizes of 1."""

GUARD_HINT = """
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
    """Assert that a compiled module returns the same results, and refuses the same calls.

    It is compiled once, with dynamic shapes, and called at several sizes, without gradients.
    Dynamo's caches are emptied before and after.

    Args:
        module: A module, which is copied and keeps its mode.
        calls: The calls to try, as returned by `inputs`; by default ``inputs(module)``.
        backend: The backend of `torch.compile`. ``"eager"`` runs the graph as it is;
            ``"inductor"`` needs a C++ compiler.
        fullgraph: Whether the module must be one graph, without breaks.
        max_examples: How many calls to try.

    Raises:
        AssertionError: The module cannot be compiled, or the compiled module returns different
            results, or accepts calls that it should refuse.
        ContractError: There is no contract, or no arguments can be made for it.
        TypeError: This is not a module, or it cannot be copied.
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
    check = partial(_assert_same_result, converted=compiled, how="compiled")
    calls = calls_of(module, calls)
    torch.compiler.reset()
    try:
        # The documented setting for this limit; it has no name outside of `torch._dynamo`.
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
    """Assert that one exported program serves all sizes, and returns the same results.

    The module is exported with `torch.export.export`, every open axis dynamic, for one way to call
    it: that of the simplest call. It is exported a second time with a named ``Dim`` for each axis
    name, whose guards PyTorch must be able to decide. This may fail only if it fails without the
    contract too.

    Args:
        module: A module, which is copied and keeps its mode.
        calls: The calls to try, as returned by `inputs`; by default ``inputs(module)``.
        static: Axes whose size is fixed in the program, such as that of a loop over time. The
            calls then have one size of these axes.
        strict: Whether Dynamo traces the module, as in `torch.export.export`.
        max_examples: How many calls to try.

    Raises:
        AssertionError: The module cannot be exported, or the program returns different results.
        ContractError: There is no contract or no such axis, or no arguments can be made.
        TypeError: This is not a module, or it cannot be copied.

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
    cases = calls_of(module, calls)
    example = smallest(cases, lambda call: _is_general(call, static)) or smallest(cases)
    assert example is not None
    require_open_axes(example.contract, example.sizes, static)
    if calls is None:
        fixed: dict[str, Any] = {axis: example.sizes[axis] for axis in static}
        cases = calls_of(module, inputs(module, **fixed))
    dynamic = _shapes(example, static, lambda axis, place, position: Dim.DYNAMIC)
    with failing(f"{example!r} cannot be exported"):
        program = _exported(module, example, dynamic, strict=strict).module()
    _assert_named_dims(module, example, static, strict=strict)
    form = _form(example, static)
    check = partial(_assert_same_result, converted=program, how="exported")
    for_all(cases.filter(lambda call: _form(call, static) == form), check, max_examples)


def _form(call: Call, static: Sequence[str]) -> list[Any]:
    """Return what a program is made for: tensors, other arguments, and sizes of static axes."""
    tensors = [(p.path, p.tensor.dim(), p.tensor.dtype, _broadcast(p)) for p in call.places]
    others = {k: v for k, v in call.arguments.items() if isinstance(v, bool | int | float | str)}
    return [tensors, others, [call.sizes.get(axis) for axis in static]]


def _broadcast(place: Place) -> list[int]:
    """Return the axes of size 1 that may have another size too."""
    return [position for position, axis, size in place.aligned if axis.broadcast and size == 1]


def _is_general(call: Call, static: Iterable[str]) -> bool:
    """Whether all open sizes of a call are different, and none is 1, which torch would fix."""
    sizes = [size for axis, size in call.sizes.items() if axis not in static]
    return 1 not in call.sizes.values() and len({*sizes}) == len(sizes)


def _exported(module: nn.Module, call: Call, shapes: ShapesCollection, *, strict: bool) -> Any:
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns about its own recurrent layers
        return torch.export.export(
            copy_of(module), call.args, call.kwargs, dynamic_shapes=shapes, strict=strict
        )


def _assert_named_dims(
    module: nn.Module, call: Call, static: Sequence[str], *, strict: bool
) -> None:
    """Assert that a contract adds no guard that PyTorch refuses for axes with a named ``Dim``.

    Raises:
        AssertionError: The module can be exported with named axes only without its contract.
    """
    try:
        shapes = _shapes(call, static, _named_dims())
    except ContractError:  # a `Dim` cannot be an expression such as height//2
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


def _named_dims() -> Callable[[Axis, Place, int], Any]:
    """Return a function that makes a ``Dim`` for each axis name, from the size in the call on."""
    dims: dict[str, Any] = {}

    def dim(axis: Axis, place: Place, position: int) -> Any:
        if axis.expression:
            return computed(axis.expression, dims)
        name = axis.name or f"axis_{len(dims)}"
        if axis.variadic:
            name += f"_{position}"
        return dims.setdefault(name, Dim(name, min=place.tensor.shape[position]))

    return dim


def _shapes(
    call: Call, static: Sequence[str], dim: Callable[[Axis, Place, int], Any]
) -> ShapesCollection:
    """Return how the axes of the arguments are to be exported.

    Args:
        call: The arguments.
        static: Axes whose size is fixed.
        dim: Returns the `Dim` of an open axis, from the axis, the tensor and the position in it.

    Raises:
        ContractError: An axis is an expression that no `Dim` can be.
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


def _assert_same_result(call: Call, converted: Any, how: str) -> None:
    """Compare a module with what was made from it, with the same random numbers."""
    with torch.no_grad():
        expected = outcome(call)
        seed()
        with failing(f"{call!r} fails when it is {how}", GUARD_HINT, cause="Guard failed"):
            actual = replace(call, function=converted)()
    message = f"{call!r} has a different result when it is {how}"
    assert_same(_comparable(expected), _comparable(actual), message)


def _comparable(result: Any) -> dict[str, Any]:
    """Return the tensors and numbers in a result, by their paths."""
    leaves = leaves_of(result, "return")
    return {path: leaf for path, leaf in leaves if isinstance(leaf, Tensor | bool | int | float)}
