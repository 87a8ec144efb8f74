"""Where a module stands in a model."""

import inspect

from torch import nn

from shapezoo.contracts.describing import name_of


def place_of(owner: object) -> str:
    """Where a module stands in the outermost module that is being called, if that is another."""
    place, frame = "", inspect.currentframe() if isinstance(owner, nn.Module) else None
    while frame is not None:
        caller = frame.f_locals.get("self")
        if isinstance(caller, nn.Module) and not _is_wrapper(caller):
            names = (name for name, module in caller.named_modules() if module is owner)
            if name := next(names, ""):
                place = f"{name} of {name_of(type(caller))}"
        frame = frame.f_back
    return place


def _is_wrapper(module: nn.Module) -> bool:
    """Whether PyTorch put this module around the user's, as compile, export and DDP do."""
    package = type(module).__module__
    return package.startswith("torch.") and not package.startswith("torch.nn.modules.")
