"""Names of weights without those that wrappers add: `torch.compile`, DataParallel and DDP.

The module inside a wrapper is called ``_orig_mod`` or ``module``, which becomes part of the keys of
a ``state_dict``, wherever in the model the wrapper is.
"""

import itertools

from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from shapezoo._modules import uncompiled


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the module inside all wrappers; the module itself if there are none."""
    while (inner := _wrapped_by(model)) is not None:
        model = inner
    return model


def plain_names(model: nn.Module) -> dict[str, str]:
    """Map each key of a model's ``state_dict`` to what it would be without any wrapper.

    Args:
        model: A module; it or modules in it may be wrapped, also several times.
    """
    modules = dict(model.named_modules(remove_duplicate=False))
    wrapped = {
        path
        for path, module in modules.items()
        if path and module is _wrapped_by(modules[path.rpartition(".")[0]])
    }
    names = {}
    for name in model.state_dict():
        parts = name.split(".")
        paths = itertools.accumulate(parts, "{}.{}".format)
        kept = [part for part, path in zip(parts, paths, strict=True) if path not in wrapped]
        names[name] = ".".join(kept)
    return names


def plain_state_dict(model: nn.Module) -> dict[str, Tensor]:
    """Return the ``state_dict`` that a model would have without any wrapper."""
    names = plain_names(model)
    return {names[name]: tensor for name, tensor in model.state_dict().items()}


def _wrapped_by(module: nn.Module) -> nn.Module | None:
    """Return the module inside a wrapper; None if the module is not a wrapper."""
    if isinstance(module, nn.DataParallel | DistributedDataParallel):
        return module.get_submodule("module")
    inner = uncompiled(module)
    return inner if inner is not module else None
