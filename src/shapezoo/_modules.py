"""Run modules to observe them: which ones can be run, and how they are left unchanged."""

import contextlib
import copy
import sys
import threading
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode


def uncompiled(model: nn.Module) -> nn.Module:
    """Return the original module of one that `torch.compile` returned; any other unchanged."""
    # Nothing is compiled before the first import of `torch._dynamo`, which is slow. The class of
    # compiled modules has no public name.
    if "torch._dynamo" in sys.modules and isinstance(model, torch._dynamo.OptimizedModule):
        return model.get_submodule("_orig_mod")
    return model


def require_plain(model: nn.Module) -> None:
    """Raise a TypeError for a module whose calls and parameters cannot all be seen.

    Raises:
        TypeError: A module in it is an `nn.DataParallel` or one of TorchScript, or creates its
            parameters in its first call.
    """
    for path, module in model.named_modules():
        name = f"{path or 'the model'} ({type(module).__name__})"
        if isinstance(module, nn.DataParallel):
            raise TypeError(f"{name} hides the module; give its .module")
        if isinstance(module, torch.jit.ScriptModule):
            raise TypeError(f"{name} is TorchScript, which cannot be looked into")
        if any(map(is_lazy, [*module.parameters(recurse=False), *module.buffers(recurse=False)])):
            raise TypeError(f"{name} has no parameters yet; call the model once before")


def copied(model: nn.Module) -> nn.Module:
    """Return a copy of a module that may be changed.

    Raises:
        TypeError: One of its attributes cannot be copied.
    """
    attributes = (value for module in model.modules() for value in vars(module).values())
    results = [value for value in attributes if isinstance(value, Tensor) and not value.is_leaf]
    # `copy.deepcopy` refuses tensors that are results of a computation, so copies of those that
    # are attributes are entered as copied already.
    memo: dict[int, Any] = {id(result): result.detach().clone() for result in results}
    try:
        return copy.deepcopy(model, memo)
    except Exception as error:
        raise TypeError(f"{type(model).__name__} cannot be copied: {error}") from error


def floating_dtype(target: object) -> torch.dtype:
    """Return the dtype that floating-point arguments should have.

    It is that of the first floating-point parameter of a module, or else the default dtype.
    """
    dtype = weight_dtype(target) if isinstance(target, nn.Module) else None
    return dtype or torch.get_default_dtype()


def weight_dtype(module: nn.Module) -> torch.dtype | None:
    """Return the dtype of a module's first floating-point parameter, or None if there is none."""
    return next((p.dtype for p in module.parameters() if p.is_floating_point()), None)


def device_of(target: object) -> torch.device | None:
    """Return the device of a module's first parameter, or None if there is none."""
    parameters = target.parameters() if isinstance(target, nn.Module) else iter(())
    return next((parameter.device for parameter in parameters), None)


def layers_of(model: nn.Module) -> str:
    """Return a text that changes when a layer of a model is replaced or reconfigured.

    It is ``str(model)``, which is cheap, and which layers keep up to date with `extra_repr`. It
    misses what is not printed: a function held as an attribute (``model.act = F.gelu``), a hook or
    a ``forward`` set on an instance, numbers that a ``forward`` reads (``model.stride = 2``), and
    layers that do not print their sizes. After such a change the model keeps its old limits.
    """
    return str(model)


class _Undrawn(TorchFunctionMode):
    """Skips the initialisation of weights, which is slow on the meta device too."""

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in (Tensor.normal_, Tensor.uniform_):
            return args[0]
        if getattr(func, "__module__", None) == nn.init.__name__:
            return kwargs.get("tensor", *args[:1])
        return func(*args, **kwargs)


@contextlib.contextmanager
def without_values() -> Iterator[None]:
    """Build models in a ``with`` block on the meta device, where parameters have no values."""
    with torch.device("meta"), _Undrawn():
        yield


_MUTABLE = frozenset({dict, OrderedDict, defaultdict, list, deque, set})
"""Containers whose contents can be restored. `nn.Module` keeps hooks in an `OrderedDict`."""


_NOT_ITERATORS = _MUTABLE | {bool, float, int, str, tuple, type(None)}
"""The classes of nearly all attributes; `isinstance` would take long for an abstract class."""


def _iterators(attributes: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield copies of iterators, which cannot be rewound; generators and files cannot be copied."""
    for name, value in attributes.items():
        if type(value) not in _NOT_ITERATORS and isinstance(value, Iterator):
            with contextlib.suppress(TypeError):
                yield name, copy.copy(value)


_stances: list[Any] = []  # one for each block that is open in any thread
_lock = threading.Lock()


@contextlib.contextmanager
def _without_compilation() -> Iterator[None]:
    """Run compiled code eagerly inside a ``with`` block, in several threads at once too.

    The stance of the compiler belongs to the process. If each thread restored what it found, two
    that overlap could leave it at ``force_eager`` for good. So only the last one restores it.
    """
    with _lock:
        _stances.append(_stances[0] if _stances else torch.compiler.set_stance("force_eager"))
    try:
        yield
    finally:
        with _lock:
            stance = _stances.pop()
            if not _stances:
                stance.__exit__(None, None, None)


@contextlib.contextmanager
def undisturbed(model: nn.Module, *, is_grad: bool = False) -> Iterator[None]:
    """Run a model in a ``with`` block without compilation, and restore generators and attributes.

    Values of tensors are not restored: the caller replaces the buffers by copies.

    Args:
        model: The model.
        is_grad: Whether gradients are computed.
    """
    # The dictionaries of the modules, and the containers in them: `nn.Module` has its parameters,
    # buffers, submodules and hooks there, and some models a cache or a list of activations.
    kept = [vars(module) for module in model.modules()]
    kept += [value for holder in kept for value in holder.values() if type(value) in _MUTABLE]
    before = [holder.copy() for holder in kept]  # much faster than `copy.copy`
    devices = {p.device.index for p in model.parameters() if p.device.type == "cuda"}
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.set_grad_enabled(is_grad))
        stack.enter_context(torch.random.fork_rng(devices=devices))
        if "torch._dynamo" in sys.modules:  # otherwise nothing is compiled yet
            stack.enter_context(_without_compilation())
        for attributes in map(vars, model.modules()):
            attributes.update(list(_iterators(attributes)))
        try:
            yield
        finally:
            for holder, content in zip(kept, before, strict=True):
                holder.clear()
                add = holder.extend if isinstance(holder, list | deque) else holder.update
                add(content)
