"""Arguments that keep a contract, for hypothesis."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from hypothesis import reject
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from torch import nn

from shapezoo._modules import as_written
from shapezoo.contracts import Axis, Condition, ContractError, PlainType, Signature, signature
from shapezoo.contracts.braces import read_braces
from shapezoo.contracts.examples import arguments, free_axes, size_of
from shapezoo.contracts.limits import limits_of
from shapezoo.contracts.reading import function_signature
from shapezoo.contracts.types import tensors
from shapezoo.proving.subjects import subject_of
from shapezoo.proving.variants import Variant, met, ways
from shapezoo.testing.calls import Call, signature_of
from shapezoo.testing.sizing import Demand, Sizes, solved
from shapezoo.testing.values import Values

MOST_SEEDS = (1 << 32) - 1

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
    stands for up to 3 axes, a list has 2 items; ``**kwargs`` are left out.

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
        >>> from shapezoo.models import gru
        >>> from shapezoo.testing import inputs
        >>> model = gru()
        >>> @given(inputs(model, batch=range(1, 5)))
        ... def test_states_are_bounded(call) -> None:
        ...     outputs, state = model(*call.args, **call.kwargs)
        ...     assert outputs.abs().max() <= 1
        >>> test_states_are_bounded()

        ```
    """
    source = _source(obj, init)
    texts = [assume] if isinstance(assume, str) else assume
    wanted = {axis: [size] if isinstance(size, int) else size for axis, size in sizes.items()}
    conditions = tuple(map(Condition, texts))
    _require_axes(source, [*wanted, *(axis for c in conditions for axis in c.axes)])
    return _calls(source, conditions, dict(given or {}), dict(below or {}), wanted)


@dataclass(frozen=True)
class _Source:
    """Where calls come from.

    Attributes:
        contract: The contract; parts in braces that a module to be built knows are open.
        free: Names for arguments of a constructor that stand for any size.
        make: Gives what is called, for sizes of these.
    """

    contract: Signature
    free: tuple[str, ...]
    make: Callable[[Sizes], Callable[..., Any]]

    @property
    def axes(self) -> list[str]:
        """The names of open sizes."""
        kinds = (kind for argument in self.contract.inputs for kind in tensors(argument.type))
        names = (axis.name for kind in kinds for axis in kind.axes if axis.name)
        return list(dict.fromkeys([*names, *self.free]))


def _source(obj: Target, init: Mapping[str, Any] | None) -> _Source:
    if isinstance(obj, type) and issubclass(obj, nn.Module):
        subject = subject_of(obj, init)
        return _Source(subject.contract, subject.free, subject.make)
    if isinstance(obj, nn.Module):
        contract = signature(as_written(obj))
    elif dataclasses.is_dataclass(obj):
        contract = function_signature(obj.__init__)
    else:
        contract = signature(obj)
    if not contract.tensors:
        raise ContractError(f"{contract.name}: its annotations name no shape")
    return _Source(contract, (), lambda _: obj)


def _require_axes(source: _Source, axes: Sequence[str]) -> None:
    for axis in axes:
        if axis not in source.axes:
            raise ContractError(
                f"{source.contract.name} has no axis {axis!r} whose size is open; "
                f"it has {', '.join(source.axes) or 'none'}"
            )


@st.composite
def _calls(
    draw: DrawFn,
    source: _Source,
    assumed: tuple[Condition, ...],
    given: dict[str, Any],
    below: dict[str, int],
    wanted: dict[str, Sequence[int]],
) -> Call:
    conditions = [Demand(c.text, frozenset(c.axes), c.holds) for c in assumed]
    own = {axis: wanted.get(axis) for axis in source.free}
    built = _drawn(draw, solved(own, [c for c in conditions if c.axes <= own.keys()]))
    try:
        function = source.make(built)
    except (ValueError, AssertionError) as error:
        if not source.free:
            raise
        reject()  # sizes that the constructor does not take
        raise AssertionError from error
    values = {name: _value(draw, value) for name, value in given.items()}

    contract = _with_given(source.contract, given)
    chosen = [draw(st.sampled_from(list(ways(argument)))) for argument in contract.inputs]
    variant = draw(st.sampled_from(list(met(contract, chosen))))
    known = _braces(contract, function, variant, values)

    limits = limits_of(as_written(function)) if isinstance(function, nn.Module) else {}
    mode = "train" if isinstance(function, nn.Module) and function.training else "eval"
    conditions += [Demand(c.text, frozenset(c.axes), c.holds) for c in limits.get(mode, ())]
    axes = {axis: wanted.get(axis) for axis in free_axes(variant.contract)}
    axes |= {axis: [size] for axis, size in built.items()}
    demands = [condition for condition in conditions if condition.axes <= axes.keys()]
    sizes = _drawn(draw, solved(axes, [*demands, *_computable(variant.contract, known)]))

    seed = draw(st.integers(0, MOST_SEEDS))
    numbers = Values(function, variant.contract, sizes | known, below, seed)
    args, kwargs = arguments(variant.contract, sizes | known, numbers, values)
    return Call(function, tuple(args), kwargs, sizes, source.contract.resolved(known))


def _drawn(draw: DrawFn, groups: list[list[Sizes]]) -> Sizes:
    return {axis: n for group in groups for axis, n in draw(st.sampled_from(group)).items()}


def _value(draw: DrawFn, value: Any) -> Any:
    return draw(value) if isinstance(value, SearchStrategy) else value


def _with_given(contract: Signature, given: Mapping[str, Any]) -> Signature:
    """A contract in which some arguments may be anything, and must be given."""
    if unknown := given.keys() - {argument.name for argument in contract.inputs}:
        raise ContractError(f"{contract.name} has no argument {min(unknown)!r}")
    inputs = tuple(
        dataclasses.replace(a, type=PlainType("Any", Any), default=None) if a.name in given else a
        for a in contract.inputs
    )
    return dataclasses.replace(contract, inputs=inputs)


def _braces(
    contract: Signature,
    function: Callable[..., Any],
    variant: Variant,
    values: Mapping[str, Any],
) -> dict[str, Any]:
    """The values of parts in braces that can be told before there are tensors."""
    parameters = signature_of(function).parameters.values()
    scope = {p.name: p.default for p in parameters if p.default is not p.empty}
    chosen = {a.name: a.type for a in variant.contract.inputs if isinstance(a.type, PlainType)}
    for name, kind in chosen.items():
        if get_origin(kind.annotation) is Literal:
            (scope[name],) = get_args(kind.annotation)
    scope |= {**values, "self": as_written(function) if isinstance(function, nn.Module) else None}
    known: dict[str, Any] = {}
    for braces in contract.braces:
        try:
            known[braces] = read_braces(braces, scope)
        except ContractError:
            continue  # whoever needs it says so
    return known


def _computable(contract: Signature, known: Mapping[str, Any]) -> Iterator[Demand]:
    """That what is computed of sizes is a size."""
    kinds = (kind for argument in contract.inputs for kind in tensors(argument.type))
    for axis in dict.fromkeys(axis for kind in kinds for axis in kind.axes if axis.needs):
        if {*axis.braces} <= known.keys():
            yield Demand(f"{axis} >= 1", axis.needs, functools.partial(_is_size, axis, known))


def _is_size(axis: Axis, known: Mapping[str, Any], sizes: Sizes) -> bool:
    try:
        return size_of(axis, {**sizes, **known}) >= 1
    except ContractError:  # no whole number, or below zero
        return False
