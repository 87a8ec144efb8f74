"""Arguments that keep a contract, for hypothesis."""

import dataclasses
import operator
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, SupportsIndex

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from torch import nn

from shapezoo._modules import as_written
from shapezoo.contracts import Condition, ContractError, signature
from shapezoo.contracts.checking.introspection import function_signature
from shapezoo.contracts.language.signatures import ArgumentKind
from shapezoo.proving.findings import SubjectError
from shapezoo.proving.subjects import subject_of_class
from shapezoo.testing.calls import Call, function_of
from shapezoo.testing.drawing import Drawing, Source
from shapezoo.testing.fixed_seed import seeded

Target = nn.Module | type | Callable[..., Any]
"""What has a contract: a module, a class of modules, a dataclass, or a function."""


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
    """Calls that keep a contract, as a strategy of hypothesis.

    Sizes are the smallest that the contract and the known limits of a model allow, eight of each
    axis where none are given. Optional arguments are given or left out, a union is any of its
    options, ``*batch`` stands for up to 3 axes, ``*args`` for 1 argument, a list has 2 items. What
    has a default and no known values, such as a ``torch.Generator``, keeps it; ``**kwargs`` are
    left out.

    Numbers are normally distributed, or all zero. Whole numbers are indices: below the size of an
    axis ``classes`` or ``vocab`` in another tensor, or else below every ``num_embeddings`` and
    ``vocab_size`` in the module, or else below 2; those of uint8 are pixels. The tensor ``lengths``
    is between 1 and the size of the axis that stands beside its own in another argument. Booleans
    hold a true and a false value in each row; a row of one is true, or false in an argument that
    has ``padding`` in its name. ``map`` and ``filter`` of the strategy change what it gives.

    Args:
        obj: A module; a class of modules, built anew, in eval mode, for each size of its
            constructor; a dataclass; or a function.
        init: Arguments for the class of modules, as in `prove`.
        assume: Conditions that sizes meet, such as ``"height >= 32"``, beside the known limits.
        given: Values of arguments by name, or strategies of them. An argument without shapes and
            default, such as a number, needs one.
        below: What the whole numbers of an argument are below, by its name: a number, or an axis
            for its size.
        **sizes: The size of an axis, or the sizes to choose from.

    Returns:
        A strategy of calls. ``call()`` makes the call; ``call.args`` and ``call.kwargs`` are its
        arguments.

    Raises:
        ContractError: There is no contract, an axis is not in it, nothing is known of an
            argument, or no sizes were found; the last two when the strategy is used.
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
    source = _source(obj, init)
    texts = [assume] if isinstance(assume, str) else assume
    conditions = tuple(map(Condition, texts))
    wanted = {axis: _choices(axis, size) for axis, size in sizes.items()}
    given, below = dict(given or {}), dict(below or {})
    named = [limit for limit in below.values() if isinstance(limit, str)]
    _require_axes(source, [*wanted, *named, *(axis for c in conditions for axis in c.axes)])
    _require_arguments(source, [*given, *below])
    for name, limit in below.items():
        if isinstance(limit, int) and limit < 1:
            raise ContractError(f"below of {name} must be 1 or more, got {limit}")
    drawing = Drawing(source, conditions, given, below, wanted)

    @st.composite
    def calls(draw: DrawFn) -> Call:
        return drawing.call(draw)

    return calls()


def _choices(axis: str, size: int | Sequence[int]) -> Sequence[int]:
    """The sizes to choose from.

    Raises:
        ContractError: They are no sizes.
    """
    try:
        sizes = [size] if isinstance(size, SupportsIndex) else list(size)
        found = [operator.index(one) for one in sizes]
    except TypeError as error:
        raise ContractError(
            f"{axis} must be a size, or the sizes to choose from: {error}"
        ) from None
    if min(found, default=0) < 0:
        raise ContractError(f"size of {axis} must be 0 or more, got {found}")
    return found


def _source(obj: Target, init: Mapping[str, Any] | None) -> Source:
    if isinstance(obj, type) and issubclass(obj, nn.Module):
        with seeded():
            subject = subject_of_class(obj, init or {})
        return Source(subject.contract, subject.free, subject.make)
    if init is not None:
        raise SubjectError(f"init is for a class of modules, got {obj!r}")
    if isinstance(obj, nn.Module):
        contract = signature(as_written(obj))
    elif isinstance(obj, type) and dataclasses.is_dataclass(obj):
        contract = function_signature(function_of(obj))
    elif isinstance(obj, types.FunctionType | types.MethodType):
        contract = signature(obj)
    else:
        raise ContractError(
            f"a contract is that of a module, a class of modules, a dataclass or a function; "
            f"got {obj!r}"
        )
    if not contract.tensors:
        raise ContractError(f"{contract.name}: its annotations name no shape")
    return Source(contract, (), lambda _: obj)


def _require_axes(source: Source, axes: Sequence[str]) -> None:
    for axis in axes:
        if axis not in source.axes:
            raise ContractError(
                f"{source.contract.name} has no axis {axis!r} whose size is open; "
                f"it has {', '.join(source.axes) or 'none'}"
            )


def _require_arguments(source: Source, names: Sequence[str]) -> None:
    kinds = {argument.name: argument.kind for argument in source.contract.inputs}
    for name in names:
        if name not in kinds:
            raise ContractError(f"{source.contract.name} has no argument {name!r}")
        if kinds[name] in (ArgumentKind.VAR_POSITIONAL, ArgumentKind.VAR_KEYWORD):
            raise ContractError(f"{name!r} stands for several arguments, which cannot be given")
