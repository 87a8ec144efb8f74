"""The error for a model that is called with sizes outside its known limits.

A model that was proved carries its limits: conditions on the axes of its contract, for eval and
train mode. They are evaluated only after a call has failed, or while a call is traced, so they cost
nothing otherwise.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from shapezoo._modules import layers_of
from shapezoo.contracts.language.axes import Extent
from shapezoo.contracts.language.conditions import Condition
from shapezoo.contracts.language.errors import ShapeError
from shapezoo.contracts.language.signatures import Signature
from shapezoo.contracts.language.types import tensors
from shapezoo.contracts.messages.describing import concrete
from shapezoo.contracts.messages.explain import public_name

Limits = Mapping[Any, tuple[Condition, ...]]
"""Conditions in eval mode and in train mode."""

_LIMITS = "_shapezoo_limits"


def set_limits(model: nn.Module, limits: Limits) -> None:
    """Attach limits to a model; they hold as long as its layers do not change."""
    if any(limits.values()):
        setattr(model, _LIMITS, (limits, layers_of(model)))


def forget_limits(model: nn.Module) -> None:
    """Detach the limits of a model and of those inside it."""
    for module in model.modules():
        vars(module).pop(_LIMITS, None)


def limits_of(model: object) -> Limits:
    """Return the limits of a model; none if its layers have changed."""
    if not isinstance(model, nn.Module) or _LIMITS not in vars(model):
        return {}
    limits: Limits
    limits, layers = vars(model)[_LIMITS]
    return limits if layers_of(model) == layers else {}


def limits_error(
    function: Callable[..., Any], contract: Signature, owner: object, bound: Mapping[str, Extent]
) -> ShapeError | None:
    """Return the error for sizes outside the limits of a model; None if they are within.

    Args:
        function: The forward of the model.
        contract: Its contract.
        owner: The model.
        bound: The sizes of the axes of the call.
    """
    limits = limits_of(owner)
    if not limits or not isinstance(owner, nn.Module):
        return None
    conditions = limits.get("train" if owner.training else "eval", ())
    sizes: dict[str, Any] = {a: n for a, n in bound.items() if isinstance(n, int | torch.SymInt)}
    decidable = (c for c in conditions if sizes.keys() >= set(c.axes))
    broken = [condition for condition in decidable if not condition.holds(sizes)]
    if not broken:
        return None
    shown = {axis: concrete(size) for axis, size in sizes.items()}
    argument, axis = _argument_with(contract, broken[0].axes[0])
    lines = [
        f"{public_name(function)}: {broken[0].explain(shown)}",
        f"  argument  {argument}, axis {axis}",
        f"  bound     {', '.join(f'{axis}={size}' for axis, size in shown.items())}",
        f"  limits    {', '.join(map(str, conditions))}",
    ]
    return ShapeError("\n".join(lines), argument=argument, axis=axis)


def _argument_with(contract: Signature, name: str) -> tuple[str, int | None]:
    """Return the first argument that has an axis of this name, and its position there."""
    for argument in contract.inputs:
        for tensor in tensors(argument.type):
            names = [axis.name for axis in tensor.axes]
            if name in names:
                return argument.name, names.index(name)
    return "", None
