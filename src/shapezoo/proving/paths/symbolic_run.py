"""Run a model once for many sizes: symbols stand for the sizes, and questions about them are kept.

The model's own forward runs on fake tensors, which have shapes and no data. Their sizes are symbols
of PyTorch's `ShapeEnv` (`environment`), each with a hint: the size that this run follows. Whenever
the run needs an answer about a size (is this axis 1? is there a row left to pool?), the hint
answers, and the question becomes a guard. The guards together describe all sizes that take the same
path through the model, so the outcome of the run is the outcome for all of them.

A plain `FakeTensorMode` would not do, for three reasons that `proving.rules` deals with:

- PyTorch's fake kernels ask more than the model does (is this tensor contiguous?). Each needless
  question splits the sizes into more regions, and there would be thousands.
- They accept what real kernels refuse, such as an image without rows or an index out of range.
- Symbols differ from numbers where a model can see it: ``isinstance(size, int)``, ``str(size)``,
  a division by zero. A model must not notice that it is being proved, or it could take another
  path than in an ordinary call. What cannot be hidden is found in its code (`model_code`), and
  nothing is claimed then.

The model is the user's own object. All changes to it (fake tensors in place of weights, checks on
every module) are undone by `undisturbed`, whatever happens inside.
"""

import contextlib
import functools
import itertools
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import sympy
import torch
from torch import Tensor, nn
from torch._dispatch.python import enable_python_dispatcher
from torch._dynamo.source import ConstantSource
from torch._subclasses import fake_tensor
from torch.fx.experimental import symbolic_shapes
from torch.utils._sympy.numbers import int_oo

from shapezoo._containers import shapes_of, tensors_of
from shapezoo._modules import undisturbed
from shapezoo.contracts.examples.arguments import LENGTHS, counted_axis, example_inputs, free_axes
from shapezoo.contracts.language.signatures import Signature
from shapezoo.contracts.matching.proof_mode import hint_of, while_proving
from shapezoo.proving.causes import chain_of
from shapezoo.proving.enforcing import Record, enforce
from shapezoo.proving.findings import SEVERITY, Outcome, Sizes, outcome_of
from shapezoo.proving.model_code import code_of_model
from shapezoo.proving.paths.environment import Environment, expression_of, is_deferred
from shapezoo.proving.paths.obstacles import DATA_DECIDE_A_SIZE
from shapezoo.proving.replays import CallSpec
from shapezoo.proving.rules.functions.attention_masks import plain_masks
from shapezoo.proving.rules.functions.builtin_functions import in_model_code, isinstance_
from shapezoo.proving.rules.functions.function_rules import FunctionRules, outermost_builtins
from shapezoo.proving.rules.kernels.kernel_rules import KernelRules, is_undecided
from shapezoo.proving.rules.kernels.recurrent_rules import RecurrentRules, symbolic_batches
from shapezoo.proving.rules.symbols.numeric_symbols import numeric
from shapezoo.proving.rules.values.value_ranges import UndecidedError, ValueRanges
from shapezoo.proving.subjects import NoArgumentsError, Subject, empty_out

MOST = 1 << 40
"""Guards about larger sizes are dropped: no memory holds them."""

_WITHOUT_INITIAL_VALUES = (
    *(nn.Linear, nn.Bilinear, nn.Embedding, nn.EmbeddingBag, nn.LayerNorm, nn.GroupNorm),
    *(nn.RMSNorm, nn.MultiheadAttention, nn.PReLU),
    # private, but the only common bases of these layers
    *(nn.modules.conv._ConvNd, nn.modules.batchnorm._NormBase, nn.modules.rnn.RNNCellBase),
    nn.RNNBase,
)
"""Layers whose initial weights depend on sizes, and cannot be computed with symbols."""


@dataclass
class SymbolicRun:
    """The result of one run.

    Attributes:
        outcome: How it ended.
        guards: The conditions under which a run ends the same way, as sympy expressions of the
            names of axes.
        error: The error that was raised.
        shapes: The shapes of the tensors in the result.
        modules: For each module with a contract that was called, its worst outcome.
        source_lines: For each axis in a guard, the line that asked last, as ``file:number``, or
            a few words if no line asked.
        choices: The answers that were chosen where the data of arguments decide, in order.
        is_for_some: Whether an index was out of range for some values of the arguments, at all
            sizes of the run.
        is_out_of_range: Whether an index out of range raised the error.
        symbols: The names of axes, for the symbols of the run.
        made: The shapes of all tensors that were made, in these symbols.
    """

    outcome: Outcome = "holds"
    guards: list[Any] = field(default_factory=list)
    error: Exception | None = None
    shapes: list[tuple[Any, ...]] = field(default_factory=list)
    modules: dict[str, Outcome] = field(default_factory=dict)
    source_lines: dict[str, str] = field(default_factory=dict)
    choices: tuple[bool, ...] = ()
    is_for_some: bool = False
    is_out_of_range: bool = False
    symbols: dict[Any, Any] = field(default_factory=dict)
    made: set[tuple[Any, ...]] = field(default_factory=set)


Prepare = Callable[[nn.Module, Callable[[], int], Record], None]
"""Changes a module before it runs; receives the module, a function that counts the questions asked
so far, and a callback for calls of modules with contracts."""


def run_symbolically(
    subject: Subject,
    hints: Sizes,
    choices: tuple[bool, ...] | None = None,
    prepare: Prepare | None = None,
) -> SymbolicRun:
    """Run a model on symbolic sizes.

    Args:
        subject: What to run.
        hints: The sizes that the run follows.
        choices: The first answers where the data of arguments decide; the others are false. None
            makes such a question undecided, for callers that do not follow both ways.
        prepare: Changes the module before it runs; it is put back afterwards.
    """
    ranges = ValueRanges()
    environment = Environment(ranges, choices)
    run = SymbolicRun()
    sizes = _symbolic_sizes(environment, hints, run)
    record = functools.partial(_record, run, [])
    model, is_grad = subject.model, torch.is_grad_enabled()
    with contextlib.ExitStack() as stack:
        if isinstance(model, nn.Module):
            stack.enter_context(undisturbed(model, is_grad=is_grad))
        stack.enter_context(_fakes(environment))
        if isinstance(model, nn.Module):
            empty_out(model, ranges.set_data)
        stack.enter_context(_rules(environment, ranges))
        sizes_as_text = stack.enter_context(numeric())
        try:
            model = model if model is not None else _built(subject, sizes, hints, run)
            code = code_of_model(model)
            if code.reveals:
                raise UndecidedError(code.reveals)
            for module in _named_only(model, code.modules):
                stack.enter_context(undisturbed(module, is_grad=is_grad))
                empty_out(module, ranges.set_data)
                enforce(module, record)
            if isinstance(model, nn.Module):
                enforce(model, record)
                if prepare is not None:
                    prepare(model, lambda: len(environment.guards), record)
            stack.enter_context(in_model_code(code.namespaces().values()))
            args, kwargs = subject.arguments(model, CallSpec(sizes))
            ranges.set_arguments(tensors_of([args, kwargs]))
            for lengths in _lengths(subject.contract, args, kwargs):
                ranges.set_bounds(lengths, 1, sizes[counted_axis(subject.contract)])
            with while_proving():
                result = model(*args, **kwargs)
            run.shapes = [tuple(map(expression_of, shape)) for shape in shapes_of(result)]
        except NoArgumentsError as error:
            run.outcome, run.error = "void", error
        except Exception as error:
            run.outcome, run.error = _outcome(error), error
    _finish(run, environment, ranges, sizes_as_text)
    return run


def _symbolic_sizes(environment: Environment, hints: Sizes, run: SymbolicRun) -> dict[str, Any]:
    """Return a symbolic size for each axis, with its hint."""
    sizes: dict[str, Any] = {}
    for axis, hint in hints.items():
        # as torch.export makes the symbol of a `Dim`; there is no public way without a tensor
        symbol = environment.create_symbol(
            hint,
            ConstantSource(axis),
            dynamic_dim=symbolic_shapes.DimDynamic.DYNAMIC,
            do_not_specialize_zero_one=True,
        )
        sizes[axis] = environment.create_symintnode(symbol, hint=hint)
        environment.constrain_symbol_range(symbol, 1, int_oo)  # sizes are at least 1
        run.symbols[symbol] = sympy.Symbol(axis, integer=True, positive=True)
    return sizes


def _record(
    run: SymbolicRun, errors: list[Exception], module_path: str, error: Exception | None
) -> None:
    """Note how a call of a module has ended."""
    outcome: Outcome = "holds" if error is None else "raises"
    # an error passes through all outer modules, but only the innermost one has raised it
    if error is not None and error not in errors:
        errors.append(error)
        outcome = _outcome(error)
    before: Outcome = run.modules.get(module_path, "holds")
    run.modules[module_path] = max((before, outcome), key=SEVERITY.index)


def _finish(
    run: SymbolicRun, environment: Environment, ranges: ValueRanges, sizes_as_text: Sequence[Any]
) -> None:
    """Fill in the rest of a run in the names of axes, and give it up if the data decide."""
    guards = [guard.expr for guard in environment.guards]
    # a size whose text was used is that number, as far as this run is concerned
    guards += [sympy.Eq(expression_of(size), hint_of(size)) for size in sizes_as_text]
    lines = itertools.chain(environment.guard_lines, itertools.repeat("a text that is made of it"))
    for guard, line in zip(guards, lines, strict=False):
        if any(abs(number) > MOST for number in guard.atoms(sympy.Integer)):
            continue  # about sizes that no memory holds
        run.guards.append(guard.xreplace(run.symbols))
        run.source_lines |= {symbol.name: line for symbol in run.guards[-1].free_symbols}
    run.made = ranges.shapes
    run.choices = tuple(environment.taken)
    run.is_for_some = bool(ranges.refused)
    run.is_out_of_range = any(error in ranges.out_of_range for error in chain_of(run.error))
    run.shapes = [
        tuple(environment.simplify(size).xreplace(run.symbols) for size in shape)
        for shape in run.shapes
    ]
    free = {symbol for shape in run.shapes for size in shape for symbol in size.free_symbols}
    if free - set(run.symbols.values()) or is_deferred(environment):
        run.outcome, run.error = "unknown", UndecidedError(DATA_DECIDE_A_SIZE)
    if ranges.undecided is not None:  # the model may have caught it
        run.outcome, run.error = "unknown", ranges.undecided


def _lengths(
    contract: Signature, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Iterator[Tensor]:
    """Yield the argument that counts the positions of an axis, if there is one."""
    names = [argument.name for argument in example_inputs(contract)]
    values: dict[str, Any] = {**dict(zip(names, args, strict=False)), **kwargs}
    if counted_axis(contract) in free_axes(contract):
        yield from tensors_of(values.get(LENGTHS))


def _named_only(model: Callable[..., Any], modules: Sequence[nn.Module]) -> Iterator[nn.Module]:
    """Yield the modules that a model's code names but the model does not contain, each once."""
    known = set(model.modules()) if isinstance(model, nn.Module) else set()
    for module in modules:
        if module not in known:
            known.update(module.modules())
            yield module


def _built(subject: Subject, sizes: Sizes, hints: Sizes, run: SymbolicRun) -> Callable[..., Any]:
    """Return the module for symbolic sizes, or for the hints if its constructor needs numbers."""
    try:
        return subject.make(sizes)
    except Exception:
        model = subject.make(hints)  # raises again if the sizes are at fault
    for axis in subject.free:
        run.guards.append(sympy.Eq(sympy.Symbol(axis, integer=True, positive=True), hints[axis]))
        run.source_lines[axis] = "a constructor that takes no symbols"
    return model


def _outcome(error: BaseException) -> Outcome:
    """Return ``unknown`` for an error about symbols instead of about the model."""
    return "unknown" if any(map(is_undecided, chain_of(error))) else outcome_of(error)


@contextlib.contextmanager
def _fakes(environment: Any) -> Iterator[None]:
    """Make all new tensors fake, with symbols for sizes."""
    fakes = fake_tensor.FakeTensorMode(shape_env=environment, allow_non_fake_inputs=True)
    fakes.cache_enabled = False  # with symbols, its cache costs more than it saves
    with contextlib.ExitStack() as stack:
        # PyTorch logs errors of fake kernels, which are expected here
        for name in (fake_tensor.__name__, symbolic_shapes.__name__, "torch.__trace"):
            stack.enter_context(patch.object(logging.getLogger(name), "disabled", True))
        # as in torch.export: composite kernels would run in C++, where sizes must be numbers
        stack.enter_context(enable_python_dispatcher())
        stack.enter_context(fakes)
        yield


@contextlib.contextmanager
def _rules(environment: Any, ranges: ValueRanges) -> Iterator[None]:
    """Ask few questions, and check what real kernels check."""
    with contextlib.ExitStack() as stack:
        for context in (
            KernelRules(environment, ranges),
            FunctionRules(ranges),
            outermost_builtins(),
            RecurrentRules(environment, ranges),
            symbolic_batches(),
            plain_masks(),
            *_patches(),
        ):
            stack.enter_context(context)
        # the single kernel of nn.TransformerEncoderLayer's fast path has no shape rule
        is_fast = torch.backends.mha.get_fastpath_enabled()
        torch.backends.mha.set_fastpath_enabled(False)
        stack.callback(torch.backends.mha.set_fastpath_enabled, is_fast)
        yield


def _patches() -> Iterator[Any]:
    """Yield patches of layers and of `math` that fail with symbols, or lose them."""
    for layer in _WITHOUT_INITIAL_VALUES:
        for name in ("reset_parameters", "_reset_parameters"):
            if name in vars(layer):
                yield patch.object(layer, name, lambda self: None)
    for module in (nn.modules.normalization, nn.modules.rnn):  # they ask for an int
        yield patch.object(module, "isinstance", isinstance_, create=True)
    # math.sqrt would turn a size into a number, as in `scores / math.sqrt(queries.shape[-1])`
    sqrt = math.sqrt
    yield patch.object(math, "sqrt", lambda x: x**0.5 if isinstance(x, _SYMBOLS) else sqrt(x))


_SYMBOLS = (torch.SymInt, torch.SymFloat)
