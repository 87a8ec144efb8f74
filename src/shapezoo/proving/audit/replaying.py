"""Run a model on real kernels, at given sizes.

The result of a symbolic run counts only where real kernels agree. A `CallSpec` determines
everything that a call depends on: sizes, values of masks and lengths, dtype and layout. Each replay
starts from a model in its original state, so that the order of replays does not matter; several
calls on one instance show whether a call depends on the calls before it.

Three things keep a replay from harming the process. Arguments and, while a run is watched, the
tensors of each kernel are refused before they fill the memory (`bounding`). Everything that a call
changes in the modules is put back (`undisturbed`, and counters in buffers). And the work of each
module and matrix product counts towards the budget.
"""

import collections
import contextlib
import math
import operator
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from shapezoo._containers import shapes_of, tensors_of
from shapezoo._modules import copied, undisturbed
from shapezoo.contracts.examples.arguments import LENGTHS
from shapezoo.proving.audit.bounding import Bounded, TooLargeError
from shapezoo.proving.causes import cause_of, own_files
from shapezoo.proving.effort import MODULE, note, require_some
from shapezoo.proving.enforcing import enforce, is_enforced
from shapezoo.proving.findings import SEVERITY, outcome_of
from shapezoo.proving.replays import CallSpec, Replay
from shapezoo.proving.snippets import code_of
from shapezoo.proving.subjects import NoArgumentsError, Subject, modules_of

MOST_NUMBERS = 1 << 22
"""How many numbers the arguments of a call may hold."""


def replay(subject: Subject, call: CallSpec, *, is_repeated: bool = False) -> list[Replay]:
    """Call a new instance once, with the usual lengths and masks and with the others.

    Args:
        subject: What to call.
        call: How to call it.
        is_repeated: Whether to repeat the call without watching its kernels, and to believe the
            repetition: some functions of torch, such as `max_pool1d`, choose other kernels while
            a dispatch mode watches them. A call that breaks a contract is always repeated.

    Raises:
        TooLargeError: There is not enough memory.
    """
    replays = []
    has_masks = any(tensor.dtype == "Bool" for tensor in subject.inputs)
    has_lengths = any(a.name == LENGTHS for a in subject.contract.inputs)
    for is_other in [False, True] if has_masks or has_lengths else [False]:
        calls = [replace(call, is_other=is_other)]
        replays.append(replay_in_turn(subject, calls))
        if is_repeated or replays[-1].outcome == "breaks":
            replays[-1] = replay_in_turn(subject, calls, is_watched=False)
    return replays


def worst(replays: Sequence[Replay]) -> Replay:
    """Return the replay with the worst outcome."""
    return max(replays, key=lambda each: SEVERITY.index(each.outcome))


def replay_in_turn(
    subject: Subject, calls: Sequence[CallSpec], *, is_watched: bool = True
) -> Replay:
    """Call one instance several times, until a call does not hold.

    Args:
        subject: What to call.
        calls: How to call it each time; at least one call.
        is_watched: Whether to refuse kernels that are too large.

    Returns:
        The last call.

    Raises:
        TooLargeError: There is not enough memory.
    """
    is_grad = torch.is_grad_enabled() if calls[0].is_grad is None else calls[0].is_grad
    with contextlib.ExitStack() as stack:
        try:
            model = _model_for(subject, calls[0])
        except Exception as error:
            return _failed(calls[0], error, subject.source)
        for module in modules_of(model):
            stack.enter_context(undisturbed(module, is_grad=is_grad))
            stack.enter_context(_counters_put_back(module))
            enforce(module, lambda module_path, error: None)
        stack.enter_context(torch.set_grad_enabled(is_grad))
        work = MODULE * sum(1 for _ in model.modules()) if isinstance(model, nn.Module) else MODULE
        for number, call in enumerate(calls):
            require_some()
            note(work)
            made = _called(subject, model, call, is_watched=is_watched)
            made = replace(made, before=tuple(calls[:number]))
            if made.outcome != "holds":
                break
    return made


@contextlib.contextmanager
def _counters_put_back(model: nn.Module) -> Iterator[None]:
    """Undo what calls have written to integer and boolean buffers.

    A counter may decide sizes; floating-point buffers decide none.
    """
    counters = [buffer for buffer in model.buffers() if not buffer.is_floating_point()]
    before = [counter.clone() for counter in counters]
    try:
        yield
    finally:
        with torch.no_grad():
            for counter, values in zip(counters, before, strict=True):
                if not torch.equal(counter, values):  # else this would count as a write of a call
                    counter.copy_(values)


def _model_for(subject: Subject, call: CallSpec) -> Callable[..., Any]:
    """Return the model for a call; in another dtype it is a copy."""
    model = subject.make(call.sizes)
    if call.dtype is None or not call.dtype.is_floating_point or not isinstance(model, nn.Module):
        return model
    return copied(model).to(call.dtype)


def _called(
    subject: Subject, model: Callable[..., Any], call: CallSpec, *, is_watched: bool
) -> Replay:
    try:
        if count_numbers(subject, call, model) > MOST_NUMBERS:
            raise TooLargeError(f"arguments of {dict(call.sizes)} are too large to be run")
        args, kwargs = subject.arguments(model, call)
        before = attributes_of(model)
        # torch's class has no types
        with Bounded() if is_watched else contextlib.nullcontext():  # type: ignore[no-untyped-call]
            result = model(*args, **kwargs)
        kept = tuple(changed(before, attributes_of(model)))
    except NoArgumentsError as error:
        return Replay(call, "void", error)
    except TooLargeError:
        raise
    except Exception as error:
        if isinstance(error, MemoryError) or "allocate" in str(error):
            raise TooLargeError(str(error)) from error
        return _failed(call, error, model)
    is_fresh = _is_fresh(result, list(tensors_of([args, kwargs])))
    return Replay(call, "holds", shapes=tuple(shapes_of(result)), kept=kept, is_fresh=is_fresh)


def _failed(call: CallSpec, error: Exception, model: Callable[..., Any]) -> Replay:
    cause = cause_of(error, own_files(model))
    return Replay(call, outcome_of(error), error.with_traceback(None), cause)


def _is_fresh(result: Any, arguments: Sequence[Tensor]) -> bool:
    if not isinstance(result, Tensor) or not result.is_contiguous():
        return False
    memory = result.untyped_storage().data_ptr()
    # _version counts writes in place; torch has no public name for it
    return all(
        argument.dtype == result.dtype
        and not argument._version
        and argument.untyped_storage().data_ptr() != memory
        for argument in arguments
    )


def count_numbers(subject: Subject, call: CallSpec, model: Callable[..., Any] | None = None) -> int:
    """Count the numbers that the arguments of a call hold."""
    model = subject.make(call.sizes) if model is None else model
    args, kwargs = subject.arguments(model, call, device="meta")
    return sum(map(math.prod, shapes_of([*args, kwargs])))


def attributes_of(model: Callable[..., Any] | None) -> dict[str, Any]:
    """Return what a module keeps from one call to the next, in a form that can be compared.

    The result is empty for anything but a module.
    """
    modules = model.named_modules() if isinstance(model, nn.Module) else ()
    return {
        f"{module_path}.{name}" if module_path else name: _fingerprint(value)
        for module_path, module in modules
        for name, value in _attributes(module)
    }


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return the names of the attributes that differ between two results of `attributes_of`."""
    return [name for name in {**before, **after} if before.get(name) != after.get(name)]


def _attributes(module: nn.Module) -> Iterator[tuple[str, Any]]:
    # _NormBase is the only common base of all layers with running statistics
    is_norm = isinstance(module, nn.modules.batchnorm._NormBase)
    is_torchs = is_norm or type(module).__module__.startswith("torch.")
    # vars instead of named_parameters and named_buffers, which would leave out plain attributes
    for name, value in vars(module).items():
        if name == "_buffers" and is_torchs:  # running statistics, which decide no size
            yield from ((key, buffer is None) for key, buffer in value.items())
        elif name in ("_parameters", "_buffers"):
            yield from value.items()
        elif name != "_modules" and (type(value) is not collections.OrderedDict or value):
            yield name, value  # torch keeps hooks in such dictionaries, which are empty in most


_DEEPEST = 4
"""How many levels of objects inside objects are inspected."""

_PLAIN = (types.NoneType, bool, int, float, str, torch.Size)


def _fingerprint(value: Any, depth: int = 0) -> Any:
    """Return something that differs after an attribute was assigned, changed in place, or grew."""
    if type(value) in _PLAIN:  # nearly all of the thousands of attributes of a model
        return (value,)  # in a tuple nan equals itself
    if isinstance(value, Tensor):
        # inference tensors have no count of writes in place
        writes = 0 if value.is_inference() else value._version
        return id(value), tuple(value.shape), value.dtype, writes, value.requires_grad
    if isinstance(value, _PLAIN):
        return (value,)
    if isinstance(value, types.GeneratorType):
        return object()  # its position cannot be read, so it counts as changed
    if isinstance(value, Iterator):
        return id(value), repr(value), operator.length_hint(value, -1)
    if depth > _DEEPEST:
        return id(value)
    if isinstance(value, Mapping):
        items = [(key, _fingerprint(item, depth + 1)) for key, item in value.items()]
        return type(value), tuple(items)
    if isinstance(value, list | tuple | set | frozenset | collections.deque):
        return type(value), tuple(_fingerprint(item, depth + 1) for item in value)
    attributes = getattr(value, "__dict__", None)
    is_data = not isinstance(value, type | types.ModuleType | types.FunctionType | nn.Module)
    if isinstance(attributes, dict) and is_data:
        return id(value), _fingerprint(attributes, depth + 1)
    return id(value)


def snippet(subject: Subject, made: Replay) -> str:
    """Return Python code that repeats a replay."""
    model = _model_for(subject, made.call)
    imports = {"import torch": None}
    calls = []
    for call in (*made.before, made.call):
        args, kwargs = subject.arguments(model, call)
        parts = [code_of(arg, imports) for arg in args]
        parts += [f"{name}={code_of(value, imports)}" for name, value in kwargs.items()]
        calls.append(f"{subject.call}({', '.join(parts)})")
    code = subject.code(made.call.sizes)
    if made.call.dtype is not None and made.call.dtype.is_floating_point:
        code += f"\nmodel = model.to({made.call.dtype})" if isinstance(model, nn.Module) else ""
    if isinstance(model, nn.Module) and not is_enforced(model):
        imports["from shapezoo.proving import enforced"] = None
        calls = _within("enforced(model)", calls)
    if made.call.is_grad is not None:
        calls = _within(f"torch.set_grad_enabled({made.call.is_grad})", calls)
    return "\n".join([*imports, code, *calls])


def _within(context: str, lines: Sequence[str]) -> list[str]:
    return [f"with {context}:", *(f"    {line}" for line in lines)]
