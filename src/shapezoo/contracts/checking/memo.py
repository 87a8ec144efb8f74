"""Remember the calls of a function that passed their check, by all that the check depends on.

The outcome of a check depends only on the classes, shapes and dtypes in the arguments, on the
values of a few constants, and on the values of the parts in braces. These make up the key of a
call. Building it must not cost more than a microsecond or so, so it is neither built by a loop over
the annotations, nor is the call bound to the parameters by `inspect`. Instead, `Memo` compiles a
lambda with the parameters of the function, whose body is the key, written out. For
``forward(self, x: Float[Tensor, "batch {self.width}"], n: int = 2)``::

    lambda self, x, n: calls.get(((self.width), x.shape, x.dtype, x.__class__, n.__class__,))

Python binds the arguments itself, and one lookup in a dictionary finds the call. Anything that the
key cannot describe, such as an object of an unknown class or a symbolic size, raises an exception
when the key is built or hashed. Such a call is checked each time. The same holds for results, whose
keys are kept per call, because the check of a result depends on the axes that the arguments bound.

A key that leaves out something that a check depends on would let a wrong call pass.
"""

import contextlib
import dataclasses
import inspect
from collections.abc import Callable, Hashable, Iterable, MutableMapping
from operator import attrgetter
from types import NoneType
from typing import Any, Literal, NamedTuple, TypeVar, get_origin

import torch
from torch import Tensor

from shapezoo.contracts.language.expressions import value_or_none
from shapezoo.contracts.language.signatures import Signature
from shapezoo.contracts.language.types import (
    PlainType,
    TensorType,
    TreeType,
    Type,
    is_decided_by_class,
    is_plain_class,
)
from shapezoo.contracts.matching.bindings import Bindings
from shapezoo.contracts.matching.dynamo_skipping import skip_by_dynamo

MAX_CALLS = 512
MAX_RESULTS = 16
MAX_ITEMS = 1000
V = TypeVar("V")

_CONSTANTS = frozenset(
    {NoneType, bool, int, float, complex, str, bytes, torch.dtype, torch.device, torch.layout}
)


class CheckedCall(NamedTuple):
    """A call whose arguments passed their check.

    Attributes:
        bindings: The axes that the arguments bind, and the values of the parts in braces.
        axes: The axes alone.
        opaque: The axes that only arguments can bind which cannot be inspected while a graph is
            traced.
        results: The keys of results that passed.
        key_of_result: Returns the key of a result.
    """

    bindings: Bindings
    axes: Bindings
    opaque: frozenset[str]
    results: dict[Hashable, None]
    key_of_result: Callable[[Any], Hashable]


class Memo:
    """The calls of one function that passed their check.

    Args:
        function: The function.
        contract: Its contract.

    Attributes:
        calls: The calls, by their keys.
        key_of_result: Returns the key of a result.
        arguments_of: Has the parameters of the function; returns its arguments by name.
        values_of: Same parameters; returns the values of the parts in braces, None for any that
            fails, and the arguments by name. Dynamo traces it.
        key_of: Same parameters; returns the key of a call. The first parts of the key are the
            values of the parts in braces.
        recall: Same parameters; returns the call that is remembered, or None.
    """

    def __init__(self, function: Callable[..., Any], contract: Signature) -> None:
        self.calls: dict[Hashable, CheckedCall] = {}
        self.key_of_result = _key_of_result(contract.output)
        parameters = list(inspect.signature(function).parameters)
        # longer than any parameter, so that no parameter can hide one of these names
        prefix = "_" * max(map(len, parameters), default=0)
        read, part, find = f"{prefix}_read", f"{prefix}_key_of", f"{prefix}_find"
        names: dict[str, object] = {read: value_or_none, part: key_of, find: self.calls.get}

        def compiled(expression: str) -> Callable[..., Any]:
            return with_parameters_of(function, expression, **names)

        braces = [text[1:-1] for text in contract.braces]
        codes = [key_code(a.name, a.collected, part) for a in contract.inputs]
        key = _tuple([*(f"({text})" for text in braces), *filter(None, codes)])
        self._num_braces = len(braces)
        self._has_keys = None not in codes

        arguments = f"{{{', '.join(f'{name!r}: {name}' for name in parameters)}}}"
        sizes = _tuple(f"{read}(lambda: {text})" for text in braces)
        self.arguments_of = compiled(arguments)
        self.values_of = compiled(f"({sizes}, {arguments})")
        self.key_of = compiled(key)
        self.recall = skip_by_dynamo(compiled(f"{find}({key})" if self._has_keys else "None"))

    def add(self, key: tuple[Any, ...], call: CheckedCall) -> None:
        """Remember a call, if its key stays valid; a tensor in braces can change its value."""
        sizes = key[: self._num_braces]
        if self._has_keys and all(type(size) in (int, float) for size in sizes):
            with contextlib.suppress(TypeError):  # a symbolic size
                remember(self.calls, key, call, MAX_CALLS)


def with_parameters_of(
    function: Callable[..., Any], expression: str, **names: object
) -> Callable[..., Any]:
    """Return a function with the parameters and defaults of another that returns an expression.

    It binds the arguments of a call about twenty times faster than `inspect.Signature.bind`, and
    `torch.compile` can trace it.

    Args:
        function: The other function.
        expression: Python code over its parameters.
        **names: Other values that the expression uses, under names that no parameter has.
    """
    parameters = list(inspect.signature(function).parameters.values())
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
    keyword_only = {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}
    bare = inspect.Signature([p.replace(annotation=p.empty, default=p.empty) for p in parameters])
    source = f"lambda {str(bare)[1:-1]}: {expression}"
    filename = f"<contract of {function.__module__}.{function.__qualname__}>"
    compiled: Callable[..., Any] = eval(compile(source, filename, "eval"), dict(names))
    compiled.__defaults__ = tuple(v for k, v in defaults.items() if k not in keyword_only)
    compiled.__kwdefaults__ = {k: v for k, v in defaults.items() if k in keyword_only}
    compiled.__qualname__ = function.__qualname__
    return compiled


def key_code(name: str, type_: Type, key_of_name: str) -> str | None:
    """Return code for the key of a variable: values with equal keys have the same check outcome.

    Args:
        name: The variable.
        type_: The type that the value is checked against.
        key_of_name: The name of `key_of` in the code.

    Returns:
        The code, or None if the check depends on more than a hashable key can capture, as with a
        validator.
    """
    if not _can_be_remembered(type_):
        return None
    if isinstance(type_, TensorType):
        return f"{name}.shape, {name}.dtype, {name}.__class__"
    if is_decided_by_class(type_):
        return f"{name}.__class__"
    return f"{key_of_name}({name})"


def key_of(value: Any) -> Hashable:
    """Return a key of a value: its class, and the contents that a check depends on.

    Raises:
        TypeError: It is, or contains, an object of an unknown class, or it is too large.
    """
    class_ = type(value)
    if isinstance(value, Tensor):
        return value.shape, value.dtype, class_
    if isinstance(value, str | bytes | tuple | list | dict) and len(value) > MAX_ITEMS:
        raise TypeError(f"too large to cache: {class_} of {len(value)}")
    if class_ in _CONSTANTS:
        return class_, value  # with the class, because 1 == True == 1.0
    is_record = dataclasses.is_dataclass(value)
    fields = dataclasses.fields(value) if is_record else ()
    key: tuple[Any, ...] = class_, *(key_of(getattr(value, field.name)) for field in fields)
    if isinstance(value, tuple | list):  # a dataclass can be one as well
        return *key, *map(key_of, value)
    if isinstance(value, dict):
        return *key, *((key_of(name), key_of(part)) for name, part in value.items())
    if not is_record:
        raise TypeError(f"cannot build a key for {class_}")
    return key


def remember(memo: MutableMapping[Hashable, V], key: Hashable, value: V, most: int) -> None:
    """Store a value under its key, in a cache of limited size.

    A full cache is cleared; keys that are still in use soon return.

    Raises:
        TypeError: The key is not hashable, such as a symbolic size.
    """
    if len(memo) >= most:
        memo.clear()
    memo[key] = value


def _can_be_remembered(type_: Type) -> bool:
    if isinstance(type_, TensorType):
        return is_plain_class(type_.annotation.array_type)
    if isinstance(type_, PlainType):
        return is_plain_class(type_.annotation) or get_origin(type_.annotation) is Literal
    if isinstance(type_, TreeType):
        return False  # jaxtyping may look into more than `key_of` does
    return all(map(_can_be_remembered, type_.parts))


def _key_of_result(output: Type) -> Callable[[Any], Hashable]:
    """Return a function that computes the key of a result."""
    code = key_code("result", output, "key_of")
    if code is None:
        return _no_key
    if isinstance(output, TensorType):
        # same key as `code`, without a Python call
        return attrgetter("shape", "dtype", "__class__")
    return skip_by_dynamo(with_parameters_of(lambda result: None, code, key_of=key_of))


def _no_key(result: object) -> Hashable:
    raise TypeError("the check depends on more than a hashable key can capture")


def _tuple(parts: Iterable[str]) -> str:
    """Return the code of a tuple of these expressions."""
    return "(" + "".join(f"{part}, " for part in parts) + ")"
