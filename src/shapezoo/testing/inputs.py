"""Arguments that keep a contract, for hypothesis."""

import dataclasses
import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from torch import nn

from shapezoo._modules import as_written
from shapezoo.contracts import Condition, ContractError, signature
from shapezoo.contracts.reading import function_signature
from shapezoo.contracts.signatures import ArgumentKind
from shapezoo.proving.proofs import SubjectError
from shapezoo.proving.subjects import subject_of
from shapezoo.testing.calls import Call
from shapezoo.testing.drawing import Drawing, Source

Target = nn.Module | type | Callable[..., Any]
"""What has a contract: a module, a class of modules, a dataclass, or a function."""


def inputs(
    obj: Target,
    /,
    *,
    init: Mapping[str, Any] | None = None,
    assume: str | Sequence[str] = (),
    given: Mapping[str, Any] | None = None,
    below: Mapping[str, int] | None = None,
    **sizes: int | Sequence[int],
) -> SearchStrategy[Call]:
    """Calls that keep a contract, as a strategy of hypothesis.

    Sizes are those that the contract and the known limits of a model allow, and shrink to the
    smallest. Optional arguments are given or left out, a union is any of its options, ``*batch``
    stands for up to 3 axes, ``*args`` for 1 argument, a list has 2 items. What has a default and
    no known values, such as a ``torch.Generator``, keeps it; ``**kwargs`` are left out.

    Numbers are normally distributed, or all zero. Whole numbers are indices: below the size of an
    axis ``classes`` or ``vocab`` in another argument, or else below every ``num_embeddings`` and
    ``vocab_size`` in the module, or else below 2. The tensor ``lengths`` is between 1 and the size
    of the axis that stands beside its own in another argument. Booleans hold a true and a false
    value in each row, where it is longer than 1.

    Args:
        obj: A module; a class of modules, of which one is built for each call; a dataclass; or a
            function.
        init: Arguments for the class of modules, as in `prove`.
        assume: Conditions that sizes meet, such as ``"height >= 32"``, beside the known limits.
        given: Values of arguments by name, or strategies of them. An argument without shapes and
            default, such as a number, needs one.
        below: What the whole numbers of an argument are below, by its name.
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
    wanted = {axis: [size] if isinstance(size, int) else size for axis, size in sizes.items()}
    given, below = dict(given or {}), dict(below or {})
    _require_axes(source, [*wanted, *(axis for c in conditions for axis in c.axes)])
    _require_arguments(source, [*given, *below])
    for name, numbers, least in (
        *((f"size of {axis}", some, 0) for axis, some in wanted.items()),
        *((f"below of {name}", [most], 1) for name, most in below.items()),
    ):
        if min(numbers, default=least) < least:
            raise ContractError(f"{name} must be {least} or more, got {list(numbers)}")
    drawing = Drawing(source, conditions, given, below, wanted)

    @st.composite
    def calls(draw: DrawFn) -> Call:
        return drawing.call(draw)

    return calls()


def _source(obj: Target, init: Mapping[str, Any] | None) -> Source:
    if isinstance(obj, type) and issubclass(obj, nn.Module):
        subject = subject_of(obj, init)
        return Source(subject.contract, subject.free, subject.make)
    if init is not None:
        raise SubjectError(f"init is for a class of modules, got {obj!r}")
    if isinstance(obj, nn.Module):
        contract = signature(as_written(obj))
    elif isinstance(obj, type) and dataclasses.is_dataclass(obj):
        contract = function_signature(inspect.getattr_static(obj, "__init__"))
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
