"""Running a model on real kernels, at given sizes.

What symbols have shown is believed only where real kernels agree. A call says all that a run
depends on: sizes, values of masks and lengths, dtype, and layout; several calls on one instance
show whether a call depends on those before it.
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
from shapezoo._modules import copied, device_of, undisturbed
from shapezoo.contracts.examples.arguments import LENGTHS, is_whole
from shapezoo.contracts.examples.variants import Variant
from shapezoo.contracts.language.types import tensors
from shapezoo.proving.audit.bounding import Bounded, TooLargeError
from shapezoo.proving.causes import cause_of, own_files
from shapezoo.proving.effort import MODULE, spend
from shapezoo.proving.enforcing import enforce, is_enforced
from shapezoo.proving.findings import SEVERITY, outcome_of
from shapezoo.proving.replays import Call, Replay
from shapezoo.proving.snippets import code_of
from shapezoo.proving.subjects import NoArgumentsError, Subject, modules_of

MOST_NUMBERS = 1 << 22
"""How many numbers the arguments of a call may hold."""


def replay(
    subject: Subject, variant: Variant, call: Call, *, is_plain: bool = False
) -> list[Replay]:
    """Call a new instance once, with each kind of lengths and masks.

    Args:
        subject: What to call.
        variant: What to give it.
        call: How to call it.
        is_plain: Whether to call it once more without watching its kernels, and believe that:
            some of torch's functions choose other kernels while they are watched, as
            `max_pool1d` does. What breaks a contract is always called so.

    Raises:
        TooLargeError: There is not the memory to do so.
    """
    others = [False, True] if _has_extremes(variant) else [False]
    found = []
    for each in (replace(call, is_other=is_other) for is_other in others):
        found.append(replay_in_turn(subject, variant, [each])[-1])
        if is_plain or found[-1].outcome == "breaks":
            found[-1] = replay_in_turn(subject, variant, [each], is_watched=False)[-1]
    return found


def worst(replays: Sequence[Replay]) -> Replay:
    """The worst of several calls."""
    return max(replays, key=lambda found: SEVERITY.index(found.outcome))


def has_indices(variant: Variant) -> bool:
    """Whether an argument holds whole numbers."""
    return any(is_whole(kind) for a in variant.contract.inputs for kind in tensors(a.type))


def _has_extremes(variant: Variant) -> bool:
    dtypes = [kind.dtype for a in variant.contract.inputs for kind in tensors(a.type)]
    return "Bool" in dtypes or any(a.name == LENGTHS for a in variant.contract.inputs)


def replay_in_turn(
    subject: Subject, variant: Variant, calls: Sequence[Call], *, is_watched: bool = True
) -> list[Replay]:
    """Call one instance several times, until a call does not hold.

    Args:
        subject: What to call.
        variant: What to give it.
        calls: How to call it each time.
        is_watched: Whether to refuse kernels that are too large.

    Raises:
        TooLargeError: There is not the memory to do so.
    """
    found: list[Replay] = []
    is_grad = torch.is_grad_enabled() if calls[0].is_grad is None else calls[0].is_grad
    with contextlib.ExitStack() as stack:
        try:
            model = _made(subject, calls[0])
        except Exception as error:
            cause = cause_of(error, own_files(subject.source))
            return [Replay(calls[0], outcome_of(error), error.with_traceback(None), cause)]
        files = own_files(model)
        for module in modules_of(model):
            stack.enter_context(undisturbed(module, is_grad=is_grad))
            stack.enter_context(_counters_put_back(module))
            enforce(module, lambda path, error: None)
        stack.enter_context(torch.set_grad_enabled(is_grad))
        work = MODULE * sum(1 for _ in model.modules()) if isinstance(model, nn.Module) else MODULE
        for number, call in enumerate(calls):
            spend(work)
            one = _called(subject, model, variant, call, files, is_watched=is_watched)
            found.append(replace(one, before=tuple(calls[:number])))
            if one.outcome != "holds":
                break
    return found


@contextlib.contextmanager
def _counters_put_back(model: nn.Module) -> Iterator[None]:
    """Undo what calls have written to buffers that are not floating-point."""
    counters = [buffer for buffer in model.buffers() if not buffer.is_floating_point()]
    before = [counter.clone() for counter in counters]
    try:
        yield
    finally:
        with torch.no_grad():
            for counter, values in zip(counters, before, strict=True):
                counter.copy_(values)


def _made(subject: Subject, call: Call) -> Callable[..., Any]:
    """The model for a call; in another dtype it is a copy."""
    model = subject.make(call.sizes)
    if call.dtype is None or not call.dtype.is_floating_point or not isinstance(model, nn.Module):
        return model
    return copied(model).to(call.dtype)


def _called(
    subject: Subject,
    model: Callable[..., Any],
    variant: Variant,
    call: Call,
    files: frozenset[str],
    *,
    is_watched: bool,
) -> Replay:
    try:
        _require_room(subject, model, variant, call)
        args, kwargs = _arguments(subject, model, variant, call)
        before = attributes_of(model)
        with contextlib.ExitStack() as stack:
            if is_watched:
                stack.enter_context(Bounded())  # type: ignore[no-untyped-call]  # torch's
            result = model(*args, **kwargs)
        kept = tuple(changed(before, attributes_of(model)))
    except NoArgumentsError as error:
        return Replay(call, "void", error)
    except TooLargeError:
        raise
    except Exception as error:
        if isinstance(error, MemoryError) or "allocate" in str(error):
            raise TooLargeError(str(error)) from error
        cause = cause_of(error, files)
        return Replay(call, outcome_of(error), error.with_traceback(None), cause)
    shapes, is_fresh = tuple(shapes_of(result)), _is_fresh(result, list(tensors_of([args, kwargs])))
    return Replay(call, "holds", shapes=shapes, kept=kept, is_fresh=is_fresh)


def _is_fresh(result: Any, given: Sequence[Tensor]) -> bool:
    if not isinstance(result, Tensor) or not result.is_contiguous():
        return False
    memory = result.untyped_storage().data_ptr()
    return all(
        arg.dtype == result.dtype
        and not arg._version
        and arg.untyped_storage().data_ptr() != memory
        for arg in given
    )


def _arguments(
    subject: Subject, model: Callable[..., Any], variant: Variant, call: Call, device: Any = None
) -> tuple[list[Any], dict[str, Any]]:
    return subject.arguments(
        model,
        variant.contract,
        call.sizes,
        device=device or device_of(model),
        preferred=call.dtype,
        is_other=call.is_other,
        fill=call.fill,
        transposed=call.transposed,
    )


def count_numbers(
    subject: Subject, variant: Variant, call: Call, model: Callable[..., Any] | None = None
) -> int:
    """How many numbers the arguments of a call hold."""
    known = subject.make(call.sizes) if model is None else model
    args, kwargs = _arguments(subject, known, variant, call, device="meta")
    return sum(map(math.prod, shapes_of([*args, kwargs])))


def _require_room(
    subject: Subject, model: Callable[..., Any], variant: Variant, call: Call
) -> None:
    if count_numbers(subject, variant, call, model) > MOST_NUMBERS:
        raise TooLargeError(f"arguments of {dict(call.sizes)} are too large to be run")


def attributes_of(model: Callable[..., Any]) -> dict[str, Any]:
    """What a module keeps from one call to the next."""
    modules = model.named_modules() if isinstance(model, nn.Module) else ()
    return {
        f"{path}.{name}".removeprefix("."): _trace(value)
        for path, module in modules
        for name, value in _attributes(module)
    }


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The names of what differs between two states."""
    return [name for name in {**before, **after} if before.get(name) != after.get(name)]


def _attributes(module: nn.Module) -> Iterator[tuple[str, Any]]:
    is_norm = isinstance(module, nn.modules.batchnorm._NormBase)
    is_torchs = is_norm or type(module).__module__.startswith("torch.")
    for name, value in vars(module).items():
        if name == "_buffers" and is_torchs:  # running statistics, which decide no size
            yield from ((key, buffer is None) for key, buffer in value.items())
        elif name in ("_parameters", "_buffers"):
            yield from value.items()
        elif name != "_modules":
            yield name, value


_DEEPEST = 4
"""Objects inside objects are looked into so far."""


def _trace(value: Any, depth: int = 0) -> Any:
    """A value that differs after an attribute was assigned, changed in place, or grew."""
    if isinstance(value, Tensor):  # torch counts what is written to it
        writes = 0 if value.is_inference() else value._version
        return id(value), tuple(value.shape), value.dtype, writes, value.requires_grad
    if value is None or isinstance(value, bool | int | float | str | torch.Size):
        return (value,)  # in a tuple nan equals itself
    if isinstance(value, types.GeneratorType):
        return object()  # of which it is not known where it stands
    if isinstance(value, Iterator):
        return id(value), repr(value), operator.length_hint(value, -1)
    if depth > _DEEPEST:
        return id(value)
    if isinstance(value, Mapping):
        parts = [(key, _trace(item, depth + 1)) for key, item in value.items()]
        return type(value), tuple(parts)
    if isinstance(value, list | tuple | set | frozenset | collections.deque):
        return type(value), tuple(_trace(item, depth + 1) for item in value)
    held = getattr(value, "__dict__", None)
    is_data = not isinstance(value, type | types.ModuleType | types.FunctionType | nn.Module)
    if isinstance(held, dict) and is_data:
        return id(value), _trace(held, depth + 1)
    return id(value)


def snippet(subject: Subject, variant: Variant, found: Replay) -> str:
    """Python that does what a replay has done."""
    model = _made(subject, found.call)
    imports = {"import torch": None}
    calls = []
    for call in (*found.before, found.call):
        args, kwargs = _arguments(subject, model, variant, call)
        parts = [code_of(arg, imports) for arg in args]
        parts += [f"{name}={code_of(value, imports)}" for name, value in kwargs.items()]
        calls.append(f"{subject.call}({', '.join(parts)})")
    code = subject.code(found.call.sizes)
    if found.call.dtype is not None and found.call.dtype.is_floating_point:
        code += f"\nmodel = model.to({found.call.dtype})" if isinstance(model, nn.Module) else ""
    if isinstance(model, nn.Module) and not is_enforced(model):
        imports["from shapezoo.proving import enforced"] = None
        calls = _within("enforced(model)", calls)
    if found.call.is_grad is not None:
        calls = _within(f"torch.set_grad_enabled({found.call.is_grad})", calls)
    return "\n".join([*imports, code, *calls])


def _within(context: str, lines: Sequence[str]) -> list[str]:
    return [f"with {context}:", *(f"    {line}" for line in lines)]
