"""The two ways in which a contract fails: it is broken by a value, or it cannot be used."""

import jaxtyping


class ShapeError(jaxtyping.TypeCheckError):
    """A value broke a contract.

    The message names the function, the argument, what was expected, what came, and the axis
    on which they differ.

    Attributes:
        argument: The path of the offending value, such as ``"images"``, ``"states[1]"`` or
            ``"return"``; empty in an error that was rebuilt from its message alone.
        axis: The position of the first axis that differs, or None where the type, the dtype
            or the number of axes is wrong.
    """

    __module__ = "shapezoo"  # where users import it from, and what tracebacks show

    # what carries an error over from another process, as DataLoader's workers do, calls the class
    # with the message and nothing else
    def __init__(self, message: str, *, argument: str = "", axis: int | None = None) -> None:
        super().__init__(message)
        self.argument = argument
        self.axis = axis


class ContractError(TypeError):
    """An annotation cannot be used as a contract.

    Raised when a class or function is defined or, where its annotation refers to a name that
    does not exist yet, when it is first used. A call raises it where a part in braces or an
    expression cannot be computed, and `torch.jit.script`, which cannot read shapes, at once.
    """

    __module__ = "shapezoo"


class UnresolvedError(ContractError):
    """An annotation refers to a name that does not exist, or not yet."""
