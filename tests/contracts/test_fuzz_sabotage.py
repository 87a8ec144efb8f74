"""The comparison with a naive reading notices an engine that is broken on purpose."""

import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import jaxtyping
import pytest
from jaxtyping import AnnotationError
from tests.contracts.fuzzing.comparing import (
    DisagreementError,
    drawn,
    drawn_in_graphs,
    drawn_in_threads,
)

from shapezoo import ShapeError
from shapezoo.contracts.checking import contract, memo
from shapezoo.contracts.checking.contract import Contract
from shapezoo.contracts.language import types
from shapezoo.contracts.matching import matching
from shapezoo.contracts.messages import explain

CALLS, CALLS_IN_GRAPHS = 1200, 10
"""How many calls are enough to notice each."""


class Blind(dict[Any, Any]):
    """Calls by their keys, but for the first parts."""

    def __init__(self, parts: int) -> None:
        super().__init__()
        self.parts = parts

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(key[self.parts :], default)

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key[self.parts :], value)


def no_dtype_in_the_key(patch: pytest.MonkeyPatch) -> None:
    code_of = memo.key_code

    def code(name: str, kind: types.Type, key_of_name: str) -> str | None:
        return (code_of(name, kind, key_of_name) or "").replace(f", {name}.dtype", "") or None

    patch.setattr(memo, "key_code", code)


def no_braces_in_the_key(patch: pytest.MonkeyPatch) -> None:
    start = Contract.__init__

    def init(
        self: Contract, function: Callable[..., Any], *origin: Any, is_final: bool = False
    ) -> None:
        start(self, function, *origin, is_final=is_final)
        self.memo.calls = calls = Blind(len(self.signature.braces))
        self.memo.recall = lambda *args, **kwargs: calls.get(self.memo.key_of(*args, **kwargs))

    patch.setattr(Contract, "__init__", init)


def one_key_for_all_results(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(memo, "_key_of_result", lambda output: type)


def without(pattern: str, instead: str, patch: pytest.MonkeyPatch) -> None:
    """Read each axis that looks like this as another one."""

    original = types.enforceable

    def enforceable(annotation: Any) -> Any:
        axes = (re.sub(pattern, instead, axis) for axis in annotation.dim_str.split())
        return original(annotation.dtype[annotation.array_type, " ".join(axes)])

    patch.setattr(types, "enforceable", enforceable)


def one_item_not_looked_at(patch: pytest.MonkeyPatch) -> None:
    look = matching.check_value

    def check_value(value: Any, kind: types.Type, path: str) -> None:
        if not path.endswith("[1]"):
            look(value, kind, path)

    patch.setattr(matching, "check_value", check_value)


def options_not_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(matching, "restore", lambda before: None)


def lists_never_empty(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(contract, "missing", lambda bound, keys: [])


def place_not_told(patch: pytest.MonkeyPatch) -> None:

    precise = explain.explain

    def vague(*args: Any, **kwargs: Any) -> ShapeError:
        error = precise(*args, **kwargs)
        error.axis = None
        return error

    patch.setattr(explain, "explain", vague)


def no_expressions(patch: pytest.MonkeyPatch) -> None:
    without(r".*\w[-+*/].*", "_", patch)


def no_numbers(patch: pytest.MonkeyPatch) -> None:
    without(r".*\d.*", "_", patch)


def no_broadcasting(patch: pytest.MonkeyPatch) -> None:
    without("#", "", patch)


SABOTAGES: list[Callable[[pytest.MonkeyPatch], None]] = [
    no_dtype_in_the_key,
    no_braces_in_the_key,
    one_key_for_all_results,
    no_expressions,
    no_numbers,
    no_broadcasting,
    one_item_not_looked_at,
    options_not_forgotten,
    lists_never_empty,
    place_not_told,
]


@pytest.mark.parametrize("sabotage", SABOTAGES)
def test_a_sabotaged_engine_is_noticed(
    sabotage: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    sabotage(monkeypatch)
    with pytest.raises(DisagreementError, match="engine: Verdict"):
        drawn("sabotage 9", CALLS)


def test_a_graph_that_is_not_checked_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Contract, "verify", lambda *_: None)
    with pytest.raises(DisagreementError, match="compiled: Verdict"):
        drawn_in_graphs("graphs 0", CALLS_IN_GRAPHS)


def test_frames_that_threads_share_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping._storage, "_shape_storage", SimpleNamespace())
    with pytest.raises((DisagreementError, AnnotationError)):  # noqa: PT012  # not by each call
        for _ in range(100):
            drawn_in_threads("sabotage", 15)
