"""Known fixes for common mistakes, suggested only if the fixed input would be accepted."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, product
from typing import Any

from torch import Tensor, nn

from shapezoo.contracts.language.axes import align
from shapezoo.contracts.language.signatures import Argument, ArgumentKind
from shapezoo.contracts.language.types import TensorType, TupleType, tensors, walk
from shapezoo.contracts.language.vocabulary import AXES
from shapezoo.contracts.matching.matching import MismatchError
from shapezoo.contracts.messages.describing import concrete, known_shape
from shapezoo.contracts.messages.fitting import attribute_of, first_layer, other_size
from shapezoo.contracts.messages.tensor_fixes import as_tensors, fixes_of, without_data

Accepts = Callable[[dict[str, Any], dict[str, object]], bool]


def suggest(
    inputs: Sequence[Argument],
    arguments: dict[str, Any],
    mismatch: MismatchError,
    accepts: Accepts,
) -> str | None:
    """Return a fix, in words and code, if one is known that makes the call valid.

    Args:
        inputs: The arguments of the contract, with numbers for parts in braces.
        arguments: The arguments of the call, by name.
        mismatch: How an argument broke the contract.
        accepts: Whether other arguments (possibly meta tensors) would pass, with these values of
            parts in braces.
    """
    wrong = [argument for argument in inputs if argument.name == mismatch.path]
    others = [argument for argument in inputs if argument.name != mismatch.path]
    name = mismatch.path.partition("[")[0]
    hints = chain(
        _fixed(wrong, arguments, mismatch, accepts),
        _as_examples(wrong, others, arguments, accepts),
        _swapped(wrong, others, arguments, accepts),
        _by_keyword(wrong, others, arguments, accepts),
        _mended_items(inputs, arguments, mismatch, accepts),
        _other_module(inputs, arguments, mismatch, accepts),
        _fixed(others, arguments, mismatch, accepts),
        _meaning([a for a in inputs if a.name == name], mismatch),
    )
    try:
        return next(hints, None)
    except Exception:  # a tensor without a plain shape; a failing hint must not hide the error
        return None


def _fixed(
    wrong: Sequence[Argument],
    arguments: dict[str, Any],
    mismatch: MismatchError,
    accepts: Accepts,
) -> Iterator[str]:
    """Suggest method calls on one tensor."""
    bound = {name: concrete(size) for name, size in mismatch.bound.items()}
    given = [value for value in arguments.values() if isinstance(value, Tensor)]
    for argument in wrong:
        others = [value for value in given if value is not arguments[argument.name]]
        name, kinds = argument.name, list(tensors(argument.type))
        if not kinds:
            continue
        whose = "" if name == mismatch.path else f"perhaps it is argument {name!r}: "
        for what, code, value in as_tensors(name, arguments[name], kinds[0].dtype):
            for fix in fixes_of(kinds, value, others, bound):
                changed = fix(without_data(value))
                if accepts({**arguments, name: changed}, {}):
                    reasons = ", ".join(filter(None, (what, fix.reason)))
                    condition = fix.condition and f" {fix.condition}"
                    yield f"{whose}{reasons}; use {code}{fix}{condition}"


def _as_examples(
    wrong: Sequence[Argument],
    others: Sequence[Argument],
    arguments: dict[str, Any],
    accepts: Accepts,
) -> Iterator[str]:
    """Suggest flattening scores per pixel or position, and their labels, into examples."""
    for one, other in product(wrong, others):
        scores, labels = arguments[one.name], arguments[other.name]
        if not isinstance(scores, Tensor) or not isinstance(labels, Tensor) or scores.dim() < 3:
            continue
        shape = known_shape(scores)
        if shape[:1] + shape[2:] == known_shape(labels):
            flat = without_data(scores).movedim(1, -1).flatten(0, -2)
            if accepts(
                {**arguments, one.name: flat, other.name: without_data(labels).flatten()}, {}
            ):
                yield (
                    f"it has scores for each position; use {one.name}.movedim(1, -1).flatten(0, -2)"
                    f" and {other.name}.flatten()"
                )


def _mended_items(
    inputs: Sequence[Argument],
    arguments: dict[str, Any],
    mismatch: MismatchError,
    accepts: Accepts,
) -> Iterator[str]:
    """A tuple of tensors, such as the state of an LSTM, from what was given in its place."""
    name = mismatch.path.partition("[")[0]
    kinds = [part for a in inputs if a.name == name for part in walk(a.type)]
    sizes = [len(kind.parts) for kind in kinds if isinstance(kind, TupleType)]
    if not sizes:
        return
    value, candidates = arguments[name], list[tuple[str, str, Any]]()
    if isinstance(value, Tensor):
        empty = without_data(value)
        if sizes[0] == 2:
            pair = f"({name}, torch.zeros_like({name})) if the second starts from zeros"
            candidates.append(("it is one tensor, not two", pair, (empty, empty)))
        if value.dim() and len(value) == sizes[0]:
            candidates.append(("it is one tensor", f"tuple({name})", tuple(empty)))
    elif isinstance(value, list | tuple) and all(isinstance(item, Tensor) for item in value):
        items = tuple(map(without_data, value))
        if isinstance(value, list):
            candidates.append(("it is a list", f"tuple({name})", items))
        if all(item.dim() > 1 for item in items):
            code = f"tuple(item.transpose(0, 1) for item in {name})"
            swapped = tuple(item.transpose(0, 1) for item in items)
            candidates.append(("the first two axes of its items are swapped", code, swapped))
    for what, code, mended in candidates:
        if accepts({**arguments, name: mended}, {}):
            yield f"{what}; use {code}"


def _meaning(wrong: Sequence[Argument], mismatch: MismatchError) -> Iterator[str]:
    """Explain an axis whose meaning is often mistaken."""
    value = mismatch.value
    kinds = [kind for argument in wrong for kind in tensors(argument.type)]
    if isinstance(value, Tensor):
        pairs = (pair for kind in kinds for pair in align(kind.axes, known_shape(value)) or ())
        for _, axis, size in pairs:
            if "layers" in (axis.name, axis.label) and axis.fixed not in (None, size):
                yield f"layers: {AXES['layers']}"
    if mismatch.bound.get("classes") == 1:
        yield (
            "with one class, cross-entropy is always 0; for binary labels use "
            "binary_cross_entropy_with_logits"
        )


def _swapped(
    wrong: Sequence[Argument],
    others: Sequence[Argument],
    arguments: dict[str, Any],
    accepts: Accepts,
) -> Iterator[str]:
    """Suggest swapping two tensors."""
    for one, other in product(wrong, others):
        left, right = arguments[one.name], arguments[other.name]
        if isinstance(left, Tensor) and isinstance(right, Tensor):
            swapped = {**arguments, one.name: right, other.name: left}
            if accepts(swapped, {}):
                yield f"arguments {one.name!r} and {other.name!r} are swapped"


def _by_keyword(
    wrong: Sequence[Argument],
    others: Sequence[Argument],
    arguments: dict[str, Any],
    accepts: Accepts,
) -> Iterator[str]:
    """A tensor that was meant for another argument, which was left out."""
    for one, other in product(wrong, others):
        value = arguments[one.name]
        if arguments[other.name] is not None or {one.default, other.default} != {"None"}:
            continue
        if other.kind is ArgumentKind.POSITIONAL_ONLY or not any(tensors(other.type)):
            continue
        if isinstance(value, Tensor) and accepts(
            {**arguments, one.name: None, other.name: value}, {}
        ):
            yield f"it fits argument {other.name!r}; pass it as {other.name}=..."


def _other_module(
    inputs: Sequence[Argument],
    arguments: dict[str, Any],
    mismatch: MismatchError,
    accepts: Accepts,
) -> Iterator[str]:
    """Suggest the constructor argument with which the module would accept the input."""
    module, kind, value = arguments.get("self"), mismatch.kind, mismatch.value
    if not isinstance(kind, TensorType) or not isinstance(value, Tensor):
        return
    if not isinstance(module, nn.Module) or mismatch.path != inputs[0].name:
        return
    parameters = inspect.signature(type(module)).parameters
    for _, axis, size in align(kind.axes, known_shape(value)) or ():
        name = attribute_of(axis, module)
        if name and accepts(arguments, {f"{{self.{name}}}": size}):
            if layer := first_layer(module, size):
                yield f"its {layer} accepts {size}; {other_size(module, name, size)}"
            if name in parameters:
                yield f"build {type(module).__name__} with {name}={size}"
