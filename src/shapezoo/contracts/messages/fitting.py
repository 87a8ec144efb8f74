"""Find the sizes with which a `torch.nn` layer, or a model, would accept its input."""

import contextlib
import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from math import prod
from operator import attrgetter, methodcaller
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.rnn import RNNBase

from shapezoo._modules import weight_dtype
from shapezoo.contracts.language.axes import Axis, align
from shapezoo.contracts.language.errors import ContractError
from shapezoo.contracts.language.signatures import Signature
from shapezoo.contracts.language.types import TensorType, Type, tensors
from shapezoo.contracts.matching.bindings import Bindings, bound_braces, frame
from shapezoo.contracts.matching.matching import MismatchError, check_value
from shapezoo.contracts.messages.describing import known_shape
from shapezoo.contracts.messages.module_paths import place_of


class InputRule(NamedTuple):
    """How the input shape of a layer determines an argument of its constructor.

    Attributes:
        arguments: The arguments of the constructor without a default, each with the attribute
            that holds its value.
        sized: The argument that must equal a size of the input.
        expected: The input shape as in PyTorch's documentation, with braces for that size.
        axis: The position of that size in the input.
    """

    arguments: dict[str, str]
    sized: str
    expected: str
    axis: int


_CONVOLUTION = "in_channels out_channels kernel_size"
_TABLE: list[tuple[tuple[type[nn.Module], ...], str, str, str, int]] = [
    ((nn.Linear,), "in_features out_features", "in_features", "(*, {})", -1),
    ((nn.Conv1d, nn.ConvTranspose1d), _CONVOLUTION, "in_channels", "(N, {}, L)", -2),
    ((nn.Conv2d, nn.ConvTranspose2d), _CONVOLUTION, "in_channels", "(N, {}, H, W)", -3),
    ((nn.Conv3d, nn.ConvTranspose3d), _CONVOLUTION, "in_channels", "(N, {}, D, H, W)", -4),
    ((nn.BatchNorm1d,), "num_features", "num_features", "(N, {}, *)", 1),
    ((nn.BatchNorm2d,), "num_features", "num_features", "(N, {}, H, W)", 1),
    ((nn.BatchNorm3d,), "num_features", "num_features", "(N, {}, D, H, W)", 1),
    ((nn.InstanceNorm1d,), "num_features", "num_features", "(N, {}, L)", -2),
    ((nn.InstanceNorm2d,), "num_features", "num_features", "(N, {}, H, W)", -3),
    ((nn.InstanceNorm3d,), "num_features", "num_features", "(N, {}, D, H, W)", -4),
    ((nn.GroupNorm,), "num_groups num_channels", "num_channels", "(N, {}, *)", 1),
    ((nn.LayerNorm, nn.RMSNorm), "normalized_shape", "normalized_shape", "(*, {})", -1),
    ((nn.RNN, nn.LSTM, nn.GRU), "input_size hidden_size", "input_size", "(L, N, {})", -1),
    (
        (nn.RNNCell, nn.LSTMCell, nn.GRUCell),
        "input_size hidden_size",
        "input_size",
        "(N, {})",
        -1,
    ),
    ((nn.MultiheadAttention,), "embed_dim num_heads", "embed_dim", "(L, N, {})", -1),
    (
        (nn.TransformerEncoderLayer, nn.TransformerDecoderLayer),
        "d_model nhead",
        "d_model",
        "(L, N, {})",
        -1,
    ),
]
_ATTRIBUTES = {
    "d_model": "self_attn.embed_dim",
    "nhead": "self_attn.num_heads",
    "dim_feedforward": "linear1.out_features",
    "batch_first": "self_attn.batch_first",
}
"""Where a layer keeps the value of an argument that has no attribute of its own."""

RULES = {
    layer: InputRule(
        {name: _ATTRIBUTES.get(name, name) for name in names.split()}, sized, shape, axis
    )
    for layers, names, sized, shape, axis in _TABLE
    for layer in layers
}
"""The layers for which another size can be suggested."""

_INPUTS = ("in_features", "in_channels", "input_size", "num_embeddings")
_OUTPUTS = ("out_features", "out_channels", "hidden_size", "embedding_dim")
_CASTS = {torch.float32: "float", torch.float64: "double", torch.float16: "half"}
"""The methods that cast to a dtype; other dtypes use `to`."""


class _Suggestion(NamedTuple):
    """A change of a layer or of its input that may make the call work.

    Attributes:
        text: The change, in words and code.
        values: The arguments of the constructor.
        change: Changes the input.
        is_sure: Whether no other suggestion is needed.
    """

    text: str
    values: dict[str, Any]
    change: Callable[[Tensor], Tensor]
    is_sure: bool = False


_DEFAULTS_OF_RNNS: dict[str, Any] = {
    "num_layers": 1,
    "bias": True,
    "batch_first": False,
    "dropout": 0.0,
    "bidirectional": False,
}
_DEFAULTS_OF_ONE: dict[type[nn.Module], dict[str, Any]] = {
    nn.RNN: {"nonlinearity": "tanh"},
    nn.LSTM: {"proj_size": 0},
}


def expected(layer: nn.Module) -> str:
    """Return the input shape of a layer as in PyTorch's documentation; empty if not known."""
    rule = RULES.get(type(layer))
    if rule is None:
        return ""
    values = _values(layer, rule)
    size = values[rule.sized]
    sizes = ", ".join(map(str, size)) if isinstance(size, tuple) else size
    text = rule.expected.replace("{}", f"{rule.sized}={sizes}")
    return text.replace("(L, N,", "(N, L,") if values.get("batch_first") else text


def suggestions(layer: nn.Module, arguments: dict[str, Any], name: str, source: str) -> list[str]:
    """Suggest changes that make a layer accept its input, in words and code.

    Args:
        layer: The layer, which raised an error.
        arguments: The arguments of its ``forward``, by name.
        name: The name of the input in the code.
        source: The name of the tensor that the input got its dtype from.
    """
    rule, given = RULES.get(type(layer)), next(iter(arguments.values()), None)
    if rule is None or not isinstance(given, Tensor) or given.is_complex():
        return []
    found = []
    for suggestion in _candidates(layer, rule, given, name, source):
        if _works(layer, suggestion, arguments, given):
            found.append(suggestion.text)
            if suggestion.is_sure:
                break
    return found


def _candidates(
    layer: nn.Module, rule: InputRule, given: Tensor, name: str, source: str
) -> Iterator[_Suggestion]:
    values, dtype, shape = _values(layer, rule), weight_dtype(layer), tuple(given.shape)
    cast, code = _cast(given, dtype)
    size = values[rule.sized]
    if isinstance(size, tuple):
        actual: Any = shape[-len(size) :]
    else:
        actual = shape[rule.axis] if -len(shape) <= rule.axis < len(shape) else size
    if actual == size:  # the meta device does not reject every wrong size
        if code:
            reason = "" if given.is_floating_point() else " if it holds quantities"
            yield _Suggestion(f"use {source}{code}{reason}", values, cast, is_sure=True)
        return
    accepts_flat = isinstance(layer, nn.Linear) and len(shape) > 2
    flat = prod(shape[1:])
    if accepts_flat and flat == size:
        change = _after(methodcaller("flatten", 1), cast)
        yield _Suggestion(f"use {name}.flatten(1){code}", values, change, is_sure=True)
    for axis in range(1, len(shape)):
        if shape[axis] == size and len(shape) > 2:
            move = axis, rule.axis % len(shape)
            change = _after(methodcaller("movedim", *move), cast)
            what = "features" if rule.axis == -1 else "channels"
            text = f"use {name}.movedim{move}{code} if axis {axis} holds the {what}"
            yield _Suggestion(text, values, change)
    changed = values | {rule.sized: actual}
    after = f" with {name}{code}" if code else ""
    text = f"{_code(layer, rule, changed)} would accept this input{after}"
    yield _Suggestion(text, changed, cast)
    if accepts_flat and len(shape) > 3:
        changed = values | {rule.sized: flat}
        text = f"{_code(layer, rule, changed)} would accept {name}.flatten(1){code}"
        yield _Suggestion(text, changed, _after(methodcaller("flatten", 1), cast))


def _works(
    layer: nn.Module, suggestion: _Suggestion, arguments: dict[str, Any], given: Tensor
) -> bool:
    """Whether a new layer accepts the input, on the meta device."""
    change = suggestion.change
    copies = {name: _meta_copy(value, given, change) for name, value in arguments.items()}
    try:
        with torch.no_grad():
            fresh = type(layer)(**suggestion.values, device="meta", dtype=weight_dtype(layer))
            fresh.train(layer.training)
            fresh.forward(**copies)
    except Exception:
        return False
    return True


def _meta_copy(value: Any, given: Tensor, change: Callable[[Tensor], Tensor]) -> Any:
    """Copy an argument to the meta device, and change it if it is the input."""
    if isinstance(value, Tensor):
        empty = torch.empty(tuple(value.shape), dtype=value.dtype, device="meta")
        return change(empty) if value is given else empty
    return tuple(_meta_copy(v, given, change) for v in value) if type(value) is tuple else value


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
    if isinstance(layer, nn.MultiheadAttention) and layer._qkv_same_embed_dim:
        values = {name: value for name, value in values.items() if name not in ("kdim", "vdim")}
    return values


def _defaults(layer: type[nn.Module]) -> dict[str, Any]:
    """Return the defaults of a layer's constructor."""
    if issubclass(layer, RNNBase):  # their constructors take *args and **kwargs
        return _DEFAULTS_OF_RNNS | _DEFAULTS_OF_ONE.get(layer, {})
    parameters = inspect.signature(layer).parameters.values()
    placed = ("device", "dtype")
    return {p.name: p.default for p in parameters if p.name not in placed and p.default != p.empty}


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


def _cast(given: Tensor, dtype: torch.dtype | None) -> tuple[Callable[[Tensor], Tensor], str]:
    """Return a cast to the dtype of the weights, and its code; empty if none is needed."""
    if dtype in (None, given.dtype):
        return Tensor.detach, ""
    if torch.is_autocast_enabled(given.device.type):  # autocast converts the input
        return methodcaller("to", dtype), ""
    name = _CASTS.get(dtype)
    code = f".{name}()" if name else f".to({dtype})"
    return methodcaller("to", dtype), code


def _after(
    first: Callable[[Tensor], Tensor], second: Callable[[Tensor], Tensor]
) -> Callable[[Tensor], Tensor]:
    return lambda x: second(first(x))


def suggest_for_result(
    contract: Signature, bindings: Bindings, result: object, owner: object, mismatch: MismatchError
) -> str | None:
    """A fix for a module whose result has the size that one of its layers gives.

    That is how a model looks whose last layer was replaced, as is done for transfer learning.

    Args:
        contract: The contract of its forward.
        bindings: What the arguments bound.
        result: The result.
        owner: The module.
        mismatch: How the result breaks the contract.
    """
    kind, value = mismatch.kind, mismatch.value
    if not isinstance(owner, nn.Module):
        return None
    if not isinstance(kind, TensorType) or not isinstance(value, Tensor):
        return None
    try:
        for _, axis, size in align(kind.axes, known_shape(value)) or ():
            name = attribute_of(axis, owner)
            layers = [path for path, n in _layer_sizes(owner, _OUTPUTS) if n == size]
            if not name or not layers or _is_read_elsewhere(name, contract):
                continue
            sizes = bindings.sizes | bound_braces({f"{{self.{name}}}": size}).sizes
            if _result_fits(result, contract.output, bindings._replace(sizes=sizes)):
                leaves = [
                    path for path, module in owner.named_modules() if not any(module.children())
                ]
                if leaves[-1] != layers[-1]:  # what was removed may follow it, as by nn.Identity
                    return other_size(owner, name, size).partition(", or ")[0]
                return f"its {layers[-1]} returns {size}; {other_size(owner, name, size)}"
    except Exception:  # no hint may hide the error
        return None
    return None


def _result_fits(result: object, output: Type, bindings: Bindings) -> bool:
    try:
        with frame(bindings):
            check_value(result, output, "return")
    except (MismatchError, ContractError):
        return False
    return True


def attribute_of(axis: Axis, owner: nn.Module) -> str:
    """Return the attribute of a module that an axis refers to, if it can be set."""
    found = re.fullmatch(r"\{self\.(\w+)\}", axis.expression or "")
    is_own = found and found[1] in vars(owner)  # not a property
    return found[1] if found and is_own else ""


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
    """Yield the PyTorch layers in a module, with their attributes of these names."""
    for path, module in owner.named_modules():
        for name in names:
            if type(module).__module__.startswith("torch.nn.") and name in vars(module):
                yield path, vars(module)[name]


def other_size(owner: nn.Module, name: str, size: object) -> str:
    """Return the code that changes the size of a module."""
    inside = place_of(owner).partition(" of ")[0]
    model = ".".join(filter(None, ("model", inside)))
    text = f"set {model}.{name} = {size}"
    if name in inspect.signature(type(owner)).parameters:
        text += f", or build {type(owner).__name__} with {name}={size}"
    return text
