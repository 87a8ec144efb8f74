"""The state of a training, and lending what it holds to a model."""

import contextlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from shapezoo.train.optimization.building import MakeOptimizer, built, copy_of


class StateError(ValueError):
    """A state is that of another model or optimizer."""

    __module__ = "shapezoo.train"


@dataclass(frozen=True, eq=False)
class State:
    """All that changes while a model is trained. Its tensors are never modified in place.

    Attributes:
        parameters: The values of the model's parameters, by name.
        buffers: The values of the model's buffers, by name.
        optimizer: The optimizer's ``state_dict``.
        random: The states of torch's generators, by the type of their device; dropout draws
            from them.
        step: How many steps have been taken.
    """

    parameters: dict[str, Tensor]
    buffers: dict[str, Tensor]
    optimizer: dict[str, Any]
    random: dict[str, Tensor]
    step: int

    @property
    def device(self) -> torch.device:
        """Where the state is; one without parameters has nothing to train, and is on the CPU."""
        return next((value.device for value in self.parameters.values()), torch.device("cpu"))


def init(
    model: nn.Module,
    make_optimizer: MakeOptimizer,
    *,
    seed: int = 0,
    device: torch.device | None = None,
) -> State:
    """The state before the first step, with copies of the model's parameters and buffers.

    Args:
        model: The model to train.
        make_optimizer: Builds the optimizer.
        seed: Seeds what is random in a step, such as dropout.
        device: Where to put the state, and so where `train_step`, `evaluate` and `fit` compute;
            without it the state is where the model is.

    Raises:
        TypeError: `make_optimizer` is not a function that returns an optimizer.
        ValueError: The optimizer has other parameters than it was given, or a learning rate that
            is not finite.
    """
    reshard(model)
    parameters = copied(model.named_parameters(), device)
    buffers = copied(model.named_buffers(), device)
    trained = [copy_of(p, parameters[name]) for name, p in model.named_parameters()]
    optimizer = built(make_optimizer, trained)
    before = State(parameters, buffers, optimizer.state_dict(), random={}, step=0)
    return replace(before, random=seeded(seed, before.device))


def install(model: nn.Module, state: State) -> None:
    """Copy the parameters and buffers of a state into a model.

    Raises:
        StateError: The state is that of another model. The model stays as it was.
    """
    require_same(model, state)
    reshard(model)
    with torch.no_grad():
        for name, target in [*model.named_parameters(), *model.named_buffers()]:
            target.copy_(
                state.parameters[name] if name in state.parameters else state.buffers[name]
            )


def require_same(model: nn.Module, state: State) -> None:
    """Refuse the state of another model, and what is not a state."""
    if not isinstance(state, State):
        raise TypeError(
            f"state must be a State, got a {type(state).__name__}; init(model, make_optimizer) "
            "makes the first one"
        )
    ours = _shapes(model.named_parameters(), model.named_buffers())
    theirs = _shapes(state.parameters.items(), state.buffers.items())
    if ours != theirs:
        name = next(n for n in (*ours, *theirs) if ours.get(n) != theirs.get(n))
        raise StateError(
            f"state: {name!r} is {theirs.get(name, 'missing')} in the state and "
            f"{ours.get(name, 'missing')} in {type(model).__name__}"
        )


def _shapes(
    parameters: Iterable[tuple[str, Tensor]], buffers: Iterable[tuple[str, Tensor]]
) -> dict[str, str]:
    def shown(tensor: Tensor) -> str:
        return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"

    shapes = {name: shown(tensor) for name, tensor in parameters}
    return shapes | {name: f"a buffer {shown(tensor)}" for name, tensor in buffers}


def copied(
    tensors: Iterable[tuple[str, Tensor]], device: torch.device | None = None
) -> dict[str, Tensor]:
    """Copies of tensors, on a device."""
    return {name: tensor.detach().to(device, copy=True) for name, tensor in tensors}


def tree_copied(tree: Any) -> Any:
    """The same nested dicts, lists and tuples, with copies of their tensors."""
    if isinstance(tree, Tensor):
        return tree.clone()
    if isinstance(tree, dict):
        return {key: tree_copied(part) for key, part in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(tree_copied(part) for part in tree)
    return tree


def reshard(model: nn.Module) -> bool:
    """Leave the parameters of `fully_shard` in parts; a forward alone has put them together.

    Returns:
        Whether the model has such parameters, which lie in parts on several processes.
    """
    if "torch.distributed.fsdp" not in sys.modules:  # slow to import, and then there are none
        return False
    from torch.distributed.fsdp import FSDPModule

    sharded = [module for module in model.modules() if isinstance(module, FSDPModule)]
    for module in sharded:
        module.reshard()
    return bool(sharded)


@contextlib.contextmanager
def lent(model: nn.Module, tensors: Mapping[str, Tensor], *, training: bool) -> Iterator[None]:
    """Let a model compute with these parameters and buffers, in a mode; then put its own back.

    In train mode, modules that are in eval mode stay so, as BatchNorm is frozen that way; unless
    all are, as a model that was measured before.
    """
    modes = [(module, module.training) for module in model.modules()]
    is_partly_frozen = training and any(mode for _, mode in modes)
    frozen = [module for module, mode in modes if is_partly_frozen and not mode]
    reshard(model)
    own = dict([*model.named_parameters(), *model.named_buffers()])
    places = _places(model, own)
    registered = buffers_of(model)
    try:
        _put(model, tensors, places)
        model.train(training)  # called even if it is in this mode: some models override it
        for module in frozen:
            module.training = False
        yield
    finally:
        for module, mode in modes:
            if module.training != mode:
                module.training = mode
        forget_new_buffers(registered)
        _put(model, own, places)


Registered = list[tuple[nn.Module, dict[str, Tensor | None]]]
"""The buffers of each module, also those that are None so far."""


def buffers_of(model: nn.Module) -> Registered:
    """Which buffers a model has; some make one in their first forward, such as a mask."""
    return [(module, dict(module._buffers)) for module in model.modules()]


def forget_new_buffers(registered: Registered) -> None:
    """Remove the buffers that a forward has created, so that the next one creates them again."""
    for module, before in registered:
        for name in list(module._buffers):
            if name not in before:
                delattr(module, name)
            elif before[name] is None:
                setattr(module, name, None)


def _places(model: nn.Module, own: Mapping[str, Tensor]) -> list[tuple[nn.Module, str, str]]:
    """Where each tensor stands: a module, the name there, the name in the model; some share one."""
    names = {id(tensor): name for name, tensor in own.items()}
    return [
        (module, attribute, names[id(tensor)])
        for module in model.modules()
        for attribute, tensor in [
            *module.named_parameters(recurse=False, remove_duplicate=False),
            *module.named_buffers(recurse=False, remove_duplicate=False),
        ]
    ]


def _put(
    model: nn.Module, tensors: Mapping[str, Tensor], places: list[tuple[nn.Module, str, str]]
) -> None:
    sharded = reshard(model)
    for module, attribute, name in places:
        setattr(module, attribute, tensors[name])
    if sharded:  # only the hooks of a load tell them of other parameters
        model.load_state_dict({}, strict=False)


@contextlib.contextmanager
def generators(random: Mapping[str, Tensor], device: torch.device) -> Iterator[dict[str, Tensor]]:
    """Let torch's generators start from these states, then put their own back.

    Yields:
        A dict that holds the states at the end of the block, once it has ended.
    """
    before, after = _generator_states(device), dict[str, Tensor]()
    try:
        _set_generator_states(random, device)
        yield after
        after.update(_generator_states(device))
    finally:
        _set_generator_states(before, device)


def seeded(seed: int, device: torch.device) -> dict[str, Tensor]:
    """The states of torch's generators after they are seeded."""
    devices = [torch.device("cpu"), *([device] if _has_generator(device) else [])]
    return {d.type: torch.Generator(d).manual_seed(seed).get_state() for d in devices}


def _generator_states(device: torch.device) -> dict[str, Tensor]:
    states = {"cpu": torch.get_rng_state()}
    if _has_generator(device):
        with torch.accelerator.device_index(device.index):
            states[device.type] = torch.get_device_module(device).get_rng_state()
    return states


def _set_generator_states(states: Mapping[str, Tensor], device: torch.device) -> None:
    if "cpu" in states:
        torch.set_rng_state(states["cpu"])
    if device.type in states and _has_generator(device):
        with torch.accelerator.device_index(device.index):
            torch.get_device_module(device).set_rng_state(states[device.type])


def _has_generator(device: torch.device) -> bool:
    """Whether it is an accelerator with a generator of its own."""
    accelerator = torch.accelerator.current_accelerator()
    return accelerator is not None and accelerator.type == device.type
