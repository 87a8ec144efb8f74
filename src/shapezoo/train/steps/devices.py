"""Choosing what to compute on."""

import torch


class DeviceError(ValueError):
    """There is no such device on this machine."""

    __module__ = "shapezoo.train"


def choose_device(name: str = "auto") -> torch.device:
    """The device of this name, once it is known to be there.

    Args:
        name: ``"auto"`` for the accelerator of this machine, or the CPU where there is none;
            or a device of PyTorch's: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.

    Raises:
        DeviceError: There is no such device.

    Example:
        ```pycon
        >>> from shapezoo.train import choose_device
        >>> choose_device("cpu")
        device(type='cpu')

        ```
    """
    if name == "auto":
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        return accelerator or torch.device("cpu")
    try:
        device = torch.device(name)
        backend = torch.get_device_module(device)
    except RuntimeError as error:
        raise DeviceError(
            f"device {name!r} is none that PyTorch can compute on; use auto, cpu, cuda or mps"
        ) from error
    count = backend.device_count() if backend.is_available() else 0
    if (device.index or 0) >= count:
        raise DeviceError(f"device {name!r} is not on this machine; use auto or cpu")
    return device
