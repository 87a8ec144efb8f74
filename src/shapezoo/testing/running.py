"""Running an assertion over many calls."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Flaky, Unsatisfiable
from hypothesis.strategies import SearchStrategy
from torch import nn

from shapezoo._modules import copied
from shapezoo.contracts import ContractError, switch
from shapezoo.testing.calls import Call
from shapezoo.testing.inputs import Target, inputs

T = TypeVar("T")

STEADY = settings(
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate, Phase.shrink],
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
"""The same cases at every run, however long they take."""


def calls_of(obj: Target, calls: SearchStrategy[Call] | None, **sizes: Any) -> SearchStrategy[Call]:
    """Calls of a copy of a module, or of what is no module.

    Args:
        obj: What is called.
        calls: The calls; without it those of `inputs`.
        **sizes: The sizes of these, as in `inputs`.
    """
    chosen = inputs(obj, **sizes) if calls is None else calls
    if not isinstance(obj, nn.Module):
        return chosen
    model = copied(obj)
    return chosen.map(lambda call: dataclasses.replace(call, function=model))


def for_all(
    cases: SearchStrategy[T],
    check: Callable[[T], None],
    max_examples: int,
    *,
    may_be_none: bool = False,
) -> None:
    """Check cases, the same at every run; the error is that of the smallest that fails.

    The state of torch's random generator is left as it was.

    Args:
        cases: The cases.
        check: Raises an AssertionError where one fails.
        max_examples: How many are checked.
        may_be_none: Whether there may be no case.

    Raises:
        AssertionError: A case has failed.
        ContractError: There is no case.
    """

    @settings(STEADY, max_examples=max_examples)
    @given(cases)
    def run(case: T) -> None:
        torch.manual_seed(0)
        check(case)

    with torch.random.fork_rng(devices=()):
        try:
            run()
        except (AssertionError, ContractError) as error:
            vars(error).pop("__notes__", None)  # hypothesis shows the case again
            raise
        except Flaky as error:
            raise AssertionError(f"the same call does not always do the same\n{error}") from error
        except Unsatisfiable as error:
            if not may_be_none:
                raise ContractError("no arguments were found that keep the contract") from error


def require_checks() -> None:
    """Refuse to assert anything of contracts that are not enforced.

    Raises:
        RuntimeError: Checks are switched off.
    """
    if switch.CHECKS == "off" or switch.off:
        raise RuntimeError("this asserts that contracts are enforced, but checks are switched off")


def outcome(call: Call) -> Any:
    """The result of a call that should succeed.

    Raises:
        AssertionError: It does not.
    """
    with failing(f"{call!r} keeps the contract, but fails"):
        return call()


def assert_same(ours: Any, theirs: Any, message: str) -> None:
    """Assert that two containers hold the same numbers.

    Raises:
        AssertionError: They do not.
    """
    with failing(message):
        torch.testing.assert_close(theirs, ours, equal_nan=True)


@contextlib.contextmanager
def failing(message: str) -> Iterator[None]:
    """Turn any error inside into one of an assertion."""
    try:
        yield
    except Exception as error:
        raise AssertionError(f"{message}\n{type(error).__name__}: {error}") from error
