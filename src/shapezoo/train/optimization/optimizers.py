"""PyTorch's optimizers by name, and building an optimizer for the parameters of a training."""

import functools
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from torch import Tensor, nn, optim

from shapezoo._names import unknown_name

MakeOptimizer = Callable[[list[nn.Parameter]], optim.Optimizer]
"""Builds an optimizer for parameters: ``functools.partial(torch.optim.Adam, lr=1e-3)``.

The parameters are in the order of ``model.named_parameters()``. An optimizer may leave some out or
put them into groups.
"""

OPTIMIZERS: Mapping[str, type[optim.Optimizer]] = MappingProxyType(
    {
        "adagrad": optim.Adagrad,
        "adam": optim.Adam,
        "adamax": optim.Adamax,
        "adamw": optim.AdamW,
        "asgd": optim.ASGD,
        "lbfgs": optim.LBFGS,
        "rmsprop": optim.RMSprop,
        "rprop": optim.Rprop,
        "sgd": optim.SGD,
    }
)
"""The optimizers that `choose_optimizer` can build."""


class UnknownOptimizerError(LookupError):
    """No optimizer has this name; the message lists close matches and all valid names."""

    __module__ = "shapezoo.train"


def choose_optimizer(name: str, **settings: Any) -> MakeOptimizer:
    """Return the function that builds an optimizer, as `init`, `train_step` and `fit` take it.

    Args:
        name: One of `OPTIMIZERS`.
        **settings: Keyword arguments of its class in `torch.optim`, such as ``lr``; others keep
            the defaults of that class.

    Raises:
        UnknownOptimizerError: No optimizer has this name.
        TypeError: The optimizer does not take one of the settings.

    Example:
        ```pycon
        >>> import torch
        >>> from shapezoo.train import choose_optimizer
        >>> make_optimizer = choose_optimizer("sgd", lr=0.1, momentum=0.9)
        >>> optimizer = make_optimizer(list(torch.nn.Linear(1, 1).parameters()))
        >>> type(optimizer).__name__, optimizer.param_groups[0]["momentum"]
        ('SGD', 0.9)

        ```
    """
    if name not in OPTIMIZERS:
        raise UnknownOptimizerError(unknown_name("optimizer", name, OPTIMIZERS))
    optimizer_class = OPTIMIZERS[name]
    _, *valid = inspect.signature(optimizer_class).parameters  # the first is the parameters
    if unknown := [setting for setting in settings if setting not in valid]:
        raise TypeError(f"optimizer {name!r} has no {unknown[0]!r}; it has {', '.join(valid)}")
    return functools.partial(optimizer_class, **settings)


def parameter_like(parameter: nn.Parameter, value: Tensor) -> nn.Parameter:
    """Return a new parameter with this value and the attributes of an existing one.

    Models mark parameters for their optimizer with attributes such as ``_no_weight_decay``.
    """
    copy = nn.Parameter(value, parameter.requires_grad)
    vars(copy).update(vars(parameter))
    return copy


def build_optimizer(
    make_optimizer: MakeOptimizer, parameters: Sequence[nn.Parameter]
) -> optim.Optimizer:
    """Build an optimizer.

    Raises:
        TypeError: `make_optimizer` is not a function that returns an optimizer.
        ValueError: The optimizer has parameters other than those passed to it, or a learning rate
            that is not finite.
    """
    if isinstance(make_optimizer, optim.Optimizer) or not callable(make_optimizer):
        name = type(make_optimizer).__name__
        raise TypeError(
            f"make_optimizer must be a function that builds an optimizer, got {name}; pass "
            "functools.partial(torch.optim.Adam, lr=1e-3), for example"
        )
    optimizer = make_optimizer(list(parameters))
    if not isinstance(optimizer, optim.Optimizer):
        raise TypeError(
            f"make_optimizer must return an optimizer, got a {type(optimizer).__name__}"
        )
    passed = set(map(id, parameters))
    for group in optimizer.param_groups:
        if not passed.issuperset(map(id, group["params"])):
            raise ValueError(
                "make_optimizer: the optimizer has parameters other than those passed to it, such "
                "as those of the model itself, which training does not modify. Use the argument: "
                "lambda parameters: torch.optim.Adam(parameters); for parameter groups, it is in "
                "the order of model.named_parameters()"
            )
        if not math.isfinite(group["lr"]):
            raise ValueError(f"make_optimizer: the learning rate is {group['lr']}")
    return optimizer
