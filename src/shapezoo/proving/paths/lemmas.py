"""Modules inside a model that are proved once, so that a call of one is a single step.

A model of windowed attention asks in each block whether the picture has to be padded, so its paths
multiply: four blocks of two cases make sixteen. But the cases of one block come together at its
end, where the result has the same shape again. Such a module is explored and audited by itself, for
all sizes of its argument. If every path holds with one and the same shape, a call of it only needs
that shape, and asks nothing. Modules that are alike (the same class, attributes and sizes of
weights) share what was found.

What a lemma must rule out, as the rest of the model would notice it: a module that keeps state,
has hooks, writes to its argument, returns a view of it, reads variables of its file that can
change, or returns another layout than a contiguous one. Its cases are still run on real kernels as
parts of the whole model, at sizes that lead to each of them (`Lemmas.wishes`).
"""

import ast
import builtins
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
from shapezoo.proving.formulas import solving
from shapezoo.proving.formulas.printing import as_python
from shapezoo.proving.formulas.solving import Formula
from shapezoo.proving.model_code import code_of_model
from shapezoo.proving.rules.shape_rules import empty, fits, is_same
from shapezoo.proving.subjects import Subject

Pattern = tuple[int | str, ...]
"""A shape whose symbolic sizes are numbered: ``("a0", "a1", 96)``."""


@dataclass(frozen=True)
class Lemma:
    """What was proved of a module for all sizes of its argument.

    Attributes:
        shape: The shape of its result, as Python expressions of the names in the pattern.
        dtype: The dtype of its result.
        regions: The sizes of each of its paths.
        called: The modules with contracts inside, all of which hold, by their paths.
    """

    shape: tuple[str, ...]
    dtype: torch.dtype
    regions: tuple[Formula, ...]
    called: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """A call of a module while a model ran on symbols.

    Attributes:
        path: Where the module stands.
        pattern: The shape of its argument.
        sizes: The sizes that the names in the pattern stand for, as sympy's expressions.
        asks: Whether the module has asked about sizes itself, not only modules in it.
    """

    path: str
    pattern: Pattern
    sizes: Mapping[str, Any]
    asks: bool


def pattern_of(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Pattern | None:
    """The pattern of a call with one contiguous tensor; None for any other call."""
    if len(args) != 1 or kwargs or not isinstance(args[0], Tensor):
        return None
    x = args[0]
    plain = empty(x, x.shape)
    if not x.is_floating_point() or not fits(x.stride(), plain.stride()):
        return None
    if vars(x).keys() != vars(plain).keys():  # it carries something
        return None
    named = list(_named(x.shape))
    return tuple(named) if any(isinstance(size, str) for size in named) else None


def _named(shape: Sequence[Any]) -> Iterator[int | str]:
    seen: list[torch.SymInt] = []
    for size in shape:
        if not isinstance(size, torch.SymInt):
            yield int(size)
            continue
        number = next((i for i, other in enumerate(seen) if is_same(size, other)), len(seen))
        if number == len(seen):
            seen.append(size)
        yield f"a{number}"


@dataclass
class Lemmas:
    """What is known of the modules of a model.

    Attributes:
        find: Explores and audits a module for a pattern.
        by_path: The lemmas, by path and pattern.
    """

    find: Callable[[nn.Module, str, Pattern], Lemma | None]
    by_path: dict[tuple[str, Pattern], Lemma] = field(default_factory=dict)
    _used: dict[Step, Lemma] = field(default_factory=dict)
    _at_rest: dict[str, Any] = field(default_factory=dict)
    _steps: list[Step] | None = field(default_factory=list)  # None after they were learned from

    def prepare(
        self, model: nn.Module, count: Callable[[], int], record: Callable[..., None]
    ) -> None:
        """Watch the modules of a model; once lemmas are known, let those answer by them.

        `undisturbed` ends it.

        Args:
            model: The model.
            count: Gives how many questions were asked so far.
            record: Is told of calls of modules with contracts.
        """
        if self._steps is not None:
            self._steps = []
            _watch(model, count, self._steps)
        modules = {path: model.get_submodule(path) for path, _ in self.by_path}
        for path, module in modules.items():
            vars(module)["forward"] = self._answering(path, module, record)
        self._at_rest = {path: state_of(module) for path, module in modules.items()}

    def learn(self, model: object) -> bool:
        """Prove what modules that have asked about sizes do; only once. Whether any was proved."""
        steps, self._steps = self._steps or [], None
        if not isinstance(model, nn.Module):
            return False
        keys = [(state_of(model.get_submodule(step.path)), step.pattern) for step in steps]
        asking = {step.path for step in steps if step.asks}
        known: dict[Any, Lemma | None] = {}
        for step, key in zip(steps, keys, strict=True):
            module = model.get_submodule(step.path)
            has_asking_part = any(path.startswith(f"{step.path}.") for path in asking)
            if step.asks and not has_asking_part and key not in known:
                known[key] = (
                    self.find(module, step.path, step.pattern) if is_closed(module) else None
                )
        for step, key in zip(steps, keys, strict=True):  # what is asked twice is asked once only
            if (lemma := known.get(key)) is not None:
                self.by_path[step.path, step.pattern] = lemma
        return bool(self.by_path)

    def _answering(
        self, path: str, module: nn.Module, record: Callable[..., None]
    ) -> Callable[..., Any]:
        forward = module.forward

        def answer(*args: Any, **kwargs: Any) -> Any:
            pattern = pattern_of(args, kwargs)
            lemma = self.by_path.get((path, pattern)) if pattern is not None else None
            if pattern is None or lemma is None or args[0].dtype != lemma.dtype:
                return forward(*args, **kwargs)
            if state_of(module) != self._at_rest[path]:  # its model has changed it before
                return forward(*args, **kwargs)
            sizes = sizes_in(pattern, args[0])
            if not all(bool(size >= 1) for size in sizes.values()):
                return forward(*args, **kwargs)
            for inside in lemma.called:
                record(f"{path}.{inside}".strip("."), None)
            expressions = {name: size.node.expr for name, size in sizes.items()}
            self._used[Step(path, pattern, _Frozen(expressions), True)] = lemma
            return empty(args[0], [_evaluated(size, sizes) for size in lemma.shape], lemma.dtype)

        return answer

    def wishes(self, symbols: Mapping[Any, Any]) -> Iterator[Formula]:
        """Conditions on the model's sizes that lead to each path of the lemmas of the last run."""
        used, self._used = self._used, {}
        for step, lemma in used.items():
            try:
                sizes = [
                    (z3.Int(name), solving.translate(size.xreplace(symbols)))
                    for name, size in step.sizes.items()
                ]
            except solving.UntranslatableError:
                continue
            yield from (z3.substitute(region, *sizes) for region in lemma.regions)


class _Frozen(dict[str, Any]):
    """A dictionary that does not change, and can be a key."""

    def __hash__(self) -> int:  # type: ignore[override]  # of dict it is None
        return hash(tuple(self.items()))


def sizes_in(pattern: Pattern, x: Tensor) -> dict[str, Any]:
    """The sizes that the names of a pattern stand for."""
    return {
        name: size for name, size in zip(pattern, x.shape, strict=True) if isinstance(name, str)
    }


def _evaluated(size: str, sizes: Mapping[str, Any]) -> Any:
    scope = {"max": torch.sym_max, "min": torch.sym_min, "__builtins__": {}}
    return eval(size, scope, dict(sizes))  # an expression that `as_python` has written


def _watch(model: nn.Module, count: Callable[[], int], steps: list[Step]) -> None:
    """Note the calls of modules that have parts."""
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
                    steps.append(Step(path, pattern, _Frozen(), own > 0))

        return watch

    for path, module in model.named_modules():
        if path and next(module.children(), None) is not None:
            vars(module)["forward"] = watching(path, module.forward)


def subject_for(module: nn.Module, path: str, pattern: Pattern) -> Subject:
    """A module as a subject: one tensor of some shape in, any tensor out."""

    def forward(self: Any, x: Any) -> Any: ...

    forward.__annotations__ = {"x": Float[Tensor, " ".join(map(str, pattern))], "return": Tensor}
    contract = function_signature(forward)
    source = type(module).forward
    return Subject(path, contract, (), module.training, lambda _: module, source, lambda _: "")


def merged_shape(shapes: Sequence[Sequence[Any]], regions: Sequence[Formula]) -> Any:
    """The shape that every path has for its sizes, in sympy's terms; None without one."""
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
    """A shape as Python expressions; None if Python has no word for a part of one."""
    sizes = [sympy.sympify(size) for size in shape]
    texts = tuple(map(as_python, sizes))
    nodes = (node for text in texts for node in ast.walk(ast.parse(text)))
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    axes = {symbol.name for size in sizes for symbol in size.free_symbols}
    return texts if names <= {*axes, "max", "min"} else None


def state_of(module: nn.Module) -> Any:
    """All that decides what a module does, apart from floating-point values of tensors."""
    seen: dict[int, int] = {}  # what is the same object counts too
    return tuple(
        (path, type(part), tuple((name, _plain(value, seen)) for name, value in _held(part)))
        for path, part in module.named_modules()
    )


def _held(module: nn.Module) -> Iterator[tuple[str, Any]]:
    yield from ((name, value) for name, value in vars(module).items() if name != "_modules")


def _plain(value: Any, seen: dict[int, int]) -> Any:
    """A value that is equal only for what is the same in every way."""
    type_ = type(value)
    if isinstance(value, Tensor):
        number = seen.setdefault(id(value), len(seen))
        return number, type_, *_layout(value), value.requires_grad, _data(value)
    if type_ is dict:
        return type_, tuple((_plain(k, seen), _plain(v, seen)) for k, v in value.items())
    if type_ in (list, tuple):
        return type_, tuple(_plain(item, seen) for item in value)
    if type_ in _EXACT:
        return type_, repr(value)  # 0.0 and -0.0 are equal
    return id(value)


_EXACT = (bool, int, float, str, type(None), torch.dtype, torch.device, torch.Size)


def _layout(tensor: Tensor) -> tuple[Any, ...]:
    return tuple(tensor.shape), tensor.stride(), tensor.dtype


def _data(tensor: Tensor) -> bytes:
    if tensor.is_floating_point() or tensor.is_meta or isinstance(tensor, FakeTensor):
        return b""
    return hashlib.sha256(tensor.detach().contiguous().numpy().tobytes()).digest()


_HOOKS = tuple(name for name in vars(nn.Module()) if "hook" in name)


def is_closed(module: nn.Module) -> bool:
    """Whether a module has no hooks, and its code reads no variables that can change."""
    parts = list(module.modules())
    if any(getattr(part, name) for part in parts for name in _HOOKS):
        return False
    if any("forward" in vars(part) for part in parts):
        return False
    functions = code_of_model(module).functions
    own = (f for f in functions if not is_library(f.__code__.co_filename))
    return all(map(_is_pure, own))


def _is_pure(function: types.FunctionType) -> bool:
    """Whether a function reads only functions, classes, modules and constants besides arguments.

    What it could ask of gradients and modes is not the same in a module by itself.
    """
    if not _OUTSIDE.isdisjoint(function.__code__.co_names):
        return False
    names = (name for name in function.__code__.co_names if name in function.__globals__)
    read = [function.__globals__[name] for name in names]
    read += [cell.cell_contents for cell in function.__closure__ or () if _is_set(cell)]
    return all(isinstance(value, _CONSTANTS) or callable(value) for value in read)


def _is_set(cell: types.CellType) -> bool:
    try:
        return cell.cell_contents is not builtins
    except ValueError:  # not assigned yet
        return False


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
