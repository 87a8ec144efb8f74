"""Suggest fixes for common mistakes.

Each fix was tried, so the fixed call would be accepted. Where there is none, a hint may explain
what an axis means.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

from torch import Tensor, nn

from shapezoo.contracts.language.axes import align
from shapezoo.contracts.language.axis_names import AXES
from shapezoo.contracts.language.signatures import Argument, ArgumentKind, Signature
from shapezoo.contracts.language.types import TensorType, TupleType, tensors, walk
from shapezoo.contracts.matching.matching import MismatchError
from shapezoo.contracts.messages.describing import concrete, concrete_shape, readable
from shapezoo.contracts.messages.layer_fixes import attribute_of, first_layer, other_size
from shapezoo.contracts.messages.tensor_fixes import as_tensors, fixes_of, without_data

Accepts = Callable[[dict[str, Any], dict[str, object]], bool]


class FailedCall(NamedTuple):
    """A call that broke its contract.

    Attributes:
        inputs: The arguments of the contract, with numbers for parts in braces.
        arguments: The arguments of the call, by name.
        mismatch: How an argument broke the contract.
        accepts: Whether other arguments would pass, as in `suggest`.
    """

    inputs: Sequence[Argument]
    arguments: dict[str, Any]
    mismatch: MismatchError
    accepts: Accepts

    @property
    def wrong(self) -> list[Argument]:
        """The argument that is wrong as a whole, if there is one."""
        return [argument for argument in self.inputs if argument.name == self.mismatch.path]

    @property
    def others(self) -> list[Argument]:
        """The other arguments."""
        return [argument for argument in self.inputs if argument.name != self.mismatch.path]

    @property
    def pairs(self) -> list[tuple[str, Any, Argument, Any]]:
        """The name and value of the wrong argument, with each other argument and its value."""
        return [
            (wrong.name, self.arguments[wrong.name], other, self.arguments[other.name])
            for wrong in self.wrong
            for other in self.others
        ]

    def passes_with(self, changes: dict[str, Any]) -> bool:
        """Whether the call would pass with other values of some arguments."""
        return self.accepts({**self.arguments, **changes}, {})


def suggest(
    contract: Signature, arguments: dict[str, Any], mismatch: MismatchError, accepts: Accepts
) -> str | None:
    """Return a fix that makes the call valid, or what an axis means, in words and code.

    Args:
        contract: The contract.
        arguments: The arguments of the call, by name.
        mismatch: How an argument broke the contract.
        accepts: Whether other arguments (possibly meta tensors) would pass, with these values of
            parts in braces.
    """
    inputs = contract.resolved(readable(mismatch.braces)).inputs
    call = FailedCall(inputs, arguments, mismatch, accepts)
    hints = chain(
        _fixed(call, call.wrong),
        _as_examples(call),
        _swapped(call),
        _by_keyword(call),
        _fixed_items(call),
        _other_module(call),
        _fixed(call, call.others),
        _meaning(call),
    )
    try:
        return next(hints, None)
    except Exception:  # a tensor without a plain shape; a failing hint must not hide the error
        return None


def _fixed(call: FailedCall, candidates: Iterable[Argument]) -> Iterator[str]:
    """Suggest method calls on one tensor."""
    bound = {name: concrete(size) for name, size in call.mismatch.bound.items()}
    all_tensors = [value for value in call.arguments.values() if isinstance(value, Tensor)]
    for argument in candidates:
        name, types = argument.name, list(tensors(argument.type))
        if not types:
            continue
        value = call.arguments[name]
        others = [tensor for tensor in all_tensors if tensor is not value]
        whose = "" if name == call.mismatch.path else f"perhaps it is argument {name!r}: "
        for reason, code, tensor in as_tensors(name, value, types[0].dtype):
            for fix in fixes_of(types, tensor, others, bound):
                if call.passes_with({name: fix(without_data(tensor))}):
                    reasons = ", ".join(filter(None, (reason, fix.reason)))
                    condition = fix.condition and f" {fix.condition}"
                    yield f"{whose}{reasons}; use {code}{fix}{condition}"


def _as_examples(call: FailedCall) -> Iterator[str]:
    """Suggest flattening scores per pixel or position, and their labels, into examples."""
    for name, scores, other, labels in call.pairs:
        if not isinstance(scores, Tensor) or not isinstance(labels, Tensor) or scores.dim() < 3:
            continue
        shape = concrete_shape(scores)
        if shape[:1] + shape[2:] == concrete_shape(labels):
            flat = without_data(scores).movedim(1, -1).flatten(0, -2)
            if call.passes_with({name: flat, other.name: without_data(labels).flatten()}):
                yield (
                    f"it has scores for each position; use {name}.movedim(1, -1).flatten(0, -2)"
                    f" and {other.name}.flatten()"
                )


def _swapped(call: FailedCall) -> Iterator[str]:
    """Suggest swapping two tensors."""
    for name, value, other, other_value in call.pairs:
        are_tensors = isinstance(value, Tensor) and isinstance(other_value, Tensor)
        if are_tensors and call.passes_with({name: other_value, other.name: value}):
            yield f"arguments {name!r} and {other.name!r} are swapped"


def _by_keyword(call: FailedCall) -> Iterator[str]:
    """Suggest passing a tensor as another argument, which was left out."""
    defaults = {argument.name: argument.default for argument in call.inputs}
    for name, value, other, other_value in call.pairs:
        if other_value is not None or {defaults[name], other.default} != {"None"}:
            continue
        if other.kind is ArgumentKind.POSITIONAL_ONLY or not any(tensors(other.type)):
            continue
        if isinstance(value, Tensor) and call.passes_with({name: None, other.name: value}):
            yield f"it fits argument {other.name!r}; pass it as {other.name}=..."


def _fixed_items(call: FailedCall) -> Iterator[str]:
    """Suggest how to make a tuple of tensors, such as the state of an LSTM, from the value."""
    name = call.mismatch.path.partition("[")[0]
    parts = [part for a in call.inputs if a.name == name for part in walk(a.type)]
    counts = [len(part.parts) for part in parts if isinstance(part, TupleType)]
    if not counts:
        return
    value, candidates = call.arguments[name], list[tuple[str, str, Any]]()
    if isinstance(value, Tensor):
        empty = without_data(value)
        if counts[0] == 2:
            pair = f"({name}, torch.zeros_like({name})) if the second starts from zeros"
            candidates.append(("it is one tensor, not two", pair, (empty, empty)))
        if value.dim() and len(value) == counts[0]:
            candidates.append(("it is one tensor", f"tuple({name})", tuple(empty)))
    elif isinstance(value, list | tuple) and all(isinstance(item, Tensor) for item in value):
        items = tuple(map(without_data, value))
        if isinstance(value, list):
            candidates.append(("it is a list", f"tuple({name})", items))
        if all(item.dim() > 1 for item in items):
            code = f"tuple(item.transpose(0, 1) for item in {name})"
            swapped = tuple(item.transpose(0, 1) for item in items)
            candidates.append(("the first two axes of its items are swapped", code, swapped))
    for reason, code, fixed in candidates:
        if call.passes_with({name: fixed}):
            yield f"{reason}; use {code}"


def _other_module(call: FailedCall) -> Iterator[str]:
    """Suggest the constructor argument with which the module would accept the input."""
    module, type_, value = call.arguments.get("self"), call.mismatch.type, call.mismatch.value
    if not isinstance(type_, TensorType) or not isinstance(value, Tensor):
        return
    if not isinstance(module, nn.Module) or call.mismatch.path != call.inputs[0].name:
        return
    parameters = inspect.signature(type(module)).parameters
    for _, axis, size in align(type_.axes, concrete_shape(value)) or ():
        name = attribute_of(axis, module)
        if name and call.accepts(call.arguments, {f"{{self.{name}}}": size}):
            if layer := first_layer(module, size):
                yield f"its {layer} accepts {size}; {other_size(module, name, size)}"
            if name in parameters:
                yield f"build {type(module).__name__} with {name}={size}"


def _meaning(call: FailedCall) -> Iterator[str]:
    """Explain an axis whose meaning is often mistaken."""
    name, value = call.mismatch.path.partition("[")[0], call.mismatch.value
    types = [type_ for a in call.inputs if a.name == name for type_ in tensors(a.type)]
    if isinstance(value, Tensor):
        pairs = (pair for t in types for pair in align(t.axes, concrete_shape(value)) or ())
        for _, axis, size in pairs:
            if "layers" in (axis.name, axis.label) and axis.fixed not in (None, size):
                yield f"layers: {AXES['layers']}"
    if call.mismatch.bound.get("classes") == 1:
        yield (
            "with one class, cross-entropy is always 0; for binary labels use "
            "binary_cross_entropy_with_logits"
        )
