"""Loading a saved optimizer state, after checking that it belongs to the same optimizer.

`Optimizer.load_state_dict` replaces the settings of the optimizer by the saved ones. A training
that is resumed with ``lr=0.01`` would silently keep the old rate, so differences are errors here.
"""

import inspect
from collections.abc import Mapping, Set
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from shapezoo.train.steps.state import StateError, copied

# the options of torch.optim in PyTorch 2.13 that can be None or False
_OPTIONS = {
    *("adjust_lr_fn", "amsgrad", "capturable", "centered", "decoupled_weight_decay"),
    *("differentiable", "foreach", "fused", "line_search_fn", "max_eval", "maximize", "nesterov"),
}

# the settings of the optimizers in torch.optim, by which they can be told apart
_SETTINGS = {
    *_OPTIONS,
    *("alpha", "betas", "dampening", "etas", "eps", "history_size", "lambd", "lr_decay"),
    *("max_iter", "momentum", "momentum_decay", "step_sizes", "t0", "tolerance_change"),
    *("tolerance_grad", "weight_decay"),
}

_ADVICE = (
    "pass the same, or continue with its parameters and a new optimizer: install(model, state), "
    "then fit from init(model, make_optimizer)"
)


def restore(optimizer: Optimizer, saved: Mapping[str, Any]) -> None:
    """Load a copy of a saved state into an optimizer of the same class and settings.

    The arguments of the optimizer's constructor must be equal. PyTorch releases add options that
    states saved by earlier releases lack; such an option may be off. Everything else in the
    parameter groups is part of the state, such as counters that some optimizers keep there.

    Raises:
        StateError: The state was saved by an optimizer with another class or other settings.
    """
    groups = _checked_groups(optimizer, saved)
    state = copied({**saved, "param_groups": groups})
    optimizer.load_state_dict(state)
    # load_state_dict casts floating-point state to the dtype of its parameter, which would round
    # what an optimizer keeps in another dtype; so the saved tensors are put back as they were
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for index, values in state["state"].items():
        loaded = optimizer.state[parameters[index]]
        for name, value in values.items():
            if isinstance(value, Tensor):
                loaded[name] = value.to(loaded[name].device)


def _checked_groups(optimizer: Optimizer, saved: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the saved parameter groups, completed with options that the saving release lacked."""
    class_name, groups = type(optimizer).__name__, optimizer.param_groups
    match saved:
        case {"state": dict(), "param_groups": [*saved_groups]} if all(
            map(_is_group, saved_groups)
        ):
            pass
        case _:
            raise StateError("state: its optimizer state is not the state_dict of an optimizer")
    if len(groups) != len(saved_groups):
        raise _changed(class_name, f"{len(groups)} parameter groups", str(len(saved_groups)))
    arguments = inspect.signature(type(optimizer)).parameters.keys() - {"params"}
    for group, saved_group in zip(groups, saved_groups, strict=True):
        names = {"lr", *arguments, *(_SETTINGS & saved_group.keys())}
        now, then = _settings(group, names), _settings(saved_group, names)
        then |= {name: now[name] for name in now.keys() - then if _is_new_and_off(name, now[name])}
        for name in {**now, **then}:
            if (shown := _shown(now, name)) != (saved_shown := _shown(then, name)):
                raise _changed(class_name, shown, saved_shown)
    return [
        {**group, **saved_group} for group, saved_group in zip(groups, saved_groups, strict=True)
    ]


def _changed(class_name: str, now: str, then: str) -> StateError:
    return StateError(
        f"make_optimizer: {class_name} has {now}, and the optimizer of the training that is "
        f"resumed had {then}; {_ADVICE}"
    )


def _shown(settings: Mapping[str, Any], name: str) -> str:
    return f"{name}={settings[name]!r}" if name in settings else f"no {name}"


def _is_group(group: object) -> bool:
    """Whether this is a parameter group of an optimizer's ``state_dict``."""
    return isinstance(group, dict) and isinstance(group.get("params"), list) and "lr" in group


def _is_new_and_off(name: str, value: object) -> bool:
    """Whether an option was added after the oldest supported release of PyTorch, and is off.

    The older options must not be completed: they distinguish optimizers whose other settings are
    equal.
    """
    return name not in _OPTIONS and (value is None or value is False)


def _settings(group: Mapping[str, Any], names: Set[str]) -> dict[str, Any]:
    """Return the settings that must not change, with the learning rate before any schedule."""
    settings = {name: value for name, value in group.items() if name in names}
    base = group.get("initial_lr", group["lr"])
    return settings | {"lr": base, "number of parameters": len(group["params"])}
