"""Prove a module inside a model once, so that a call of it is a single step.

A model with windowed attention asks in each block whether the image has to be padded, so its paths
multiply: four blocks with two cases each have sixteen paths, and a Swin transformer has thousands.
But the cases of one block come together at its end, where the result has the same shape again.
Such a module is explored and audited by itself, for all sizes of its argument. If every path holds
with one and the same shape, there is a lemma: a call of the module only needs that shape, and asks
nothing. Modules that are alike (the same class, attributes and sizes of weights) share a lemma.

A lemma replaces the module's code, so it must rule out everything that the rest of the model could
notice besides the shape: a module that keeps state, has hooks, writes to its argument, returns a
view of it, returns another layout than a contiguous one, or reads global variables that can change
(`is_closed`, `state_of`, and `Replay.is_fresh`). And its cases are still run on real kernels as
parts of the whole model, at sizes that lead to each of them (`Lemmas.cases`).
"""

import ast
import hashlib
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sympy
import torch
import z3
from jaxtyping import Float
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor

from shapezoo._frames import is_library
from shapezoo.contracts.checking.introspection import function_signature
from shapezoo.proving.enforcing import Record
from shapezoo.proving.formulas import solving
from shapezoo.proving.formulas.printing import as_python
from shapezoo.proving.formulas.solving import Formula
from shapezoo.proving.model_code import cell_contents, code_of_model
from shapezoo.proving.rules.shape_rules import empty, fits, is_same
from shapezoo.proving.subjects import Subject

Pattern = tuple[int | str, ...]
"""A shape whose symbolic sizes have names: ``("a0", "a1", 96)``."""

Key = tuple[str, Pattern]
"""The path of a module, and the shape of its argument."""

Expressions = tuple[tuple[str, Any], ...]
"""The sympy expressions that the names in a pattern stand for."""


@dataclass(frozen=True)
class Lemma:
    """What was proved about a module for all sizes of its argument.

    Attributes:
        shape: The shape of its result, as Python expressions of the names in the pattern.
        dtype: The dtype of its result.
        regions: The sizes of each of its paths.
        called: The paths of the modules with contracts inside, all of which hold.
    """

    shape: tuple[str, ...]
    dtype: torch.dtype
    regions: tuple[Formula, ...]
    called: tuple[str, ...]


def pattern_of(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Pattern | None:
    """Return the pattern of a call with one contiguous tensor; None for any other call."""
    if len(args) != 1 or kwargs or not isinstance(args[0], Tensor):
        return None
    x = args[0]
    plain = empty(x, x.shape)
    if not x.is_floating_point() or not fits(x.stride(), plain.stride()):
        return None
    if vars(x).keys() != vars(plain).keys():  # it has attributes that the module might read
        return None
    pattern = tuple(_named(size, x.shape) for size in x.shape)
    return pattern if any(isinstance(size, str) for size in pattern) else None


def _named(size: Any, shape: Sequence[Any]) -> int | str:
    """Return a number, or a name that equal symbols in a shape have in common."""
    if not isinstance(size, torch.SymInt):
        return int(size)
    # `shape.index(size)` would ask whether sizes are equal
    return f"a{next(i for i, other in enumerate(shape) if is_same(size, other))}"


@dataclass
class Lemmas:
    """The lemmas about the modules of a model.

    Attributes:
        find: Explores and audits a module for a pattern; None if there is no lemma.
        by_key: The lemmas.
    """

    find: Callable[[nn.Module, Pattern], Lemma | None]
    by_key: dict[Key, Lemma] = field(default_factory=dict)
    _used: dict[tuple[Key, Expressions], Lemma] = field(default_factory=dict)
    _states: dict[str, Any] = field(default_factory=dict)
    _calls: dict[Key, bool] | None = field(default_factory=dict)  # None after learning from them

    def prepare(self, model: nn.Module, count: Callable[[], int], record: Record) -> None:
        """Watch the modules of a model; those with a lemma answer by it.

        `undisturbed` undoes this.

        Args:
            model: The model.
            count: Returns how many questions were asked so far.
            record: Called for calls of modules with contracts.
        """
        if self._calls is not None:
            self._calls = {}
            _watch(model, count, self._calls)
        modules = {path: model.get_submodule(path) for path, _ in self.by_key}
        for path, module in modules.items():
            vars(module)["forward"] = self._answering(path, module, record)
        self._states = {path: state_of(module) for path, module in modules.items()}

    def learn(self, model: nn.Module) -> bool:
        """Find lemmas about the modules that have asked about sizes; only once.

        Returns:
            Whether there is any lemma.
        """
        calls, self._calls = self._calls or {}, None
        asking = {path for (path, _), asks in calls.items() if asks}
        shared: dict[Any, Lemma | None] = {}  # by state and pattern, for modules that are alike
        states = {path: state_of(model.get_submodule(path)) for path, _ in calls}
        for path, pattern in calls:
            module, key = model.get_submodule(path), (states[path], pattern)
            has_asking_part = any(other.startswith(f"{path}.") for other in asking)
            if calls[path, pattern] and not has_asking_part and key not in shared:
                shared[key] = self.find(module, pattern) if is_closed(module) else None
        for path, pattern in calls:
            if (lemma := shared.get((states[path], pattern))) is not None:
                self.by_key[path, pattern] = lemma
        return bool(self.by_key)

    def _answering(self, path: str, module: nn.Module, record: Record) -> Callable[..., Any]:
        forward = module.forward

        def answer(*args: Any, **kwargs: Any) -> Any:
            pattern = pattern_of(args, kwargs)
            lemma = self.by_key.get((path, pattern)) if pattern is not None else None
            if pattern is None or lemma is None or args[0].dtype != lemma.dtype:
                return forward(*args, **kwargs)
            if state_of(module) != self._states[path]:  # the model has changed it in this call
                return forward(*args, **kwargs)
            pairs = zip(pattern, args[0].shape, strict=True)
            sizes = {name: size for name, size in pairs if isinstance(name, str)}
            if not all(bool(size >= 1) for size in sizes.values()):
                return forward(*args, **kwargs)
            for inside in lemma.called:
                record(f"{path}.{inside}".strip("."), None)
            expressions = tuple((name, size.node.expr) for name, size in sizes.items())
            self._used[(path, pattern), expressions] = lemma
            return empty(args[0], [_evaluated(size, sizes) for size in lemma.shape], lemma.dtype)

        return answer

    def cases(self, symbols: Mapping[Any, Any]) -> Iterator[Formula]:
        """Yield conditions on the model's sizes for each path of the lemmas of the last run."""
        used, self._used = self._used, {}
        for (_, expressions), lemma in used.items():
            try:
                sizes = [
                    (z3.Int(name), solving.translate(size.xreplace(symbols)))
                    for name, size in expressions
                ]
            except solving.UntranslatableError:
                continue
            yield from (z3.substitute(region, *sizes) for region in lemma.regions)


def _evaluated(size: str, sizes: Mapping[str, Any]) -> Any:
    scope = {"max": torch.sym_max, "min": torch.sym_min, "__builtins__": {}}
    return eval(size, scope, dict(sizes))  # an expression that `as_python` has written


def _watch(model: nn.Module, count: Callable[[], int], calls: dict[Key, bool]) -> None:
    """Note the calls of modules that have parts, and whether each has itself asked about sizes.

    Questions of the modules inside do not count, as those may get a lemma of their own.
    """
    inside = [0]  # how many questions the modules inside each running call have asked

    def watching(path: str, forward: Callable[..., Any]) -> Callable[..., Any]:
        def watch(*args: Any, **kwargs: Any) -> Any:
            pattern, before = pattern_of(args, kwargs), count()
            inside.append(0)
            try:
                return forward(*args, **kwargs)
            finally:
                asked = count() - before
                own = asked - inside.pop()
                inside[-1] += asked
                if pattern is not None:
                    calls[path, pattern] = own > 0 or calls.get((path, pattern), False)

        return watch

    for path, module in model.named_modules():
        if path and next(module.children(), None) is not None:
            vars(module)["forward"] = watching(path, module.forward)


def subject_for(module: nn.Module, pattern: Pattern) -> Subject:
    """Return a module as a subject that maps one tensor of a shape to any tensor."""

    def forward(self: Any, x: Any) -> Any: ...

    forward.__annotations__ = {"x": Float[Tensor, " ".join(map(str, pattern))], "return": Tensor}
    contract = function_signature(forward)
    return Subject(contract, type(module).forward, lambda sizes: module, lambda sizes: "")


def merged_shape(shapes: Sequence[Sequence[Any]], regions: Sequence[Formula]) -> Any:
    """Return the shape that every path has for its sizes, as sympy expressions; None without one.

    Args:
        shapes: The shape of each path.
        regions: The sizes of each path.
    """
    for shape in shapes:
        pairs = zip(shapes, regions, strict=True)
        if all(_is_equal(shape, other, region) for other, region in pairs):
            return tuple(shape)
    return None


def _is_equal(shape: Sequence[Any], other: Sequence[Any], region: Formula) -> bool:
    if len(shape) != len(other):
        return False
    different = [(a, b) for a, b in zip(shape, other, strict=True) if a != b]
    try:
        claims = [solving.translate(a) == solving.translate(b) for a, b in different]
    except solving.UntranslatableError:
        return False
    return all(solving.follows(claim, region) for claim in claims)


def written(shape: Sequence[Any]) -> tuple[str, ...] | None:
    """Return a shape as Python expressions; None if Python has no function for a part of it."""
    sizes = [sympy.sympify(size) for size in shape]
    texts = tuple(map(as_python, sizes))
    nodes = (node for text in texts for node in ast.walk(ast.parse(text)))
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    axes = {symbol.name for size in sizes for symbol in size.free_symbols}
    return texts if names <= {*axes, "max", "min"} else None


def state_of(module: nn.Module) -> Any:
    """Return everything that determines what a module does, except floating-point weights."""
    numbers: dict[int, int] = {}  # numbers tensors, so that it counts which ones are shared
    return tuple(
        (path, type(part), name, _plain(value, numbers))
        for path, part in module.named_modules()
        for name, value in vars(part).items()
        if name != "_modules"
    )


def _plain(value: Any, numbers: dict[int, int]) -> Any:
    """Return something that is equal only for values that are the same in every way."""
    type_ = type(value)
    if isinstance(value, Tensor):
        number = numbers.setdefault(id(value), len(numbers))
        layout = tuple(value.shape), value.stride(), value.dtype
        return number, type_, *layout, value.requires_grad, _data(value)
    if type_ is dict:
        return type_, tuple((_plain(k, numbers), _plain(v, numbers)) for k, v in value.items())
    if type_ in (list, tuple):
        return type_, tuple(_plain(item, numbers) for item in value)
    if type_ in _EXACT:
        return type_, repr(value)  # as 0.0 == -0.0
    return id(value)


_EXACT = (bool, int, float, str, type(None), torch.dtype, torch.device, torch.Size)


def _data(tensor: Tensor) -> bytes:
    if tensor.is_floating_point() or tensor.is_meta or isinstance(tensor, FakeTensor):
        return b""
    return hashlib.sha256(tensor.detach().contiguous().numpy().tobytes()).digest()


# found by name, as torch has no public way to ask whether a module has hooks
_HOOKS = tuple(name for name in vars(nn.Module()) if "hook" in name)


def is_closed(module: nn.Module) -> bool:
    """Whether a module has no hooks, and its code reads no variables that can change."""
    parts = list(module.modules())
    if any(getattr(part, name) for part in parts for name in _HOOKS):
        return False
    if any("forward" in vars(part) for part in parts):
        return False
    functions = code_of_model(module).functions
    return all(_is_pure(f) for f in functions if not is_library(f.__code__.co_filename))


def _is_pure(function: types.FunctionType) -> bool:
    """Whether a function reads only functions, classes, modules, constants and its arguments.

    It must not ask for gradients and modes either: these may differ when a module runs by itself.
    """
    if not _OUTSIDE.isdisjoint(function.__code__.co_names):
        return False
    names = (name for name in function.__code__.co_names if name in function.__globals__)
    read = [function.__globals__[name] for name in names]
    read += cell_contents(function)
    return all(isinstance(value, _CONSTANTS) or callable(value) for value in read)


_CONSTANTS = (types.ModuleType, bool, int, float, str, tuple, frozenset, type(None), torch.dtype)

_OUTSIDE = frozenset(
    {
        *("requires_grad", "grad_fn", "is_leaf", "_base", "_version", "data_ptr", "grad"),
        *("is_grad_enabled", "is_inference_mode_enabled", "is_autocast_enabled", "is_inference"),
        *("is_autocast_cpu_enabled", "get_autocast_dtype", "get_default_dtype"),
        *("are_deterministic_algorithms_enabled", "getattr", "hasattr", "vars", "__dict__"),
    }
)
"""Names by which code may ask for what a module's arguments and attributes do not show."""
