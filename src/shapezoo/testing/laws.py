"""Assertions about what a module computes: its gradients, and what its results depend on."""

from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from shapezoo._containers import leaves_of, tensors_of
from shapezoo._modules import copied, floating_dtype, uncompiled
from shapezoo.contracts import ContractError, signature
from shapezoo.contracts.examples.arguments import LENGTHS, counted_axis
from shapezoo.contracts.language.axis_names import BATCH
from shapezoo.testing.calls import Call
from shapezoo.testing.harness import (
    Calls,
    assert_same,
    calls_of,
    copy_of,
    failing,
    for_all,
    outcome,
    require_module,
    smallest,
)
from shapezoo.testing.inputs import inputs
from shapezoo.testing.places import Place

BATCHES = range(2, 6)

MORE_PADDING = 2
"""How many positions of padding are added."""


def assert_gradients(
    module: nn.Module, calls: Calls | None = None, *, max_examples: int = 10
) -> None:
    """Assert that every parameter gets a gradient, and that all gradients are finite.

    The gradient is that of a random linear function of all results. Each parameter that requires
    a gradient must get one in at least one call.

    Args:
        module: A module, which is copied and keeps its mode.
        calls: The calls to try, as returned by `inputs`; by default ``inputs(module)``.
        max_examples: How many calls to try.

    Raises:
        AssertionError: A parameter gets no gradient, or one that is not finite.
        ContractError: There is no contract, or no arguments can be made for it.
        TypeError: This is not a module, or it cannot be copied.

    Example:
        ```pycon
        >>> from shapezoo.models import lenet
        >>> from shapezoo.testing import assert_gradients
        >>> def test_gradients() -> None:
        ...     assert_gradients(lenet())
        >>> test_gradients()

        ```
    """
    __tracebackhide__ = True
    require_module(module)
    missing = set[str]()

    def check(call: Call) -> None:
        model = call.function
        assert isinstance(model, nn.Module)
        model.zero_grad()
        results = [tensor for tensor in tensors_of(outcome(call)) if tensor.requires_grad]
        with failing(f"{call!r}: gradients cannot be computed"):
            torch.autograd.backward(results, [torch.randn_like(result) for result in results])
        for name, parameter in model.named_parameters():
            if parameter.grad is not None:
                missing.discard(name)
                if not parameter.grad.to_dense().isfinite().all():
                    raise AssertionError(f"{call!r}: the gradient of {name} is not finite")

    with torch.inference_mode(False), torch.enable_grad():
        calls = calls_of(module, calls)
        weights = uncompiled(module).named_parameters()
        missing |= {name for name, parameter in weights if parameter.requires_grad}
        for_all(calls, check, max_examples)
    if missing:
        name = type(uncompiled(module)).__name__
        raise AssertionError(f"{name}: no gradient reaches {', '.join(sorted(missing))}")


def assert_batch_independent(
    module: nn.Module, calls: Calls | None = None, *, max_examples: int = 10
) -> None:
    """Assert that the result of each example does not depend on the rest of the batch.

    Every argument with an axis ``batch`` is cut to one example, and so is every result. Numbers are
    compared as by `torch.testing.assert_close`, in float64 if the module accepts that.

    Args:
        module: A module, which is copied and put into eval mode.
        calls: The calls to try, as returned by `inputs`; by default those with 2 to 5 examples.
        max_examples: How many calls to try.

    Raises:
        AssertionError: A result depends on the rest of the batch.
        ContractError: No argument or no result has exactly one axis ``batch``, or no arguments can
            be made.
        TypeError: This is not a module, or it cannot be copied.

    Example:
        ```pycon
        >>> from shapezoo.models import lenet
        >>> from shapezoo.testing import assert_batch_independent
        >>> def test_examples_do_not_see_one_another() -> None:
        ...     assert_batch_independent(lenet())
        >>> test_examples_do_not_see_one_another()

        ```
    """
    __tracebackhide__ = True

    def check(call: Call) -> None:
        arguments, results = _with_batch(call.places), _with_batch(_results(call))
        if not arguments or not results:
            raise ContractError(f"{call.contract.name}: no {BATCH} in the arguments or the results")
        for row in range(call.sizes[BATCH]):
            alone = call.replaced((place, _row(place, axis, row)) for place, axis in arguments)
            assert_same(
                {place.path: _row(place, axis, row) for place, axis in results},
                {place.path: place.tensor for place, _ in _with_batch(_results(alone))},
                f"{call!r}: example {row} has a different result alone",
            )

    calls = _precise(module, calls, batch=BATCHES)
    if smallest(calls, lambda call: call.sizes.get(BATCH, 0) > 1) is None:
        raise ContractError(f"no call has a {BATCH} of 2 or more")
    for_all(calls, check, max_examples)


def assert_padding_invariant(
    module: nn.Module, calls: Calls | None = None, *, max_examples: int = 10
) -> None:
    """Assert that results depend neither on the values of padding nor on its length.

    The module must have an argument ``lengths``: the number of positions of each sequence that are
    not padding. In other arguments with that axis, the padding gets other values and, if the module
    accepts longer sequences, more positions. In results with that axis, only the positions that
    are not padding are compared, in float64 if the module accepts that.

    Args:
        module: A module, which is copied and put into eval mode.
        calls: The calls to try, as returned by `inputs`; by default ``inputs(module)``.
        max_examples: How many calls to try.

    Raises:
        AssertionError: A result depends on padding.
        ContractError: There are no ``lengths``, no other argument has the axis that they count, or
            a size is computed from it.
        TypeError: This is not a module, or it cannot be copied.

    Example:
        ```pycon
        >>> from shapezoo.models import name_classifier
        >>> from shapezoo.testing import assert_padding_invariant
        >>> def test_padding_does_not_matter() -> None:
        ...     assert_padding_invariant(name_classifier(hidden_size=8))
        >>> test_padding_does_not_matter()

        ```
    """
    __tracebackhide__ = True
    contract = signature(uncompiled(module))
    counted = counted_axis(contract)
    if not counted:
        raise ContractError(f"{contract.name} has no argument {LENGTHS!r}")
    for axis in (axis for tensor in contract.tensors for axis in tensor.axes):
        if counted in axis.needs:
            raise ContractError(f"{contract.name}: axis {axis} is computed from {counted}")

    def check(call: Call) -> None:
        lengths = next(place for place in call.places if place.path == LENGTHS)
        padded = [place for place in call.places if place.axes(counted)]
        if not padded:
            raise ContractError(f"{contract.name} has no other argument with axis {counted}")
        expected = _unpadded(call, _results(call), counted, lengths)
        for more in (MORE_PADDING, 0):
            changed = call.replaced((p, _padded(p, counted, lengths, more)) for p in padded)
            try:
                actual = _unpadded(changed, _results(changed), counted, lengths)
            except AssertionError:
                if more:
                    continue  # the module need not accept longer sequences
                raise
            assert_same(expected, actual, f"{call!r}: a result depends on the padding")

    cases = _precise(module, calls).filter(lambda call: call.arguments.get(LENGTHS) is not None)
    for_all(cases, check, max_examples)


def assert_batch_first_equivalent(
    module: nn.Module,
    batch_first: nn.Module,
    calls: Calls | None = None,
    *,
    max_examples: int = 10,
) -> None:
    """Assert that two modules compute the same, except for the order of axes.

    The second module gets the weights of the first, and arguments with their axes in the order of
    its own contract. Results are compared in that order, in float64 if the modules accept that.

    Args:
        module: A module, such as a recurrent one with inputs ``seq batch``. Both modules are copied
            and put into eval mode.
        batch_first: The same module with another order of axes, such as ``batch seq``.
        calls: The calls of the first module to try, as returned by `inputs`; by default
            ``inputs(module)``.
        max_examples: How many calls to try.

    Raises:
        AssertionError: The two differ.
        ContractError: Their contracts differ in more than the order of axes, or not in that.
        TypeError: This is not a module, or it cannot be copied.

    Example:
        ```pycon
        >>> from shapezoo.models import gru
        >>> from shapezoo.testing import assert_batch_first_equivalent
        >>> def test_batch_first_is_a_transpose() -> None:
        ...     assert_batch_first_equivalent(gru(), gru(batch_first=True))
        >>> test_batch_first_is_a_transpose()

        ```
    """
    __tracebackhide__ = True
    first, second = copy_of(module), copy_of(batch_first).eval()
    with failing("the second module does not take the weights of the first"):
        second.load_state_dict(first.state_dict())
    contract = signature(second)
    orders: set[tuple[int, ...]] = set()

    def permuted(ours: list[Place], theirs: list[Place]) -> list[tuple[Place, Tensor]]:
        if [place.path for place in ours] != [place.path for place in theirs]:
            raise ContractError(f"{contract.name}: the contracts have other arguments or results")
        pairs = [(mine, _order(mine, its)) for mine, its in zip(ours, theirs, strict=True)]
        orders.update(order for _, order in pairs)
        return [(place, place.tensor.permute(order)) for place, order in pairs]

    def check(call: Call) -> None:
        assert isinstance(call.function, nn.Module)
        second.to(floating_dtype(call.function)).load_state_dict(call.function.state_dict())
        second_call = replace(call, function=second, contract=contract)
        second_call = second_call.replaced(permuted(call.places, second_call.places))
        results = _results(second_call)
        assert_same(
            {place.path: tensor for place, tensor in permuted(_results(call), results)},
            {place.path: place.tensor for place in results},
            f"{call!r}: the two modules give different results",
        )

    for_all(_precise(first, calls), check, max_examples)
    if all(order == tuple(sorted(order)) for order in orders):
        raise ContractError(f"{contract.name}: both modules have the same order of axes")


def _results(call: Call) -> list[Place]:
    """Return the places of the tensors in the result, which must be the same each time.

    Raises:
        AssertionError: The call fails, or returns something else the second time.
    """
    result, again = outcome(call), dict(leaves_of(outcome(call)))
    tensors = {path: leaf for path, leaf in leaves_of(result) if isinstance(leaf, Tensor)}
    message = f"{call!r} has a different result the second time; it has a state"
    assert_same(tensors, {path: again.get(path) for path in tensors}, message)
    return call.results(result)


def _varied(model: nn.Module) -> nn.Module:
    """Return the module with noise on constant parameters.

    A last layer that is initialised to zeros would hide everything before it.
    """
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.is_meta or not weight.numel() or not weight.is_floating_point():
                continue
            if (weight == weight.flatten()[0]).all():
                weight.add_(0.1 * torch.randn(weight.shape, generator=generator).to(weight))
    return model


def _precise(module: nn.Module, calls: Calls | None, **sizes: Any) -> Calls:
    """Return calls of a copy in eval mode, in float64 if it accepts that."""

    def calls_of_model(model: nn.Module) -> Calls:
        return inputs(model, **sizes) if calls is None else calls.map(partial(_cast, model))

    model = _varied(copy_of(module).eval())
    plain, types = calls_of_model(model), signature(model).tensors
    has_weights = any(parameter.is_floating_point() for parameter in model.parameters())
    if not has_weights or any(
        type_.allows(torch.float32) and not type_.allows(torch.float64) for type_ in types
    ):
        return plain
    precise = calls_of_model(copied(model).double())
    call = smallest(precise)
    assert call is not None
    try:
        call()
    except Exception:  # it makes tensors of another dtype inside
        return plain
    return precise


def _cast(model: nn.Module, call: Call) -> Call:
    """Return a call of another module, in its dtype."""
    call, dtype = replace(call, function=model), floating_dtype(model)
    floating = [place for place in call.places if place.tensor.is_floating_point()]
    return call.replaced((place, place.tensor.to(dtype)) for place in floating)


def _with_batch(candidates: list[Place]) -> list[tuple[Place, int]]:
    """Return the places with an axis ``batch``, and its position.

    Raises:
        ContractError: A tensor has several of them, or an axis that is computed from it.
    """
    pairs = []
    for place in candidates:
        axes = place.axes(BATCH)
        if len(axes) > 1 or any(BATCH in axis.needs for axis in place.kind.axes):
            raise ContractError(f"{place.path}: {place.kind} cannot be cut to one example")
        pairs += [(place, axis) for axis in axes]
    return pairs


def _row(place: Place, axis: int, row: int) -> Tensor:
    """Return one row of a tensor; a tensor that broadcasts has only one."""
    return place.tensor.narrow(axis, min(row, place.tensor.shape[axis] - 1), 1)


def _padded(place: Place, counted: str, lengths: Place, more: int) -> Tensor:
    """Return a tensor with other values in the padding, and with more padding."""
    counted_axes, sizes = place.axes(counted), place.tensor.shape
    shape = [size + more * (axis in counted_axes) for axis, size in enumerate(sizes)]
    longer = _random_like(place.tensor, shape)
    old = tuple(map(slice, sizes))
    longer[old] = torch.where(_mask(place, counted, lengths), place.tensor, longer[old])
    return longer


def _unpadded(call: Call, results: list[Place], counted: str, lengths: Place) -> dict[str, Tensor]:
    """Return the elements of the results that are not padding."""
    if not results:
        raise ContractError(f"{call.contract.name}: no result has a shape")
    return {place.path: place.tensor[_mask(place, counted, lengths)] for place in results}


def _mask(place: Place, counted: str, lengths: Place) -> Tensor:
    """Return which elements of a tensor are not padding."""
    mask = torch.ones_like(place.tensor, dtype=torch.bool)
    for axis in place.axes(counted):
        mask &= _is_inside(place, axis, lengths)
    return mask


def _is_inside(place: Place, axis: int, lengths: Place) -> Tensor:
    """Return which positions along an axis are not padding, in a shape that broadcasts.

    The axes of the lengths, usually ``batch``, are found in the tensor by their names. A tensor
    without them, such as positions that the whole batch shares, is padded after the longest one.
    """
    tensor = place.tensor
    shape = [1] * tensor.dim()
    shape[axis] = -1
    positions = torch.arange(tensor.shape[axis], device=tensor.device).view(shape)
    counts = lengths.tensor.to(tensor.device)
    rows = [place.axis(name.key or "") for name in lengths.kind.axes]
    named = [row for row in rows if row is not None]
    if len(named) < counts.dim():
        return positions < counts.max()
    shape = [1] * tensor.dim()
    for row, size in zip(named, counts.shape, strict=True):
        shape[row] = size
    order = sorted(range(counts.dim()), key=named.__getitem__)
    return positions < counts.permute(order).reshape(shape)


def _random_like(tensor: Tensor, shape: list[int]) -> Tensor:
    """Return random values; integers are not larger than the largest one in a tensor."""
    if tensor.is_floating_point() or tensor.is_complex():
        return torch.randn(shape, dtype=tensor.dtype, device=tensor.device)
    high = int(tensor.max()) + 1 if tensor.numel() else 1
    return torch.randint(high, shape, device=tensor.device).to(tensor.dtype)


def _order(place: Place, other: Place) -> tuple[int, ...]:
    """Return where each axis of another place is in this one."""
    ours, theirs = ([axis.label or str(axis) for axis in p.kind.axes] for p in (place, other))
    are_distinct = len({*ours}) == len(ours) == place.tensor.dim()
    if sorted(ours) != sorted(theirs) or not are_distinct:
        raise ContractError(
            f"{place.path} has axes {' '.join(ours)} in one module, {' '.join(theirs)} in the other"
        )
    return tuple(map(ours.index, theirs))
