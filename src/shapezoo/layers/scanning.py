"""A loop over time whose state keeps its shape.

Because the shape stays the same, a proof needs to run only one step instead of one per time: what
holds for one step holds, by induction, for all of them.
"""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from shapezoo.contracts import ShapeError
from shapezoo.contracts.matching.proof_mode import is_proving
from shapezoo.contracts.messages.describing import describe

S = TypeVar("S", bound=Tensor | tuple[Tensor, ...])


def scan(
    step: Callable[[S, Tensor], tuple[S, Tensor]], state: S, inputs: Tensor
) -> tuple[S, Tensor]:
    """Loop over time, the first axis of the inputs, with a state that keeps its shape.

    When a contract is proved, only one step is run, for all of them; so a step may depend only on
    its arguments.

    Args:
        step: Maps the state and the input at one time to the next state and an output.
        state: The initial state: a tensor or a tuple of tensors.
        inputs: The inputs at all times.

    Returns:
        The last state, and the outputs at all times, stacked along the first axis.

    Raises:
        ShapeError: A step changes the shape, dtype or device of the state, or there are no
            inputs.

    Example:
        ```pycon
        >>> import torch
        >>> from torch import Tensor
        >>> from shapezoo import scan
        >>> def add(total: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        ...     return total + x, total + x
        >>> scan(add, torch.tensor(0), torch.tensor([1, 2, 3]))
        (tensor(6), tensor([1, 3, 6]))

        ```
    """
    if inputs.shape[0] == 0:
        message = f"shapezoo.scan: inputs need at least one time\n  got       {describe(inputs)}"
        raise ShapeError(message, argument="inputs", axis=0)
    if is_proving():
        state, output = _checked_step(step, state, inputs[0], 0)
        return state, output.new_empty(inputs.shape[0], *output.shape)
    outputs = []
    for time, x in enumerate(inputs.unbind()):
        state, output = _checked_step(step, state, x, time)
        outputs.append(output)
    return state, torch.stack(outputs)


def _checked_step(
    step: Callable[[S, Tensor], tuple[S, Tensor]], state: S, x: Tensor, time: int
) -> tuple[S, Tensor]:
    after, output = step(state, x)
    if _signature(after) != _signature(state):
        raise ShapeError(
            f"shapezoo.scan: the step at time {time} changes the state\n"
            f"  was       {describe(state)}\n"
            f"  became    {describe(after)}",
            argument="state",
        )
    return after, output


def _signature(state: Tensor | tuple[Tensor, ...]) -> object:
    """Return everything about a state that must stay the same."""
    if isinstance(state, tuple):
        return type(state), *map(_signature, state)
    return state.shape, state.dtype, state.device
