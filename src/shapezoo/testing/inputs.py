"""Calls that keep a contract, as a strategy for hypothesis."""

import dataclasses
import operator
import types
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, SupportsIndex

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from torch import nn

from shapezoo._modules import uncompiled
from shapezoo.contracts import Condition, ContractError, Signature, signature
from shapezoo.contracts.checking.introspection import function_signature
from shapezoo.contracts.language.signatures import ArgumentKind
from shapezoo.proving.findings import SubjectError
from shapezoo.proving.subjects import subject_of_class
from shapezoo.testing.calls import Call, function_of
from shapezoo.testing.drawing import Drawing, ResolvedTarget
from shapezoo.testing.fixed_seed import seeded

Target = nn.Module | type | Callable[..., Any]
"""An object with a contract: a module, a class of modules, a dataclass, or a function."""


def inputs(
    obj: Target,
    /,
    *,
    init: Mapping[str, Any] | None = None,
    assume: str | Sequence[str] = (),
    given: Mapping[str, Any] | None = None,
    below: Mapping[str, int | str] | None = None,
    **sizes: int | Sequence[int],
) -> SearchStrategy[Call]:
    """Return a strategy of hypothesis for calls that keep a contract.

    Sizes are the smallest ones that the contract and the known limits of a model allow: eight of
    each axis if none are given. Optional arguments are passed or left out, a union is any of its
    options, ``*batch`` stands for up to 3 axes, ``*args`` for 1 argument, and a list has 2 items.
    An argument whose values are not known, such as a ``torch.Generator``, keeps its default, and
    ``**kwargs`` are left out.

    Floating-point numbers are normally distributed, or all zero. Integers are indices: below the
    size of an axis ``classes`` or ``vocab`` in another tensor, or else below every
    ``num_embeddings`` and ``vocab_size`` in the module, or else below 2; those of uint8 are pixels.
    The tensor ``lengths`` is between 1 and the size of the axis next to its own in another
    argument. Each row of booleans contains both values; a row of one element is true, or false in
    an argument with ``padding`` in its name. To change the values, use ``map`` and ``filter`` of
    the strategy.

    Args:
        obj: A module; a class of modules, of which an instance in eval mode is made for each size
            of its constructor; a dataclass; or a function.
        init: Arguments for the class of modules, as in `prove`.
        assume: Conditions that sizes meet, such as ``"height >= 32"``, in addition to the known
            limits.
        given: Values of arguments by name, or strategies of them. An argument without shapes and
            without a default, such as a number, needs one.
        below: Upper bounds (exclusive) of the integers in arguments, by name: a number, or the
            name of an axis for its size.
        **sizes: The size of an axis, or the sizes to choose from.

    Returns:
        A strategy of calls. ``call()`` makes the call; ``call.args`` and ``call.kwargs`` are its
        arguments.

    Raises:
        ContractError: There is no contract, it does not have an axis, an argument cannot be made,
            or no sizes were found; the last two when the strategy is used.
        SubjectError: The arguments do not fit the class.

    Example:
        ```pycon
        >>> from hypothesis import given
        >>> from shapezoo.models import rnn
        >>> from shapezoo.testing import inputs
        >>> model = rnn()
        >>> @given(inputs(model, batch=range(1, 5)))
        ... def test_states_are_bounded(call) -> None:
        ...     outputs, state = model(*call.args, **call.kwargs)
        ...     assert outputs.abs().max() <= 1
        >>> test_states_are_bounded()

        ```
    """
    target = _resolved(obj, init)
    conditions = tuple(map(Condition, [assume] if isinstance(assume, str) else assume))
    choices = {axis: _choices(axis, size) for axis, size in sizes.items()}
    given, below = dict(given or {}), dict(below or {})
    bounds = [bound for bound in below.values() if isinstance(bound, str)]
    axes = [*choices, *bounds, *(axis for c in conditions for axis in c.axes)]
    require_open_axes(target.contract, target.axes, axes)
    _require_arguments(target, [*given, *below])
    for name, bound in below.items():
        if isinstance(bound, int) and bound < 1:
            raise ContractError(f"below of {name} must be 1 or more, got {bound}")
    return st.composite(Drawing(target, conditions, given, below, choices).call)()


def _choices(axis: str, size: int | Sequence[int]) -> Sequence[int]:
    """Return the sizes to choose from.

    Raises:
        ContractError: One of them is not a size.
    """
    try:
        sizes = [size] if isinstance(size, SupportsIndex) else list(size)
        choices = list(map(operator.index, sizes))
    except TypeError as error:
        raise ContractError(
            f"{axis} must be a size, or the sizes to choose from: {error}"
        ) from None
    if min(choices, default=0) < 0:
        raise ContractError(f"size of {axis} must be 0 or more, got {choices}")
    return choices


def _resolved(obj: Target, init: Mapping[str, Any] | None) -> ResolvedTarget:
    if isinstance(obj, type) and issubclass(obj, nn.Module):
        with seeded():
            subject = subject_of_class(obj, init or {})
        return ResolvedTarget(subject.contract, subject.free, subject.make)
    if init is not None:
        raise SubjectError(f"init is for a class of modules, got {obj!r}")
    if isinstance(obj, nn.Module):
        contract = signature(uncompiled(obj))
    elif isinstance(obj, type) and dataclasses.is_dataclass(obj):
        contract = function_signature(function_of(obj))
    elif isinstance(obj, types.FunctionType | types.MethodType):
        contract = signature(obj)
    else:
        raise ContractError(
            f"only a module, a class of modules, a dataclass or a function has a contract; "
            f"got {obj!r}"
        )
    if not contract.tensors:
        raise ContractError(f"{contract.name}: its annotations name no shape")
    return ResolvedTarget(contract, (), lambda _: obj)


def require_open_axes(contract: Signature, valid: Collection[str], axes: Iterable[str]) -> None:
    """Raise ContractError if an axis is not one of those whose size a contract leaves open."""
    for axis in axes:
        if axis not in valid:
            raise ContractError(
                f"{contract.name} has no axis {axis!r} whose size is open; "
                f"it has {', '.join(valid) or 'none'}"
            )


def _require_arguments(target: ResolvedTarget, names: Sequence[str]) -> None:
    arguments = {argument.name: argument for argument in target.contract.inputs}
    for name in names:
        if name not in arguments:
            raise ContractError(f"{target.contract.name} has no argument {name!r}")
        if arguments[name].kind in (ArgumentKind.VAR_POSITIONAL, ArgumentKind.VAR_KEYWORD):
            raise ContractError(f"{name!r} stands for several arguments, which cannot be given")
