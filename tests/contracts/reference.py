"""The expected outcome of a call, from a naive reading of its annotations.

It is written from the documentation, `docs/contracts.md` and jaxtyping's own, and shares no code
with the engine that it is compared with.
"""

import re
import typing
from collections.abc import Iterator, Mapping
from types import NoneType, UnionType
from typing import Any, NamedTuple, Union

import torch
from jaxtyping import AbstractArray
from torch import Tensor

FLOATS, INTS, COMPLEX = (
    {"float16", "bfloat16", "float32", "float64"},
    {"int32", "int64"},
    "complex64",
)
NUMBERS = FLOATS | INTS | {"uint8"}
DTYPES = {
    "Float": FLOATS,
    "Float32": {"float32"},
    "Int": INTS,
    "Int64": {"int64"},
    "UInt8": {"uint8"},
    "Integer": INTS | {"uint8"},
    "Bool": {"bool"},
    "Real": NUMBERS,
    "Num": NUMBERS | {COMPLEX},
    "Inexact": FLOATS | {COMPLEX},
    "Shaped": NUMBERS | {COMPLEX, "bool"},
}
"""The dtypes of torch that each of jaxtyping's names allows."""


class Verdict(NamedTuple):
    """The outcome of a call: accepted, arguments, result, unbound, uncomputable or raised.

    For a refusal, the place. Under "unbound" an argument fails to bind an axis of the result.
    """

    outcome: str
    argument: str | None = None
    axis: int | None = None


BRACES = re.compile(r"{[^{}]*}")
"""What is read from the arguments."""

FAILURE = object()
"""Replaces the result of a body that raises."""

UNCLEAR = -1
"""Replaces the position of an axis if more than one answer is correct."""


class RefusedError(Exception):
    def __init__(self, path: str, axis: int | None = None) -> None:
        super().__init__(path, axis)
        self.path, self.axis = path, axis


class UncomputableError(Exception):
    """A size that the contract computes has no value for this call."""


Names = dict[str, Any]
"""The size of each name; for a name with a star, its shape, and whether it may still grow."""


def reading(hints: Mapping[str, Any], arguments: Names, answer: Any) -> Verdict:
    """Return the verdict that follows from the documentation of the annotations.

    Args:
        hints: The annotations.
        arguments: The arguments by name, those left out too.
        answer: What the body returns; FAILURE where it raises.
    """
    bound: Names = {}
    try:
        for name, hint in hints.items():
            if name != "return":
                bound = after(arguments[name], hint, name, bound, arguments)
        bound = with_ones(bound)
        if names_of_every_result(hints["return"]) - bound.keys():
            return Verdict("unbound", "return")
    except RefusedError as error:
        return Verdict("arguments", error.path, error.axis)
    except UncomputableError:
        return Verdict("uncomputable")
    if answer is FAILURE:
        return Verdict("raised")
    try:
        in_result = after(answer, hints["return"], "return", bound, arguments)
    except RefusedError as error:
        return Verdict("result", error.path, error.axis)
    except UncomputableError:
        return Verdict("uncomputable")
    is_open = bool(names_of_result(hints["return"]) & (in_result.keys() - bound.keys()))
    if is_open and not fits_without_new_names(answer, hints["return"], bound, arguments):
        return Verdict("unbound", "return")
    return Verdict("accepted")


def fits_without_new_names(answer: Any, hint: Any, bound: Names, arguments: Names) -> bool:
    """Whether a result matches an option of a union in which all names are bound."""
    is_union = typing.get_origin(hint) in (Union, UnionType)
    for option in typing.get_args(hint) if is_union else ():
        try:
            after_option = after(answer, option, "return", bound, arguments)
        except (RefusedError, UncomputableError):
            continue
        if not names_of_result(hint) & (after_option.keys() - bound.keys()):
            return True
    return False


def with_ones(bound: Names) -> Names:
    """Return the names after the last argument: a ``#name`` that only had size 1 is 1."""
    ones = {name[1:]: 1 for name in bound if name.startswith("#")}
    return ones | {name: size for name, size in bound.items() if not name.startswith("#")}


def after(value: Any, hint: Any, path: str, bound: Names, arguments: Names) -> Names:
    """Return the names that are bound after a value was compared with its annotation.

    Raises:
        RefusedError: It is something else.
        UncomputableError: Nobody can tell.
    """
    if is_shape(hint):
        return after_tensor(value, hint, path, bound, arguments)
    if typing.get_origin(hint) in (Union, UnionType):
        return after_union(value, typing.get_args(hint), path, bound, arguments)
    if is_plain(hint):
        if hint is Any or isinstance(value, hint or NoneType):
            return bound
        raise RefusedError(path)
    for place, part, part_hint in parts_of(value, hint, path):
        bound = after(part, part_hint, place, bound, arguments)
    return bound


def after_union(
    value: Any, options: tuple[Any, ...], path: str, bound: Names, arguments: Names
) -> Names:
    if value is None and NoneType in options:
        return bound
    refusals: dict[int, RefusedError] = {}
    is_computable = True
    for index, option in enumerate(options):
        try:
            return after(value, option, path, bound, arguments)
        except RefusedError as error:
            refusals[index] = error
        except UncomputableError:
            is_computable = False
    others = [index for index, option in enumerate(options) if option is not NoneType]
    if not is_computable and not any(index in refusals for index in others):
        raise UncomputableError
    meant = [index for index in others if is_alike(value, options[index])] or others
    raise refusals[meant[0]] if len(meant) == 1 and meant[0] in refusals else RefusedError(path)


def is_alike(value: Any, hint: Any) -> bool:
    """Whether a value is a tensor, or a container of the class of an option."""
    if is_shape(hint) or is_plain(hint):
        return is_shape(hint) and isinstance(value, Tensor)
    try:
        list(parts_of(value, hint, ""))
    except RefusedError:
        return False
    return True


def after_tensor(value: Any, hint: Any, path: str, bound: Names, arguments: Names) -> Names:
    text = BRACES.sub(lambda part: read(part[0][1:-1], arguments), hint.dim_str)
    if not isinstance(value, Tensor):
        raise RefusedError(path)
    right_dtype = str(value.dtype).removeprefix("torch.") in DTYPES[hint.dtype.__name__]
    tokens, sizes = text.split(), list[Any](value.shape)
    places = list(range(len(sizes)))
    star = next((i for i, token in enumerate(tokens) if is_star(token)), None)
    if star is not None and len(sizes) >= len(tokens) - 1:
        end = star + len(sizes) - len(tokens) + 1
        sizes[star:end], places[star:end] = [tuple(sizes[star:end])], [star]
    if len(sizes) != len(tokens):
        raise RefusedError(path)
    bound, wrong = dict(bound), []
    # with the star last, as in jaxtyping: it shows where another axis cannot be computed
    for place, token, size in sorted(
        zip(places, tokens, sizes, strict=True), key=lambda axis: is_star(axis[1])
    ):
        try:
            if not fits(token, size, bound):
                wrong.append(place)
        except UncomputableError:
            if right_dtype and not wrong:
                raise
    if not right_dtype:
        raise RefusedError(path, UNCLEAR if wrong else None)
    if wrong:
        raise RefusedError(path, min(wrong))
    return bound


def fits(token: str, size: Any, bound: Names) -> bool:
    """Whether an axis may have a size, or several sizes; it is bound to the first."""
    name = token.lstrip("#*").partition("=")[2] or token.lstrip("#*")
    is_open = token.startswith(("#", "*#"))
    if token == "..." or name.startswith("_"):
        return True
    if is_star(token):
        shape, may_grow = bound.setdefault(f"*{name}", (size, is_open))
        try:
            both = tuple(torch.broadcast_shapes(shape, size))  # type: ignore[no-untyped-call]  # PyTorch's
        except RuntimeError:
            return False
        bound[f"*{name}"] = both, may_grow and is_open
        return (may_grow or both == shape) and (is_open or both == size)
    if is_open and size == 1:
        if name.isidentifier():
            bound[f"#{name}"] = 1
        return True
    if name.isidentifier():
        return bool(bound.setdefault(name, size) == size)
    try:
        return bool(eval(name, {}, dict(bound)) == size)
    except (ArithmeticError, NameError) as error:
        raise UncomputableError from error


def read(braces: str, arguments: Names) -> str:
    try:
        value = eval(braces, {}, dict(arguments))
    except Exception as error:
        raise UncomputableError from error
    if not isinstance(value, int | float):
        raise UncomputableError
    return f"({value})"


def is_star(token: str) -> bool:
    return token == "..." or token.lstrip("#").startswith("*")


def is_shape(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, AbstractArray)


def is_plain(hint: Any) -> bool:
    return hint in (Any, int, str, NoneType)


def parts_of(value: Any, hint: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    """Return the parts of a container, each with its path and annotation.

    Raises:
        RefusedError: It is another container.
    """
    origin, hints = typing.get_origin(hint), typing.get_args(hint)
    if not isinstance(value, dict if typing.is_typeddict(hint) else origin or hint):
        raise RefusedError(path)
    if origin is dict:
        for key, part in value.items():
            yield f"{path} key {key!r}", key, hints[0]
            yield f"{path}[{key!r}]", part, hints[1]
    elif origin in (tuple, list):
        if hints[1:] == (...,) or origin is list:
            hints = (hints[0],) * len(value)
        if len(value) != len(hints):
            raise RefusedError(path)
        for i, (part, part_hint) in enumerate(zip(value, hints, strict=True)):
            yield f"{path}[{i}]", part, part_hint
    else:
        for name, part_hint in typing.get_type_hints(hint).items():
            if not typing.is_typeddict(hint):
                yield f"{path}.{name}", getattr(value, name), part_hint
            elif name in value or name in hint.__required_keys__:
                yield f"{path}[{name!r}]", value.get(name, ...), part_hint


def names_of_result(hint: Any) -> set[str]:
    """Return the names in a result that an argument must bind: all but those in records."""
    if not is_shape(hint):
        return {name for part in typing.get_args(hint) for name in names_of_result(part)}
    names = (token.replace("#", "").split("=")[-1] for token in hint.dim_str.split())
    return {name for name in names if name.removeprefix("*").isidentifier() and name[0] != "_"}


def names_of_every_result(hint: Any) -> set[str]:
    """Return the names that every result needs, also in expressions, for any option of a union."""
    if typing.get_origin(hint) in (Union, UnionType):
        return set.intersection(*map(names_of_every_result, typing.get_args(hint)))
    if is_shape(hint):
        tokens = (BRACES.sub("", token.split("=")[-1]) for token in hint.dim_str.split())
        words = (re.findall(r"[a-z]+", token) for token in tokens if not is_star(token))
        found = {word for some in words for word in some if word not in ("min", "max")}
        return found - {"ignored"} | names_of_result(hint)
    if typing.get_origin(hint) in (list, dict) or ... in typing.get_args(hint):
        return set()  # it may be empty
    return {name for part in typing.get_args(hint) for name in names_of_every_result(part)}
