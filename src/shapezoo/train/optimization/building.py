"""Building an optimizer for parameters, and refusing what would train something else."""

import math
from collections.abc import Callable, Sequence

from torch import Tensor, nn
from torch.optim import Optimizer

MakeOptimizer = Callable[[list[nn.Parameter]], Optimizer]
"""Builds an optimizer for parameters: ``functools.partial(torch.optim.Adam, lr=1e-3)``.

They come in the order of ``model.named_parameters()``. An optimizer may leave some out, or put them
into groups.
"""


def copy_of(parameter: nn.Parameter, value: Tensor) -> nn.Parameter:
    """A parameter with another value, but with the attributes that a model has given to one.

    They tell an optimizer which to treat otherwise, as ``_no_weight_decay`` does.
    """
    copied = nn.Parameter(value, parameter.requires_grad)
    vars(copied).update(vars(parameter))
    return copied


def built(make_optimizer: MakeOptimizer, parameters: Sequence[nn.Parameter]) -> Optimizer:
    """Build an optimizer.

    Raises:
        TypeError: `make_optimizer` is not a function that returns an optimizer.
        ValueError: The optimizer has other parameters than those that it was given, or a learning
            rate that is not finite.
    """
    if isinstance(make_optimizer, Optimizer) or not callable(make_optimizer):
        name = type(make_optimizer).__name__
        raise TypeError(
            f"make_optimizer must be a function that builds an optimizer, got {name}; pass "
            "functools.partial(torch.optim.Adam, lr=1e-3), for example"
        )
    optimizer = make_optimizer(list(parameters))
    if not isinstance(optimizer, Optimizer):
        raise TypeError(
            f"make_optimizer must return an optimizer, got a {type(optimizer).__name__}"
        )
    known = set(map(id, parameters))
    for group in optimizer.param_groups:
        if any(id(parameter) not in known for parameter in group["params"]):
            raise ValueError(
                "make_optimizer: the optimizer has parameters that it was not given, such as those "
                "of the model itself, which training does not modify. Use the argument: lambda "
                "parameters: torch.optim.Adam(parameters); for groups, its order is that of "
                "model.named_parameters()"
            )
        if not math.isfinite(group["lr"]):
            raise ValueError(f"make_optimizer: the learning rate is {group['lr']}")
    return optimizer
