"""Running an assertion over many calls."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis.errors import Flaky, NoSuchExample, Unsatisfiable
from hypothesis.strategies import SearchStrategy
from torch import nn

from shapezoo._modules import as_written, copied, require_plain
from shapezoo.contracts import ContractError
from shapezoo.contracts.checking import switch
from shapezoo.testing.calls import Call
from shapezoo.testing.fixed_seed import seed, seeded
from shapezoo.testing.inputs import Target, inputs

T = TypeVar("T")

Calls = SearchStrategy[Call]

STEADY = settings(
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate, Phase.shrink],
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck(check) for check in HealthCheck],
)
"""The same cases at every run, however long they take."""

NONE = "no arguments were found that keep the contract"


def require_module(obj: object) -> None:
    """Refuse what is no module.

    Raises:
        TypeError: It is none.
    """
    if not isinstance(obj, nn.Module):
        raise TypeError(f"this asserts something of a module, got {obj!r}")


def copy_of(module: nn.Module) -> nn.Module:
    """A copy of a module as it was written, which may be changed.

    Raises:
        TypeError: It is no module, or one that cannot be copied.
    """
    require_module(module)
    module = as_written(module)
    require_plain(module)
    for path, inner in module.named_modules():
        if "forward" in vars(inner):
            place = f"{path or 'the module'} ({type(inner).__name__})"
            raise TypeError(f"{place} has a forward of its own, which a copy would share")
    return copied(module)


def calls_of(obj: Target, calls: Calls | None) -> Calls:
    """Calls of a copy of a module, or of what is no module.

    Args:
        obj: What is called.
        calls: The calls; without it all those of `inputs`.
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
    __tracebackhide__ = True

    @settings(STEADY, max_examples=max_examples)
    @given(cases)
    def run(case: T) -> None:
        __tracebackhide__ = True
        seed()
        check(case)

    with seeded():
        try:
            run()
        except (AssertionError, ContractError) as error:
            vars(error).pop("__notes__", None)  # hypothesis shows the case again
            raise
        except Flaky as error:
            raise AssertionError(f"the same call does not always do the same\n{error}") from error
        except Unsatisfiable as error:
            if not may_be_none:
                raise ContractError(NONE) from error


def smallest(calls: Calls, condition: Callable[[Call], bool] = lambda call: True) -> Call | None:
    """The smallest call that meets a condition; None if none was found.

    Raises:
        ContractError: There is no call at all.
    """
    with seeded():
        try:
            return find(calls, condition, settings=STEADY)
        except NoSuchExample:
            return None
        except Unsatisfiable as error:
            raise ContractError(NONE) from error


def require_checks() -> None:
    """Refuse to assert anything of contracts that are not enforced.

    Raises:
        RuntimeError: Checks are switched off.
    """
    if switch.CHECKS == "off" or switch.off:
        raise RuntimeError("this asserts that contracts are enforced, but checks are switched off")


def outcome(call: Call) -> Any:
    """The result of a call that should succeed, with the same random numbers each time.

    Raises:
        AssertionError: It does not.
    """
    __tracebackhide__ = True
    seed()
    try:
        return call()
    except Exception as error:
        raise AssertionError(
            f"{call!r} keeps the contract, but fails\n{type(error).__name__}: {error}\n"
            f"if such sizes are not meant, say which are: inputs(..., assume='height >= 32')"
        ) from error


def assert_same(ours: dict[str, Any], theirs: dict[str, Any], message: str) -> None:
    """Assert that the same places hold the same numbers.

    Raises:
        AssertionError: They do not.
    """
    __tracebackhide__ = True
    with failing(message):
        torch.testing.assert_close(theirs, ours, equal_nan=True)


@contextlib.contextmanager
def failing(message: str) -> Iterator[None]:
    """Turn any error inside into one of an assertion."""
    try:
        yield
    except Exception as error:
        raise AssertionError(f"{message}\n{type(error).__name__}: {error}") from error
