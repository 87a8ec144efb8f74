"""Find the path of a module in its model."""

import inspect

from torch import nn

from shapezoo._frames import self_of


def path_in_model(owner: object) -> str:
    """Return the path of a module in the outermost module being called: ``block.0 of Net``.

    Empty if the module itself is the outermost one, or is not a module.
    """
    path, frame = "", inspect.currentframe() if isinstance(owner, nn.Module) else None
    while frame is not None:
        caller = self_of(frame)
        if isinstance(caller, nn.Module) and not _is_wrapper(caller):
            names = (name for name, module in caller.named_modules() if module is owner)
            if name := next(names, ""):
                path = f"{name} of {type(caller).__name__}"
        frame = frame.f_back
    return path


def _is_wrapper(module: nn.Module) -> bool:
    """Whether this is PyTorch's wrapper around a user's module, from compile, export or DDP."""
    package = type(module).__module__
    return package.startswith("torch.") and not package.startswith("torch.nn.modules.")
