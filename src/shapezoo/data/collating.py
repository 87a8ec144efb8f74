"""Collating a list of examples into a batch, with errors that show how to fix the dataset."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, TypeGuard

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import default_collate

from shapezoo._datasets import Batch

Collate = Callable[[list[Any]], Any]
_TARGET_KEYS = ("label", "labels", "target", "targets", "y")  # common in examples that are dicts


@dataclass(frozen=True, eq=False)
class TensorBatch:
    """A batch of plain tensors.

    Attributes:
        inputs: The arguments of the model.
        targets: The targets that the loss compares with the output of the model.

    Raises:
        TypeError: `inputs` is not a tuple of tensors, or `targets` is not a tensor.
    """

    inputs: tuple[Tensor, ...]
    targets: Tensor

    def __post_init__(self) -> None:
        inputs: object = self.inputs
        if isinstance(inputs, Tensor):
            raise TypeError(
                "inputs must be a tuple of tensors, got a Tensor; write "
                "TensorBatch((images,), labels)"
            )
        if not isinstance(inputs, tuple):
            raise TypeError(
                f"inputs must be a tuple of tensors, got {type(inputs).__name__}; write "
                "TensorBatch((first, second), targets) with a tensor for each argument of the model"
            )
        named = {f"inputs[{index}]": part for index, part in enumerate(inputs)}
        for name, value in (named | {"targets": self.targets}).items():
            if not isinstance(value, Tensor):
                raise TypeError(
                    f"{name} must be a Tensor, got {type(value).__name__}; torch.as_tensor(...) "
                    "converts arrays and lists of numbers"
                )

    def to(self, device: torch.device) -> Self:
        """Return the same examples on a device."""
        inputs = tuple(tensor.to(device) for tensor in self.inputs)
        return replace(self, inputs=inputs, targets=self.targets.to(device))

    def pin_memory(self) -> Self:
        """Return the same examples in page-locked memory.

        ``DataLoader(pin_memory=True)`` calls this.
        """
        inputs = tuple(tensor.pin_memory() for tensor in self.inputs)
        return replace(self, inputs=inputs, targets=self.targets.pin_memory())


def collated(examples: list[Any], collate: Collate) -> Batch:
    """Return a batch of examples.

    Args:
        examples: One or more examples.
        collate: See `as_dataset`.

    Raises:
        TypeError: `default_collate` does not support a type in the examples, or `collate` returned
            something other than a batch.
        ValueError: `default_collate` cannot stack the examples, because their shapes differ.
    """
    if collate is not default_collate:
        return _batch(collate(examples))
    try:
        result = default_collate(examples)
    except (TypeError, RuntimeError, KeyError) as error:
        for path, value in _unsupported(examples[0], "example"):
            got, advice = _unsupported_value(value)
            raise TypeError(
                f"dataset: expected examples of tensors and numbers, got {got} at {path}; {advice}"
            ) from error
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"dataset: the examples of a batch cannot be stacked: {reason}; make them alike, such "
            "as with the transform v2.Resize((height, width)) of torchvision for images, or pass "
            "as_dataset(..., collate=...) a function that pads them"
        ) from error
    return _batch(result)


def _batch(result: object) -> Batch:
    """Return the result of a collate function as a batch."""
    match result:
        case tuple() | list() if len(result) > 1 and _are_tensors(result):
            return TensorBatch(tuple(result[:-1]), result[-1])
        case Batch():
            return result
        case Mapping():
            raise TypeError(_advice_for_dict(list(result)))
        case tuple() | list():
            got = f"({', '.join(type(part).__name__ for part in result)})"
        case _:
            got = f"a {type(result).__name__}"
    raise TypeError(
        f"collate: expected it to return tensors (*inputs, targets), got {got}; pass "
        "as_dataset(..., collate=...) a function that makes such a tuple from a list of examples"
    )


def _are_tensors(parts: Sequence[object]) -> TypeGuard[Sequence[Tensor]]:
    return all(isinstance(part, Tensor) for part in parts)


def _advice_for_dict(keys: list[object]) -> str:
    """Return an error with the code of a collate function for dicts with these keys."""
    target = next((key for key in keys if key in _TARGET_KEYS), keys[-1] if keys else "label")
    order = [*(key for key in keys if key != target), target]
    returned = ", ".join(f"batch[{key!r}]" for key in order)
    return (
        f"collate: expected it to return tensors (*inputs, targets), got a dict with the keys "
        f"{', '.join(map(repr, keys))}; choose the inputs and the target:\n"
        "    from torch.utils.data import default_collate\n"
        "    def collate(examples):\n"
        "        batch = default_collate(examples)\n"
        f"        return {returned}\n"
        "    as_dataset(dataset, collate=collate)"
    )


def _unsupported(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield the paths and values of parts of an example that `default_collate` does not support."""
    match value:
        case Tensor() | np.ndarray() | np.generic() | int() | float() | str() | bytes():
            return
        case Mapping():
            parts = list(value.items())
        case list() | tuple():
            parts = list(enumerate(value))
        case _:
            yield path, value
            return
    for key, part in parts:
        yield from _unsupported(part, f"{path}[{key!r}]")


def _unsupported_value(value: object) -> tuple[str, str]:
    """Return a description of a value that `default_collate` does not support, and advice."""
    pil = sys.modules.get("PIL.Image")  # not imported: without it there is no PIL image
    if pil is not None and isinstance(value, pil.Image):
        return "a PIL image", (
            "with v2 from torchvision.transforms, pass the dataset transform=v2.Compose("
            "[v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]), or convert the images in "
            "as_dataset(..., collate=...)"
        )
    description = "None" if value is None else f"an object of {type(value).__name__}"
    return description, "convert it in the dataset, or in as_dataset(..., collate=...)"
