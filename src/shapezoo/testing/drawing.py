"""Drawing calls that keep a contract."""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from hypothesis import reject
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from torch import nn

from shapezoo.contracts import Argument, Axis, Condition, ContractError, PlainType, Signature
from shapezoo.contracts.checking.known_limits import limits_of
from shapezoo.contracts.examples.arguments import arguments, free_axes, size_of
from shapezoo.contracts.examples.variants import Variant, Way, variants_with, ways
from shapezoo.contracts.language.axes import Extent
from shapezoo.contracts.language.expressions import read_braces
from shapezoo.contracts.language.signatures import ArgumentKind
from shapezoo.contracts.language.types import DictType, Type, tensors, walk
from shapezoo.testing.calls import Call, function_of, owner_of
from shapezoo.testing.finding import bind, places
from shapezoo.testing.fixed_seed import seeded
from shapezoo.testing.sizing import Demand, Sizes, solved
from shapezoo.testing.tensors import Values

LAST_SEED = (1 << 32) - 1


@dataclass(frozen=True)
class Source:
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
        names = (axis.name for kind in kinds for axis in kind.axes if not axis.variadic)
        return list(dict.fromkeys([*filter(None, names), *self.free]))


class Drawing:
    """Draws calls, step by step: what is called, which arguments, their sizes, their numbers.

    Args:
        source: Where calls come from.
        assumed: Conditions that sizes meet.
        given: Values of arguments, or strategies of them.
        below: What the whole numbers of an argument are below.
        wanted: The sizes of axes to choose from.
    """

    def __init__(
        self,
        source: Source,
        assumed: Sequence[Condition],
        given: Mapping[str, Any],
        below: Mapping[str, int | str],
        wanted: Mapping[str, Sequence[int]],
    ) -> None:
        self.source = source
        self.assumed = assumed
        self.given = given
        self.below = below
        self.wanted = wanted
        self.contract = _with_given(source.contract, given)
        self.ways = _ways(self.contract)
        self._solved: dict[Any, list[list[Sizes]]] = {}

    def call(self, draw: DrawFn) -> Call:
        """Draw a call.

        Raises:
            ContractError: Nothing is known of an argument, or no sizes were found.
        """
        function, built = self._function(draw)
        given = {
            name: draw(value) if isinstance(value, SearchStrategy) else value
            for name, value in self.given.items()
        }
        chosen = [draw(st.sampled_from(some)) for some in self.ways]
        possible = list(variants_with(self.contract, chosen))
        if not possible:
            reject()  # no argument binds an axis of the result
        variant = draw(st.sampled_from(possible))
        known = self._braces(function, variant, given)
        fixed = built | self._sizes_of(given, known)
        try:
            groups = self._sizes(function, variant, known, fixed)
        except ContractError:
            if not built and chosen == [some[0] for some in self.ways]:
                raise
            reject()  # another module, or other arguments, may have sizes
        sizes = _drawn(draw, groups)
        seed = draw(st.integers(0, LAST_SEED))
        numbers = Values(function, variant.contract, sizes | known, self.below, seed)
        try:
            args, kwargs = arguments(variant.contract, sizes | known, numbers, given)
        except ContractError as error:
            raise ContractError(
                f"{error}\n  give a value of it, or a strategy: inputs(..., given={{...}})"
            ) from error
        return Call(function, tuple(args), kwargs, sizes, self.source.contract.resolved(known))

    def _function(self, draw: DrawFn) -> tuple[Callable[..., Any], Sizes]:
        """What is called, and the sizes that it was built with."""
        free = {axis: self.wanted.get(axis) for axis in self.source.free}
        demands = [demand for demand in map(_demand, self.assumed) if demand.axes <= free.keys()]
        built = _drawn(draw, solved(free, demands))
        try:
            with seeded():  # the same weights for the same call
                return self.source.make(built), built
        except (ValueError, AssertionError):
            if not free:
                raise
            reject()  # sizes that the constructor does not take

    def _braces(
        self, function: Callable[..., Any], variant: Variant, given: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The values of parts in braces that can be told before there are tensors."""
        parameters = inspect.signature(function_of(function)).parameters.values()
        scope = {p.name: p.default for p in parameters if p.default is not p.empty}
        for argument in variant.contract.inputs:
            if isinstance(argument.type, PlainType) and _is_literal(argument.type):
                (scope[argument.name],) = get_args(argument.type.annotation)
        scope |= {**given, self.contract.owner: owner_of(function)}
        known: dict[str, Any] = {}
        for braces in self.contract.braces:
            try:
                known[braces] = read_braces(braces, scope)
            except ContractError:
                continue  # whoever needs it says so
        return known

    def _sizes_of(self, given: Mapping[str, Any], known: Mapping[str, Any]) -> Sizes:
        """The sizes of axes in values that are given."""
        bound: dict[str, Extent] = {}
        for argument in self.source.contract.resolved(known).inputs:
            if argument.name in given:
                for place in places(argument.type, given[argument.name], argument.name):
                    bind(place, bound)
        sizes = {axis: size for axis, size in bound.items() if isinstance(size, int)}
        for axis in sizes.keys() & self.wanted.keys():
            if sizes[axis] not in self.wanted[axis]:
                raise ContractError(f"{axis} is {sizes[axis]} in what is given, and not as wanted")
        return sizes

    def _sizes(
        self,
        function: Callable[..., Any],
        variant: Variant,
        known: Mapping[str, Any],
        fixed: Mapping[str, int],
    ) -> list[list[Sizes]]:
        """Sizes to choose from, for each group of axes."""
        limits: Sequence[Condition] = ()
        if isinstance(owner := owner_of(function), nn.Module):
            limits = limits_of(owner).get("train" if owner.training else "eval", ())
        key = variant.contract, tuple(known.items()), tuple(fixed.items()), limits
        if key not in self._solved:
            axes = {axis: self.wanted.get(axis) for axis in free_axes(variant.contract)}
            axes |= {axis: [size] for axis, size in fixed.items()}
            conditions = map(_demand, [*self.assumed, *limits])
            demands = [demand for demand in conditions if demand.axes <= axes.keys()]
            demands += _computable(variant.contract, known)
            self._solved[key] = solved(axes, demands)
        return self._solved[key]


def _drawn(draw: DrawFn, groups: list[list[Sizes]]) -> Sizes:
    return {axis: n for group in groups for axis, n in draw(st.sampled_from(group)).items()}


def _with_given(contract: Signature, given: Mapping[str, Any]) -> Signature:
    """A contract in which some arguments may be anything, and must be given."""
    inputs = tuple(
        dataclasses.replace(a, type=PlainType("Any", Any), default=None) if a.name in given else a
        for a in contract.inputs
    )
    return dataclasses.replace(contract, inputs=inputs)


def _ways(contract: Signature) -> list[list[Way]]:
    """The ways of giving each argument, as far as values of it can be made."""
    found = [
        [way for way in ways(argument) if _can_be(way, argument)] for argument in contract.inputs
    ]
    required = [a.is_required and a.kind is ArgumentKind.POSITIONAL_ONLY for a in contract.inputs]
    for place, argument in enumerate(contract.inputs):
        if any(required[place:]):  # what stands before it cannot be left out
            found[place] = [way for way in found[place] if way[1] is not None]
        found[place] = found[place] or list(ways(argument))  # whose error says what is wrong
    return found


def _can_be(way: Way, argument: Argument) -> bool:
    """Whether an argument can be given, or left out, in this way."""
    _, given = way
    if given is not None:
        return all(map(_can_be_made, walk(given.type)))
    has_tensors = any(tensors(argument.type))
    return not has_tensors or argument.default in (None, "None")  # a default tensor has sizes


def _can_be_made(kind: Type) -> bool:
    if isinstance(kind, PlainType):
        return kind.annotation in (Any, NoneType) or _is_literal(kind)
    return not isinstance(kind, DictType)


def _is_literal(kind: PlainType) -> bool:
    return get_origin(kind.annotation) is Literal


def _demand(condition: Condition) -> Demand:
    return Demand(condition.text, frozenset(condition.axes), condition.holds)


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
