"""Random numbers for the tensors of a call, chosen by the names of axes and arguments."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from shapezoo._modules import floating_dtype
from shapezoo.contracts import ContractError, Signature, TensorType
from shapezoo.contracts.examples.arguments import LENGTHS, counted_axis, dtype_of, is_whole, size_of
from shapezoo.contracts.language.axis_names import LABEL_AXES
from shapezoo.contracts.language.types import tensors
from shapezoo.testing.calls import owner_of

PIXELS = 256
"""The number of different values in 8 bits."""

FEW = 2
"""The number of different indices where nothing says how many are valid."""


@dataclass
class RandomTensors:
    """Makes the tensors of a call, as the documentation of `inputs` describes them.

    Attributes:
        function: The function that is called.
        contract: The contract, which leaves no choice but sizes.
        sizes: The sizes of axes, and the values of parts in braces.
        below: Upper bounds (exclusive) of integers, by the name of the argument: a number, or an
            axis for its size.
        seed: The seed of the random numbers; 0 for the simplest values.
    """

    function: Callable[..., Any]
    contract: Signature
    sizes: Mapping[str, int]
    below: Mapping[str, int | str]
    seed: int

    def __post_init__(self) -> None:
        self.generator = torch.Generator().manual_seed(self.seed)
        self.owner = owner = owner_of(self.function)
        state = [*owner.parameters(), *owner.buffers()] if isinstance(owner, nn.Module) else []
        self.device = state[0].device if state else torch.device("cpu")

    def __call__(self, path: str, type_: TensorType, shape: tuple[int, ...]) -> Any:
        """Return a tensor.

        Args:
            path: Its path in the arguments, as in errors.
            type_: Its type.
            shape: Its shape.
        """
        dtype = dtype_of(type_, floating_dtype(self.owner))
        if path == LENGTHS and is_whole(type_):
            longest = self.sizes.get(counted_axis(self.contract), 1)
            # On the CPU: `pack_padded_sequence` requires it.
            return _of_class(self._integers(shape, 1, longest + 1, dtype), type_)
        if dtype == torch.bool:
            value = self._mask(shape, is_padding="padding" in path)
        elif dtype.is_floating_point or dtype.is_complex:
            value = self._numbers(shape, dtype)
        else:
            value = self._integers(shape, 0, self._upper_bound(path, type_), dtype)
        return _of_class(value.to(self.device), type_)

    def _numbers(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        if self.seed == 0:
            return torch.zeros(shape, dtype=dtype)
        # `randn` does not support all dtypes.
        wide = torch.complex64 if dtype.is_complex else torch.float32
        return torch.randn(shape, generator=self.generator, dtype=wide).to(dtype)

    def _integers(self, shape: tuple[int, ...], low: int, high: int, dtype: torch.dtype) -> Tensor:
        if self.seed == 0:
            return torch.full(shape, low, dtype=dtype)
        # `randint` draws int64 below an exclusive bound, which has to be an int64 itself.
        largest = torch.iinfo(dtype).max + (dtype != torch.int64)
        high = max(min(high, largest), low + 1)
        return torch.randint(low, high, shape, generator=self.generator).to(dtype)

    def _mask(self, shape: tuple[int, ...], *, is_padding: bool) -> Tensor:
        """Return booleans, both of them in each row; a row of one element is not padding."""
        mask = torch.rand(shape, generator=self.generator) < 0.5
        if shape and shape[-1] > 1:
            mask[..., 0], mask[..., -1] = True, False
        elif shape and shape[-1] == 1:
            mask[...] = not is_padding
        return mask

    def _upper_bound(self, path: str, type_: TensorType) -> int:
        """Return what the indices in a tensor must be below."""
        (name,) = re.findall(r"^\w+", path)
        bound = self.below.get(name)
        if isinstance(bound, str):
            bound = self.sizes.get(bound)  # None if the argument with this axis is left out
        if bound is not None:
            return bound
        bounds = list(self._label_sizes(type_)) or list(_vocabulary_sizes(self.owner))
        if not bounds and dtype_of(type_, torch.float32) == torch.uint8:
            return PIXELS
        return min(bounds, default=FEW)

    def _label_sizes(self, type_: TensorType) -> Iterator[int]:
        """Yield the sizes of the axes of classes or tokens in other tensors."""
        types = (t for argument in self.contract.inputs for t in tensors(argument.type))
        for axis in (axis for other in types if other is not type_ for axis in other.axes):
            if axis.name in LABEL_AXES or axis.label in LABEL_AXES:
                yield size_of(axis, self.sizes)


def _vocabulary_sizes(owner: object) -> Iterator[int]:
    """Yield the numbers of indices that the layers of a module accept."""
    for module in owner.modules() if isinstance(owner, nn.Module) else ():
        if isinstance(module, nn.Embedding | nn.EmbeddingBag):
            yield module.num_embeddings
        if isinstance(size := vars(module).get("vocab_size"), int):
            yield size


def _of_class(tensor: Tensor, type_: TensorType) -> Any:
    """Convert a tensor to the array class of a type."""
    array = type_.annotation.array_type
    if array in (Any, Tensor):
        return tensor
    if array is np.ndarray:
        return tensor.numpy()
    if array is nn.Parameter:
        return nn.Parameter(tensor, requires_grad=tensor.is_floating_point())
    raise ContractError(f"cannot make a {type_.array}")
