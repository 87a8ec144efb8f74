"""Python's built-in functions, as the code of a model sees them while sizes are symbols.

``isinstance(n, int)`` is False for a symbol, ``int(n / 2)`` and ``len(x)`` fix the size to one
number, and Python gives the symbol no say in it. The first would prove a branch that no number
takes, the others only one size. So during a run the globals of the model's functions hold functions
of these names that answer as for a number. The code of libraries keeps Python's own.

`type`, `int` and `float` are classes, with which code can do more than call them, such as look them
up in a dictionary. They are replaced only where the bytecode calls them or passes them to
`isinstance`, and does nothing else (`_only_calls`).
"""

import contextlib
import dis
import functools
import math
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor

from shapezoo.proving.rules.functions.attention_masks import ATTENTION, attention_of_symbols
from shapezoo.proving.rules.functions.lazy_split import Parts

# FakeTensor is private. It is the class that a model sees, and torch has no public name for it.
_ORDINARY: dict[type, Any] = {torch.SymInt: 1, torch.SymFloat: 1.0, torch.SymBool: True}
"""For each class of symbols, an object of the class that an ordinary call has."""


def isinstance_(value: object, classes: Any) -> bool:
    """Answer `isinstance` as for numbers and ordinary tensors."""
    each = tuple(class_ for class_ in _flat(classes) if class_ is not FakeTensor)
    return isinstance(_ORDINARY.get(type(value), value), each)


def _flat(classes: Any) -> Iterator[Any]:
    """Yield the classes in nested tuples, with Python's own in place of `_Constructor`."""
    if isinstance(classes, tuple):
        for class_ in classes:
            yield from _flat(class_)
    else:
        yield classes.class_ if isinstance(classes, _Constructor) else classes


def len_(value: Any) -> Any:
    """Return the length of a tensor or of its parts, which may be a symbol."""
    if isinstance(value, Parts):
        return value.number
    return value.shape[0] if isinstance(value, Tensor) and value.dim() else len(value)


def _type(*args: Any, **kwargs: Any) -> Any:
    if len(args) != 1:
        return type(*args, **kwargs)
    class_ = type(args[0])
    if class_ is FakeTensor:
        return nn.Parameter if isinstance(args[0], nn.Parameter) else Tensor
    if class_ is Parts:
        return tuple
    return type(_ORDINARY[class_]) if class_ in _ORDINARY else class_


def _number(class_: type, convert: Callable[[Any], Any], /, *args: Any, **kwargs: Any) -> Any:
    """Call the constructor of a number, or convert a symbol or the number in a tensor."""
    args = tuple(arg.item() if type(arg) is FakeTensor else arg for arg in args)
    if len(args) == 1 and isinstance(args[0], torch.SymInt | torch.SymFloat):
        return convert(args[0])
    return class_(*args, **kwargs)


@dataclass(frozen=True)
class _Constructor:
    """A class that is called in another way.

    Attributes:
        class_: The class.
        call: What is called instead.
    """

    class_: type
    call: Callable[..., Any]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Make an object."""
        return self.call(*args, **kwargs)

    def __or__(self, other: Any) -> Any:
        """Return a union for `isinstance`."""
        return self.class_ | (other.class_ if isinstance(other, _Constructor) else other)

    __ror__ = __or__


_ALWAYS: dict[str, Any] = {"isinstance": isinstance_, "len": len_}
_WHERE_CALLED: dict[str, Any] = {
    "type": _Constructor(type, _type),
    "int": _Constructor(int, functools.partial(_number, int, math.trunc)),
    "float": _Constructor(float, functools.partial(_number, float, torch.sym_float)),
}

Globals = dict[str, Any]


@contextlib.contextmanager
def in_model_code(spaces: Iterable[tuple[Globals, Sequence[types.CodeType]]]) -> Iterator[None]:
    """Replace these functions in the code of a model.

    Args:
        spaces: Globals, each with the code that uses them.
    """
    # in the end only these names are put back, since the model may have set others
    with contextlib.ExitStack() as stack:
        for space, codes in spaces:
            for name, function in _replacements(space, codes).items():
                if name in space:
                    stack.callback(space.__setitem__, name, space[name])
                else:
                    stack.callback(space.pop, name)
                space[name] = function
        yield


def _replacements(space: Globals, codes: Sequence[types.CodeType]) -> dict[str, Any]:
    """Return the functions for code of these globals, by their names there."""
    called = (name for name in _WHERE_CALLED if all(_only_calls(code, name) for code in codes))
    functions = _ALWAYS | {name: _WHERE_CALLED[name] for name in called}
    functions = {name: f for name, f in functions.items() if name not in space}
    imported = [name for name, value in space.items() if value is ATTENTION]
    return functions | dict.fromkeys(imported, attention_of_symbols)


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
    # a NULL is pushed below whatever is called
    if "NULL" in steps[at].argrepr:
        return True
    after = at + 1
    while steps[after].opname in _OPERANDS:
        after += 1
    is_last = steps[after].opname == "CALL" and steps[after].argval == 2
    line = [step for step in steps[:after] if _line(step) == _line(steps[after])]
    return is_last and any(step.argval == "isinstance" for step in line)


_OPERANDS = ("LOAD_GLOBAL", "LOAD_ATTR", "LOAD_CONST", "BUILD_TUPLE", "BINARY_OP")


def _line(step: dis.Instruction) -> int | None:
    return step.positions.lineno if step.positions else None
