"""Add a note to errors that PyTorch raises inside a checked call: the layer, its input, and a fix.

An error that leaves the body of a checked function carries its traceback, whose frames still have
their variables. The last frame outside PyTorch is the user's code. If it called a `torch.nn` layer,
the frame of the layer's ``forward`` has the layer as ``self``, and the frame above it has the
arguments. If not, it called a function or an operator; the source position of the failed
instruction gives the expression, whose variables are looked up by name.

- Only errors raised by PyTorch get a note, never those that the user's own code raises. The
  bytecode shows whether an instruction calls into PyTorch or raises by itself; the type and the
  text of an error do not show who raised it.
- Only the innermost checked call adds a note: the one with no other checked call below it in the
  traceback. (A mark on the error would be visible to code that pickles it.) That call also knows
  the axis names best, while the outer frames, which give the path from the outermost module, are
  still on the stack.
- A size is suggested if a new layer with it accepts the input on the meta device, where tensors
  have no data (`layer_fixes`).
- Nothing here may raise, keep a tensor alive, or cost anything if there is no error.
"""

import ast
import contextlib
import dis
import inspect
import linecache
import os
import re
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from math import prod
from pathlib import Path
from types import CodeType, FrameType, TracebackType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from shapezoo._frames import locals_of, self_of
from shapezoo._modules import weight_dtype
from shapezoo.contracts.language.axes import Extent
from shapezoo.contracts.language.errors import ContractError, ShapeError
from shapezoo.contracts.language.signatures import Signature
from shapezoo.contracts.language.types import tensors
from shapezoo.contracts.matching.bindings import Bindings, visible
from shapezoo.contracts.matching.dynamo_skipping import skip_by_dynamo
from shapezoo.contracts.matching.proof_mode import is_proving
from shapezoo.contracts.messages.describing import describe, dtype_name
from shapezoo.contracts.messages.layer_fixes import RULES, expected, suggestions
from shapezoo.contracts.messages.module_paths import path_in_model

_TORCH_ERRORS = (RuntimeError, ValueError, IndexError, TypeError, AssertionError)
_OTHER_CAUSES = (
    ShapeError,
    ContractError,
    RecursionError,
    torch.OutOfMemoryError,
    torch.AcceleratorError,
)
_TORCH = str(Path(torch.__file__).parent) + os.sep
_LAYERS = str(Path(nn.modules.__file__).parent) + os.sep
_COMPILERS = ("torch._dynamo", "torch._inductor")
_OPERATIONS = ("CALL", "BINARY", "UNARY", "COMPARE", "CONTAINS", "STORE_SUBSCR", "LOAD_ATTR")
# private: the frames between the code that calls a module and its forward
_CALLS = (nn.Module._call_impl.__code__, nn.Module._wrapped_call_impl.__code__)
_CONTAINERS = (nn.Sequential, nn.Transformer, nn.TransformerEncoder, nn.TransformerDecoder)
_MAX_TENSORS = 6
_MAX_WIDTH = 100

_RAISED_BY_PYTHON = re.compile(
    r"(list|tuple|pop|deque|string)( assignment)? index out of range"
    r"|zip\(\) argument|positional argument|unexpected keyword argument"
)
"""Messages of errors that Python itself raises, about lists and calls."""


class Layer(NamedTuple):
    """A `torch.nn` layer whose ``forward`` failed, with the arguments."""

    module: nn.Module
    arguments: dict[str, Any]


class Names:
    """Finds names for the axes of any tensor in a checked call.

    An axis gets a name if an argument of the contract has the axis of this name at the same
    position, with the same size.
    """

    def __init__(self, contract: Signature, bindings: Bindings) -> None:
        sizes = visible(bindings)
        self.names: defaultdict[tuple[int, Extent], set[str]] = defaultdict(set)
        for tensor in (tensor for a in contract.inputs for tensor in tensors(a.type)):
            for position, axis in enumerate(tensor.axes):
                if axis.variadic:  # the positions after it depend on the call
                    break
                if axis.name in sizes:
                    self.names[position, sizes[axis.name]].add(axis.name)

    def describe(self, value: object) -> str:
        """Describe a value in a few words, with the names of its axes."""
        if not isinstance(value, Tensor):
            return describe(value)
        sizes = []
        for position, size in enumerate(value.shape):
            names = self.names[position, size]
            sizes.append(f"{next(iter(names))}={size}" if len(names) == 1 else str(size))
        comma = "," if len(sizes) == 1 else ""
        return f"Tensor {dtype_name(value)} ({', '.join(sizes)}{comma})"


@skip_by_dynamo
def add_note(error: Exception, contract: Signature, bindings: Bindings) -> None:
    """Add a note to a PyTorch error that leaves the body of a checked call.

    Args:
        error: The error, as caught by the caller of the body.
        contract: The contract of the call.
        bindings: The axes that its arguments bound.
    """
    if not isinstance(error, _TORCH_ERRORS) or isinstance(error, _OTHER_CAUSES) or is_proving():
        return
    if _RAISED_BY_PYTHON.search(str(error)) or type(error).__module__.startswith(_COMPILERS):
        return
    with contextlib.suppress(Exception):  # a missing note is better than a second error
        if lines := _lines(error, Names(contract, bindings)):
            error.add_note("\n".join(lines))


def _lines(error: Exception, names: Names) -> list[str]:
    """Return the lines of the note; none if nothing is known."""
    failures = list(_failures(error.__traceback__))
    files = [failure.tb_frame.f_code.co_filename for failure in failures]
    # the first frame after those of the check
    body = next(i for i, file in enumerate(files) if file != files[0])
    if files[0] in files[body:]:
        return []  # an inner checked call has added the note
    last = max(i for i, file in enumerate(files) if not file.startswith(_TORCH))
    if _is_raised_by_user_code(error, failures[last:]):
        return []
    if layers := list(_layers(failures[last:])):
        return _note_on_layer(layers, names, failures[body].tb_frame)
    return _note_on_expression(failures[last], names, error)


def _failures(traceback: TracebackType | None) -> Iterator[TracebackType]:
    """Yield the entries of a traceback, one for each frame, outermost first."""
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def _is_raised_by_user_code(error: Exception, failures: list[TracebackType]) -> bool:
    """Whether user code raised the error itself, or called a function with wrong arguments.

    The last instruction of the user's code called PyTorch if it is one of `_OPERATIONS`. The other
    instructions raise, iterate, unpack or look up names.
    """
    code = failures[-1].tb_frame.f_code
    if len(failures) > 1:
        return code in _CALLS and isinstance(error, TypeError)
    operations = {i.offset: i.opname for i in dis.get_instructions(code)}
    return not operations.get(failures[-1].tb_lasti, "").startswith(_OPERATIONS)


def _layers(failures: list[TracebackType]) -> Iterator[Layer]:
    """Yield the `torch.nn` layers that user code called, outermost first."""
    for caller, frame in pairwise(failure.tb_frame for failure in failures):
        code = frame.f_code
        if code.co_name == "forward" and code.co_filename.startswith(_LAYERS):
            module = self_of(frame)
            if isinstance(module, nn.Module):
                yield Layer(module, _arguments(module, locals_of(caller), locals_of(frame)))


def _arguments(module: nn.Module, variables: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a layer's ``forward``, from the variables of its caller if possible.

    The ``forward`` itself may have assigned other values to its variables.
    """
    signature = inspect.signature(module.forward)
    if variables.keys() >= {"args", "kwargs"}:
        return dict(signature.bind(*variables["args"], **variables["kwargs"]).arguments)
    return {name: own[name] for name in signature.parameters if name in own}


def _note_on_layer(layers: list[Layer], names: Names, body: FrameType) -> list[str]:
    """Return the note on a layer that failed.

    Args:
        layers: The layer and those that contain it, outermost first.
        names: Finds the names of axes.
        body: The frame of the checked function.
    """
    single = [layer for layer in layers if type(layer.module) not in _CONTAINERS] or layers
    with_rule = [layer for layer in single if type(layer.module) in RULES]
    module, arguments = with_rule[0] if with_rule else single[-1]
    lines = [_line("module", _title(module))]
    shown = {name: value for name, value in arguments.items() if _tensors_in(value)}
    if not shown or any(map(_is_symbolic, _tensors_in(list(shown.values())))):
        return []
    for name, value in list(shown.items())[:_MAX_TENSORS]:
        lines.append(_line("got" if len(shown) == 1 else name, names.describe(value)))
    if shape := expected(module):
        lines.append(_line("expected", shape))
    inputs = next(iter(shown.values()))
    if not isinstance(inputs, Tensor):
        return lines
    name, dtype_source = _names_of(inputs, locals_of(body))
    if isinstance(module, nn.Embedding):
        return lines + _note_on_indices(module, inputs, name)
    weight = next(module.parameters(), None)
    if weight is not None:
        if weight.device != inputs.device:
            where = f"the input is on {inputs.device}, the weights are on {weight.device}"
            return [*lines, _line("device", where)]
        is_cast = torch.is_autocast_enabled(inputs.device.type)
        if with_rule and weight_dtype(module) not in (None, inputs.dtype) and not is_cast:
            lines.append(_line("weights", str(weight_dtype(module)).removeprefix("torch.")))
    hints = suggestions(module, arguments, name, dtype_source)
    return [*lines, *(_line("or" if i else "hint", hint) for i, hint in enumerate(hints))]


def _names_of(inputs: Tensor, variables: dict[str, Any]) -> tuple[str, str]:
    """Return the name of a layer's input, and of the tensor that it got its dtype from."""
    own = {name: v for name, v in variables.items() if isinstance(v, Tensor)}
    name = next((name for name, value in own.items() if value is inputs), "")
    alike = (name for name, value in own.items() if value.dtype == inputs.dtype)
    return name or "input", name or next(alike, "input")


def _note_on_indices(module: nn.Embedding, inputs: Tensor, name: str) -> list[str]:
    """Return the lines on indices that an embedding does not accept."""
    if inputs.is_floating_point():
        return [
            _line("expected", "int64 or int32"),
            _line("hint", f"use {name}.long() if it holds indices"),
        ]
    if inputs.device.type != "cpu" or not inputs.numel():
        return []
    first, last = int(inputs.min()), int(inputs.max())
    lines = [
        _line("values", f"from {first} to {last}"),
        _line("expected", f"from 0 to {module.num_embeddings - 1}"),
    ]
    has_options = module.max_norm or module.sparse or module.scale_grad_by_freq
    if first >= 0 and last >= module.num_embeddings and not has_options:
        padding = "" if module.padding_idx is None else f", padding_idx={module.padding_idx}"
        code = f"nn.Embedding({last + 1}, {module.embedding_dim}{padding})"
        lines.append(_line("hint", f"if {last} is a valid index, use {code}"))
    return lines


def _note_on_expression(failure: TracebackType, names: Names, error: Exception) -> list[str]:
    """Return the note on a PyTorch function or operator that user code called."""
    source = _source_of(failure)
    if source is None:
        return []
    (location, text), variables = source, locals_of(failure.tb_frame)
    tree = _parsed(text)
    if not _is_compiled_to(tree, failure.tb_frame.f_code):
        return []  # the source has changed since it was compiled
    if isinstance(tree, ast.Subscript) and not _operands(tree.value, variables):
        return []  # indexing a list
    operands = _operands(tree, variables)
    tensors_in_it = _tensors_in(list(operands.values()))
    if not tensors_in_it or any(map(_is_symbolic, tensors_in_it)):
        return []
    owner = self_of(failure.tb_frame)
    lines = []
    if isinstance(owner, nn.Module) and path_in_model(owner):
        lines.append(_line("module", _title(owner)))
    code = ast.unparse(tree)
    if len(code) <= _MAX_WIDTH:
        lines.append(_line("code", f"{code} ({location})"))
    shown = list(operands.items())[:_MAX_TENSORS]
    lines += [_line(name, names.describe(value)) for name, value in shown]
    scores = next((t for t in tensors_in_it if t.dim() > 1 and t.is_floating_point()), None)
    if re.match(r"Target -?\d+ is out of bounds", str(error)) and scores is not None:
        count = scores.shape[1]
        text = f"labels from 0 to {count - 1}, as there are {count} classes"
        lines.append(_line("expected", text))
    if hint := _reshaped(tree, operands, str(error)):
        lines.append(_line("hint", hint))
    return lines


def _source_of(failure: TracebackType) -> tuple[str, str] | None:
    """Return the location of the failed expression and its text, if they are known."""
    code = failure.tb_frame.f_code
    # an instruction takes two bytes
    first, last, start, end = list(code.co_positions())[failure.tb_lasti // 2]
    if first is None or last is None or start is None or end is None:
        return None
    lines = [linecache.getline(code.co_filename, i).encode() for i in range(first, last + 1)]
    if not all(lines):
        return None
    lines[-1] = lines[-1][:end]
    lines[0] = lines[0][start:]
    text = b"".join(lines).decode()
    return f"{Path(code.co_filename).name}, line {first}", text


def _parsed(text: str) -> ast.AST:
    """Parse an expression, or an assignment such as ``x += y``, which is one instruction too."""
    try:
        return ast.parse(f"({text})", mode="eval").body
    except SyntaxError:
        return ast.parse(text).body[0]


def _is_compiled_to(tree: ast.AST, code: CodeType) -> bool:
    """Whether a code object has all names of an expression."""
    nodes = list(ast.walk(tree))
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    names |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    return names <= {*code.co_names, *code.co_varnames, *code.co_freevars, *code.co_cellvars}


def _operands(tree: ast.AST, variables: dict[str, Any]) -> dict[str, Any]:
    """Return the variables and module attributes in an expression that hold tensors, by text."""
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Name | ast.Attribute)]
    nodes.sort(key=lambda node: (node.lineno, node.col_offset))
    values = ((ast.unparse(node), _value_of(node, variables)) for node in nodes)
    return {text: value for text, value in values if _tensors_in(value)}


def _value_of(node: ast.AST, variables: dict[str, Any]) -> Any:
    """Return the value of a variable or module attribute, without running any code."""
    if isinstance(node, ast.Name):
        return variables.get(node.id)
    if isinstance(node, ast.Attribute):
        owner = _value_of(node.value, variables)
        if isinstance(owner, nn.Module):
            # private: `getattr` may run the code of a property
            stored = vars(owner)
            for group in (stored, stored["_parameters"], stored["_buffers"], stored["_modules"]):
                if node.attr in group:
                    return group[node.attr]
    return None


def _reshaped(node: ast.AST, operands: dict[str, Any], message: str) -> str:
    """Suggest the number that would work in a ``view`` or ``reshape``, if a literal is wrong."""
    sizes = re.match(r"shape '\[(.*)\]' is invalid for input of size (\d+)", message)
    if not sizes or not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return ""
    value = operands.get(ast.unparse(node.func.value))
    shape = [int(size) for size in sizes[1].split(", ")]
    written = [
        (i, argument)
        for i, argument in enumerate(node.args)
        if isinstance(argument, ast.Constant) and type(argument.value) is int and argument.value > 0
    ]
    if len(written) != 1 or len(node.args) != len(shape) or not isinstance(value, Tensor):
        return ""
    ((position, constant),) = written
    others = [size for i, size in enumerate(shape) if i != position]
    rest = prod(value.shape[0] if size == -1 else size for size in others)
    if not rest or value.numel() % rest:
        return ""
    constant.value = shape[position] = value.numel() // rest
    meta = torch.empty_strided(tuple(value.shape), value.stride(), device="meta")
    try:
        getattr(meta, node.func.attr)(shape)
    except RuntimeError:  # its strides do not allow it
        return ""
    return f"{ast.unparse(node)} would work"


def _title(module: nn.Module) -> str:
    """Return the path of a module and its repr, or its class if that is too long."""
    text = repr(module) if not any(module.children()) else type(module).__name__
    if len(text) > _MAX_WIDTH or "\n" in text:
        text = type(module).__name__
    return ": ".join(filter(None, (path_in_model(module), text)))


def _tensors_in(value: Any) -> list[Tensor]:
    """Return the tensors in a value, or in its items."""
    if isinstance(value, list | tuple):
        return [tensor for item in value for tensor in _tensors_in(item)]
    return [value] if isinstance(value, Tensor) else []


def _is_symbolic(tensor: Tensor) -> bool:
    return any(isinstance(size, torch.SymInt) for size in tensor.shape)


def _line(title: str, text: str) -> str:
    return f"  {title:9} {text}"
