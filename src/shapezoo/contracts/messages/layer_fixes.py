"""Suggest sizes with which a `torch.nn` layer, or a model, would accept its input.

Each suggestion is tried: a new layer with these sizes gets the input on the meta device, where
tensors have no data.
"""

import contextlib
import inspect
import re
from collections.abc import Iterator, Sequence
from math import prod
from operator import attrgetter
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.rnn import RNNBase

from shapezoo._modules import weight_dtype
from shapezoo.contracts.language.axes import Axis, align
from shapezoo.contracts.language.errors import ContractError
from shapezoo.contracts.language.signatures import Signature
from shapezoo.contracts.language.types import TensorType, tensors
from shapezoo.contracts.matching.bindings import Bindings, bound_braces, frame
from shapezoo.contracts.matching.matching import MismatchError, check_value
from shapezoo.contracts.messages.describing import concrete_shape
from shapezoo.contracts.messages.module_paths import path_in_model
from shapezoo.contracts.messages.tensor_fixes import Fix, without_data

_CONVOLUTION = "in_channels out_channels kernel_size"
_TABLE: list[tuple[tuple[type[nn.Module], ...], str, str]] = [
    ((nn.Linear,), "in_features out_features", "(*, {in_features})"),
    ((nn.Conv1d, nn.ConvTranspose1d), _CONVOLUTION, "(N, {in_channels}, L)"),
    ((nn.Conv2d, nn.ConvTranspose2d), _CONVOLUTION, "(N, {in_channels}, H, W)"),
    ((nn.Conv3d, nn.ConvTranspose3d), _CONVOLUTION, "(N, {in_channels}, D, H, W)"),
    ((nn.BatchNorm1d,), "num_features", "(N, {num_features}, *)"),
    ((nn.BatchNorm2d, nn.InstanceNorm2d), "num_features", "(N, {num_features}, H, W)"),
    ((nn.BatchNorm3d, nn.InstanceNorm3d), "num_features", "(N, {num_features}, D, H, W)"),
    ((nn.InstanceNorm1d,), "num_features", "(N, {num_features}, L)"),
    ((nn.GroupNorm,), "num_groups num_channels", "(N, {num_channels}, *)"),
    ((nn.LayerNorm, nn.RMSNorm), "normalized_shape", "(*, {normalized_shape})"),
    ((nn.RNN, nn.LSTM, nn.GRU), "input_size hidden_size", "(L, N, {input_size})"),
    ((nn.RNNCell, nn.LSTMCell, nn.GRUCell), "input_size hidden_size", "(N, {input_size})"),
    ((nn.MultiheadAttention,), "embed_dim num_heads", "(L, N, {embed_dim})"),
    ((nn.TransformerEncoderLayer,), "d_model nhead", "(L, N, {d_model})"),
    ((nn.TransformerDecoderLayer,), "d_model nhead", "(L, N, {d_model})"),
]
"""Layers, the arguments of their constructors without a default, and their input shapes.

The shapes are written as in PyTorch's documentation. In braces is the argument of the constructor
that must equal a size of the input.
"""

_ATTRIBUTES = {
    "d_model": "self_attn.embed_dim",
    "nhead": "self_attn.num_heads",
    "dim_feedforward": "linear1.out_features",
    "batch_first": "self_attn.batch_first",
}
"""Where a layer stores the value of an argument that has no attribute of its own."""


class InputRule(NamedTuple):
    """How the input shape of a layer determines an argument of its constructor.

    Attributes:
        arguments: The arguments of the constructor without a default, each with the attribute
            that holds its value.
        shape: The input shape as in PyTorch's documentation, with the sized argument in braces.
        sized: The argument that must equal a size of the input.
        axis: The position of that size in the input.
    """

    arguments: dict[str, str]
    shape: str
    sized: str
    axis: int


def _rule(names: str, shape: str) -> InputRule:
    """Build the rule for a row of the table."""
    axes = shape.strip("()").split(", ")
    position = next(i for i, axis in enumerate(axes) if axis.startswith("{"))
    # "*" is any number of axes, so the position counts from the other end
    axis = position if axes[-1] == "*" else position - len(axes)
    arguments = {name: _ATTRIBUTES.get(name, name) for name in names.split()}
    return InputRule(arguments, shape, axes[position].strip("{}"), axis)


RULES = {layer: _rule(names, shape) for layers, names, shape in _TABLE for layer in layers}
"""The layers for which another size can be suggested."""

_INPUTS = ("in_features", "in_channels", "input_size", "num_embeddings")
_OUTPUTS = ("out_features", "out_channels", "hidden_size", "embedding_dim")
_CASTS = {torch.float32: "float", torch.float64: "double", torch.float16: "half"}
"""The methods that cast to a dtype; other dtypes use `to`."""

_FLATTEN = Fix("", (("flatten", (1,)),))


class _Suggestion(NamedTuple):
    """A change of a layer or of its input that may make the call work.

    Attributes:
        text: The change, in words and code.
        values: The arguments of the constructor.
        change: The change of the input.
        is_sure: Whether no other suggestion is needed.
    """

    text: str
    values: dict[str, Any]
    change: Fix
    is_sure: bool = False


def expected(layer: nn.Module) -> str:
    """Return the input shape of a layer as in PyTorch's documentation; empty if not known."""
    rule = RULES.get(type(layer))
    if rule is None:
        return ""
    values = _values(layer, rule)
    size = values[rule.sized]
    sizes = ", ".join(map(str, size)) if isinstance(size, tuple) else size
    text = rule.shape.replace(f"{{{rule.sized}}}", f"{rule.sized}={sizes}")
    return text.replace("(L, N,", "(N, L,") if values.get("batch_first") else text


def suggestions(
    layer: nn.Module, arguments: dict[str, Any], name: str, dtype_source: str
) -> list[str]:
    """Suggest changes that make a layer accept its input, in words and code.

    Args:
        layer: The layer, which raised an error.
        arguments: The arguments of its ``forward``, by name.
        name: The name of the input in the code.
        dtype_source: The name of the tensor that the input got its dtype from.
    """
    rule, inputs = RULES.get(type(layer)), next(iter(arguments.values()), None)
    if rule is None or not isinstance(inputs, Tensor) or inputs.is_complex():
        return []
    texts = []
    for suggestion in _candidates(layer, rule, inputs, name, dtype_source):
        if _works(layer, suggestion, arguments, inputs):
            texts.append(suggestion.text)
            if suggestion.is_sure:
                break
    return texts


def _candidates(
    layer: nn.Module, rule: InputRule, inputs: Tensor, name: str, dtype_source: str
) -> Iterator[_Suggestion]:
    values, shape = _values(layer, rule), tuple(inputs.shape)
    cast, code = _cast(inputs, weight_dtype(layer))
    size = values[rule.sized]
    if isinstance(size, tuple):
        actual: Any = shape[-len(size) :]
    else:
        actual = shape[rule.axis] if -len(shape) <= rule.axis < len(shape) else size
    if actual == size:  # the meta device does not reject every wrong size
        if code:
            reason = "" if inputs.is_floating_point() else " if it holds quantities"
            yield _Suggestion(f"use {dtype_source}{code}{reason}", values, cast, is_sure=True)
        return
    accepts_flat = isinstance(layer, nn.Linear) and len(shape) > 2
    flat_size, flatten = prod(shape[1:]), _FLATTEN.then(cast)
    if accepts_flat and flat_size == size:
        yield _Suggestion(f"use {name}{_FLATTEN}{code}", values, flatten, is_sure=True)
    for axis in range(1, len(shape)):
        if shape[axis] == size and len(shape) > 2:
            move = Fix("", (("movedim", (axis, rule.axis % len(shape))),))
            meaning = "features" if rule.axis == -1 else "channels"
            text = f"use {name}{move}{code} if axis {axis} holds the {meaning}"
            yield _Suggestion(text, values, move.then(cast))
    changed = values | {rule.sized: actual}
    after = f" with {name}{code}" if code else ""
    text = f"{_code(layer, rule, changed)} would accept this input{after}"
    yield _Suggestion(text, changed, cast)
    if accepts_flat and len(shape) > 3:
        changed = values | {rule.sized: flat_size}
        text = f"{_code(layer, rule, changed)} would accept {name}{_FLATTEN}{code}"
        yield _Suggestion(text, changed, flatten)


def _works(
    layer: nn.Module, suggestion: _Suggestion, arguments: dict[str, Any], inputs: Tensor
) -> bool:
    """Whether a new layer accepts the input, on the meta device."""
    change = suggestion.change
    copies = {name: _meta_copy(value, inputs, change) for name, value in arguments.items()}
    try:
        with torch.no_grad():
            fresh = type(layer)(**suggestion.values, device="meta", dtype=weight_dtype(layer))
            fresh.train(layer.training)
            fresh.forward(**copies)
    except Exception:
        return False
    return True


def _meta_copy(value: Any, inputs: Tensor, change: Fix) -> Any:
    """Copy an argument to the meta device, and change it if it is the input."""
    if isinstance(value, Tensor):
        return change(without_data(value)) if value is inputs else without_data(value)
    return tuple(_meta_copy(v, inputs, change) for v in value) if type(value) is tuple else value


def _values(layer: nn.Module, rule: InputRule) -> dict[str, Any]:
    """Return the constructor arguments of a layer that differ from their defaults."""
    values = {name: attrgetter(path)(layer) for name, path in rule.arguments.items()}
    paths = _ATTRIBUTES if "d_model" in rule.arguments else {}
    for name, default in _defaults(type(layer)).items():
        with contextlib.suppress(AttributeError):
            value = _short(attrgetter(paths.get(name, name))(layer))
            if name == "bias" and not isinstance(value, bool):
                value = value is not None or getattr(layer, "weight", None) is None
            if value != default and not isinstance(value, nn.Module):
                values[name] = value
    # private: `kdim` and `vdim` have values even if they were not passed
    if isinstance(layer, nn.MultiheadAttention) and layer._qkv_same_embed_dim:
        values = {name: value for name, value in values.items() if name not in ("kdim", "vdim")}
    return values


def _defaults(layer: type[nn.Module]) -> dict[str, Any]:
    """Return the defaults of a layer's constructor."""
    is_rnn = issubclass(layer, RNNBase)  # the subclasses of RNNBase take *args and **kwargs
    parameters = inspect.signature(RNNBase if is_rnn else layer).parameters.values()
    ignored = ("device", "dtype")
    optional = [p for p in parameters if p.default is not p.empty and p.name not in ignored]
    return {p.name: p.default for p in optional} | ({"nonlinearity": "tanh"} if is_rnn else {})


def _code(layer: nn.Module, rule: InputRule, values: dict[str, Any]) -> str:
    """Return the code that builds a layer."""
    parts = [
        str(_short(value)) if name in rule.arguments else f"{name}={_short(value)!r}"
        for name, value in values.items()
    ]
    return f"nn.{type(layer).__name__}({', '.join(parts)})"


def _short(value: Any) -> Any:
    """Shorten a tuple of equal numbers to one number."""
    return value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value


def _cast(inputs: Tensor, dtype: torch.dtype | None) -> tuple[Fix, str]:
    """Return a cast to the dtype of the weights, and its code; empty if none is needed."""
    if dtype in (None, inputs.dtype):
        return Fix("", ()), ""
    name = _CASTS.get(dtype)
    cast = Fix("", ((name, ()) if name else ("to", (dtype,)),))
    # autocast converts the input
    return cast, "" if torch.is_autocast_enabled(inputs.device.type) else str(cast)


def suggest_for_result(
    contract: Signature, bindings: Bindings, result: object, owner: object, mismatch: MismatchError
) -> str | None:
    """Return a fix for a module whose result has the size that one of its layers returns.

    Such a model had its last layer replaced, as is done for transfer learning.

    Args:
        contract: The contract of its forward.
        bindings: What the arguments bound.
        result: The result.
        owner: The module.
        mismatch: How the result breaks the contract.
    """
    type_, value = mismatch.type, mismatch.value
    if not isinstance(owner, nn.Module):
        return None
    if not isinstance(type_, TensorType) or not isinstance(value, Tensor):
        return None
    with contextlib.suppress(Exception):  # a failing hint must not hide the error
        for _, axis, size in align(type_.axes, concrete_shape(value)) or ():
            name = attribute_of(axis, owner)
            layers = [path for path, n in _layer_sizes(owner, _OUTPUTS) if n == size]
            if not name or not layers or _is_read_elsewhere(name, contract):
                continue
            sizes = bindings.sizes | bound_braces({f"{{self.{name}}}": size}).sizes
            changed = frame(bindings._replace(sizes=sizes))
            with contextlib.suppress(MismatchError, ContractError), changed:
                check_value(result, contract.output, "return")
                leaves = [path for path, m in owner.named_modules() if not any(m.children())]
                # a layer after it may have been replaced by nn.Identity
                if leaves[-1] != layers[-1]:
                    return other_size(owner, name, size).partition(", or ")[0]
                return f"its {layers[-1]} returns {size}; {other_size(owner, name, size)}"
    return None


def attribute_of(axis: Axis, owner: nn.Module) -> str:
    """Return the attribute of a module that an axis refers to, if it can be set."""
    match = re.fullmatch(r"\{self\.(\w+)\}", axis.expression or "")
    return match[1] if match and match[1] in vars(owner) else ""  # a property is not in vars()


def _is_read_elsewhere(name: str, contract: Signature) -> bool:
    """Whether another axis depends on an attribute, so that it cannot be changed for the result."""
    arguments = [text for a in contract.inputs for part in tensors(a.type) for text in part.braces]
    others = [text for text in contract.braces if text != f"{{self.{name}}}"]
    return any(re.search(rf"\bself\.{name}\b", text) for text in arguments + others)


def first_layer(owner: nn.Module, size: object) -> str:
    """Return the path of the first layer of a module, if it accepts this size."""
    path, accepted = next(_layer_sizes(owner, _INPUTS), ("", None))
    return path if accepted == size else ""


def _layer_sizes(owner: nn.Module, names: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Yield the paths of the PyTorch layers in a module that have an attribute of these names."""
    for path, module in owner.named_modules():
        for name in names:
            if type(module).__module__.startswith("torch.nn.") and name in vars(module):
                yield path, vars(module)[name]


def other_size(owner: nn.Module, name: str, size: object) -> str:
    """Return the code that changes the size of a module."""
    path = path_in_model(owner).partition(" of ")[0]
    model = ".".join(filter(None, ("model", path)))
    text = f"set {model}.{name} = {size}"
    if name in inspect.signature(type(owner)).parameters:
        text += f", or build {type(owner).__name__} with {name}={size}"
    return text
