"""The mode that runs each ATen kernel of a symbolic run by shape rules and checks.

PyTorch's fake kernels compute shapes only. For a proof, a kernel has to do more: it must raise
where the real kernel raises, and the values that it makes must be known as far as an index depends
on them. So for each kernel, in this order:

1. Whatever the data of arguments decide (``x.item()``) becomes a symbol of its own.
2. Checks: values that the kernel refuses (`value_checks`), numbers (`scalar_checks`), sizes
   (`size_checks`) and indices (`index_checks`). They come first, because the shape rules assume
   that the kernel does not raise. Without them a model is proved for sizes at which it raises.
3. The shape of the result, by rule (`kernel_shapes`) or else by the fake kernel.
4. The values of the result (`ValueRanges.follow`).

An error that is about the symbols rather than about the model (`is_undecided`) makes the run
undecided, even if the model catches it: taken for an error of the model, it would be proved that
the model raises.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._subclasses import fake_tensor
from torch.fx.experimental import symbolic_shapes
from torch.utils._python_dispatch import TorchDispatchMode

from shapezoo.proving.effort import KERNEL, note
from shapezoo.proving.rules.kernels.kernel_shapes import by_rule
from shapezoo.proving.rules.kernels.size_checks import CHECKS
from shapezoo.proving.rules.shape_rules import require
from shapezoo.proving.rules.values.index_checks import check_indices
from shapezoo.proving.rules.values.scalar_checks import check_numbers
from shapezoo.proving.rules.values.value_checks import may_refuse
from shapezoo.proving.rules.values.value_ranges import UndecidedError, ValueRanges, named

# Dispatch modes and the errors of fake tensors are private; no public hook sees every kernel.
_UNDECIDED = (
    fake_tensor.DataDependentOutputException,
    fake_tensor.DynamicOutputShapeException,
    fake_tensor.UnsupportedOperatorException,
    fake_tensor.UnsupportedFakeTensorException,
    symbolic_shapes.GuardOnDataDependentSymNode,
    UndecidedError,
)

# PyTorch raises plain RuntimeErrors and TypeErrors for these, so that only the text shows it.
_UNDECIDED_TEXTS = (
    ".numpy() is not supported",
    "Could not run 'aten::",
    "FakeTensor",
    "Meta tensor",
    "SymIntArrayRef",
    "meta tensor",
    "symbolic sizes",
    "unbacked",
)


def is_undecided(error: BaseException) -> bool:
    """Whether an error is about the symbols rather than about the model."""
    if isinstance(error, TypeError) and "Sym" in str(error):
        return True
    return isinstance(error, _UNDECIDED) or any(text in str(error) for text in _UNDECIDED_TEXTS)


class KernelRules(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's has no types
    """Runs kernels by rule where there is one, and checks what real kernels check.

    Args:
        environment: Makes the numbers that only the data of arguments decide (``item``), and knows
            which numbers depend on these (``is_of_items``).
        ranges: Tracks the values of tensors.
    """

    def __init__(self, environment: Any, ranges: ValueRanges) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's has no types
        self.environment = environment
        self.ranges = ranges
        # with their tensors, since the id of one that is gone is used again
        self._items: dict[int, tuple[Tensor, Any]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        # private, as all schemas are: the only source of names, types and aliases of arguments
        name = func._schema.name.removeprefix("aten::")
        # prim kernels only ask for the device
        if not name.startswith("prim::"):
            # Only counted here. `FunctionRules` raises when no work is left: autograd calls some
            # kernels, such as detach, from where an error would end the process.
            note(KERNEL)
        if any(map(self.environment.is_of_items, _integers_in(func._schema, args))):
            self.ranges.give_up("a number is read from values, and decides a size or a position")
        if name in ("item", "_local_scalar_dense") and not args[0].is_complex():
            return self._number_in(args[0])
        try:
            self._check(func._schema, name, args, kwargs)
            result = by_rule(func, name, args, kwargs)
            if result is NotImplemented:
                result = func(*args, **kwargs)
        except Exception as error:
            if is_undecided(error):
                self.ranges.undecided = error
            raise
        self.ranges.follow(func, args, kwargs, result)
        return result

    def _check(self, schema: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        arguments = named(schema, args, kwargs)
        if may_refuse(self.ranges, name, arguments):
            require(not self.environment.item(torch.bool), f"{name} refuses some values")
        check_numbers(schema, name, arguments)
        if not args or not isinstance(args[0], Tensor):
            return
        if name in CHECKS:
            CHECKS[name](*args, **kwargs)
        check_indices(self.ranges, name, arguments)

    def _number_in(self, x: Tensor) -> Any:
        """Return the number in a tensor: a constant, or a symbol of which nothing is known.

        The same tensor gives the same symbol, so that a model that reads it twice is followed
        along one path.
        """
        if (number := self.ranges.number_of(x)) is not None:
            return number
        if id(x) not in self._items:
            self._items[id(x)] = x, self.environment.item(x.dtype)
        return self._items[id(x)][1]


def _integers_in(schema: Any, args: Sequence[Any]) -> Iterator[Any]:
    """Yield the sizes and positions among arguments.

    Fake kernels defer checks of those that are unbacked symbols, which real kernels make at once.
    A ``number`` in the schema is not among them: values are made of it.
    """
    for argument, value in zip(schema.arguments, args, strict=False):
        if "int" in str(argument.type):
            yield from value if isinstance(value, list | tuple) else (value,)
