"""Python's built-in functions, as a model's own code sees them while sizes are symbols.

``isinstance(n, int)`` is False for a symbol, ``int(n / 2)`` and ``len(x)`` allow one number only,
and none of them asks the symbol how it wants to be treated. So for the time of a run the globals of
the model's functions get functions of these names that answer as for a number. Code of libraries
keeps Python's own.
"""

import contextlib
import dis
import math
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor

from shapezoo.proving.rules.functions.attention_masks import ATTENTION, attention_of_symbols
from shapezoo.proving.rules.functions.parts import Parts

_ORDINARY: dict[type, Any] = {torch.SymInt: 1, torch.SymFloat: 1.0, torch.SymBool: True}
"""For each class of symbols, an object of the class that an ordinary call has."""


def isinstance_(value: object, types_: Any) -> bool:
    """Answer `isinstance` as for numbers and ordinary tensors."""
    kinds = tuple(_classes(types_))
    if FakeTensor in kinds:
        kinds = tuple(kind for kind in kinds if kind is not FakeTensor)
    return isinstance(_ORDINARY.get(type(value), value), kinds)


def _classes(kinds: Any) -> Iterator[Any]:
    if isinstance(kinds, tuple):
        for kind in kinds:
            yield from _classes(kind)
    else:
        yield kinds.kind if isinstance(kinds, _Constructor) else kinds


def len_(value: Any) -> Any:
    """Give the length of a tensor or of its parts, which may be a symbol."""
    if isinstance(value, Parts):
        return value.number
    return value.shape[0] if isinstance(value, Tensor) and value.dim() else len(value)


def _type(*args: Any, **kwargs: Any) -> Any:
    if len(args) != 1:
        return type(*args, **kwargs)
    kind = type(args[0])
    if kind is FakeTensor:
        return nn.Parameter if isinstance(args[0], nn.Parameter) else Tensor
    if kind is Parts:
        return tuple
    return type(_ORDINARY[kind]) if kind in _ORDINARY else kind


def _int(*args: Any, **kwargs: Any) -> Any:
    args = tuple(map(_item, args))
    if len(args) == 1 and isinstance(args[0], torch.SymInt | torch.SymFloat):
        return math.trunc(args[0])
    return int(*args, **kwargs)


def _item(value: Any) -> Any:
    return value.item() if type(value) is FakeTensor else value


def _float(*args: Any) -> Any:
    args = tuple(map(_item, args))
    if len(args) == 1 and isinstance(args[0], torch.SymInt | torch.SymFloat):
        return torch.sym_float(args[0])
    return float(*args)


@dataclass(frozen=True)
class _Constructor:
    """A class of Python's, called in another way.

    Attributes:
        kind: The class.
        call: What is called.
    """

    kind: type
    call: Callable[..., Any]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it."""
        return self.call(*args, **kwargs)

    def __or__(self, other: Any) -> Any:
        """Give a union for `isinstance`."""
        return self.kind | (other.kind if isinstance(other, _Constructor) else other)

    __ror__ = __or__


_ALWAYS: dict[str, Any] = {"isinstance": isinstance_, "len": len_}
_WHERE_CALLED: dict[str, Any] = {
    "type": _Constructor(type, _type),
    "int": _Constructor(int, _int),
    "float": _Constructor(float, _float),
}
"""Classes, which code may do more with than call them."""

Globals = dict[str, Any]


@contextlib.contextmanager
def in_model_code(spaces: Iterable[tuple[Globals, Sequence[types.CodeType]]]) -> Iterator[None]:
    """Let the code of a model see these functions.

    Args:
        spaces: Globals, each with the code that uses them.
    """
    kept: list[tuple[Globals, str, Any]] = []  # in the end only these names are put back
    try:
        for space, codes in spaces:
            for name, function in _seen_in(space, codes).items():
                kept.append((space, name, space.get(name, _NOTHING)))
                space[name] = function
        yield
    finally:
        for space, name, value in reversed(kept):
            if value is _NOTHING:
                del space[name]
            else:
                space[name] = value


_NOTHING = object()


def _seen_in(space: Globals, codes: Sequence[types.CodeType]) -> dict[str, Any]:
    """The functions that code of these globals should see, by their names there."""
    called = (name for name in _WHERE_CALLED if all(_only_calls(code, name) for code in codes))
    seen = _ALWAYS | {name: _WHERE_CALLED[name] for name in called}
    seen = {name: function for name, function in seen.items() if name not in space}
    imported = [name for name, value in space.items() if value is ATTENTION]
    return seen | dict.fromkeys(imported, attention_of_symbols)


def _only_calls(code: types.CodeType, name: str) -> bool:
    """Whether code does nothing with a class but call it and look for its instances."""
    if name not in code.co_names:
        return True
    steps = [step for step in dis.get_instructions(code) if step.opname != "PRECALL"]
    return all(
        _is_called(steps, at)
        for at, step in enumerate(steps)
        if step.argval == name and step.opname in ("LOAD_GLOBAL", "LOAD_NAME")
    )


def _is_called(steps: Sequence[dis.Instruction], at: int) -> bool:
    """Whether the class that a step loads is called, or the second argument of `isinstance`."""
    if "NULL" in steps[at].argrepr:
        return True
    after = at + 1
    while steps[after].opname in _OPERANDS:
        after += 1
    is_last = steps[after].opname == "CALL" and steps[after].argval == 2
    return is_last and _line(steps, after, "isinstance")


_OPERANDS = ("LOAD_GLOBAL", "LOAD_ATTR", "LOAD_CONST", "BUILD_TUPLE", "BINARY_OP")


def _line(steps: Sequence[dis.Instruction], at: int, name: str) -> bool:
    """Whether a step and those before it on the same line load a name."""
    lines = [step.positions.lineno if step.positions else None for step in steps[: at + 1]]
    return any(s.argval == name for s, line in zip(steps, lines, strict=False) if line == lines[at])
