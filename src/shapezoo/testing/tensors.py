"""Numbers for tensors, from the names of their axes and arguments."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from shapezoo._modules import floating_dtype
from shapezoo.contracts import ContractError, Signature, TensorType
from shapezoo.contracts.examples.arguments import LENGTHS, counted_axis, dtype_of, is_whole, size_of
from shapezoo.contracts.language.types import tensors
from shapezoo.contracts.language.vocabulary import LABEL_AXES
from shapezoo.testing.calls import owner_of

"""Axes whose size tells how many different indices there are."""

PIXELS = 256
"""How many different values there are in 8 bits."""

FEW = 2
"""How many different indices there are where nothing is known."""


class Values:
    """Makes the tensors of a call; as `inputs` describes them.

    Args:
        function: What is called.
        contract: The contract, which leaves no choice but sizes.
        sizes: The sizes of axes, and the values of parts in braces.
        below: What the whole numbers of an argument are below, by its name; an axis for its size.
        seed: Where the random numbers begin; 0 for the simplest values.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        contract: Signature,
        sizes: Mapping[str, int],
        below: Mapping[str, int | str],
        seed: int,
    ) -> None:
        self.contract = contract
        self.sizes = sizes
        self.below = below
        self.owner = owner_of(function)
        self.is_simple = seed == 0
        self.generator = torch.Generator().manual_seed(seed)
        owner = self.owner
        held = [*owner.parameters(), *owner.buffers()] if isinstance(owner, nn.Module) else []
        self.device = held[0].device if held else torch.device("cpu")

    def __call__(self, path: str, kind: TensorType, shape: tuple[int, ...]) -> Any:
        """A tensor of this shape.

        Args:
            path: Where it stands, as an error names it.
            kind: Its type.
            shape: Its shape.
        """
        dtype = dtype_of(kind, floating_dtype(self.owner))
        if path == LENGTHS and is_whole(kind):
            longest = self.sizes.get(counted_axis(self.contract), 1)
            lengths = self._whole(shape, 1, longest + 1, dtype)
            return _of_class(lengths, kind)  # on the CPU, where torch wants it
        if dtype == torch.bool:
            value = self._mask(shape, is_padding="padding" in path)
        elif dtype.is_floating_point or dtype.is_complex:
            value = self._numbers(shape, dtype)
        else:
            value = self._whole(shape, 0, self._limit(path, kind), dtype)
        return _of_class(value.to(self.device), kind)

    def _numbers(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        if self.is_simple:
            return torch.zeros(shape, dtype=dtype)
        wide = torch.complex64 if dtype.is_complex else torch.float32
        return torch.randn(shape, generator=self.generator, dtype=wide).to(dtype)

    def _whole(self, shape: tuple[int, ...], low: int, high: int, dtype: torch.dtype) -> Tensor:
        if self.is_simple:
            return torch.full(shape, low, dtype=dtype)
        most = torch.iinfo(dtype).max  # is reached, but for int64, of which randint has no more
        high = max(min(high, most + (dtype != torch.int64)), low + 1)
        return torch.randint(low, high, shape, generator=self.generator).to(dtype)

    def _mask(self, shape: tuple[int, ...], *, is_padding: bool) -> Tensor:
        """Booleans, both of them in each row; where there is one only, it is no padding."""
        mask = torch.rand(shape, generator=self.generator) < 0.5
        if shape and shape[-1] > 1:
            mask[..., 0], mask[..., -1] = True, False
        elif shape and shape[-1] == 1:
            mask[...] = not is_padding
        return mask

    def _limit(self, path: str, kind: TensorType) -> int:
        """What the indices in a tensor are below."""
        (name,) = re.findall(r"^\w+", path)
        limit = self.below.get(name)
        if isinstance(limit, str):
            limit = self.sizes.get(limit)  # its argument may have been left out
        if limit is not None:
            return limit
        known = list(self._counts(kind)) or list(_vocabularies(self.owner))
        if not known and dtype_of(kind, torch.float32) == torch.uint8:
            return PIXELS
        return min(known, default=FEW)

    def _counts(self, kind: TensorType) -> Iterator[int]:
        """The sizes of axes of classes in other tensors."""
        kinds = (other for argument in self.contract.inputs for other in tensors(argument.type))
        for axis in (axis for other in kinds if other is not kind for axis in other.axes):
            if axis.name in LABEL_AXES or axis.label in LABEL_AXES:
                yield size_of(axis, self.sizes)


def _vocabularies(owner: object) -> Iterator[int]:
    """How many different indices the layers of a module take."""
    for module in owner.modules() if isinstance(owner, nn.Module) else ():
        if isinstance(module, nn.Embedding | nn.EmbeddingBag):
            yield module.num_embeddings
        if isinstance(size := vars(module).get("vocab_size"), int):
            yield size


def _of_class(tensor: Tensor, kind: TensorType) -> Any:
    """A tensor as an object of the class that a type names."""
    array = kind.annotation.array_type
    if array in (Any, Tensor):
        return tensor
    if array is np.ndarray:
        return tensor.numpy()
    if array is nn.Parameter:
        return nn.Parameter(tensor, requires_grad=tensor.is_floating_point())
    raise ContractError(f"cannot make a {kind.array}")
