"""The shape rule of scaled dot-product attention, and masks that are causal by their sizes."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from shapezoo.proving.rules.intervals import Size
from shapezoo.proving.rules.shape_rules import PRODUCT, common_shape, common_size, empty, require


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
        RuntimeError: The shapes do not fit.
    """
    inputs = (query, key, value)
    axes, dtypes = {x.dim() for x in inputs}, {x.dtype for x in inputs}
    if len(axes) > 1 or len(dtypes) > 1 or query.dim() < 3 or not query.is_floating_point():
        return NotImplemented
    if enable_gqa and query.dim() != 4:
        return NotImplemented
    batches = _grouped(inputs) if enable_gqa else [x.shape[:-2] for x in inputs]
    scores = (*common_shape(batches), query.shape[-2], key.shape[-2])
    if attn_mask is not None:
        if attn_mask.dtype not in (torch.bool, query.dtype) or attn_mask.dim() > len(scores):
            return NotImplemented
        # is_causal may be a symbol, which is asked here
        require(not is_causal, "Explicit attn_mask should not be set when is_causal=True")
        for size, whole in zip(reversed(attn_mask.shape), reversed(scores), strict=False):
            message = "the size of the mask, {}, does not fit {}"
            require(common_size(size, whole) == whole, message, size, whole)
    require(query.shape[-1] == key.shape[-1], PRODUCT, tuple(query.shape), tuple(key.shape))
    require(key.shape[-2] == value.shape[-2], PRODUCT, scores, tuple(value.shape))
    return empty(query, (*scores[:-1], value.shape[-1]))


def _grouped(inputs: Sequence[Tensor]) -> list[tuple[Size, ...]]:
    """Return the batches and heads, with as many heads of keys and values as of queries."""
    heads = inputs[0].shape[-3]
    for x in inputs[1:]:
        message = "Number of heads in key and value must divide the number of heads in query"
        require(heads % x.shape[-3] == 0, message)
    return [(x.shape[0], heads) for x in inputs]


ATTENTION = nn.functional.scaled_dot_product_attention
"""PyTorch's own function, which takes no symbol for ``is_causal``."""


def attention_of_symbols(*args: Any, **kwargs: Any) -> Any:
    """Call scaled dot-product attention; a question about sizes as ``is_causal`` is answered."""
    args = tuple(bool(arg) if isinstance(arg, torch.SymBool) else arg for arg in args)
    kwargs = {k: bool(arg) if isinstance(arg, torch.SymBool) else arg for k, arg in kwargs.items()}
    return ATTENTION(*args, **kwargs)


@contextlib.contextmanager
def plain_masks() -> Iterator[None]:
    """Let `nn.Transformer` take ``is_causal`` as it is given, and let sizes decide it elsewhere.

    `nn.Transformer` compares its mask with the causal one by value to choose a faster kernel. No
    shape depends on the answer, but the run would be undecided.
    """

    def is_causal_mask(mask: Any, is_causal: bool | None = None, size: Any = None) -> bool:
        return is_causal is True

    # the first is private: nn.Transformer has no option to skip the comparison
    with (
        patch.object(nn.modules.transformer, "_detect_is_causal_mask", is_causal_mask),
        patch.object(nn.functional, "scaled_dot_product_attention", attention_of_symbols),
    ):
        yield
