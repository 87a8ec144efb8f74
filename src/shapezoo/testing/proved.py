"""The assertion that a contract is proved."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn

from shapezoo.contracts import Condition
from shapezoo.contracts.language.conditions import all_of
from shapezoo.proving import Proved, prove


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
