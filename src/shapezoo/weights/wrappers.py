"""Names of weights without those that wrappers add: `torch.compile`, DataParallel and DDP."""

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from shapezoo._modules import as_written


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the module that is wrapped, however often; the module itself if it is not."""
    while (inner := _wrapped_by(model)) is not None:
        model = inner
    return model


def plain_state(model: nn.Module) -> dict[str, Tensor]:
    """Return the ``state_dict`` of a model as if no module in it had been wrapped.

    Args:
        model: A module; it or modules in it may be wrapped, also several times.
    """
    return {plain: tensor for plain, _, tensor in _named(model)}


def wrapped_names(model: nn.Module, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors of plain names under the names that they have in a model's ``state_dict``."""
    return {name: tensors[plain] for plain, name, _ in _named(model)}


def _named(model: nn.Module) -> list[tuple[str, str, Tensor]]:
    """Each tensor with its plain name and its name."""
    return [(_plain_name(model, name), name, tensor) for name, tensor in model.state_dict().items()]


def _plain_name(model: nn.Module, name: str) -> str:
    kept = []
    module: nn.Module | None = model
    for part in name.split("."):
        child = module._modules.get(part) if module is not None else None
        if module is None or child is None or child is not _wrapped_by(module):
            kept.append(part)
        module = child
    return ".".join(kept)


def _wrapped_by(module: nn.Module) -> nn.Module | None:
    """Return the module that a wrapper wraps; None for any other module."""
    if isinstance(module, nn.DataParallel | DistributedDataParallel):
        return module.get_submodule("module")
    inner = as_written(module)
    return inner if inner is not module else None
