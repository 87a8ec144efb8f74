"""Draw calls that keep a contract.

A call is drawn in this order, as each step depends on the ones before it:

1. what is called: for a class of modules, the sizes of its constructor;
2. the values of arguments that the user gives;
3. which optional arguments are passed, and which option of each union: a *variant* of the contract
   that leaves no choice but sizes;
4. the sizes of the axes, from a list of those that meet all conditions;
5. a seed for the numbers in the tensors. Hypothesis shrinks it to 0, which means zeros.

Hypothesis only sees a few choices from short lists. That makes it shrink well and draw fast.
"""

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from hypothesis import reject
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from torch import nn

from shapezoo.contracts import Argument, Condition, ContractError, PlainType, Signature
from shapezoo.contracts.checking.known_limits import limits_of
from shapezoo.contracts.examples.arguments import arguments, free_axes
from shapezoo.contracts.examples.variants import Variant, Way, variants_with, ways
from shapezoo.contracts.language.axes import Extent
from shapezoo.contracts.language.expressions import read_braces
from shapezoo.contracts.language.signatures import ArgumentKind
from shapezoo.contracts.language.types import DictType, Type, tensors, walk
from shapezoo.testing.calls import Call, function_of, owner_of
from shapezoo.testing.fixed_seed import seeded
from shapezoo.testing.places import bind, places
from shapezoo.testing.random_tensors import RandomTensors
from shapezoo.testing.sizing import AnyCondition, ComputedSize, Sizes, solved

LAST_SEED = (1 << 32) - 1


@dataclass(frozen=True)
class ResolvedTarget:
    """An object to call, with its contract.

    Attributes:
        contract: The contract; parts in braces that depend on the constructor are open.
        free: Names for the arguments of the constructor that may have any size.
        make: Returns the object for sizes of these arguments.
    """

    contract: Signature
    free: tuple[str, ...]
    make: Callable[[Sizes], Callable[..., Any]]

    @property
    def axes(self) -> list[str]:
        """The names of open sizes."""
        types = (type_ for argument in self.contract.inputs for type_ in tensors(argument.type))
        names = (axis.name for type_ in types for axis in type_.axes if not axis.variadic)
        return list(dict.fromkeys([*filter(None, names), *self.free]))


@dataclass
class Drawing:
    """Draws calls.

    Attributes:
        target: The object to call.
        assumed: Conditions that the sizes meet.
        given: Values of arguments, or strategies of them.
        below: Upper bounds (exclusive) of the integers in arguments.
        choices: The sizes of axes to choose from.
    """

    target: ResolvedTarget
    assumed: Sequence[Condition]
    given: Mapping[str, Any]
    below: Mapping[str, int | str]
    choices: Mapping[str, Sequence[int]]

    def __post_init__(self) -> None:
        self.contract = _with_given(self.target.contract, self.given)
        self.ways = _ways(self.contract)
        self._solved: dict[Any, list[list[Sizes]]] = {}

    def call(self, draw: DrawFn) -> Call:
        """Draw a call.

        Raises:
            ContractError: An argument cannot be made, or no sizes were found.
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
        braces = self._braces(function, variant, given)
        fixed = built | self._sizes_of(given, braces)
        try:
            groups = self._sizes(function, variant, braces, fixed)
        except ContractError:
            if not built and chosen == [some[0] for some in self.ways]:
                raise
            reject()  # another module, or other arguments, may have sizes
        sizes = _drawn(draw, groups)
        seed = draw(st.integers(0, LAST_SEED))
        fill = RandomTensors(function, variant.contract, sizes | braces, self.below, seed)
        try:
            args, kwargs = arguments(variant.contract, sizes | braces, fill, given)
        except ContractError as error:
            raise ContractError(
                f"{error}\n  give a value of it, or a strategy: inputs(..., given={{...}})"
            ) from error
        return Call(function, tuple(args), kwargs, sizes, self.target.contract.resolved(braces))

    def _function(self, draw: DrawFn) -> tuple[Callable[..., Any], Sizes]:
        """Draw the object to call, with the sizes of its constructor."""
        free = {axis: self.choices.get(axis) for axis in self.target.free}
        conditions = [c for c in self.assumed if {*c.axes} <= free.keys()]
        built = _drawn(draw, solved(free, conditions))
        try:
            with seeded():  # the same weights for the same call
                return self.target.make(built), built
        except (ValueError, AssertionError):
            if not free:
                raise
            reject()  # the constructor does not accept these sizes

    def _braces(
        self, function: Callable[..., Any], variant: Variant, given: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the values of parts in braces that do not depend on tensors."""
        parameters = inspect.signature(function_of(function)).parameters.values()
        scope = {p.name: p.default for p in parameters if p.default is not p.empty}
        for argument in variant.contract.inputs:
            if isinstance(argument.type, PlainType) and _is_literal(argument.type):
                (scope[argument.name],) = get_args(argument.type.annotation)
        scope |= {**given, self.contract.owner: owner_of(function)}
        values: dict[str, Any] = {}
        for braces in self.contract.braces:
            try:
                values[braces] = read_braces(braces, scope)
            except ContractError:
                continue  # an error only if the value is needed, which is found out later
        return values

    def _sizes_of(self, given: Mapping[str, Any], braces: Mapping[str, Any]) -> Sizes:
        """Return the sizes of axes in the values that the user gives."""
        bound: dict[str, Extent] = {}
        for argument in self.target.contract.resolved(braces).inputs:
            if argument.name in given:
                for place in places(argument.type, given[argument.name], argument.name):
                    bind(place, bound)
        sizes = {axis: size for axis, size in bound.items() if isinstance(size, int)}
        for axis in sizes.keys() & self.choices.keys():
            if sizes[axis] not in self.choices[axis]:
                raise ContractError(
                    f"{axis} is {sizes[axis]} in the given arguments, but should be one of "
                    f"{list(self.choices[axis])}"
                )
        return sizes

    def _sizes(
        self,
        function: Callable[..., Any],
        variant: Variant,
        braces: Mapping[str, Any],
        fixed: Mapping[str, int],
    ) -> list[list[Sizes]]:
        """Return sizes to choose from, for each group of axes."""
        limits: Sequence[Condition] = ()
        if isinstance(owner := owner_of(function), nn.Module):
            limits = limits_of(owner).get("train" if owner.training else "eval", ())
        key = variant.contract, tuple(braces.items()), tuple(fixed.items()), limits
        if key not in self._solved:
            axes = {axis: self.choices.get(axis) for axis in free_axes(variant.contract)}
            axes |= {axis: [size] for axis, size in fixed.items()}
            conditions: list[AnyCondition] = [*self.assumed, *limits]
            conditions = [c for c in conditions if {*c.axes} <= axes.keys()]
            conditions += _computed_sizes(variant.contract, braces)
            self._solved[key] = solved(axes, conditions)
        return self._solved[key]


def _drawn(draw: DrawFn, groups: list[list[Sizes]]) -> Sizes:
    return {axis: n for group in groups for axis, n in draw(st.sampled_from(group)).items()}


def _with_given(contract: Signature, given: Mapping[str, Any]) -> Signature:
    """Return a contract in which the given arguments are required and may be anything."""
    inputs = tuple(
        dataclasses.replace(a, type=PlainType("Any", Any), default=None) if a.name in given else a
        for a in contract.inputs
    )
    return dataclasses.replace(contract, inputs=inputs)


def _ways(contract: Signature) -> list[list[Way]]:
    """Return the ways to pass each argument for which values can be made."""
    possible: list[list[Way]] = []
    for index, argument in enumerate(contract.inputs):
        every = list(ways(argument))
        some = [way for way in every if _is_possible(way, argument)]
        if any(
            later.is_required and later.kind is ArgumentKind.POSITIONAL_ONLY
            for later in contract.inputs[index:]
        ):  # an argument before these cannot be left out
            some = [way for way in some if way[1] is not None]
        possible.append(some or every)  # if none is possible, making the argument explains why
    return possible


def _is_possible(way: Way, argument: Argument) -> bool:
    """Whether an argument can be passed, or left out, in this way."""
    _, given = way
    if given is not None:
        return all(map(_can_be_made, walk(given.type)))
    has_tensors = any(tensors(argument.type))
    return not has_tensors or argument.default in (None, "None")  # a default tensor has sizes


def _can_be_made(type_: Type) -> bool:
    if isinstance(type_, PlainType):
        return type_.annotation in (Any, NoneType) or _is_literal(type_)
    return not isinstance(type_, DictType)


def _is_literal(type_: PlainType) -> bool:
    return get_origin(type_.annotation) is Literal


def _computed_sizes(contract: Signature, braces: Mapping[str, Any]) -> list[ComputedSize]:
    """Return the conditions that computed axes are valid sizes."""
    types = (type_ for argument in contract.inputs for type_ in tensors(argument.type))
    axes = dict.fromkeys(axis for type_ in types for axis in type_.axes if axis.needs)
    return [ComputedSize(axis, braces) for axis in axes if {*axis.braces} <= braces.keys()]
