"""The two ways in which a contract fails: it is broken by a value, or it cannot be used."""

import jaxtyping


class ShapeError(jaxtyping.TypeCheckError):
    """A value broke a contract.

    The message names the function, the argument, what was expected, what came, and the axis
    on which they differ.

    Attributes:
        argument: The path of the offending value, such as ``"images"``, ``"states[1]"`` or
            ``"return"``.
        axis: The position of the first axis that differs, or None where the type, the dtype
            or the number of axes is wrong.
    """

    __module__ = "shapezoo"  # where users import it from, and what tracebacks show

    def __init__(self, message: str, *, argument: str, axis: int | None = None) -> None:
        super().__init__(message)
        self.argument = argument
        self.axis = axis

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (str(self), self.argument, self.axis)


class ContractError(TypeError):
    """An annotation cannot be used as a contract.

    Raised when a class or function is defined or, where its annotation refers to a name that
    does not exist yet, when it is first used. A call raises it where a part in braces or an
    expression cannot be computed, and `torch.jit.script`, which cannot read shapes, at once.
    """

    __module__ = "shapezoo"

    def __reduce__(self) -> tuple[object, ...]:
        return ContractError, (str(self),)


class UnresolvedError(ContractError):
    """An annotation refers to a name that does not exist, or not yet."""


def _rebuild(message: str, argument: str, axis: int | None) -> ShapeError:
    return ShapeError(message, argument=argument, axis=axis)
