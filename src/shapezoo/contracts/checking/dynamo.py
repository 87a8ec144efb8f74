"""The check while `torch.compile` or `torch.export` traces a call.

Dynamo traces the wrapper of a checked function like any other code, but it must not trace the check
itself: jaxtyping and beartype do things that Dynamo does not support, and what it can trace would
become guards. So the wrapper calls `verify_traced`, a small function that Dynamo inlines. It calls
`comptime`, with which Dynamo runs a Python function at once instead of tracing it. That function,
`_verify_call`, gets Dynamo's own view of its caller. It reads the values there, which `traceable`
has converted to a form that Dynamo can return, and looks up the fake tensor of each.

The check then runs on the fake tensors. Their dynamic sizes are symbols, so a check that passes
holds for every size that the graph accepts. It leaves no node in the graph. Dynamo is imported only
while it traces.

docs/internals/dynamo.md explains what would break if it were simpler.
"""

import dataclasses
import enum
import functools
import weakref
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from traceback import StackSummary
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.fx import Proxy
from torch.nn.utils.rnn import PackedSequence

from shapezoo._frames import CONTRACTS
from shapezoo.contracts.language.errors import ContractError, ShapeError
from shapezoo.contracts.matching.bindings import Bindings, current, frame
from shapezoo.contracts.matching.matching import Opaque
from shapezoo.contracts.matching.proof_mode import hint_of


def verify_traced(verify: Callable[..., object], values: Any, results: Any) -> None:
    """Verify the arguments or the result of a call that Dynamo traces; Dynamo traces this too.

    `_verify_call` reads the parameters from the frame that Dynamo traces, by their names.

    Args:
        verify: Called with the values and results that Dynamo traces with, the path of the module,
            what it returned earlier for the same call (or None), and the module (or None).
        values: The values of the parts in braces and the arguments, as `traceable` returns them.
        results: The result, if there is one yet, in a tuple, as `traceable` returns it.

    Raises:
        ShapeError: The call breaks its contract.
        ContractError: The contract cannot be computed for this call.
    """
    at_trace_time(_verify_call)


def at_trace_time(function: Callable[[Any], None]) -> None:
    """Call a function with Dynamo's context while Dynamo traces this; otherwise do nothing."""
    # private: torch.compiler has no function that runs Python code while a graph is traced
    from torch._dynamo.comptime import comptime

    comptime(function)


def traceable(value: Any, records: tuple[Any, ...]) -> Any:
    """Convert a value to a form in which Dynamo can return it. Dynamo traces this.

    Args:
        value: The value.
        records: The dataclasses whose fields are included.
    """
    if isinstance(value, records):
        names = [field.name for field in dataclasses.fields(value)]
        fields = {name: traceable(getattr(value, name), records) for name in names}
        return _Contents(type(value), fields)
    if isinstance(value, enum.Enum):
        return Opaque()
    if value is None or isinstance(value, Tensor | bool | int | float | str):
        return value
    if type(value) in (list, tuple) or _is_named_tuple(value):
        return _rebuilt(value, [traceable(item, records) for item in value])
    if type(value) in (dict, OrderedDict, defaultdict):
        items = {key: traceable(item, records) for key, item in value.items()}
        return items if type(value) is dict else _Contents(type(value), items)
    return Opaque()


class _Contents(NamedTuple):
    """The fields of a dataclass, which Dynamo cannot return, or the items of a dict subclass.

    Dynamo would return the latter as a plain dict.
    """

    class_: type
    items: dict[Any, Any]


def _verify_call(context: Any) -> None:
    """Verify the call that Dynamo traces, with the arguments of `verify_traced`."""
    verify = context.get_local("verify", stacklevel=1).as_python_constant()
    names = ("values", "results")
    values, results = (context.get_local(n, stacklevel=1).as_proxy() for n in names)
    # private, as its name says: the public context does not tell one traced call from another
    translator = context._i_will_not_complain_if_bc_breaks_InstructionTranslator()
    # the parents are the tracers of at_trace_time, of verify_traced, and of the checked call
    call = translator.parent.parent
    try:
        path, owner = _module_path(translator), _owner(call)
        before = _verified.get(call)
        verified = verify(_fake_value(values), _fake_value(results), path, before, owner)
    except (ShapeError, ContractError) as error:
        raise _as_dynamo_error(error) from None
    _verified[call] = verified
    if verified is not None:
        _bound_in_body.setdefault(call, verified.axes)


def assert_traced(
    check: Callable[[Any, str], None],
    check_in_call: Callable[[Any, str], None],
    value: Any,
    shape: str,
) -> None:
    """Check the shape of a tensor that Dynamo traces; Dynamo traces this too.

    `_assert_shape` reads the parameters from the frame that Dynamo traces, by their names.

    Args:
        check: Checks a tensor with the axes that are bound.
        check_in_call: Checks a tensor with the axes of the running checked call.
        value: The tensor.
        shape: Its shape.

    Raises:
        ShapeError: It has another shape.
        ContractError: The shape cannot be read or computed.
    """
    value = traceable(value, ())
    at_trace_time(_assert_shape)


def _assert_shape(context: Any) -> None:
    """Check a shape, with the arguments of `assert_traced` and the axes of the enclosing call.

    After a graph break, the rest of a body is traced apart from the check of its call. The sizes of
    the example inputs are then checked against those of the running call, which adds no guard.
    """
    names = ("check", "check_in_call", "value", "shape")
    check, check_in_call, value, shape = (context.get_local(n, stacklevel=1) for n in names)
    check, check_in_call = check.as_python_constant(), check_in_call.as_python_constant()
    value, shape = _fake_value(value.as_proxy()), shape.as_python_constant()
    caller = context._i_will_not_complain_if_bc_breaks_InstructionTranslator().parent
    while caller is not None and _verified.get(caller) is None:
        caller = caller.parent
    try:
        if caller is None:
            check_in_call(_with_hints(value), shape)
            return
        with frame(_bound_in_body[caller]):
            check(value, shape)
            _bound_in_body[caller] = current()
    except (ShapeError, ContractError) as error:
        raise _as_dynamo_error(error) from None


def _with_hints(value: Any) -> Any:
    """Replace a tensor with symbolic sizes by one without data, of the sizes of the example."""
    if not isinstance(value, Tensor) or torch.SymInt not in map(type, value.shape):
        return value
    sizes = [hint_of(size) if isinstance(size, torch.SymInt) else size for size in value.shape]
    return torch.empty(sizes, dtype=value.dtype, device="meta")


# by the tracer of a checked call: the axes that its body may use, and what `verify` returned
_bound_in_body: weakref.WeakKeyDictionary[Any, Bindings] = weakref.WeakKeyDictionary()
_verified: weakref.WeakKeyDictionary[Any, object] = weakref.WeakKeyDictionary()


def _module_path(translator: Any) -> str:
    """Return the path of the module that is being traced in its parent."""
    sources = [source for source, _ in translator.nn_module_stack.values()]
    path = sources[-1].partition("].")[2] if sources else ""  # L['self'].blocks.0
    return str(path).removeprefix("_export_root.")


def _owner(call: Any) -> object:
    """Return the module whose forward is called, or None."""
    # private: only Dynamo's variables lead from a traced argument to the module itself
    from torch._dynamo.variables.nn_module import UnspecializedNNModuleVariable

    args = call.symbolic_locals.get("args")  # missing in a resume function
    items = args.realize().items if args is not None else []
    owner = items[0].realize() if items else None
    return owner.value if isinstance(owner, UnspecializedNNModuleVariable) else None


def _fake_value(value: Any) -> Any:
    """Return the value that Dynamo traces with, from the proxy that it returns."""
    if isinstance(value, Proxy):
        # private: Dynamo stores the fake tensor of a node under this key
        return value.node.meta["example_value"]
    if isinstance(value, _Contents):
        items = {key: _fake_value(item) for key, item in value.items.items()}
        class_: Any = value.class_
        if not dataclasses.is_dataclass(value.class_):
            mapping = class_()
            mapping.update(items)
            return mapping
        record = class_.__new__(class_)
        for name, item in items.items():
            object.__setattr__(record, name, item)
        return record
    if isinstance(value, list | tuple):
        return _rebuilt(value, map(_fake_value, value))
    if isinstance(value, dict):
        return {key: _fake_value(item) for key, item in value.items()}
    return value


def _is_named_tuple(value: Any) -> bool:
    """Whether a value is a NamedTuple with the usual constructor."""
    is_tuple = isinstance(value, tuple) and not isinstance(value, PackedSequence | torch.Size)
    return is_tuple and hasattr(value, "_fields")


def _rebuilt(value: Any, items: Iterable[Any]) -> Any:
    """Build a list, tuple or NamedTuple of the same class from other items. Dynamo traces this."""
    if isinstance(value, list):
        return list(items)
    return type(value)(*items) if _is_named_tuple(value) else tuple(items)


def _as_dynamo_error(error: Exception) -> Any:
    """Return the error as one that Dynamo re-raises, instead of running the call untraced."""
    # private: only errors of this class pass through Dynamo as they are
    from torch._dynamo.exc import TorchRuntimeError

    error_class: Any = type(error)
    traced = _dynamo_class(error_class, TorchRuntimeError)(str(error))
    traced.__dict__.update(vars(error))
    traced.add_note(
        "This was raised while torch.compile or torch.export traced the call; an `except` inside "
        "the traced code does not catch it."
    )
    frames = [frame for frame in traced.real_stack if not frame.filename.startswith(CONTRACTS)]
    traced.real_stack = StackSummary.from_list(frames)
    return traced


@functools.cache
def _dynamo_class(error_class: type, dynamo_class: type) -> Any:
    """Return a subclass of an error that Dynamo also treats as one of its own."""

    def reduce(error: Any) -> tuple[object, ...]:
        """Pickle as the plain error, because this class cannot be imported."""
        kept = {"argument", "axis", "__notes__"}
        return error_class, (str(error),), {k: v for k, v in vars(error).items() if k in kept}

    body = {
        "__init__": vars(dynamo_class)["__init__"],
        "__module__": error_class.__module__,
        "__reduce__": reduce,
    }
    return type(error_class.__name__, (error_class, dynamo_class), body)
