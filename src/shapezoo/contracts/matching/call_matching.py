"""Match a whole call with its contract: the arguments first, then the result."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from shapezoo.contracts.language.errors import ContractError
from shapezoo.contracts.language.signatures import Signature
from shapezoo.contracts.language.types import Type, UnionType, bindable_names
from shapezoo.contracts.matching.bindings import (
    Bindings,
    bound_braces,
    current,
    frame,
    missing,
    settled,
)
from shapezoo.contracts.matching.matching import MismatchError, OpaqueValue, check_value


def bind_arguments(
    contract: Signature, arguments: Mapping[str, Any], braces: Mapping[str, object]
) -> tuple[Bindings, frozenset[str]]:
    """Check the arguments of a call, in order.

    Args:
        contract: The contract.
        arguments: The arguments, by name.
        braces: The values of the parts in braces, or the errors if they cannot be read.

    Returns:
        What the arguments bind, and the axes that only arguments can bind which cannot be
        inspected while a graph is traced.

    Raises:
        MismatchError: An argument does not match its annotation.
        ContractError: A part in braces is needed, but cannot be read.
    """
    opaque: frozenset[str] = frozenset()
    with frame(bound_braces(braces)):
        for argument in contract.inputs:
            try:
                check_value(arguments[argument.name], argument.collected, argument.name)
            except OpaqueValue:
                opaque |= bindable_names(argument.type)
            except ContractError:
                if not opaque:  # otherwise an expression may need an axis of an opaque argument
                    raise
                opaque |= bindable_names(argument.type)
        return settled(current()), opaque


def match_result(
    output: Type, result: object, bindings: Bindings, unbound: Sequence[str]
) -> list[str]:
    """Check the result of a call; return the axes of it that no argument has bound.

    Args:
        output: The type of the result.
        result: The result.
        bindings: What the arguments bound.
        unbound: The axes that they did not bind. Of a union, an option without these is preferred.

    Raises:
        MismatchError: The result does not match its annotation.
        ContractError: An expression cannot be computed, or a part in braces cannot be read.
    """
    if unbound and isinstance(output, UnionType):
        for option in output.parts:
            with contextlib.suppress(MismatchError, ContractError):
                if not match_result(option, result, bindings, unbound):
                    return []
    with frame(bindings):
        check_value(result, output, "return")
        still_unbound = missing(current(), unbound) if unbound else []
    return [name for name in unbound if name not in still_unbound]
