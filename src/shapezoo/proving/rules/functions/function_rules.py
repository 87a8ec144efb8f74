"""The mode that runs each Python function of PyTorch in a symbolic run, by rule where there is one.

Modes of functions see a call before PyTorch's own code does, `KernelRules` only the kernels that it
ends in. It handles what cannot wait until then:

* Functions with a shape rule (`function_shapes`), whose own code would ask about layout.
* Python objects that PyTorch would convert to numbers, so that a proof would be for one size only:
  lists with sizes (``torch.tensor([0, n])``), indices (``x[n]``, ``x[[0, n]]``), sizes in tensors.
* What a fake tensor answers wrongly: its text, the memory it does not have, and whether it requires
  gradients, which rules do not keep track of. A model that asks is undecided.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from shapezoo._containers import leaves_of, tensors_of
from shapezoo._frames import is_library
from shapezoo.proving.effort import require_some
from shapezoo.proving.rules.functions.einsum import EINSUM
from shapezoo.proving.rules.functions.function_shapes import FUNCTIONS, PRESERVING
from shapezoo.proving.rules.functions.lazy_split import Parts
from shapezoo.proving.rules.messages import is_in_message
from shapezoo.proving.rules.shape_rules import rule_table
from shapezoo.proving.rules.values.constants import real_kernels
from shapezoo.proving.rules.values.index_checks import check_one_hot
from shapezoo.proving.rules.values.scalar_checks import require_fit
from shapezoo.proving.rules.values.value_ranges import ValueRanges

Args = tuple[Any, ...]
Kwargs = dict[str, Any]


class FunctionRules(TorchFunctionMode):
    """Runs functions by rule, and keeps symbols from being converted to numbers.

    Args:
        ranges: Tracks the values of tensors.
    """

    def __init__(self, ranges: ValueRanges) -> None:
        super().__init__()
        self.ranges = ranges

    def __torch_function__(self, func: Any, types: Any, args: Args = (), kwargs: Any = None) -> Any:
        require_some()
        args, kwargs = _by_position(func, args, kwargs or {})
        args, kwargs = tuple(map(_whole, args)), {name: _whole(v) for name, v in kwargs.items()}
        if func in (Tensor.view, Tensor.reshape):
            args = args[0], *(_size_in(self.ranges, size) for size in args[1:])
        if func is functional.one_hot:
            check_one_hot(self.ranges, *args, **kwargs)
        rule = FUNCTIONS.get(func)
        if rule and args and (func in _WITHOUT_TENSOR or isinstance(args[0], FakeTensor)):
            result = rule(*args, **kwargs)
            if result is not NotImplemented:
                if rule in PRESERVING:
                    self.ranges.preserve(args[0], result)
                # each of the parts is followed when it is cut
                elif not isinstance(result, Parts):
                    self.ranges.set_unknown(tensors_of(result), func.__name__)
                return result
        if func in _RUN_BY:
            return _RUN_BY[func](self.ranges, func, args, kwargs)
        return func(*args, **kwargs)


_WITHOUT_TENSOR = (EINSUM, torch.linspace, torch.arange)
"""Functions with a rule whose first argument is no tensor."""


def _whole(value: Any) -> Any:
    """Return the tuple of all parts; anything else as it is."""
    return tuple(value) if isinstance(value, Parts) else value


def _by_position(func: Any, args: Args, kwargs: Kwargs) -> tuple[Args, Kwargs]:
    """Pass the argument that the rules look at by position."""
    names = {"data", "obj"} if func in _LITERALS else {"input", "query"}
    is_looked_at = func in _LITERALS or (not args and func in FUNCTIONS)
    for name in names & kwargs.keys() if is_looked_at else ():
        args, kwargs = (*args, kwargs[name]), {k: v for k, v in kwargs.items() if k != name}
    return args, kwargs


def _index(ranges: ValueRanges, func: Any, args: Args, kwargs: Kwargs) -> Any:
    # indexing by a symbol would ask for its number
    if func is Tensor.__getitem__ and isinstance(args[1], torch.SymInt):
        return torch.select(args[0], 0, args[1])
    return func(args[0], _indices(ranges, args[1]), *args[2:], **kwargs)


def _indices(ranges: ValueRanges, index: Any) -> Any:
    """Make tensors of lists in an index, so that their numbers can be checked."""
    if isinstance(index, tuple):
        return tuple(_indices(ranges, each) for each in index)
    if isinstance(index, slice):
        return slice(*(_size_in(ranges, end) for end in (index.start, index.stop, index.step)))
    numbers = _numbers_in(index) if isinstance(index, list) else []
    are_integers = all(isinstance(n, int | torch.SymInt) for n in numbers)
    if not numbers or not are_integers or any(isinstance(n, bool) for n in numbers):
        return index
    literal = torch.empty(_shape_of(index), dtype=torch.int64)
    _note_literal(ranges, "a list", index, literal)
    return literal


def _size_in(ranges: ValueRanges, value: Any) -> Any:
    """Return the size that a tensor was made from, which torch would ask for its number."""
    if isinstance(value, tuple | list):
        return [_size_in(ranges, item) for item in value]
    number = ranges.number_of(value) if isinstance(value, Tensor) else None
    return value if number is None else number


def _bool(ranges: ValueRanges, func: Any, args: Args, kwargs: Kwargs) -> Any:
    # `KernelRules` chooses an answer for a bool; for any number it would make a symbol
    if isinstance(args[0], FakeTensor) and args[0].dtype != torch.bool:
        args = (args[0] != 0,)
    return func(*args, **kwargs)


def _text(ranges: ValueRanges, func: Any, args: Args, kwargs: Kwargs) -> Any:
    if not isinstance(args[0], FakeTensor):
        return func(*args, **kwargs)
    if not is_in_message():
        ranges.give_up("the text of a tensor depends on its values")
    return "a tensor"


def _literal(ranges: ValueRanges, func: Any, args: Args, kwargs: Kwargs) -> Any:
    """Make a tensor of Python numbers; torch would fix sizes among them to their numbers."""
    numbers = _numbers_in(args[-1])
    classes = set(map(type, numbers))
    if torch.SymInt in classes and classes <= {int, torch.SymInt}:
        usual = args[0].dtype if func is Tensor.new_tensor else torch.int64
        literal = torch.empty(_shape_of(args[-1]), dtype=kwargs.get("dtype") or usual)
        for number in numbers:
            require_fit(number, literal.dtype)
    else:
        literal = func(*args, **kwargs)
    _note_literal(ranges, func.__name__, args[-1], literal)
    return literal


def _note_literal(ranges: ValueRanges, name: str, value: Any, result: Tensor) -> None:
    """Note from which numbers a tensor was made."""
    numbers = [] if isinstance(value, Tensor) else _numbers_in(value)
    if any(isinstance(number, torch.SymInt | torch.SymFloat) for number in numbers):
        ranges.set_numbers(result, numbers)
    elif not isinstance(value, Tensor) and all(isinstance(n, int | float) for n in numbers):
        with real_kernels():
            data = torch.tensor(value, dtype=result.dtype)
        ranges.set_data(result, data)
    elif value is not result:
        ranges.set_unknown([result], name)


def _numbers_in(value: Any) -> list[Any]:
    """Return all numbers in nested lists."""
    return [leaf for _, leaf in leaves_of(value)]


def _shape_of(value: Any) -> tuple[int, ...]:
    """Return the shape of nested lists."""
    return (len(value), *_shape_of(value[0])) if isinstance(value, list) else ()


def _gradient(ranges: ValueRanges, func: Any, args: Args, kwargs: Kwargs) -> Any:
    is_made = isinstance(args[0], FakeTensor) and not isinstance(args[0], nn.Parameter)
    if is_made and _is_of_model(sys._getframe()):
        ranges.give_up(
            "whether a tensor has gradients is not known, since shapezoo recreates tensors"
        )
    return func(*args, **kwargs)


_RULES = os.path.dirname(os.path.dirname(__file__))


def _is_of_model(frame: FrameType | None) -> bool:
    """Whether code of a model has called the rules, and not PyTorch's."""
    while frame is not None and frame.f_code.co_filename.startswith(_RULES):
        frame = frame.f_back
    return frame is not None and not is_library(frame.f_code.co_filename)


def _apply(ranges: ValueRanges, func: Any, args: Args, kwargs: Kwargs) -> Any:
    # it would read memory that fake tensors do not have, and end the process
    ranges.give_up(f"{func.__name__} calls a function on the values of a tensor")


def _where(ranges: ValueRanges, func: Any, args: Args, kwargs: Kwargs) -> Any:
    dtypes = [part.dtype for part in args[1:] if isinstance(part, Tensor)]
    for number in args[1:] if dtypes else ():
        require_fit(number, dtypes[0])
    return func(*args, **kwargs)


def _set_data(ranges: ValueRanges, func: Any, args: Args, kwargs: Kwargs) -> Any:
    result = func(*args, **kwargs)
    ranges.overwrite(args[0])
    return result


_LITERALS = (torch.tensor, torch.as_tensor, torch.asarray, Tensor.new_tensor)

# a descriptor, though its type stub is a tensor
_data: Any = Tensor.data

_RUN_BY = rule_table(
    # Python numbers that torch would convert.
    (_index, Tensor.__getitem__, Tensor.__setitem__),
    (_literal, *_LITERALS),
    (_where, torch.where, Tensor.where),
    # The data of arguments decide.
    (_bool, Tensor.__bool__),
    # A fake tensor answers otherwise than a real one.
    (_text, Tensor.__repr__, Tensor.__format__),
    (_gradient, *(getattr(Tensor, n).__get__ for n in ("requires_grad", "grad_fn", "is_leaf"))),
    (_apply, Tensor.apply_, Tensor.map_, Tensor.map2_),
    # The values of a tensor change without a kernel.
    (_set_data, _data.__set__),
)
"""Functions that are run in a way of their own, after their shape rule if they have one."""


@contextlib.contextmanager
def outermost_builtins() -> Iterator[None]:
    """Let a mode see the built-in functions inside PyTorch's functions that are written in Python.

    A mode sees the outermost function only: `functional.group_norm`, and not the `torch.group_norm`
    that it calls. It is passed over here, since it looks for modes by `has_torch_function`, which
    is private; rules for the functions written in Python would have to repeat their code.
    """
    with contextlib.ExitStack() as stack:
        for module in (functional, torch.functional):
            for name in [name for name in vars(module) if name.startswith("has_torch_function")]:
                stack.enter_context(patch.object(module, name, lambda *args: False))
        yield
