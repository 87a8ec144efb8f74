"""The state of a training, and lending the tensors of a state to a model.

A step is a pure function: the model contributes only its computation, and the parameters, buffers
and generator states come from a `State`. `lent` puts the tensors of a state into the model's own
attributes for the length of a block and then puts the model's own tensors back. That is how
``torch.func.functional_call`` works too, but it does not restore what this module has to restore:
train and eval modes, parameters of `fully_shard`, and buffers that a first forward creates.
"""

import contextlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from shapezoo.train.optimization.optimizers import MakeOptimizer, build_optimizer, parameter_like


class StateError(ValueError):
    """A state does not belong to this model or optimizer."""

    __module__ = "shapezoo.train"


@dataclass(frozen=True, eq=False)
class State:
    """Everything that changes while a model is trained. Its tensors are never modified in place.

    Attributes:
        parameters: The values of the model's parameters, by name.
        buffers: The values of the model's buffers, by name.
        optimizer: The optimizer's ``state_dict``.
        random: The states of torch's generators, by device type; dropout draws from them.
        step: The number of steps taken.
    """

    parameters: dict[str, Tensor]
    buffers: dict[str, Tensor]
    optimizer: dict[str, Any]
    random: dict[str, Tensor]
    step: int

    @property
    def device(self) -> torch.device:
        """The device of the parameters; the CPU if there are none."""
        return next((value.device for value in self.parameters.values()), torch.device("cpu"))


def init(
    model: nn.Module,
    make_optimizer: MakeOptimizer,
    *,
    seed: int = 0,
    device: torch.device | None = None,
) -> State:
    """Return the state before the first step, with copies of the model's parameters and buffers.

    Args:
        model: The model to train.
        make_optimizer: Builds the optimizer.
        seed: Seeds what is random in a step, such as dropout.
        device: The device of the state, on which `train_step`, `evaluate` and `fit` compute;
            by default the model's.

    Raises:
        TypeError: `make_optimizer` is not a function that returns an optimizer.
        ValueError: The optimizer has parameters other than those passed to it, or a learning rate
            that is not finite.
    """
    reshard(model)
    parameters, buffers = copied(tensors_of(model), device)
    trained = [parameter_like(p, parameters[name]) for name, p in model.named_parameters()]
    optimizer = build_optimizer(make_optimizer, trained)
    state = State(parameters, buffers, optimizer.state_dict(), random={}, step=0)
    return replace(state, random=seeded_generators(seed, state.device))


def install(model: nn.Module, state: State) -> None:
    """Copy the parameters and buffers of a state into a model.

    Raises:
        StateError: The state does not belong to this model, which is left unchanged.
    """
    require_same(model, state)
    reshard(model)
    values = state.parameters | state.buffers
    with torch.no_grad():
        for tensors in tensors_of(model):
            for name, tensor in tensors.items():
                tensor.copy_(values[name])


def require_same(model: nn.Module, state: State) -> None:
    """Raise unless a state has the names, shapes and dtypes of a model.

    Raises:
        TypeError: `state` is not a `State`.
        StateError: The state does not belong to this model.
    """
    if not isinstance(state, State):
        raise TypeError(
            f"state must be a State, got a {type(state).__name__}; init(model, make_optimizer) "
            "makes the first one"
        )
    in_model = _descriptions(*tensors_of(model))
    in_state = _descriptions(state.parameters, state.buffers)
    if in_model != in_state:
        name = next(n for n in in_model | in_state if in_model.get(n) != in_state.get(n))
        raise StateError(
            f"state: {name!r} is {in_state.get(name, 'missing')} in the state and "
            f"{in_model.get(name, 'missing')} in {type(model).__name__}"
        )


def _descriptions(
    parameters: Mapping[str, Tensor], buffers: Mapping[str, Tensor]
) -> dict[str, str]:
    def described(tensor: Tensor) -> str:
        return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"

    descriptions = {name: described(tensor) for name, tensor in parameters.items()}
    return descriptions | {name: f"a buffer {described(t)}" for name, t in buffers.items()}


def tensors_of(model: nn.Module) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the parameters and the buffers of a model by name."""
    return dict(model.named_parameters()), dict(model.named_buffers())


def copied(tree: Any, device: torch.device | None = None) -> Any:
    """Return the same nested dicts, lists and tuples with copies of their tensors, on a device."""
    if isinstance(tree, Tensor):
        return tree.detach().to(device, copy=True)
    if isinstance(tree, dict):
        return {key: copied(part, device) for key, part in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(copied(part, device) for part in tree)
    return tree


def untrained_copies(state: State) -> dict[str, Tensor]:
    """Return copies of the parameters and buffers of a state, to run a model without training it.

    They are copies because a forward can write to both: ``nn.Embedding(max_norm=...)`` changes its
    weight, and a module may count calls in a buffer.
    """
    copies: dict[str, Tensor] = copied(state.parameters | state.buffers)
    for name in state.parameters:
        copies[name] = nn.Parameter(copies[name], requires_grad=False)
    return copies


def reshard(model: nn.Module) -> bool:
    """Put the parameters of `fully_shard` back into shards, which a forward alone has gathered.

    Returns:
        Whether the model has such parameters.
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
    """Let a model compute with these parameters and buffers inside a ``with`` block.

    Afterwards the model has its own tensors, modes and buffers again. With ``training=True``,
    modules in eval mode stay in eval mode, since that is how users freeze BatchNorm; unless all
    modules are, as after an evaluation.
    """
    modes = [(module, module.training) for module in model.modules()]
    is_partly_frozen = training and any(mode for _, mode in modes)
    frozen = [module for module, mode in modes if is_partly_frozen and not mode]
    reshard(model)
    parameters, buffers = tensors_of(model)
    own = parameters | buffers
    attributes = _attributes(model, own)
    registered = registered_buffers(model)
    try:
        _assign(model, tensors, attributes)
        model.train(training)  # called even if it is in this mode: some models override it
        for module in frozen:
            module.training = False
        yield
    finally:
        for module, mode in modes:
            if module.training != mode:
                module.training = mode
        forget_new_buffers(registered)
        _assign(model, own, attributes)


RegisteredBuffers = list[tuple[nn.Module, dict[str, Tensor | None]]]
"""The buffers of each module, including those that are None so far."""


def registered_buffers(model: nn.Module) -> RegisteredBuffers:
    """Return the buffers of each module, for `forget_new_buffers`."""
    # `named_buffers` leaves out buffers that are None, so there is no public way to list them
    return [(module, dict(module._buffers)) for module in model.modules()]


def forget_new_buffers(registered: RegisteredBuffers) -> None:
    """Remove the buffers that a forward has created, so that the next forward creates them again.

    Some models create a buffer, such as a mask, in their first forward. It is not in the state, so
    it must not become part of the model either: the next step would expect it in the state.
    """
    for module, before in registered:
        for name in list(module._buffers):
            if name not in before:
                delattr(module, name)
            elif before[name] is None:
                setattr(module, name, None)


def _attributes(model: nn.Module, own: Mapping[str, Tensor]) -> list[tuple[nn.Module, str, str]]:
    """Return the module, attribute and name of each tensor; a shared tensor has several."""
    names = {id(tensor): name for name, tensor in own.items()}
    return [
        (module, attribute, names[id(tensor)])
        for module in model.modules()
        for attribute, tensor in [
            *module.named_parameters(recurse=False, remove_duplicate=False),
            *module.named_buffers(recurse=False, remove_duplicate=False),
        ]
    ]


def _assign(
    model: nn.Module, tensors: Mapping[str, Tensor], attributes: list[tuple[nn.Module, str, str]]
) -> None:
    sharded = reshard(model)
    for module, attribute, name in attributes:
        setattr(module, attribute, tensors[name])
    if sharded:  # FSDP keeps references to its parameters; only its load hooks renew them
        model.load_state_dict({}, strict=False)


@contextlib.contextmanager
def generators_from(
    states: Mapping[str, Tensor], device: torch.device
) -> Iterator[dict[str, Tensor]]:
    """Run a ``with`` block with torch's generators in these states, then restore theirs.

    Dropout and other layers draw from torch's global generators and take no generator of their
    own, so a step can only be a function of its state if these are set before it and put back
    after it.

    Yields:
        A dict that holds the states at the end of the block once the block has ended.
    """
    before, after = _generator_states(device), dict[str, Tensor]()
    try:
        _set_generator_states(states, device)
        yield after
        after.update(_generator_states(device))
    finally:
        _set_generator_states(before, device)


def seeded_generators(seed: int, device: torch.device) -> dict[str, Tensor]:
    """Return the states that torch's generators have after seeding."""
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
    """Whether a device is an accelerator, which has a generator of its own."""
    accelerator = torch.accelerator.current_accelerator()
    return accelerator is not None and accelerator.type == device.type
