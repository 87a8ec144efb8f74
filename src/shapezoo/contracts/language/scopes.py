"""Evaluate the annotations of a function or record, one by one.

`typing.get_type_hints` evaluates all annotations of a function or none: one name that it cannot
find hides all the others. Under ``from __future__ import annotations`` three kinds of names are not
among the globals of the module, and are looked up here: variables of an enclosing function, names
of the enclosing class, and names that are imported under ``if TYPE_CHECKING:``. Imports of the last
kind run at the first call only; running them while a class is defined could cause an import cycle.
"""

import ast
import contextlib
import inspect
import linecache
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from shapezoo._frames import locals_of
from shapezoo.contracts.language.errors import ContractError, UnresolvedError

T = TypeVar("T")


@dataclass(frozen=True)
class Unchecked:
    """Replaces an annotation whose class does not exist at run time, so no value is an instance.

    Attributes:
        text: The annotation.
    """

    text: str


@dataclass(frozen=True)
class Scope:
    """Where the names in annotations are looked up.

    Attributes:
        names: The globals of the module.
        qualname: The qualified name of the function or record that has the annotations.
        filename: The file with its source; empty if unknown.
        class_names: The names in the enclosing class, and type parameters (``class Net[T]``).
        enclosing: The variables of the enclosing functions; None to look for them on the stack.
        is_final: Whether this is the last attempt, at the first call. Imports for type checkers
            run only then, and a name that is still missing is an error.
    """

    names: dict[str, Any]
    qualname: str
    filename: str
    class_names: Mapping[str, Any]
    enclosing: Mapping[str, Any] | None
    is_final: bool

    def evaluated(self, name: str, annotation: Any) -> Any:
        """Evaluate the annotation of a name; to `Unchecked` if no value can be an instance.

        Raises:
            UnresolvedError: A name in it does not exist (yet).
            ContractError: It raises an error, or a name that exists only for type checkers may
                contain a shape.
        """
        enclosing = self.enclosing
        has_names = isinstance(annotation, str) or "ForwardRef" in str(annotation)
        if enclosing is None and has_names:
            enclosing = enclosing_variables(self.qualname, self.names)
        names = dict(enclosing or {})
        subject = "the return annotation" if name == "return" else f"the annotation of {name!r}"
        try:
            return self._with_names(names, lambda: _evaluated(annotation, self.names, names))
        except _ForTypeCheckersError as missing:
            codes = (str(annotation), missing.definition)
            if any(_may_hold_shapes(code, missing.name) for code in codes):
                raise ContractError(
                    f"{subject} refers to {missing.name!r}, which does not exist at run "
                    f"time; move its import or definition out of `if TYPE_CHECKING:`"
                ) from None
            return Unchecked(str(annotation))
        except NameError as error:
            raise UnresolvedError(f"cannot evaluate {subject}: {error}") from error
        except Exception as error:
            raise ContractError(f"cannot evaluate {subject}: {error}") from error

    def _with_names(self, names: dict[str, Any], evaluate: Callable[[], T]) -> T:
        """Return the result of evaluate(), after looking up each name that is missing in `names`.

        Raises:
            NameError: A name does not exist (yet).
            _ForTypeCheckersError: A name exists for type checkers only.
        """
        while True:
            try:
                return evaluate()
            except NameError as error:
                if error.name is None or error.name in names:
                    raise
                names[error.name] = self._look_up(error.name)

    def _look_up(self, name: str) -> Any:
        """Look up a name that is neither a global nor an enclosing variable.

        Raises:
            NameError: It does not exist (yet).
            _ForTypeCheckersError: It exists for type checkers only.
        """
        # after the globals, as in typing.get_type_hints: a field may have the name of its class
        for names in (
            self.class_names,
            enclosing_variables(self.qualname, self.names, of_classes=True),
        ):
            if name in names:
                return names[name]
        lines = linecache.getlines(self.filename) or linecache.getlines(
            self.names.get("__file__") or ""  # the generated methods of dataclasses have no file
        )
        statement = next(_for_type_checkers("".join(lines), name), None)
        if statement is None or not self.is_final:
            raise NameError(f"name {name!r} is not defined", name=name)
        if isinstance(statement, ast.Import | ast.ImportFrom):
            statement.names = [alias for alias in statement.names if _bound_by(alias) == name]
        if isinstance(statement, ast.ClassDef):
            raise _ForTypeCheckersError(name)
        scope = dict(self.names)  # a copy, so that the module is not changed
        try:
            self._with_names(scope, lambda: exec(ast.unparse(statement), scope))
        except _ForTypeCheckersError:
            raise
        except Exception:  # a package is not installed, or another name is missing
            is_import = isinstance(statement, ast.Import | ast.ImportFrom)
            definition = "" if is_import else ast.unparse(statement)
            raise _ForTypeCheckersError(name, definition) from None
        if name not in scope:  # it is declared without a value
            raise _ForTypeCheckersError(name)
        return scope[name]


def names_in(annotation: Any) -> set[str]:
    """Return the names in an annotation, without those in shapes."""
    texts = (
        [annotation]
        if isinstance(annotation, str)
        else re.findall(r"ForwardRef\('(.*?)'", str(annotation))
    )
    names: set[str] = set()
    for text in texts:
        with contextlib.suppress(SyntaxError):
            names |= {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
    return names


def enclosing_variables(
    qualname: str, names: dict[str, Any], *, of_classes: bool = False
) -> dict[str, Any]:
    """Return the variables of the enclosing functions, or classes, whose code is still running.

    Args:
        qualname: The qualified name of the function or class that they enclose.
        names: The globals of the module.
        of_classes: Whether to return the variables of classes instead of those of functions.
    """
    variables: dict[str, Any] = {}
    frame = inspect.currentframe()
    while frame is not None:
        is_enclosing = qualname.startswith(f"{frame.f_code.co_qualname}.")
        if is_enclosing and frame.f_globals is names:
            is_function = bool(frame.f_code.co_flags & inspect.CO_OPTIMIZED)
            if is_function is not of_classes:
                variables = {**(locals_of(frame) if is_function else frame.f_locals), **variables}
        frame = frame.f_back
    return variables


def type_parameters(owner: object) -> dict[str, Any]:
    """Return the type parameters of a function or class, ``T`` in ``def f[T](...)``, by name."""
    return {parameter.__name__: parameter for parameter in getattr(owner, "__type_params__", ())}


class _ForTypeCheckersError(Exception):
    """A name exists for type checkers only."""

    def __init__(self, name: str, definition: str = "") -> None:
        super().__init__(name)
        self.name = name
        self.definition = definition


def _evaluated(annotation: Any, names: dict[str, Any], variables: dict[str, Any]) -> Any:
    holder = types.SimpleNamespace(__annotations__={"value": annotation})
    return typing.get_type_hints(holder, names, variables, include_extras=True)["value"]


def _for_type_checkers(source: str, name: str) -> Iterator[ast.stmt]:
    """Yield the statements under ``if TYPE_CHECKING:`` that bind a name."""
    try:
        tree = ast.parse(source)
    except SyntaxError:  # not a Python file
        return
    for branch in ast.walk(tree):
        if not isinstance(branch, ast.If):
            continue
        test = ast.unparse(branch.test).rpartition(".")[2]
        bodies = {"TYPE_CHECKING": branch.body, "not TYPE_CHECKING": branch.orelse}
        for statement in bodies.get(test, []):
            yield from (
                inner
                for inner in ast.walk(statement)
                if isinstance(inner, ast.stmt) and name in _names_bound(inner)
            )


def _names_bound(statement: ast.stmt) -> set[str]:
    """Return the names that an import, a class or an assignment binds."""
    match statement:
        case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
            return set(map(_bound_by, aliases))
        case ast.ClassDef(name=name) | ast.AnnAssign(target=ast.Name(id=name)):
            return {name}
        case ast.Assign(targets=targets):
            return {target.id for target in targets if isinstance(target, ast.Name)}
    return set()


def _bound_by(alias: ast.alias) -> str:
    """Return the name that an import binds."""
    return alias.asname or alias.name.partition(".")[0]


def _may_hold_shapes(code: str, name: str) -> bool:
    """Whether code contains a string other than this name, as a shape annotation does."""
    try:
        nodes = list(ast.walk(ast.parse(code)))
    except SyntaxError:
        return True
    strings = {node.value for node in nodes if isinstance(node, ast.Constant)}
    return any(isinstance(value, str) for value in strings - {name})
