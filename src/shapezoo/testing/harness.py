"""Run a check over many calls, and report the smallest call that fails."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis.errors import Flaky, NoSuchExample, Unsatisfiable
from hypothesis.strategies import SearchStrategy
from torch import nn

from shapezoo._modules import copied, require_plain, uncompiled
from shapezoo.contracts import ContractError
from shapezoo.contracts.checking import switch
from shapezoo.testing.calls import Call
from shapezoo.testing.fixed_seed import seed, seeded
from shapezoo.testing.inputs import Target, inputs

T = TypeVar("T")

Calls = SearchStrategy[Call]

DETERMINISTIC = settings(
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate, Phase.shrink],
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck(check) for check in HealthCheck],
)
"""The same cases in every run, however long they take."""

NO_CALLS = "no arguments were found that keep the contract"


def require_module(obj: object) -> None:
    """Raise a TypeError unless given a module; a class of modules is not one."""
    if not isinstance(obj, nn.Module):
        raise TypeError(f"this assertion takes a module, got {obj!r}")


def copy_of(module: nn.Module) -> nn.Module:
    """Return a copy of a module that may be changed; of a compiled one, the original module.

    Raises:
        TypeError: It is not a module, or cannot be copied.
    """
    require_module(module)
    module = uncompiled(module)
    require_plain(module)
    for path, inner in module.named_modules():
        if "forward" in vars(inner):
            name = f"{path or 'the module'} ({type(inner).__name__})"
            raise TypeError(f"{name} has a forward of its own, which a copy would share")
    return copied(module)


def calls_of(obj: Target, calls: Calls | None) -> Calls:
    """Return calls of a copy of a module; of anything else, of the object itself.

    Args:
        obj: The object that is called.
        calls: The calls; by default all calls of `inputs`.
    """
    chosen = inputs(obj) if calls is None else calls
    if not isinstance(obj, nn.Module):
        return chosen
    model = copy_of(obj)
    return chosen.map(lambda call: dataclasses.replace(call, function=model))


def for_all(
    cases: SearchStrategy[T],
    check: Callable[[T], None],
    max_examples: int,
    *,
    may_be_none: bool = False,
) -> None:
    """Check cases, the same in every run; the error is that of the smallest one that fails.

    The state of torch's random generator is restored.

    Args:
        cases: The cases.
        check: Raises an AssertionError for a case that fails.
        max_examples: How many cases to check.
        may_be_none: Whether there may be no cases.

    Raises:
        AssertionError: A case failed.
        ContractError: There are no cases.
    """
    __tracebackhide__ = True

    @settings(DETERMINISTIC, max_examples=max_examples)
    @given(cases)
    def run(case: T) -> None:
        __tracebackhide__ = True
        seed()
        check(case)

    with seeded():
        try:
            run()
        except (AssertionError, ContractError) as error:
            # hypothesis adds a note with the case, which the message contains already.
            vars(error).pop("__notes__", None)
            raise
        except Flaky as error:
            raise AssertionError(
                f"the same call does not always have the same result\n{error}"
            ) from error
        except Unsatisfiable as error:
            if not may_be_none:
                raise ContractError(NO_CALLS) from error


def smallest(calls: Calls, condition: Callable[[Call], bool] = lambda call: True) -> Call | None:
    """Return the smallest call that meets a condition, or None if none was found.

    Raises:
        ContractError: There are no calls at all.
    """
    with seeded():
        try:
            return find(calls, condition, settings=DETERMINISTIC)
        except NoSuchExample:
            return None
        except Unsatisfiable as error:
            raise ContractError(NO_CALLS) from error


def require_checks() -> None:
    """Raise a RuntimeError if checks are switched off, as contracts are not enforced then."""
    if switch.CHECKS == "off" or switch.off:
        raise RuntimeError("this asserts that contracts are enforced, but checks are switched off")


def outcome(call: Call) -> Any:
    """Return the result of a call, made with the same random numbers each time.

    Raises:
        AssertionError: The call failed.
    """
    __tracebackhide__ = True
    hint = "if such sizes are not meant, say which are: inputs(..., assume='height >= 32')"
    seed()
    with failing(f"{call!r} keeps the contract, but fails", f"\n{hint}"):
        return call()


def assert_same(expected: dict[str, Any], actual: dict[str, Any], message: str) -> None:
    """Assert that two dictionaries have the same keys and nearly the same numbers.

    Raises:
        AssertionError: They differ.
    """
    __tracebackhide__ = True
    with failing(message):
        torch.testing.assert_close(actual, expected, equal_nan=True)


@contextlib.contextmanager
def failing(message: str, hint: str = "", cause: str = "") -> Iterator[None]:
    """Turn any error in a ``with`` block into an AssertionError.

    Args:
        message: What went wrong. The text of the error is added to it.
        hint: What to do about errors that contain the cause.
        cause: A text in an error.
    """
    __tracebackhide__ = True
    try:
        yield
    except Exception as error:
        text = f"{message}\n{type(error).__name__}: {error}"
        raise AssertionError(text + hint if cause in str(error) else text) from error
