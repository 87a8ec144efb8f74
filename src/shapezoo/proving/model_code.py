"""Collect the code that a model may run, and find lines that could tell symbols from numbers.

A proof holds only if the symbolic run takes the same path as an ordinary call. A model that asks
whether its tensors are fake could take another one. So everything its forward may call is collected
by name: every function that a function names, and every method of a reachable class whose name
occurs. That is more than what runs, and finding it does not need to run anything. The bytecode is
searched rather than the source, which may not be available. Installed packages are trusted, except
for those that define the model's own classes.
"""

import collections
import contextlib
import dis
import functools
import itertools
import os
import sysconfig
import types
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from shapezoo._frames import LIBRARIES, SHAPEZOO, is_installed, is_library
from shapezoo.proving.rules.messages import is_within_error

_TRUSTED = (
    *LIBRARIES,
    *(sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib")),
    "<frozen ",
)

MOST = 20_000
"""How many functions are read."""

Globals = dict[str, Any]


@dataclass(frozen=True)
class ModelCode:
    """What the forward of a model may run.

    Attributes:
        functions: The functions.
        modules: The modules that they name or close over.
        reveals: A sentence about the first line that could tell symbols from numbers, or empty.
    """

    functions: tuple[types.FunctionType, ...]
    modules: tuple[nn.Module, ...]
    reveals: str

    def namespaces(self) -> dict[int, tuple[Globals, list[types.CodeType]]]:
        """Return the globals of the functions by their id, each with the code that uses them."""
        spaces: dict[int, tuple[Globals, list[types.CodeType]]] = {}
        for function in self.functions:
            space = function.__globals__
            spaces.setdefault(id(space), (space, []))[1].extend(codes_in(function.__code__))
        return spaces


def code_of_model(model: Callable[..., Any]) -> ModelCode:
    """Read the code that a call of a module or a function may run."""
    return _read(tuple(dict.fromkeys(_roots(model))))


@functools.lru_cache(maxsize=8)  # each run of a proof asks
def _read(roots: tuple[Any, ...]) -> ModelCode:
    walk = _Walk({(root.__module__ or "").partition(".")[0] for root in roots})
    for root in roots:
        walk.visit(root)
    walk.look_up_names()
    functions = tuple(walk.functions.values())
    reveals = "the model has too much code to be read" if len(functions) > MOST else ""
    for function in functions:
        reveals = reveals or next(_revealing(function), "")
    return ModelCode(functions, tuple(walk.modules.values()), reveals)


def _roots(model: Callable[..., Any]) -> Iterator[Any]:
    """Yield classes and functions that a call of a model may reach without naming them."""
    if not isinstance(model, nn.Module):
        yield model
        return
    for module in model.modules():
        yield type(module)
        for name, value in vars(module).items():
            if name != "_modules":  # `modules` has yielded them
                yield from itertools.chain.from_iterable(map(_code_of, _items(value)))


def _items(value: Any) -> Iterable[Any]:
    """Return a value, and the items of a container."""
    if isinstance(value, dict):
        return (value, *value.values())
    return (value, *value) if isinstance(value, list | tuple) else (value,)


def _code_of(value: Any) -> Iterable[Any]:
    """Return the functions and classes through which a value may run code; all are hashable."""
    if type(value) in _PLAIN:
        return ()
    if isinstance(value, type | types.FunctionType | functools.partial):
        return (value,)
    if isinstance(value, types.MethodType):
        return (value.__func__, type(value.__self__))
    is_other = not isinstance(value, nn.Module | Tensor) and _has_functions(type(value))
    return (type(value),) if is_other else ()


_PLAIN = frozenset(
    (type(None), bool, int, float, str, tuple, list, set, dict, collections.OrderedDict)
)
"""Classes that are not written in Python: most of what a module holds is of one of them."""


def _has_functions(cls: type) -> bool:
    return any(type(m) is types.FunctionType for c in cls.__mro__ for m in vars(c).values())


class _Walk:
    """Collects functions until no name leads to a new one."""

    def __init__(self, packages: Set[str]) -> None:
        self.packages = packages
        self.functions: dict[int, types.FunctionType] = {}  # by the id of their code
        self.modules: dict[int, nn.Module] = {}
        self.classes: dict[type, None] = {}
        self.spaces: dict[int, types.ModuleType] = {}
        self.names = {"forward", "__call__"}
        self._visited: dict[int, Any] = {}  # keeps what was visited alive, so that ids stay unique

    def is_trusted(self, file: str, module: str) -> bool:
        """Whether code belongs to a library that treats symbols like numbers."""
        if is_installed(file):
            return is_library(file) or module.partition(".")[0] not in self.packages
        return file.startswith(_TRUSTED)

    def visit(self, value: Any) -> None:
        """Collect what a value leads to."""
        waiting = [value]
        while waiting and len(self.functions) <= MOST:
            value = waiting.pop()
            if id(value) not in self._visited:
                self._visited[id(value)] = value
                waiting += self._parts(value)

    def look_up_names(self) -> None:
        """Look all names up in the classes and Python modules, until nothing new turns up."""
        count = -1
        while count != len(self._visited):
            count = len(self._visited)
            for space in list(self.spaces.values()):
                self._look_up(vars(space), self.names)
            for cls in list(self.classes):
                dunders = {name for name in vars(cls) if name.startswith("__")}
                self._look_up(vars(cls), self.names | dunders)

    def _look_up(self, space: Any, names: set[str]) -> None:
        for name in names & space.keys():
            self.visit(space[name])

    def _parts(self, value: Any) -> Iterable[Any]:
        if isinstance(value, types.FunctionType):
            return self._of_function(value)
        if isinstance(value, type):
            self.classes |= dict.fromkeys(value.__mro__)
            return ()
        if isinstance(value, types.ModuleType):
            if not self.is_trusted(getattr(value, "__file__", None) or "<frozen ", value.__name__):
                self.spaces[id(value)] = value
            return ()
        if isinstance(value, nn.Module):
            self.modules[id(value)] = value
            return _roots(value)
        if isinstance(value, functools.partial):
            return (value.func, *value.args, *value.keywords.values())
        parts = [part for name in _INSIDE.get(type(value), ()) if (part := getattr(value, name))]
        items = itertools.chain.from_iterable(map(_items, getattr(value, "__dict__", {}).values()))
        return [*parts, type(value), *(item for item in items if isinstance(item, _WITH_CODE))]

    def _of_function(self, function: types.FunctionType) -> Iterator[Any]:
        yield from filter(None, [getattr(function, "__wrapped__", None)])
        for contents in cell_contents(function):
            yield from _items(contents)
        if self.is_trusted(function.__code__.co_filename, function.__module__ or ""):
            return
        self.functions[id(function.__code__)] = function
        for code in codes_in(function.__code__):
            self.names.update(code.co_names)
            values = [function.__globals__.get(name) for name in code.co_names]
            for value in itertools.chain(values, *map(_items, values)):
                if isinstance(value, nn.Module | types.ModuleType | type) or callable(value):
                    yield value


_WITH_CODE = (nn.Module, types.FunctionType, functools.partial)

_INSIDE: dict[type, tuple[str, ...]] = {
    types.MethodType: ("__func__", "__self__"),
    property: ("fget",),
    classmethod: ("__func__",),
    staticmethod: ("__func__",),
    functools.cached_property: ("func",),
    functools.partialmethod: ("func",),
    type(functools.cache(len)): ("__wrapped__",),
}
"""Where objects of Python's own classes keep functions."""


def cell_contents(function: types.FunctionType) -> Iterator[Any]:
    """Yield the values of the outer variables of a function that are assigned already."""
    for cell in function.__closure__ or ():
        with contextlib.suppress(ValueError):  # there is no way to ask whether a cell is empty
            yield cell.cell_contents


def codes_in(code: types.CodeType) -> Iterator[types.CodeType]:
    """Yield code, and the code of functions and comprehensions in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from codes_in(constant)


def _revealing(function: types.FunctionType) -> Iterator[str]:
    """Yield a sentence about each line that could tell symbols from numbers."""
    for code in codes_in(function.__code__):
        texts = {text for text in code.co_consts if isinstance(text, str)}
        is_suspect = _REVEALING & {*code.co_names, *texts} or _SUSPECT & {*code.co_code[::2]}
        if is_suspect and not code.co_filename.startswith((SHAPEZOO, "<string>")):  # of a dataclass
            for line, name in _revealing_steps(code, function.__globals__):
                yield (
                    f"{code.co_filename}:{line} asks for {name!r}, which can tell a symbolic run "
                    f"from an ordinary call; without it the model could be proved"
                )


_SUSPECT = {dis.opmap["MATCH_CLASS"], dis.opmap["IS_OP"]}


def _revealing_steps(code: types.CodeType, space: Globals) -> Iterator[tuple[int, str]]:
    steps = [step for step in dis.get_instructions(code) if step.opname != "PRECALL"]
    line = code.co_firstlineno
    for at, step in enumerate(steps):
        line = step.starts_line or line
        before, after = steps[max(at - 2, 0) : at], steps[at + 1 : at + 3]
        if step.opname == "MATCH_CLASS":
            for load in before:
                if load.argval in _NUMBERS:
                    yield line, f"case {load.argval}()"
        elif step.opname == "IS_OP":  # a symbol is never the same object as a number
            yield from ((line, f"is {load.argval}") for load in before if _is_int(load, space))
        elif (
            step.opname.startswith("LOAD")
            and _is_revealing(step.argval, before, after)
            and not (step.argval in _FRAMES and _is_in_error(code, step))
        ):
            yield line, step.argval


def _is_int(load: dis.Instruction, space: Globals) -> bool:
    if load.opname == "LOAD_GLOBAL":
        return type(space.get(load.argval)) is int
    return load.opname == "LOAD_CONST" and type(load.argval) is int


def _is_in_error(code: types.CodeType, step: dis.Instruction) -> bool:
    """Whether a step is only part of an error message, such as one that names the caller."""
    return step.positions is not None and is_within_error(code.co_filename, *step.positions)


def _is_revealing(name: Any, before: list[dis.Instruction], after: list[dis.Instruction]) -> bool:
    """Whether loading a name reveals symbols, given the instructions around it."""
    if not isinstance(name, str) or name not in _REVEALING:
        return False
    if name == "modules":  # only `"torch..." in sys.modules`, not `model.modules()`
        is_import = before[-1:] != [] and before[-1].argval == "sys" and _compares(after[0])
        return is_import and str(before[0].argval).startswith(("torch", "shapezoo", "z3", "sympy"))
    if name == "__class__":  # `self.__class__` is the model's own
        is_own = before[-1:] != [] and before[-1].argval == "self"
        is_load = after[0].opname in ("LOAD_GLOBAL", "LOAD_FAST", "LOAD_DEREF")
        use = after[-1] if is_load else after[0]
        return not is_own and (use.opname.startswith("STORE") or _compares(use))
    # `isinstance(x, FakeTensor)` is answered with False during a run
    is_operand = (after[0].opname, after[0].argval) == ("CALL", 2)
    return not (name == "FakeTensor" and is_operand)


def _compares(step: dis.Instruction) -> bool:
    return step.opname in ("IS_OP", "COMPARE_OP", "CONTAINS_OP")


_NUMBERS = ("int", "float", "bool")

_FRAMES = ("_getframe", "currentframe", "getouterframes")

_REVEALING = {
    *("is_fake", "FakeTensor", "FakeTensorMode", "fake_mode", "fake_device", "detect_fake_mode"),
    *("has_hint", "is_symbolic", "symbolic_shapes", "ShapeEnv", "SymNode", "is_proving"),
    *("_get_dispatch_mode", "_get_current_dispatch_mode", *_FRAMES),
    *("data_ptr", "getrefcount", "singledispatch", "__class__", "modules", "is_"),
    *("tb_frame", "f_back", "swap_tensors", "_len_torch_dispatch_stack", "get_fastpath_enabled"),
}
"""Names that tell symbols from numbers, or lead to something that does."""
