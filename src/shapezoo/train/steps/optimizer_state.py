"""Restoring the state of an optimizer, unless it is that of another one."""

import inspect
from collections.abc import Mapping, Set
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from shapezoo.train.steps.state import StateError, tree_copied

# those of torch.optim in PyTorch 2.13 that can be off
_OPTIONS = {
    *("adjust_lr_fn", "amsgrad", "capturable", "centered", "decoupled_weight_decay"),
    *("differentiable", "foreach", "fused", "line_search_fn", "max_eval", "maximize", "nesterov"),
}

# what the optimizers of torch.optim take, which tells one from another
_OF_TORCH = {
    *_OPTIONS,
    *("alpha", "betas", "dampening", "etas", "eps", "history_size", "lambd", "lr_decay"),
    *("max_iter", "momentum", "momentum_decay", "step_sizes", "t0", "tolerance_change"),
    *("tolerance_grad", "weight_decay"),
}

_ADVICE = (
    "pass the same, or continue from what it has learned with a new optimizer: install(model, "
    "state), then fit from init(model, make_optimizer)"
)


def restore(optimizer: Optimizer, saved: Mapping[str, Any]) -> None:
    """Load copies of a state into an optimizer of the same kind and settings.

    Settings must be the same: what the optimizer's constructor takes. Releases of PyTorch add
    options, which the states of earlier releases lack; such an option may be off. Whatever else is
    in the groups is part of the state, such as the counters that some optimizers keep there.

    Raises:
        StateError: It is the state of another optimizer, whose settings would replace these.
    """
    state = tree_copied(_completed(optimizer, saved))
    optimizer.load_state_dict(state)
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for index, parts in state["state"].items():
        loaded = optimizer.state[parameters[index]]
        for name, part in parts.items():  # torch casts what it keeps beside other dtypes
            if isinstance(part, Tensor):
                loaded[name] = part.to(loaded[name].device)


def _completed(optimizer: Optimizer, saved: Mapping[str, Any]) -> Mapping[str, Any]:
    """A state with the options that it lacks, unless it is that of another optimizer."""
    kind, ours = type(optimizer).__name__, optimizer.param_groups
    match saved:
        case {"state": dict(), "param_groups": [*theirs]} if all(map(_is_group, theirs)):
            pass
        case _:
            raise StateError("state: its optimizer state is not the state_dict of an optimizer")
    if len(ours) != len(theirs):
        raise StateError(
            f"make_optimizer: {kind} has {len(ours)} parameter groups, and the optimizer of the "
            f"training that is resumed had {len(theirs)}; {_ADVICE}"
        )
    taken = inspect.signature(type(optimizer)).parameters.keys() - {"params"}
    for now_, then_ in zip(ours, theirs, strict=True):
        names = {"lr", *taken, *(_OF_TORCH & then_.keys())}
        mine, other = _settings(now_, names), _settings(then_, names)
        other |= {name: mine[name] for name in mine.keys() - other if _is_later(name, mine[name])}
        for name in {**mine, **other}:
            if (now := _shown(mine, name)) != (then := _shown(other, name)):
                raise StateError(
                    f"make_optimizer: {kind} has {now}, and the optimizer of the training that is "
                    f"resumed had {then}; {_ADVICE}"
                )
    groups = [{**mine, **other} for mine, other in zip(ours, theirs, strict=True)]
    return {**saved, "param_groups": groups}


def _shown(settings: Mapping[str, Any], name: str) -> str:
    return f"{name}={settings[name]!r}" if name in settings else f"no {name}"


def _is_group(group: object) -> bool:
    """Whether this is a parameter group of an optimizer's ``state_dict``."""
    return isinstance(group, dict) and isinstance(group.get("params"), list) and "lr" in group


def _is_later(name: str, value: object) -> bool:
    """Whether an option has come after the first release that shapezoo works with, and is off.

    The earlier ones tell apart optimizers that have the other options in common.
    """
    return name not in _OPTIONS and (value is None or value is False)


def _settings(group: Mapping[str, Any], names: Set[str]) -> dict[str, Any]:
    """What must not change, with the learning rate from before any schedule."""
    settings = {name: value for name, value in group.items() if name in names}
    base = group.get("initial_lr", group["lr"])
    return settings | {"lr": base, "number of parameters": len(group["params"])}
