"""Shape rules of attention."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from shapezoo.proving.rules.common import PRODUCT, Size, common_shape, common_size, empty, require


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: Any = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """Compute the shape of scaled dot-product attention.

    Raises:
        RuntimeError: The shapes do not go together.
    """
    parts = (query, key, value)
    axes, dtypes = {part.dim() for part in parts}, {part.dtype for part in parts}
    if len(axes) > 1 or len(dtypes) > 1 or query.dim() < 3 or not query.is_floating_point():
        return NotImplemented
    if enable_gqa and query.dim() != 4:
        return NotImplemented
    batches = _grouped(parts) if enable_gqa else [part.shape[:-2] for part in parts]
    scores = (*common_shape(batches), query.shape[-2], key.shape[-2])
    if attn_mask is not None:
        if attn_mask.dtype not in (torch.bool, query.dtype) or attn_mask.dim() > len(scores):
            return NotImplemented
        message = "Explicit attn_mask should not be set when is_causal=True"
        require(not is_causal, message)  # may be a symbol
        _require_mask(attn_mask.shape, scores)
    require(query.shape[-1] == key.shape[-1], PRODUCT, tuple(query.shape), tuple(key.shape))
    require(key.shape[-2] == value.shape[-2], PRODUCT, scores, tuple(value.shape))
    return empty(query, (*scores[:-1], value.shape[-1]))


def _grouped(parts: Sequence[Tensor]) -> list[tuple[Size, ...]]:
    """The batches and heads, with as many heads of keys and values as of queries."""
    heads = parts[0].shape[-3]
    for part in parts[1:]:
        message = "Number of heads in key and value must divide the number of heads in query"
        require(heads % part.shape[-3] == 0, message)
    return [(part.shape[0], heads) for part in parts]


def _require_mask(mask: Sequence[Size], scores: Sequence[Size]) -> None:
    for size, whole in zip(reversed(mask), reversed(scores), strict=False):
        message = "the size of the mask, {}, does not go with {}"
        require(common_size(size, whole) == whole, message, size, whole)


ATTENTION = nn.functional.scaled_dot_product_attention
"""torch's own function, which takes no symbol for ``is_causal``."""


def attention_of_symbols(*args: Any, **kwargs: Any) -> Any:
    """Call scaled dot-product attention with a question about sizes as ``is_causal``, answered."""
    args = tuple(bool(arg) if isinstance(arg, torch.SymBool) else arg for arg in args)
    kwargs = {k: bool(arg) if isinstance(arg, torch.SymBool) else arg for k, arg in kwargs.items()}
    return ATTENTION(*args, **kwargs)


@contextlib.contextmanager
def plain_masks() -> Iterator[None]:
    """Let transformers believe what they are told about a mask, and sizes say what is causal.

    They compare a mask with the causal one, and its data decide. What follows changes no shape.
    """

    def is_causal_mask(mask: Any, is_causal: bool | None = None, size: Any = None) -> bool:
        return is_causal is True

    name = "scaled_dot_product_attention"
    with (
        patch.object(nn.modules.transformer, "_detect_is_causal_mask", is_causal_mask),
        patch.object(nn.functional, name, attention_of_symbols),
    ):
        yield
