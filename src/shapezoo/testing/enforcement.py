"""Assertions that a contract is enforced, true, and proved."""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hypothesis.strategies import SearchStrategy
from torch import nn

from shapezoo.contracts import Condition, ShapeError, checked, is_checked
from shapezoo.contracts.language.axes import Extent
from shapezoo.contracts.language.conditions import all_of
from shapezoo.contracts.messages.explain import public_name
from shapezoo.proving import Proved, prove
from shapezoo.testing.calls import Call, function_of, owner_of
from shapezoo.testing.harness import Calls, calls_of, failing, for_all, outcome, require_checks
from shapezoo.testing.inputs import Target
from shapezoo.testing.places import bind, replaced
from shapezoo.testing.violations import Violation, breaks, violations


def assert_contract(obj: Target, calls: Calls | None = None, *, max_examples: int = 25) -> None:
    """Assert that a contract accepts what it allows, and refuses wrong arguments and results.

    - Calls that keep the contract succeed, at several sizes, and their results keep it.
    - Calls with one wrong axis, rank or dtype raise a `ShapeError` that names the place.
    - A result with one wrong axis, rank or dtype would be refused too. A result whose annotation
      allows anything cannot be wrong.

    Args:
        obj: A module, which is copied and keeps its mode; a class of modules; a dataclass; or a
            function.
        calls: The calls to try, as returned by `inputs`; by default ``inputs(obj)``.
        max_examples: How many calls to try.

    Raises:
        AssertionError: One of these does not hold. The message shows the smallest such call.
        ContractError: There is no contract, or no arguments can be made for it.
        TypeError: The module cannot be copied.
        RuntimeError: Checks are switched off.

    Example:
        ```pycon
        >>> from shapezoo.models import ResidualBlock, lenet
        >>> from shapezoo.testing import assert_contract
        >>> def test_contracts() -> None:
        ...     assert_contract(lenet())
        ...     assert_contract(ResidualBlock)
        >>> test_contracts()

        ```
    """
    __tracebackhide__ = True
    require_checks()
    calls = calls_of(obj, calls)
    for_all(calls, _assert_accepted, max_examples)
    assert_all_refused(violations(obj, calls), max_examples)
    for_all(calls, _assert_wrong_results_are_refused, 3)


def assert_proved(
    obj: nn.Module | type[nn.Module] | Callable[..., Any],
    /,
    *,
    init: Mapping[str, Any] | None = None,
    assume: str | Sequence[str] = (),
    preconditions: str | Sequence[str] | None = None,
    budget: float = 60.0,
) -> Proved:
    """Assert that the contract of a model holds for all sizes that the model accepts.

    Errors of `prove` are passed on.

    Args:
        obj: A module; a method of one; a class of modules; or a function whose annotations are a
            contract.
        init: Arguments for the class, as in `prove`.
        assume: Conditions that sizes meet, as in `prove`.
        preconditions: The exact conditions under which sizes are accepted; an empty list means
            that all sizes are. By default any conditions are allowed.
        budget: The largest amount of work, in units of about a second of one core.

    Returns:
        The proof.

    Raises:
        AssertionError: The contract was refuted, or proved in part only, or under other
            preconditions. The message is the text of the proof.
        ContractError: There is no contract, or a condition cannot be parsed.

    Example:
        ```pycon
        >>> from shapezoo.models import ResidualBlock
        >>> from shapezoo.testing import assert_proved
        >>> def test_residual_blocks_take_all_sizes() -> None:
        ...     assert_proved(ResidualBlock, preconditions=[])
        >>> test_residual_blocks_take_all_sizes()

        ```
    """
    __tracebackhide__ = True
    proof = prove(obj, init=init, assume=assume, budget=budget)
    # After `prove`, whose error says what to install if z3 is missing.
    from shapezoo.proving.formulas.solving import are_equivalent

    if not isinstance(proof, Proved):
        raise AssertionError(str(proof))
    if preconditions is not None:
        texts = [preconditions] if isinstance(preconditions, str) else preconditions
        expected = list(map(Condition, texts))
        if not proof.is_exact:
            raise AssertionError(f"the preconditions are not exact\n{proof}")
        if not are_equivalent(expected, proof.preconditions):
            raise AssertionError(f"expected: {all_of(expected) or 'no preconditions'}\n{proof}")
    return proof


def _assert_accepted(call: Call) -> None:
    function, result = function_of(call.function), outcome(call)
    if not _is_enforced(function):
        name, fix = public_name(function), ""
        if isinstance(call.function, nn.Module):
            fix = "derive its class from shapezoo.Module, or "
        elif isinstance(call.function, type):
            name = f"{call.function.__module__}.{call.function.__qualname__}"
        raise AssertionError(f"{name} is not checked; {fix}put @shapezoo.checked over it")
    if not isinstance(call.function, type):
        # The check of the call saw the result before forward hooks, which may have changed it.
        with failing(f"{call!r} returns what its contract does not allow"):
            _check_result(function, result, call)


def _is_enforced(function: Callable[..., Any] | None) -> bool:
    """Whether a function, or one that it wraps, is checked."""
    if function is None:
        return False
    return is_checked(function) or _is_enforced(getattr(function, "__wrapped__", None))


def assert_all_refused(cases: SearchStrategy[Violation], max_examples: int) -> None:
    """Assert that calls which break a contract are refused; there may be none."""
    for_all(cases, _assert_refused, max_examples, may_be_none=True)


def _assert_refused(violation: Violation) -> None:
    """Assert that a call which breaks its contract is refused, and for that reason."""
    try:
        violation()
    except ShapeError as error:
        if (error.argument, error.axis) != (violation.argument, violation.axis):
            raise AssertionError(f"{violation!r} is refused for another reason\n{error}") from error
    except Exception as error:
        raise AssertionError(
            f"{violation!r} is not refused, but fails\n{type(error).__name__}: {error}"
        ) from error
    else:
        raise AssertionError(f"{violation!r} is accepted")


def _assert_wrong_results_are_refused(call: Call) -> None:
    function, result = function_of(call.function), outcome(call)
    bound: dict[str, Extent] = {}
    for place in call.places:
        bind(place, bound)
    for wrong in breaks(call.results(result), bound):
        try:
            _check_result(function, replaced(result, {wrong.place.keys: wrong.tensor}), call)
        except ShapeError:
            continue
        raise AssertionError(f"{call!r}: a result that is wrong in {wrong} would be accepted")


def _check_result(function: Callable[..., Any], result: Any, call: Call) -> None:
    """Check a result by a call of a function with the same contract that returns just that.

    Raises:
        ShapeError: The contract does not allow it.
    """
    owner = owner_of(call.function)

    @functools.wraps(inspect.unwrap(function))
    def body(*args: Any, **kwargs: Any) -> Any:
        return result

    self_ = () if owner is None else (owner,)
    checked(body)(*self_, *call.args, **call.kwargs)
