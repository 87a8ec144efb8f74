"""Errors: a value that breaks its contract, and an annotation that cannot be used."""

from collections.abc import Iterable, Mapping

import jaxtyping


class ShapeError(jaxtyping.TypeCheckError):
    """A value broke a contract.

    The message names the function, the argument, the expected and the actual value, and the
    axis on which they differ.

    Attributes:
        argument: The path of the wrong value, such as ``"images"``, ``"states[1]"`` or
            ``"return"``; empty in an error that was rebuilt from its message alone.
        axis: The position of the first axis that differs, or None if the type, the dtype or the
            number of axes is wrong.
    """

    __module__ = "shapezoo"  # where users import it from, and what tracebacks show

    # DataLoader re-raises a worker's error in the main process by calling its class with the
    # message alone
    def __init__(self, message: str, *, argument: str = "", axis: int | None = None) -> None:
        super().__init__(message)
        self.argument = argument
        self.axis = axis


class ContractError(TypeError):
    """An annotation cannot be used as a contract.

    Raised when a class or function is defined or, if an annotation refers to a name that is not
    defined yet, when it is first used. A call raises it if a part in braces or an expression cannot
    be computed. `torch.jit.script` always raises it, because it cannot read shape annotations.
    """

    __module__ = "shapezoo"


class UnresolvedError(ContractError):
    """An annotation refers to a name that does not exist (yet).

    Attributes:
        types: The types of the other annotations, by the names of the parameters.
    """

    def __init__(self, message: str, types: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.types = types or {}


def listed(words: Iterable[str], conjunction: str = "and") -> str:
    """Join words as in a sentence: ``a, b and c``."""
    *others, last = words
    return f"{', '.join(others)} {conjunction} {last}" if others else last
