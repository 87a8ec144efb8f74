"""Choosing the device to compute on."""

import torch


class DeviceError(ValueError):
    """This machine does not have the device."""

    __module__ = "shapezoo.train"


def choose_device(name: str = "auto") -> torch.device:
    """Return the device of this name if the machine has it.

    Args:
        name: ``"auto"`` for the accelerator of this machine, or the CPU if it has none;
            or a device of PyTorch: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.

    Raises:
        DeviceError: PyTorch does not know the device, or this machine does not have it.

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
            f"device {name!r} is not a device of PyTorch; use auto, cpu, cuda or mps"
        ) from error
    count = backend.device_count() if backend.is_available() else 0
    if (device.index or 0) >= count:
        raise DeviceError(f"device {name!r} is not on this machine; use auto or cpu")
    return device
