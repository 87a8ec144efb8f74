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

from shapezoo.contracts.reading import function_signature
from shapezoo.proving import solving
from shapezoo.proving.model_code import code_of_model
from shapezoo.proving.printing import as_python
from shapezoo.proving.rules.common import LIBRARIES, empty, fits, is_same
from shapezoo.proving.solving import Formula
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
    if not x.is_floating_point() or not fits(x.stride(), empty(x, x.shape).stride()):
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
        for path in {path for path, _ in self.by_path}:
            module = model.get_submodule(path)
            vars(module)["forward"] = self._answering(path, module.forward, record)

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
        self, path: str, forward: Callable[..., Any], record: Callable[..., None]
    ) -> Callable[..., Any]:
        def answer(*args: Any, **kwargs: Any) -> Any:
            pattern = pattern_of(args, kwargs)
            lemma = self.by_path.get((path, pattern)) if pattern is not None else None
            if pattern is None or lemma is None or args[0].dtype != lemma.dtype:
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


def written(shape: Sequence[Any]) -> tuple[str, ...]:
    """A shape as Python expressions."""
    return tuple(as_python(sympy.sympify(size)) for size in shape)


def state_of(module: nn.Module) -> Any:
    """All that decides what a module does, apart from floating-point values of tensors."""
    return type(module), tuple(
        (path, type(part), tuple((name, _plain(value)) for name, value in _held(part)))
        for path, part in module.named_modules()
    )


def _held(module: nn.Module) -> Iterator[tuple[str, Any]]:
    yield from ((name, value) for name, value in vars(module).items() if name != "_modules")


def _plain(value: Any) -> Any:
    match value:
        case Tensor():
            data = b""
            if not value.is_floating_point() and not value.is_meta:
                data = hashlib.sha256(value.detach().contiguous().numpy().tobytes()).digest()
            return tuple(value.shape), value.stride(), value.dtype, data
        case dict():
            return dict, tuple((key, _plain(item)) for key, item in value.items())
        case list() | tuple():
            return type(value), tuple(map(_plain, value))
        case set() | frozenset():
            return type(value), frozenset(map(_plain, value))
        case bool() | int() | float() | str() | None | torch.dtype() | torch.device():
            return type(value), value
    return id(value)


_HOOKS = tuple(name for name in vars(nn.Module()) if "hook" in name)


def is_closed(module: nn.Module) -> bool:
    """Whether a module has no hooks, and its code reads no variables that can change."""
    parts = list(module.modules())
    if any(getattr(part, name) for part in parts for name in _HOOKS):
        return False
    if any("forward" in vars(part) for part in parts):
        return False
    functions = code_of_model(module).functions
    own = (f for f in functions if not f.__code__.co_filename.startswith(LIBRARIES))
    return all(map(_is_pure, own))


def _is_pure(function: types.FunctionType) -> bool:
    """Whether the variables that a function reads are functions, classes, modules or constants."""
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
