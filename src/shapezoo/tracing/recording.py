"""Record the modules and functions that a model calls while it runs.

Three mechanisms of PyTorch are combined:

- Forward hooks on every module tell when a call begins and ends. They nest, so the calls that have
  begun and not ended are a stack (`Recorder._open`).
- A `TorchFunctionMode` sees every function of torch, with its arguments and results. Which
  operation made a tensor is looked up by the ``id`` of the tensor. That is safe only together with
  a weak reference, as Python gives the ``id`` of a freed object to a new one.
- The flop counter of torch is read at the beginning and at the end of each call.
"""

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

from shapezoo._containers import tensors_of
from shapezoo.contracts import Signature
from shapezoo.tracing.records import NOWHERE, Call, Flow, Operation, Shape, Size
from shapezoo.tracing.typed_tensors import (
    TypedTensor,
    argument_tensors,
    contract_of,
    result_tensors,
)

ARITHMETIC = ("add", "sub", "mul", "matmul", "truediv", "floordiv", "mod", "divmod", "pow")
SWAPPED = frozenset({*ARITHMETIC, "lshift", "rshift", "and", "xor", "or"})
"""Operators with forms such as ``__radd__`` and ``__iadd__``."""

MANY = 4
"""From this many results on, a function's results are not told apart.

Their number may be the size of an axis, and traces at several sizes must look alike.
"""


@dataclass
class _OpenCall:
    """A call that has begun and not ended."""

    module: nn.Module
    contract: Signature | None
    inputs: tuple[Shape, ...]
    axes: dict[str, Size]
    flops: int
    error: BaseException | None
    steps: list[Call | Operation] = field(default_factory=list)
    activation_bytes: int = 0


class Recorder(TorchFunctionMode):
    """Records the calls of the modules of a model, and the operations in them, in one thread.

    Args:
        model: The model.

    Attributes:
        call: The call of the model; None until it has ended.
        inputs: The arguments of the model, as operations without inputs.
        outputs: The results of the model.
        error: The last error that was raised in a module.
        failed: The call in which it was raised.
    """

    def __init__(self, model: nn.Module) -> None:
        # A slow import, which `import shapezoo` should not wait for.
        from shapezoo.tracing.counting import flop_counter

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
        """Record the calls made in a ``with`` block."""
        with contextlib.ExitStack() as stack, self._counter, self:
            for module in self._paths:
                pre = module.register_forward_pre_hook(self._begin, prepend=True, with_kwargs=True)
                post = module.register_forward_hook(self._end, with_kwargs=True, always_call=True)
                stack.enter_context(pre)
                stack.enter_context(post)
            yield

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call a function of torch, and record it as an operation."""
        kwargs = kwargs or {}
        if not self._open:
            return func(*args, **kwargs)
        open_call = self._open[-1]
        try:
            result = func(*args, **kwargs)
        except Exception:
            open_call.steps.append(self._operation(_name(func), tensors_of((args, kwargs)), ()))
            raise
        name = _name(func)
        # `x[i] = y` returns None; what it makes is a new state of `x`.
        outputs = list(tensors_of(args[0] if name == "setitem" else result))
        if outputs:
            inputs = list(tensors_of((args, kwargs)))
            operation = self._operation(name, inputs, outputs)
            open_call.steps.append(operation)
            if name == "setitem" or name.endswith("_"):
                self._spread(outputs[0], operation)
            created = [output for output in outputs if not shares_memory(output, inputs)]
            open_call.activation_bytes += sum(t.numel() * t.element_size() for t in created)
        return result

    def _operation(
        self, name: str, inputs: Iterable[Tensor], outputs: Sequence[Tensor]
    ) -> Operation:
        """Return a new operation, and remember it as the source of its outputs."""
        self._count += 1
        flows = self._flows(inputs)
        are_many = len(outputs) >= MANY
        for position, output in enumerate(outputs):
            result = 0 if are_many else position
            self._sources[id(output)] = weakref.ref(output), str(self._count), result
        shapes = tuple(TypedTensor(output).shape for output in outputs)
        if are_many:
            shapes = tuple(dict.fromkeys(shapes))
        return Operation(str(self._count), name, flows, shapes)

    def _spread(self, written: Tensor, operation: Operation) -> None:
        """Make an operation the source of all tensors that share the memory it has written to."""
        for key, (reference, _, result) in self._sources.items():
            tensor = reference()
            if tensor is not None and shares_memory(tensor, [written]):
                self._sources[key] = reference, operation.id, result

    def _flows(self, tensors: Iterable[Tensor]) -> tuple[Flow, ...]:
        """Return where tensors come from: `NOWHERE` for parameters and constants."""
        flows = []
        for tensor in tensors:
            reference, source, result = self._sources.get(id(tensor), (None, NOWHERE, 0))
            if reference is None or reference() is not tensor:
                source, result = NOWHERE, 0
            flows.append(Flow(source, TypedTensor(tensor).shape, result))
        return tuple(flows)

    def _begin(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if threading.get_ident() != self._thread:
            return
        contract = contract_of(module)
        arguments = argument_tensors(module, contract, args, kwargs)
        if not self._open:
            self.inputs = tuple(
                self._operation(name, (), [typed.tensor for typed in tensors])
                for name, tensors in arguments.items()
                if tensors
            )
        inputs = [typed for tensors in arguments.values() for typed in tensors]
        axes = {name: size for typed in inputs for name, size in typed.bound_axes.items()}
        shapes = tuple(typed.shape for typed in inputs)
        flops = self._counter.get_total_flops()
        # The call may be made in an `except` block, whose error is not one of this call.
        error = sys.exception()
        self._open.append(_OpenCall(module, contract, shapes, axes, flops, error))

    def _end(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], result: object
    ) -> None:
        if threading.get_ident() != self._thread:
            return
        error = sys.exception()  # `always_call` makes torch call this hook for failures too
        if error is not self._open[-1].error:
            call = self._close((), has_failed=True)
            if error is not self.error:
                self.error, self.failed = error, call
            return
        outputs = result_tensors(self._open[-1].contract, result)
        if len(self._open) == 1:
            self.outputs = self._flows(typed.tensor for typed in outputs)
        self._close(tuple(typed.shape for typed in outputs))

    def _close(self, outputs: tuple[Shape, ...], *, has_failed: bool = False) -> Call:
        ended = self._open.pop()
        call = Call(
            path=self._paths[ended.module],
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


@functools.lru_cache(1024)
def _name(func: Any) -> str:
    """Return the name of a function of torch: ``add`` for ``Tensor.__radd__``."""
    # torch has no public name for the class of `torch.ops.aten.mul.Tensor`.
    if isinstance(func, torch._ops.OpOverload):
        func = func.overloadpacket  # the name of an overload is that of its arguments: `Tensor`
    path: str = (resolve_name(func) or func.__name__).removesuffix(".__get__")
    name = path.rpartition(".")[2]
    plain = name.removeprefix("__").removesuffix("__")
    is_swapped = name.startswith(("__r", "__i")) and plain[1:] in SWAPPED
    return plain[1:] if is_swapped else plain


def shares_memory(output: Tensor, inputs: Iterable[Tensor]) -> bool:
    """Whether an output is an input or a view of one."""
    # Comparing the public `untyped_storage().data_ptr()` fails on the meta device, where all
    # pointers are 0, and `_base` is None in inference mode.
    is_alias = torch._C._is_alias_of  # type: ignore[attr-defined]  # missing in torch's stubs
    return any(is_alias(output, tensor) for tensor in inputs)
