"""A loop over time whose state is held to one shape."""

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
    """Step through time, the first axis of the inputs, with a state that keeps its shape.

    Since it does, one step stands for all of them where a contract is proved; a step must depend
    on its arguments alone.

    Args:
        step: Maps the state and the input of one time to the state after it and an output.
        state: The state to start from: a tensor or a tuple of tensors.
        inputs: The inputs of all times.

    Returns:
        The last state, and the outputs of all times, stacked along the first axis.

    Raises:
        ShapeError: A step has changed the shape, dtype or device of the state, or there is no
            time to step through.

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
        message = f"shapezoo.scan: inputs need one time at least\n  got       {describe(inputs)}"
        raise ShapeError(message, argument="inputs", axis=0)
    if is_proving():  # by induction: what holds for one step holds for all
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
    if _kind(after) != _kind(state):
        raise ShapeError(
            f"shapezoo.scan: the step at time {time} changes the state\n"
            f"  was       {describe(state)}\n"
            f"  became    {describe(after)}",
            argument="state",
        )
    return after, output


def _kind(state: Tensor | tuple[Tensor, ...]) -> object:
    """All that must stay the same."""
    if isinstance(state, tuple):
        return type(state), *map(_kind, state)
    return state.shape, state.dtype, state.device
