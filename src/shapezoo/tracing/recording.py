"""Running a model once, and recording what is called in it."""

import contextlib
import functools
import sys
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, resolve_name

from shapezoo.tracing.leaves import Leaf, argument_leaves, leaves, named_arguments, result_leaves
from shapezoo.tracing.records import NOWHERE, Call, Flow, Operation, Shape

ARITHMETIC = ("add", "sub", "mul", "matmul", "truediv", "floordiv", "mod", "divmod", "pow")
SWAPPED = frozenset({*ARITHMETIC, "lshift", "rshift", "and", "xor", "or"})
"""Operators with forms such as ``__radd__`` and ``__iadd__``."""


MANY = 4
"""From how many results of a function on they are not told apart: it may be as an axis is long."""


@dataclass
class _OpenCall:
    """A call that has begun."""

    module: nn.Module
    path: str
    inputs: tuple[Shape, ...]
    axes: dict[str, Any]
    flops: int
    error: BaseException | None
    steps: list[Call | Operation] = field(default_factory=list)
    activation_bytes: int = 0


class Recorder(TorchFunctionMode):
    """Records the calls of the modules of a model, and the operations in them, in one thread.

    Args:
        model: The model.

    Attributes:
        call: The call of the model, once it has ended.
        inputs: Its inputs, as operations without inputs.
        outputs: Its outputs.
        error: The error that was raised last in a module.
        failed: The call in which it was raised.
    """

    def __init__(self, model: nn.Module) -> None:
        from shapezoo.tracing.counting import flop_counter  # imports what few need

        super().__init__()
        self.call: Call | None = None
        self.inputs: tuple[Operation, ...] = ()
        self.outputs: tuple[Flow, ...] = ()
        self.error: BaseException | None = None
        self.failed: Call | None = None
        self._paths = {module: path for path, module in model.named_modules()}
        self._counter = flop_counter()
        self._thread = threading.get_ident()
        self._open: list[_OpenCall] = []
        self._sources: dict[int, tuple[weakref.ref[Tensor], str, int]] = {}
        self._count = 0

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """Record what happens inside."""
        with contextlib.ExitStack() as stack:
            for module in self._paths:
                before = module.register_forward_pre_hook(
                    self._begin, prepend=True, with_kwargs=True
                )
                stack.callback(before.remove)
                after = module.register_forward_hook(self._end, with_kwargs=True, always_call=True)
                stack.callback(after.remove)
            with self._counter, self:
                yield

    def __torch_function__(
        self,
        func: Any,
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call one of torch's functions, and record that."""
        kwargs = kwargs or {}
        if not self._open:
            return func(*args, **kwargs)
        try:
            result = func(*args, **kwargs)
        except Exception:
            inputs = [leaf.tensor for leaf in leaves((args, kwargs))]
            self._open[-1].steps.append(self._operation(_name(func), inputs, ()))
            raise
        name = _name(func)
        outputs = [leaf.tensor for leaf in leaves(args[0] if name == "setitem" else result)]
        if outputs:
            inputs = [leaf.tensor for leaf in leaves((args, kwargs))]
            operation = self._operation(name, inputs, outputs)
            self._open[-1].steps.append(operation)
            if name == "setitem" or name.endswith("_"):
                self._spread(outputs[0], operation)
            made = [output for output in outputs if not _shares_memory(output, inputs)]
            self._open[-1].activation_bytes += sum(t.numel() * t.element_size() for t in made)
        return result

    def _operation(
        self, name: str, inputs: Iterable[Tensor], outputs: Sequence[Tensor]
    ) -> Operation:
        """An operation, which makes its outputs known as such."""
        self._count += 1
        flows = self._flows_of(inputs)
        are_many = len(outputs) >= MANY
        for position, output in enumerate(outputs):
            result = 0 if are_many else position
            self._sources[id(output)] = weakref.ref(output), str(self._count), result
        shapes = tuple(map(_shape, outputs))
        told = tuple(dict.fromkeys(shapes)) if are_many else shapes
        return Operation(str(self._count), name, flows, told)

    def _spread(self, written: Tensor, operation: Operation) -> None:
        """Make known that an operation has written into all tensors that share this memory."""
        for key, (alive, _, result) in self._sources.items():
            tensor = alive()
            if tensor is not None and _shares_memory(tensor, [written]):
                self._sources[key] = alive, operation.id, result

    def _flows_of(self, tensors: Iterable[Tensor]) -> tuple[Flow, ...]:
        return tuple(map(self._flow_of, tensors))

    def _flow_of(self, tensor: Tensor) -> Flow:
        """Where a tensor came from; a parameter or a constant, from nowhere."""
        alive, source, result = self._sources.get(id(tensor), (None, NOWHERE, 0))
        if alive is None or alive() is not tensor:
            source, result = NOWHERE, 0
        return Flow(source, _shape(tensor), result)

    def _begin(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if threading.get_ident() != self._thread:
            return
        arguments = named_arguments(module, args, kwargs)
        if not self._open:
            given = {name: [leaf.tensor for leaf in leaves(v)] for name, v in arguments.items()}
            self.inputs = tuple(self._operation(n, (), given[n]) for n in given if given[n])
        found = argument_leaves(module, arguments)
        axes = {name: size for leaf in found for name, size in leaf.bound.items()}
        shapes = tuple(leaf.shape for leaf in found)
        flops = self._counter.get_total_flops()
        error = sys.exception()  # one that a caller is handling
        self._open.append(_OpenCall(module, self._paths[module], shapes, axes, flops, error))

    def _end(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], result: object
    ) -> None:
        if threading.get_ident() != self._thread:
            return
        error = sys.exception()  # the hook is called for failures too
        if error is not self._open[-1].error:
            call = self._close((), has_failed=True)
            if error is not self.error:
                self.error, self.failed = error, call
            return
        found = result_leaves(module, result)
        if len(self._open) == 1:
            self.outputs = self._flows_of(leaf.tensor for leaf in found)
        self._close(tuple(leaf.shape for leaf in found))

    def _close(self, outputs: tuple[Shape, ...], *, has_failed: bool = False) -> Call:
        ended = self._open.pop()
        call = Call(
            path=ended.path,
            kind=type(ended.module).__name__,
            inputs=ended.inputs,
            outputs=outputs,
            axes=ended.axes,
            parameters=sum(parameter.numel() for parameter in ended.module.parameters()),
            macs=(self._counter.get_total_flops() - ended.flops) // 2,
            activation_bytes=ended.activation_bytes,
            steps=tuple(ended.steps),
            has_failed=has_failed,
        )
        if self._open:
            self._open[-1].steps.append(call)
            self._open[-1].activation_bytes += ended.activation_bytes
        else:
            self.call = call
        return call


def _shape(tensor: Tensor) -> Shape:
    return Leaf(tensor, None).shape


@functools.lru_cache(1024)
def _name(func: Any) -> str:
    """The name of one of torch's functions: ``add`` for ``Tensor.__radd__``."""
    if isinstance(func, torch._ops.OpOverload):
        func = func.overloadpacket  # its name is that of the function
    path: str = (resolve_name(func) or func.__name__).removesuffix(".__get__")
    name = path.rpartition(".")[2]
    plain = name.removeprefix("__").removesuffix("__")
    is_swapped = name.startswith(("__r", "__i")) and plain[1:] in SWAPPED
    return plain[1:] if is_swapped else plain


def _shares_memory(output: Tensor, inputs: Iterable[Tensor]) -> bool:
    """Whether an output is an input or a view of one; torch has no public word for the latter."""
    is_alias = torch._C._is_alias_of  # type: ignore[attr-defined]  # torch's stubs leave it out
    return any(is_alias(output, tensor) for tensor in inputs)
