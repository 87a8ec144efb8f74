"""Running an assertion over many calls."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Flaky
from hypothesis.strategies import SearchStrategy
from torch import nn

from shapezoo._modules import copied
from shapezoo.contracts import switch
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


def for_all(cases: SearchStrategy[T], check: Callable[[T], None], max_examples: int) -> None:
    """Check cases, the same at every run; the error is that of the smallest that fails.

    The state of torch's random generator is left as it was.

    Raises:
        AssertionError: A case has failed.
    """

    @settings(STEADY, max_examples=max_examples)
    @given(cases)
    def run(case: T) -> None:
        torch.manual_seed(0)
        check(case)

    with torch.random.fork_rng(devices=()):
        try:
            run()
        except Flaky as error:
            raise AssertionError(f"the same call does not always do the same\n{error}") from error


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


@contextlib.contextmanager
def failing(message: str) -> Iterator[None]:
    """Turn any error inside into one of an assertion."""
    try:
        yield
    except Exception as error:
        raise AssertionError(f"{message}\n{type(error).__name__}: {error}") from error
