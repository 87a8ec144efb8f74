"""PyTorch's optimizers, by name."""

import functools
import inspect
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from torch import optim

from shapezoo.train.optimization.building import MakeOptimizer
from shapezoo.train.optimization.unknown import unknown

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
"""The optimizers that `choose_optimizer` knows."""


class UnknownOptimizerError(LookupError):
    """No optimizer has this name; the message gives the nearest ones and all."""

    __module__ = "shapezoo.train"


def choose_optimizer(name: str, **settings: Any) -> MakeOptimizer:
    """How to build the optimizer of this name, as `init`, `train_step` and `fit` take it.

    Args:
        name: One of `OPTIMIZERS`.
        **settings: Keywords of its class in `torch.optim`, such as ``lr``; the others have the
            defaults of that class.

    Raises:
        UnknownOptimizerError: There is no such optimizer.
        TypeError: The optimizer has no such keyword.

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
        raise UnknownOptimizerError(unknown("optimizer", name, OPTIMIZERS))
    kind = OPTIMIZERS[name]
    _, *known = inspect.signature(kind).parameters  # the first stands for what to optimize
    if strange := [keyword for keyword in settings if keyword not in known]:
        raise TypeError(f"optimizer {name!r} has no {strange[0]!r}; it has {', '.join(known)}")
    return functools.partial(kind, **settings)
