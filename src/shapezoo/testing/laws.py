"""Assertions about what a module computes: gradients, and what a result depends on."""

from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from shapezoo._containers import leaves_of, tensors_of
from shapezoo._modules import as_written, copied, floating_dtype
from shapezoo.contracts import ContractError, signature
from shapezoo.contracts.examples.arguments import LENGTHS, counted_axis
from shapezoo.contracts.language.vocabulary import BATCH
from shapezoo.testing.assertions import (
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
from shapezoo.testing.calls import Call
from shapezoo.testing.finding import Place
from shapezoo.testing.inputs import inputs

BATCHES = range(2, 6)

MORE = 2
"""How much longer sequences are padded."""


def assert_gradients(
    module: nn.Module, calls: Calls | None = None, *, max_examples: int = 10
) -> None:
    """Assert that every parameter gets a gradient, and always a finite one.

    The gradient is that of a random linear function of all results. Each parameter that requires
    one must get it in some call.

    Args:
        module: A module, in the mode that it is in. It is copied before.
        calls: The calls that are tried, as `inputs` gives them; without it all that it gives.
        max_examples: How many are tried.

    Raises:
        AssertionError: A parameter gets no gradient, or one that is not finite.
        ContractError: There is no contract, or no arguments can be made for it.
        TypeError: This is no module, or one that cannot be copied.

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
        found = [tensor for tensor in tensors_of(outcome(call)) if tensor.requires_grad]
        with failing(f"{call!r}: gradients cannot be computed"):
            torch.autograd.backward(found, [torch.randn_like(tensor) for tensor in found])
        for name, parameter in model.named_parameters():
            if parameter.grad is not None:
                missing.discard(name)
                if not parameter.grad.to_dense().isfinite().all():
                    raise AssertionError(f"{call!r}: the gradient of {name} is not finite")

    with torch.inference_mode(False), torch.enable_grad():
        calls = calls_of(module, calls)
        weights = as_written(module).named_parameters()
        missing |= {name for name, parameter in weights if parameter.requires_grad}
        for_all(calls, check, max_examples)
    if missing:
        name = type(as_written(module)).__name__
        raise AssertionError(f"{name}: no gradient reaches {', '.join(sorted(missing))}")


def assert_batch_independent(
    module: nn.Module, calls: Calls | None = None, *, max_examples: int = 10
) -> None:
    """Assert that each example of a batch gives what it gives alone, in eval mode.

    Every argument with an axis ``batch`` is cut to one example, and so is every result. Numbers are
    compared as `torch.testing.assert_close` does, in float64 where the module takes that.

    Args:
        module: A module. It is copied before.
        calls: The calls that are tried, as `inputs` gives them; without it those with 2 to 5
            examples.
        max_examples: How many are tried.

    Raises:
        AssertionError: A result depends on the rest of the batch.
        ContractError: No argument or no result has just one axis ``batch``, or no arguments can be
            made.
        TypeError: This is no module, or one that cannot be copied.

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
        cut, together = _with_batch(call.places), _with_batch(_results(call))
        if not cut or not together:
            raise ContractError(f"{call.contract.name}: no {BATCH} in the arguments or the results")
        for row in range(call.sizes[BATCH]):
            alone = call.replaced((place, _row(place, axis, row)) for place, axis in cut)
            assert_same(
                {place.path: _row(place, axis, row) for place, axis in together},
                {place.path: place.tensor for place, _ in _with_batch(_results(alone))},
                f"{call!r}: example {row} gives something else alone",
            )

    calls = _precise(module, calls, batch=BATCHES)
    if smallest(calls, lambda call: call.sizes.get(BATCH, 0) > 1) is None:
        raise ContractError(f"no call has a {BATCH} of 2 or more")
    for_all(calls, check, max_examples)


def assert_padding_invariant(
    module: nn.Module, calls: Calls | None = None, *, max_examples: int = 10
) -> None:
    """Assert that results depend neither on what padding holds nor on how much there is.

    The module must have an argument ``lengths``: how many positions of each sequence are no
    padding. Other arguments with that axis get other values there and, where the module takes
    longer sequences, more of them. Of results with that axis, only what is no padding is compared,
    in float64 where the module takes that.

    Args:
        module: A module. It is copied before, and put into eval mode.
        calls: The calls that are tried, as `inputs` gives them; without it all that it gives.
        max_examples: How many are tried.

    Raises:
        AssertionError: A result depends on padding.
        ContractError: There is no ``lengths``, no other argument has the axis that they count, or
            a size is computed of it.
        TypeError: This is no module, or one that cannot be copied.

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
    contract = signature(as_written(module))
    counted = counted_axis(contract)
    if not counted:
        raise ContractError(f"{contract.name} has no argument {LENGTHS!r}")
    for axis in (axis for tensor in contract.tensors for axis in tensor.axes):
        if counted in axis.needs:
            raise ContractError(f"{contract.name}: axis {axis} is computed of {counted}")

    def check(call: Call) -> None:
        lengths = next(place for place in call.places if place.path == LENGTHS)
        padded = [place for place in call.places if place.axes(counted)]
        if not padded:
            raise ContractError(f"{contract.name} has no other argument with axis {counted}")
        ours = _unpadded(call, _results(call), counted, lengths)
        for more in (MORE, 0):
            other = call.replaced((p, _padded(p, counted, lengths, more)) for p in padded)
            try:
                theirs = _unpadded(other, _results(other), counted, lengths)
            except AssertionError:
                if more:
                    continue  # it need not take longer sequences
                raise
            assert_same(ours, theirs, f"{call!r}: a result depends on the padding")

    given = _precise(module, calls).filter(lambda call: call.arguments.get(LENGTHS) is not None)
    for_all(given, check, max_examples)


def assert_batch_first_equivalent(
    module: nn.Module,
    batch_first: nn.Module,
    calls: Calls | None = None,
    *,
    max_examples: int = 10,
) -> None:
    """Assert that two modules compute the same, but for the order of axes.

    The second gets the weights of the first, and its arguments with their axes in the order of its
    own contract; results are compared in that order, in float64 where the modules take that.

    Args:
        module: A module, as a recurrent one that takes ``seq batch``. Both are copied before,
            and put into eval mode.
        batch_first: The same with another order, as ``batch seq``.
        calls: The calls of the first that are tried, as `inputs` gives them; without it all that
            it gives.
        max_examples: How many are tried.

    Raises:
        AssertionError: The two differ.
        ContractError: Their contracts differ in more than the order of axes, or not in that.
        TypeError: This is no module, or one that cannot be copied.

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

    def moved(ours: list[Place], theirs: list[Place]) -> list[tuple[Place, Tensor]]:
        if [place.path for place in ours] != [place.path for place in theirs]:
            raise ContractError(f"{contract.name}: the contracts have other arguments or results")
        found = [(one, _order(one, two)) for one, two in zip(ours, theirs, strict=True)]
        orders.update(order for _, order in found)
        return [(place, place.tensor.permute(order)) for place, order in found]

    def check(call: Call) -> None:
        assert isinstance(call.function, nn.Module)
        second.to(floating_dtype(call.function)).load_state_dict(call.function.state_dict())
        there = replace(call, function=second, contract=contract)
        there = there.replaced(moved(call.places, there.places))
        theirs = _results(there)
        assert_same(
            {place.path: tensor for place, tensor in moved(_results(call), theirs)},
            {place.path: place.tensor for place in theirs},
            f"{call!r}: the two modules give different results",
        )

    for_all(_precise(first, calls), check, max_examples)
    if all(order == tuple(sorted(order)) for order in orders):
        raise ContractError(f"{contract.name}: both modules have the same order of axes")


def _results(call: Call) -> list[Place]:
    """The places of tensors in the result, which is the same each time.

    Raises:
        AssertionError: The call fails, or gives something else the second time.
    """
    first, second = outcome(call), outcome(call)
    ours, theirs = (dict(leaves_of(result)) for result in (first, second))
    tensors = {path: leaf for path, leaf in ours.items() if isinstance(leaf, Tensor)}
    again = {path: theirs.get(path) for path in tensors}
    assert_same(tensors, again, f"{call!r} gives something else the second time; it has a state")
    return call.results(first)


def _varied(model: nn.Module) -> nn.Module:
    """The module, with constant parameters varied: zeros in a last layer would hide all else."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.is_meta or not weight.numel() or not weight.is_floating_point():
                continue
            if (weight == weight.flatten()[0]).all():
                weight.add_(0.1 * torch.randn(weight.shape, generator=generator).to(weight))
    return model


def _precise(module: nn.Module, calls: Calls | None, **sizes: Any) -> Calls:
    """Calls of a copy in eval mode, in float64 where it takes that."""
    model = _varied(copy_of(module).eval())
    plain = inputs(model, **sizes) if calls is None else calls.map(partial(_cast, model))
    kinds = signature(model).tensors
    weights = [parameter for parameter in model.parameters() if parameter.is_floating_point()]
    if not weights or not all(k.allows(torch.float64) for k in kinds if k.allows(torch.float32)):
        return plain
    double = copied(model).double()
    precise = inputs(double, **sizes) if calls is None else calls.map(partial(_cast, double))
    call = smallest(precise)
    assert call is not None
    try:
        call()
    except Exception:  # it makes tensors of another dtype inside
        return plain
    return precise


def _cast(model: nn.Module, call: Call) -> Call:
    """A call of a model in its dtype."""
    call, dtype = replace(call, function=model), floating_dtype(model)
    floating = [place for place in call.places if place.tensor.is_floating_point()]
    return call.replaced((place, place.tensor.to(dtype)) for place in floating)


def _with_batch(found: list[Place]) -> list[tuple[Place, int]]:
    """The places that have an axis ``batch``, with its position.

    Raises:
        ContractError: One has several, or an axis that is computed of it.
    """
    pairs = []
    for place in found:
        axes = place.axes(BATCH)
        if len(axes) > 1 or any(BATCH in axis.needs for axis in place.kind.axes):
            raise ContractError(f"{place.path}: {place.kind} cannot be cut to one example")
        pairs += [(place, axis) for axis in axes]
    return pairs


def _row(place: Place, axis: int, row: int) -> Tensor:
    """One row of a tensor; one that broadcasts has just one."""
    return place.tensor.narrow(axis, min(row, place.tensor.shape[axis] - 1), 1)


def _padded(place: Place, counted: str, lengths: Place, more: int) -> Tensor:
    """A tensor with other values where it holds padding, and more of that."""
    for axis in place.axes(counted):
        inside = _is_inside(place, axis, lengths)
        size, shape = place.tensor.shape[axis], list(place.tensor.shape)
        shape[axis] += more
        longer = _other(place.tensor, shape)
        kept = torch.where(inside, place.tensor, longer.narrow(axis, 0, size))
        tensor = torch.cat([kept, longer.narrow(axis, size, more)], axis)
        place = replace(place, tensor=tensor)
    return place.tensor


def _unpadded(call: Call, results: list[Place], counted: str, lengths: Place) -> dict[str, Tensor]:
    """What of the results is no padding."""
    found = {}
    for place in results:
        inside = torch.ones_like(place.tensor, dtype=torch.bool)
        for axis in place.axes(counted):
            inside = inside & _is_inside(place, axis, lengths)
        found[place.path] = place.tensor[inside]
    if not found:
        raise ContractError(f"{call.contract.name}: no result has a shape")
    return found


def _is_inside(place: Place, axis: int, lengths: Place) -> Tensor:
    """Where a tensor holds no padding along an axis, in a shape that broadcasts with its own."""
    shape = [1] * place.tensor.dim()
    shape[axis] = -1
    device = place.tensor.device
    positions = torch.arange(place.tensor.shape[axis], device=device).view(shape)
    counts = lengths.tensor.to(device)
    rows = [place.axis(name.key or "") for name in lengths.kind.axes]
    known = [row for row in rows if row is not None]
    if len(known) < counts.dim():
        return positions < counts.max()
    shape = [1] * place.tensor.dim()
    for row, size in zip(known, counts.shape, strict=True):
        shape[row] = size
    order = sorted(range(counts.dim()), key=known.__getitem__)
    return positions < counts.permute(order).reshape(shape)


def _other(tensor: Tensor, shape: list[int]) -> Tensor:
    """Random values; whole ones are among those that a tensor has, or 0."""
    if tensor.is_floating_point() or tensor.is_complex():
        return torch.randn(shape, dtype=tensor.dtype, device=tensor.device)
    high = int(tensor.max()) + 1 if tensor.numel() else 1
    return torch.randint(high, shape, device=tensor.device).to(tensor.dtype)


def _order(place: Place, other: Place) -> tuple[int, ...]:
    """Where each axis of a place stands in another."""
    ours, theirs = ([axis.label or str(axis) for axis in p.kind.axes] for p in (place, other))
    is_known = len({*ours}) == len(ours) == place.tensor.dim()
    if sorted(ours) != sorted(theirs) or not is_known:
        raise ContractError(
            f"{place.path} has axes {' '.join(ours)} in one module, {' '.join(theirs)} in the other"
        )
    return tuple(map(ours.index, theirs))
