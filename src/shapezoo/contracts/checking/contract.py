"""The contract of one function, ready to be enforced."""

import contextlib
import functools
import inspect
import itertools
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import is_dataclass
from operator import attrgetter
from typing import Any, NamedTuple

import jaxtyping
from torch import nn
from torch.nn.parameter import is_lazy

from shapezoo.contracts.checking.introspection import (
    FILLED_BY_FACTORY,
    NO_CLASS,
    Origin,
    function_signature,
    result_axes,
)
from shapezoo.contracts.checking.jit import paused
from shapezoo.contracts.checking.known_limits import unmet
from shapezoo.contracts.checking.memo import key_code, key_of, remember
from shapezoo.contracts.checking.parameters import helper_name, with_parameters_of
from shapezoo.contracts.language.errors import ContractError, ShapeError
from shapezoo.contracts.language.expressions import number, read_braces, value_or_none
from shapezoo.contracts.language.types import (
    DictType,
    RecordType,
    SequenceType,
    TensorType,
    Type,
    UnionType,
    bindable_names,
    needed_names,
    tensors,
    walk,
)
from shapezoo.contracts.matching.bindings import (
    Bindings,
    bound_braces,
    current,
    frame,
    missing,
    settled,
    visible,
    without_braces,
)
from shapezoo.contracts.matching.dynamo_skipping import skip_by_dynamo
from shapezoo.contracts.matching.matching import MismatchError, OpaqueValue, StepAside, check_value
from shapezoo.contracts.messages.describing import concrete
from shapezoo.contracts.messages.explain import explain, public_name
from shapezoo.contracts.messages.fitting import suggest_for_result
from shapezoo.contracts.messages.fixes import suggest
from shapezoo.contracts.messages.module_paths import place_of

MOST_CALLS = 512
MOST_RESULTS = 16


class Call(NamedTuple):
    """A call whose arguments passed their check.

    Attributes:
        sizes: The values of the parts in braces, or the error if one cannot be read.
        bindings: The axes that the arguments bind, and the parts in braces.
        axes: The axes alone.
        opaque: The axes that only arguments bind which cannot be inspected while a graph is traced.
        results: The keys of results that passed.
        key_of: Returns the key of a result.
    """

    sizes: dict[str, object]
    bindings: Bindings
    axes: Bindings
    opaque: frozenset[str]
    results: dict[Hashable, None]
    key_of: Callable[[Any], Hashable]


class Contract:
    """The contract of one function, with a cache of calls that passed.

    Args:
        function: The function.

    Attributes:
        signature: The contract as data.
        records: The dataclasses in it whose fields hold tensors.
        calls: The cache of calls that passed, by the keys of their arguments.
        arguments_of: Has the parameters of the function; returns its arguments by name.
        sizes_of: Same parameters; returns the values of the parts in braces, None for any that
            fails.
        recall: Same parameters; returns the entry in `calls`, if there is one.

    Raises:
        UnresolvedError: An annotation refers to a name that does not exist (yet).
        ContractError: An annotation is missing or cannot be used.
    """

    def __init__(
        self, function: Callable[..., Any], origin: Origin = NO_CLASS, *, is_final: bool = False
    ) -> None:
        self.signature = function_signature(function, origin, is_final=is_final)
        kinds = [argument.collected for argument in self.signature.inputs]
        output = self.signature.output
        inside = [part for kind in (*kinds, output) for part in walk(kind)]
        records = [part.record for part in inside if isinstance(part, RecordType)]
        self.records = tuple(filter(is_dataclass, records))
        self.calls: dict[Hashable, Call] = {}

        names = list(inspect.signature(function).parameters)
        self._function = function
        self._has_owner = names[:1] == [self.signature.owner]
        self._braces = self.signature.braces
        self._kinds = [(a.name, kind) for a, kind in zip(self.signature.inputs, kinds, strict=True)]
        self._needed = needed_names(output)  # the arguments of every call must bind these
        keys = (axis.key for axis in result_axes(output))
        # these, if the result has them
        self._sometimes_needed = frozenset(key for key in keys if key) - self._needed
        self._has_broadcast = any(t.broadcast_names for kind in kinds for t in tensors(kind))

        take = functools.partial(with_parameters_of, function)
        self.arguments_of = take(f"{{{', '.join(f'{name!r}: {name}' for name in names)}}}")
        read, key_of_, known = (helper_name(n, function) for n in ("read", "key_of", "known"))
        reads = (f"{read}(lambda: {braces[1:-1]})" for braces in self._braces)
        self.sizes_of = take(_tuple(reads), **{read: value_or_none})
        codes = [key_code(name, kind, key_of_) for name, kind in self._kinds]
        self._has_key = None not in codes
        sizes = (f"({braces[1:-1]})" for braces in self._braces)
        key = _tuple([*sizes, *filter(None, codes)])
        self._key_of = take(key, **{key_of_: key_of})
        find = f"{known}({key})" if self._has_key else "None"
        self.recall = skip_by_dynamo(take(find, **{key_of_: key_of, known: self.calls.get}))
        self._key_of_result = _key_of_result(output)

    def check_arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
        """Check the arguments of a call; return None if checks do not apply to it.

        Raises:
            TypeError: The arguments do not match the function's parameters.
            ShapeError: An argument breaks the contract.
            ContractError: The contract cannot be computed for these arguments.
        """
        arguments = self.arguments_of(*args, **kwargs)
        if jaxtyping.config.jaxtyping_disable:
            return None
        try:
            with paused():
                try:
                    key = self._key_of(*args, **kwargs)
                    sizes = self._numbers_of(key[: len(self._braces)])
                except Exception:  # an unknown class, a size that cannot be read
                    key, sizes = None, self._read(arguments)
                if unknown := _of_lazy_layers(sizes, arguments.get(self.signature.owner)):
                    key, sizes = None, {k: v for k, v in sizes.items() if k not in unknown}
                call = self._check(arguments, sizes)
        except StepAside:
            return None
        if key is not None and self._can_keep(key):
            with contextlib.suppress(TypeError):  # a symbolic size
                remember(self.calls, key, call, MOST_CALLS)
        return call

    def check_result(self, call: Call, result: object, args: tuple[Any, ...]) -> None:
        """Check the result of a call against the axes that its arguments bound.

        Raises:
            ShapeError: It breaks the contract.
            ContractError: The contract cannot be computed for it.
        """
        if jaxtyping.config.jaxtyping_disable:
            return
        with paused():
            try:
                self._check_result(call, result, args[0] if self._has_owner and args else None)
            except StepAside:
                return
            with contextlib.suppress(Exception):  # an unknown class, a symbolic size
                remember(call.results, call.key_of(result), None, MOST_RESULTS)

    def refusal(self, call: Call, args: tuple[Any, ...]) -> ShapeError | None:
        """Return the error for sizes outside the module's known limits, if they are.

        Args:
            call: The result of `check_arguments`.
            args: The positional arguments.
        """
        owner = args[0] if self._has_owner and args else None
        return unmet(self._function, self.signature, owner, visible(call.bindings))

    def verify(
        self,
        sizes: tuple[object, ...],
        arguments: dict[str, Any],
        results: tuple[object, ...],
        place: str,
        call: Call | None,
        owner: object,
    ) -> Call | None:
        """Check the arguments or the result of a call that is being traced.

        Args:
            sizes: The values of the parts in braces.
            arguments: The arguments, by name.
            results: The result, if there is one yet.
            place: The path of the traced module in its parent.
            call: What this method returned before the body ran, which may have changed the
                arguments.
            owner: The module, if the function is a forward.

        Raises:
            ShapeError: The call breaks the contract, or its sizes are outside the module's limits.
            ContractError: The contract cannot be computed for this call.
        """
        if jaxtyping.config.jaxtyping_disable:
            return None
        place = place if self._has_owner else ""
        with contextlib.suppress(StepAside):
            if call is None:
                call = self._check(arguments, self._numbers_of(sizes), place)
                if refused := self.refusal(call, (owner,)):
                    raise refused
            for result in results:
                self._check_result(call, result, None, place)
        return call

    def _check(self, arguments: dict[str, Any], sizes: dict[str, object], place: str = "") -> Call:
        try:
            bindings, opaque = self._bind(arguments, sizes)
        except MismatchError as mismatch:
            numbers = _numbers(sizes)
            accepts = functools.partial(self._accepts, sizes)
            inputs = self.signature.resolved(numbers).inputs
            owner = arguments.get(self.signature.owner) if self._has_owner else None
            raise explain(
                self._function,
                mismatch,
                numbers,
                place=place or place_of(owner),
                hint=suggest(inputs, arguments, mismatch, accepts),
            ) from None
        except ContractError as error:
            raise self._renamed(error) from error
        if unbound := missing(bindings, self._needed - opaque if opaque else self._needed):
            raise self._unbound(unbound)
        axes = without_braces(bindings) if self._braces else bindings
        return Call(sizes, bindings, axes, opaque, {}, self._key_of_result)

    def _check_result(self, call: Call, result: object, owner: object, place: str = "") -> None:
        open_names: list[str] = []
        if self._sometimes_needed:
            open_names = missing(call.bindings, self._sometimes_needed - call.opaque)
        try:
            if open_names and self._fits_an_option(call, result, open_names):
                return
            with frame(call.bindings):
                check_value(result, self.signature.output, "return")
                still_open = missing(current(), open_names) if open_names else []
        except MismatchError as mismatch:
            raise explain(
                self._function,
                mismatch,
                _numbers(call.sizes),
                place=place or place_of(owner),
                hint=suggest_for_result(self.signature, call.bindings, result, owner, mismatch),
                is_result=True,
            ) from None
        except ContractError as error:
            if call.opaque:
                return  # its sizes come from an argument that cannot be inspected
            raise self._renamed(error) from error
        if unbound := [name for name in open_names if name not in still_open]:
            raise self._unbound(unbound)

    def _fits_an_option(self, call: Call, result: object, open_names: list[str]) -> bool:
        """Whether a result fits an option of a union all of whose axes are bound."""
        output = self.signature.output
        for option in output.parts if isinstance(output, UnionType) else ():
            with frame(call.bindings), contextlib.suppress(MismatchError, ContractError):
                check_value(result, option, "return")
                if len(missing(current(), open_names)) == len(open_names):
                    return True
        return False

    def _unbound(self, axes: Iterable[str]) -> ShapeError:
        """The error for axes of a result that no argument of the call has bound."""
        names = sorted(axes)
        able = [a for a in self.signature.inputs if bindable_names(a.type) & set(names)]
        has_lists = any(isinstance(p, SequenceType | DictType) for a in able for p in walk(a.type))
        empty = " (an empty list has no sizes)" if has_lists else ""
        them = "it" if len(names) == 1 else "them"
        return ShapeError(
            f"{public_name(self._function)}: the result has {_axes(names)}, and no argument of "
            f"this call has {them}\n"
            f"  expected  {self.signature.output}\n"
            f"  hint      pass {' or '.join(repr(a.name) for a in able)}{empty}",
            argument="return",
        )

    def _renamed(self, error: ContractError) -> ContractError:
        return ContractError(f"{public_name(self._function)}: {error}")

    def _bind(
        self, arguments: dict[str, Any], sizes: dict[str, object]
    ) -> tuple[Bindings, frozenset[str]]:
        """The axes that these arguments bind, and those that others may bind which are opaque.

        Raises:
            MismatchError: An argument does not match its annotation.
            ContractError: A part in braces is needed, but cannot be read.
        """
        opaque: frozenset[str] = frozenset()
        with frame(bound_braces(sizes)):
            for name, kind in self._kinds:
                if arguments[name] is not FILLED_BY_FACTORY:
                    try:
                        check_value(arguments[name], kind, name)
                    except OpaqueValue:
                        opaque |= bindable_names(kind)
                    except ContractError:
                        if not opaque:  # an expression over the axis of an opaque argument
                            raise
                        opaque |= bindable_names(kind)
            bindings = current()
        return settled(bindings) if self._has_broadcast else bindings, opaque

    def _accepts(
        self, sizes: dict[str, object], arguments: dict[str, Any], changes: dict[str, object]
    ) -> bool:
        """Whether other arguments, with other values of parts in braces, would pass."""
        try:
            self._bind(arguments, sizes | _numbers(self._read(arguments)) | changes)
        except (MismatchError, ContractError):
            return False
        return True

    def _can_keep(self, key: tuple[Any, ...]) -> bool:
        """Whether a key stays valid; a tensor in braces can change its value."""
        sizes = key[: len(self._braces)]
        return self._has_key and all(type(size) in (int, float) for size in sizes)

    def _read(self, arguments: dict[str, Any]) -> dict[str, object]:
        """Read the values of the parts in braces; an error takes the place of one that fails."""
        sizes: dict[str, object] = {}
        for braces in self._braces:
            try:
                sizes[braces] = read_braces(braces, arguments)
            except ContractError as error:
                sizes[braces] = ContractError(str(error))  # its traceback would hold the arguments
        return sizes

    def _numbers_of(self, sizes: tuple[object, ...]) -> dict[str, object]:
        """Convert values that were read to numbers; an error takes the place of any other."""
        return {text: _number(text, v) for text, v in zip(self._braces, sizes, strict=True)}


def _axes(names: Sequence[str]) -> str:
    """Some axes in words: ``axes 'batch' and 'seq'``."""
    *others, last = map(repr, names)
    return f"axes {', '.join(others)} and {last}" if others else f"axis {last}"


def _of_lazy_layers(sizes: dict[str, object], owner: object) -> list[str]:
    """Return the parts in braces that may be 0 only because a lazy layer was not called yet."""
    if not sizes:
        return []
    zeros = [braces for braces, size in sizes.items() if type(size) is int and size == 0]
    if not zeros or not isinstance(owner, nn.Module):
        return []
    has_lazy_layers = any(map(is_lazy, itertools.chain(owner.parameters(), owner.buffers())))
    return zeros if has_lazy_layers else []


def _key_of_result(output: Type) -> Callable[[Any], Hashable]:
    """Return a function that computes the key of a result."""
    code = key_code("result", output, "key_of")
    if code is None:
        return _no_key
    if isinstance(output, TensorType):
        # same key as key_code, without a Python call
        return attrgetter("shape", "dtype", "__class__")
    return skip_by_dynamo(with_parameters_of(lambda result: None, code, key_of=key_of))


def _no_key(result: object) -> Hashable:
    raise TypeError("the check depends on more than a hashable key can capture")


def _tuple(parts: Iterable[str]) -> str:
    """Return the code of a tuple of these expressions."""
    return "(" + "".join(f"{part}, " for part in parts) + ")"


def _numbers(sizes: dict[str, object]) -> dict[str, object]:
    """Keep the values that could be read; symbolic ones become those of the example inputs."""
    return {text: concrete(v) for text, v in sizes.items() if not isinstance(v, ContractError)}


def _number(braces: str, value: object) -> object:
    """Return a value as a number, or an error if it is not one."""
    try:
        return number(value)
    except TypeError as error:
        return ContractError(f"cannot read {braces} as a size: {error}")
