"""Running a model once for many sizes: symbols stand for them, and what is asked of them is kept.

Each answer that the run needed (is this axis 1? is there a row left to pool?) is a guard. The
guards together say which sizes take the same path through the model. Symbols come from PyTorch's
`ShapeEnv`, which is private (`environment`).
"""

import contextlib
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

from shapezoo._modules import undisturbed
from shapezoo.contracts.examples.arguments import LENGTHS, counted_axis, example_inputs, free_axes
from shapezoo.contracts.examples.variants import Variant
from shapezoo.contracts.language.signatures import Signature
from shapezoo.contracts.matching.proof_mode import hint_of, while_proving
from shapezoo.proving.enforcing import enforce
from shapezoo.proving.findings import SEVERITY, Outcome, Sizes, outcome_of
from shapezoo.proving.model_code import code_of_model
from shapezoo.proving.paths.environment import Environment, expression_of, is_deferred
from shapezoo.proving.rules.functions.attention_masks import plain_masks
from shapezoo.proving.rules.functions.builtin_functions import in_model_code, isinstance_
from shapezoo.proving.rules.functions.functions import FunctionRules, outermost_builtins
from shapezoo.proving.rules.kernels.kernels import KernelRules, is_undecided
from shapezoo.proving.rules.kernels.recurrence import RecurrentRules, symbolic_batches
from shapezoo.proving.rules.symbols.symbols import numeric
from shapezoo.proving.rules.values.value_ranges import UndecidedError, ValueRanges
from shapezoo.proving.snippets import shapes_of, tensors_of
from shapezoo.proving.subjects import NoArgumentsError, Subject, empty_out

MOST = 1 << 40
"""No size is larger than this."""

_QUIET = (
    *(nn.Linear, nn.Bilinear, nn.Embedding, nn.EmbeddingBag, nn.LayerNorm, nn.GroupNorm),
    *(nn.RMSNorm, nn.MultiheadAttention, nn.PReLU),
    *(nn.modules.conv._ConvNd, nn.modules.batchnorm._NormBase, nn.modules.rnn.RNNCellBase),
    nn.RNNBase,
)
"""Layers whose first weights depend on sizes, which cannot be computed with symbols."""


@dataclass
class SymbolicRun:
    """What one run has shown.

    Attributes:
        outcome: How it ended.
        guards: What was asked of the sizes, and so holds for all that end in the same way, in
            sympy's expressions of the names of axes.
        error: What was raised.
        shapes: The shapes of the tensors in the result.
        modules: For each module with a contract that was called, the worst that happened.
        places: For each axis that was asked about, the file and line of the last question.
        symbols: The names of axes, for the symbols of the run.
        made: The shapes of all tensors that were made, in these symbols.
        choices: The answers that were taken where the data of arguments decide, in order.
        is_for_some: Whether some values of arguments have led to an index that is out of range, at
            all sizes of the run.
        is_out_of_range: Whether an index that is out of range has raised the error.
    """

    outcome: Outcome = "holds"
    guards: list[Any] = field(default_factory=list)
    error: Exception | None = None
    shapes: list[tuple[Any, ...]] = field(default_factory=list)
    modules: dict[str, Outcome] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    choices: tuple[bool, ...] = ()
    is_for_some: bool = False
    is_out_of_range: bool = False
    symbols: dict[Any, Any] = field(default_factory=dict)
    made: set[tuple[Any, ...]] = field(default_factory=set)


Record = Callable[[str, Exception | None], None]
Prepare = Callable[[nn.Module, Callable[[], int], Record], None]
"""Changes a module before it runs; gets how many questions were asked so far, as a function, and
what to tell of calls of modules with contracts."""


def run_symbolically(
    subject: Subject,
    variant: Variant,
    hints: Sizes,
    choices: tuple[bool, ...] | None = None,
    prepare: Prepare | None = None,
) -> SymbolicRun:
    """Run on symbols.

    Args:
        subject: What to run.
        variant: What to give it.
        hints: Sizes that decide which path is taken.
        choices: The first answers where the data of arguments decide; the others are no. None
            makes such a question undecided, for callers that do not follow both ways.
        prepare: Changes the module before it runs; it is put back afterwards.
    """
    ranges = ValueRanges()
    environment = Environment(ranges, choices, specialize_zero_one=False, duck_shape=False)
    run = SymbolicRun()
    symbols = run.symbols
    chosen: dict[str, Any] = {}
    for axis, hint in hints.items():
        symbol = environment.create_symbol(
            hint,
            ConstantSource(axis),
            dynamic_dim=symbolic_shapes.DimDynamic.DYNAMIC,
            do_not_specialize_zero_one=True,
        )
        chosen[axis] = environment.create_symintnode(symbol, hint=hint)
        environment.constrain_symbol_range(symbol, 1, int_oo)
        symbols[symbol] = sympy.Symbol(axis, integer=True, positive=True)

    errors: list[Exception] = []

    def record(path: str, error: Exception | None) -> None:
        outcome: Outcome = "holds" if error is None else "raises"
        if error is not None and error not in errors:  # the innermost module has raised it
            errors.append(error)
            outcome = _classify(error)
        known: Outcome = run.modules.get(path, "holds")
        run.modules[path] = max(known, outcome, key=SEVERITY.index)

    known = None if subject.free else subject.make({})
    is_grad = torch.is_grad_enabled()
    with contextlib.ExitStack() as stack:
        if isinstance(known, nn.Module):
            stack.enter_context(undisturbed(known, is_grad=is_grad))
        stack.enter_context(_fakes(environment))
        if isinstance(known, nn.Module):
            for fake, data in empty_out(known):
                ranges.set_data(fake, data)
        stack.enter_context(_rules(environment, ranges))
        told = stack.enter_context(numeric())
        try:
            model = known if known is not None else _made(subject, chosen, hints, run)
            code = code_of_model(model)
            if code.reveals:
                raise UndecidedError(code.reveals)
            for module in _borrowed(model, code.modules):
                stack.enter_context(undisturbed(module, is_grad=is_grad))
                for fake, data in empty_out(module):
                    ranges.set_data(fake, data)
                enforce(module, record)
            if isinstance(model, nn.Module):
                enforce(model, record)
                if prepare is not None:
                    prepare(model, lambda: len(environment.guards), record)
            stack.enter_context(in_model_code(code.namespaces().values()))
            args, kwargs = subject.arguments(model, variant.contract, chosen)
            ranges.set_arguments(tensors_of([args, kwargs]))
            for lengths in _lengths(variant.contract, args, kwargs):
                ranges.set_bounds(lengths, 1, chosen[counted_axis(variant.contract)])
            with while_proving():
                result = model(*args, **kwargs)
            run.shapes = [tuple(map(expression_of, shape)) for shape in shapes_of(result)]
        except NoArgumentsError as error:
            run.outcome, run.error = "void", error
        except Exception as error:
            run.outcome, run.error = _classify(error), error
    run.made = ranges.shapes
    run.choices = tuple(environment.taken)
    run.is_for_some = bool(ranges.refused)
    run.is_out_of_range = any(error in ranges.out_of_range for error in _chain(run.error))
    guards = [guard.expr for guard in environment.guards]
    guards += [sympy.Eq(expression_of(size), hint_of(size)) for size in told]
    places = itertools.chain(environment.places, itertools.repeat("a text that is made of it"))
    for guard, place in zip(guards, places, strict=False):
        if any(abs(number) > MOST for number in guard.atoms(sympy.Integer)):
            continue  # about sizes that no memory holds
        run.guards.append(guard.xreplace(symbols))
        run.places |= {symbol.name: place for symbol in run.guards[-1].free_symbols}
    run.shapes = [
        tuple(environment.simplify(size).xreplace(symbols) for size in shape)
        for shape in run.shapes
    ]
    made = {symbol for shape in run.shapes for size in shape for symbol in size.free_symbols}
    if made - set(symbols.values()) or is_deferred(environment):
        run.outcome, run.error = "unknown", UndecidedError("the data decide a size")
    if ranges.undecided is not None:  # the model may have caught it
        run.outcome, run.error = "unknown", ranges.undecided
    return run


def _lengths(
    contract: Signature, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Iterator[Tensor]:
    """The argument that counts the positions of an axis, if there is one."""
    names = [argument.name for argument in example_inputs(contract)]
    given: dict[str, Any] = {**dict(zip(names, args, strict=False)), **kwargs}
    if counted_axis(contract) in free_axes(contract):
        yield from tensors_of(given.get(LENGTHS))


def _borrowed(model: Callable[..., Any], modules: Sequence[nn.Module]) -> Iterator[nn.Module]:
    """The modules that a model or function names, but does not hold; none twice."""
    known = set(model.modules()) if isinstance(model, nn.Module) else set()
    for module in modules:
        if module not in known:
            known.update(module.modules())
            yield module


def _made(subject: Subject, sizes: Sizes, hints: Sizes, run: SymbolicRun) -> Callable[..., Any]:
    """The module for symbols of sizes, or for the hints where its constructor wants numbers."""
    try:
        return subject.make(sizes)
    except Exception:
        model = subject.make(hints)  # raises again if the sizes are at fault
    for axis in subject.free:
        run.guards.append(sympy.Eq(sympy.Symbol(axis, integer=True, positive=True), hints[axis]))
        run.places[axis] = "a constructor that takes no symbols"
    return model


def _classify(error: BaseException) -> Outcome:
    """What an error tells of a model, or of the symbols alone."""
    return "unknown" if any(map(is_undecided, _chain(error))) else outcome_of(error)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and those that have led to it."""
    for _ in range(_LONGEST_CHAIN):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


_LONGEST_CHAIN = 10


@contextlib.contextmanager
def _fakes(environment: Any) -> Iterator[None]:
    """Make all tensors empty, with symbols for sizes."""
    fakes = fake_tensor.FakeTensorMode(shape_env=environment, allow_non_fake_inputs=True)
    fakes.cache_enabled = False  # with symbols, its cache costs more than it saves
    with contextlib.ExitStack() as stack:
        for name in (
            fake_tensor.__name__,
            symbolic_shapes.__name__,
            "torch.__trace",
        ):  # errors are no news here
            stack.enter_context(patch.object(logging.getLogger(name), "disabled", True))
        for context in (enable_python_dispatcher(), fakes):
            stack.enter_context(context)
        yield


@contextlib.contextmanager
def _rules(environment: Any, ranges: ValueRanges) -> Iterator[None]:
    """Keep questions few, and check what real kernels do."""
    with contextlib.ExitStack() as stack:
        for context in (
            KernelRules(ranges, environment.item, environment.is_of_items),
            FunctionRules(ranges),
            outermost_builtins(),
            RecurrentRules(environment, ranges),
            symbolic_batches(),
            plain_masks(),
            *_without_first_weights(),
            *_with_symbolic_arguments(),
        ):
            stack.enter_context(context)
        is_fast = torch.backends.mha.get_fastpath_enabled()
        torch.backends.mha.set_fastpath_enabled(False)  # its one kernel has no shape rule
        stack.callback(torch.backends.mha.set_fastpath_enabled, is_fast)
        yield


def _without_first_weights() -> Iterator[Any]:
    for layer in _QUIET:
        for name in ("reset_parameters", "_reset_parameters"):
            if name in vars(layer):
                yield patch.object(layer, name, lambda self: None)


def _with_symbolic_arguments() -> Iterator[Any]:
    for module in (nn.modules.normalization, nn.modules.rnn):  # they ask for an int
        yield patch.object(module, "isinstance", isinstance_, create=True)
    sqrt = math.sqrt  # asks a size for its number, as in `scores / math.sqrt(queries.shape[-1])`
    yield patch.object(math, "sqrt", lambda x: x**0.5 if isinstance(x, _SYMBOLS) else sqrt(x))


_SYMBOLS = (torch.SymInt, torch.SymFloat)
