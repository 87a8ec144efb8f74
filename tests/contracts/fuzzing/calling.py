"""Draws calls of such functions: those that keep the contract, and those changed in one thing."""

import dataclasses
import functools
import math
import typing
from dataclasses import dataclass, field
from random import Random
from types import UnionType
from typing import Any, Union

import torch
from tests.contracts.fuzzing.writing import NAMES
from tests.contracts.reference import (
    BRACES,
    DTYPES,
    Names,
    UncomputableError,
    is_plain,
    is_shape,
    is_star,
    read,
)
from torch import Tensor

SIZES = [0, 1, 1, 2, 2, 3, 3, 4, 5]
FOREIGN = [None, 3, "text", 2.5]


@functools.lru_cache(maxsize=4096)
def tensor(shape: tuple[int, ...], dtype: str) -> Tensor:
    return torch.empty(shape, dtype=getattr(torch, dtype))


@dataclass
class Case:
    """One call: the arguments and the answer of the body."""

    args: tuple[Any, ...]
    kwargs: Names
    answer: Any

    def changed(self, rng: Random) -> "Case":
        """A call of which one thing differs."""
        what = rng.choice(["answer", *range(len(self.args)), *self.kwargs])
        if what == "answer":
            return Case(self.args, self.kwargs, changed(rng, self.answer))
        if isinstance(what, str):
            other = {what: changed(rng, self.kwargs[what])}
            return Case(self.args, self.kwargs | other, self.answer)
        args = list(self.args)
        args[what] = changed(rng, args[what])
        return Case(tuple(args), self.kwargs, self.answer)


@dataclass
class Caller:
    """Draws the values of a call that keeps the contract, as far as any can."""

    rng: Random
    arguments: Names
    sizes: Names = field(default_factory=dict)

    def value(self, hint: Any) -> Any:
        rng = self.rng
        origin, hints = typing.get_origin(hint), typing.get_args(hint)
        if is_shape(hint):
            shape = [size for token in hint.dim_str.split() for size in self.sizes_of(token)]
            return tensor(tuple(shape), rng.choice(sorted(DTYPES[hint.dtype.__name__])))
        if origin in (Union, UnionType):
            return self.value(rng.choice(hints))
        if is_plain(hint):
            return self.arguments["size"] if hint is int else None
        length = rng.choice([0, 0, 1, 2, 2, 3])
        if origin is list:
            return [self.value(hints[0]) for _ in range(length)]
        if origin is dict:
            return {key: self.value(hints[1]) for key in "abc"[:length]}
        if origin is tuple:
            hints = (hints[0],) * length if hints[-1] is ... else hints
            return tuple(self.value(part) for part in hints)
        return hint(
            **{name: self.value(part) for name, part in typing.get_type_hints(hint).items()}
        )

    def sizes_of(self, token: str) -> list[int]:
        rng = self.rng
        name = token.lstrip("#*").split("=")[-1]
        is_open = token.startswith(("#", "*#"))
        if is_star(token):
            some = tuple(rng.choice(SIZES) for _ in range(rng.choice([0, 1, 1, 2])))
            shape = some if token == "..." else self.sizes.setdefault(f"*{name}", some)
            return [1 if is_open and rng.random() < 0.3 else size for size in shape]
        if is_open and rng.random() < 0.4:
            return [1]
        if name.startswith("_"):
            return [rng.choice(SIZES)]
        if name.isidentifier():
            return [self.sizes.setdefault(name, rng.choice(SIZES))]
        for other in NAMES:  # those in options that were not drawn
            self.sizes.setdefault(other, rng.choice(SIZES))
        try:
            text = BRACES.sub(lambda part: read(part[0][1:-1], self.arguments), name)
            return [max(0, math.floor(eval(text, {}, dict(self.sizes))))]
        except (ArithmeticError, UncomputableError):
            return [1]


def spoilt(rng: Random, value: Any) -> Any:
    """A value that differs in one thing."""
    if isinstance(value, Tensor):
        shape, dtype = list(value.shape), str(value.dtype).removeprefix("torch.")
        place, change = rng.randint(0, len(shape)), rng.random()
        if change < 0.6 and place < len(shape):
            shape[place] = rng.choice([shape[place] + 1, abs(shape[place] - 1), *SIZES])
        elif change < 0.7:
            shape.insert(place, rng.choice(SIZES))
        elif change < 0.8:
            del shape[place : place + 1]
        elif change < 0.95:
            dtype = rng.choice(sorted(DTYPES["Shaped"]))
        else:
            return rng.choice([*FOREIGN, [value], (value,)])
        return tensor(tuple(shape), dtype)
    if isinstance(value, int):
        return rng.choice([value + 1, value + 1, float(value), str(value), True, None])
    if isinstance(value, tuple | list) and rng.random() < 0.6:
        items = value[: rng.randint(0, len(value))]
        return [*value, *items] if isinstance(value, list) else (*value, *items)
    if isinstance(value, tuple | list):
        return tuple(value) if isinstance(value, list) else list(value)
    if isinstance(value, dict) and value:
        lost = rng.choice(list(value))
        return {key: part for key, part in value.items() if key != lost}
    return rng.choice(FOREIGN)


def changed(rng: Random, value: Any) -> Any:
    """A value of which one part differs."""
    if not isinstance(value, Tensor | int) and rng.random() < 0.8:
        change = functools.partial(changed, rng)
        if isinstance(value, dict) and value:
            key = rng.choice(list(value))
            return value | {key: change(value[key])}
        if hasattr(value, "_asdict"):
            return value._replace(**change(value._asdict()))
        if dataclasses.is_dataclass(value):
            return dataclasses.replace(value, **change(vars(value)))  # type: ignore[type-var]  # no class
        if isinstance(value, list | tuple) and value:
            place = rng.randrange(len(value))
            items = [change(item) if i == place else item for i, item in enumerate(value)]
            return items if isinstance(value, list) else tuple(items)
    return spoilt(rng, value)
