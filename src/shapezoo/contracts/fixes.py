"""Known fixes for common mistakes, proposed only where the fixed input would be accepted."""

from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor

Fix = tuple[str, str, Callable[[Tensor], Tensor]]
"""What is wrong, the code that mends it, and the same as a function of the tensor."""

_AS_IT_IS: Fix = ("", "{}", lambda x: x)
_LAYOUT: tuple[Fix, ...] = (
    _AS_IT_IS,
    ("it has no batch axis", "{}.unsqueeze(0)", lambda x: x.unsqueeze(0)),
    ("it has no channel axis", "{}.unsqueeze(1)", lambda x: x.unsqueeze(1)),
    ("it has no batch and no channel axis", "{}[None, None]", lambda x: x[None, None]),
    ("its channels stand last", "{}.permute(0, 3, 1, 2)", lambda x: x.permute(0, 3, 1, 2)),
    (
        "it is one image with its channels last",
        "{}.permute(2, 0, 1).unsqueeze(0)",
        lambda x: x.permute(2, 0, 1).unsqueeze(0),
    ),
    ("its first two axes are swapped", "{}.transpose(0, 1)", lambda x: x.transpose(0, 1)),
    ("its last two axes are swapped", "{}.transpose(-1, -2)", lambda x: x.transpose(-1, -2)),
    ("its last axis is one too many", "{}.squeeze(-1)", lambda x: x.squeeze(-1)),
    ("it is one-hot", "{}.argmax(-1)", lambda x: x.float().argmax(-1)),
)


def suggest(name: str, value: Tensor, fits: Callable[[Tensor], bool]) -> str | None:
    """A fix after which the value would be accepted, in words and code, if one is known.

    Args:
        name: The name of the argument.
        value: The tensor that was refused.
        fits: Whether a tensor in its place would be accepted. It gets tensors without data.
    """
    shadow = torch.empty(value.shape, dtype=value.dtype, device="meta")
    for layout, dtype in product(_LAYOUT, (_AS_IT_IS, *_dtype_fixes(value))):
        try:
            fixed = dtype[2](layout[2](shadow))
        except (RuntimeError, IndexError):  # no such axis
            continue
        if fits(fixed):
            reasons = " and ".join(fix[0] for fix in (layout, dtype) if fix[0])
            return f"{reasons}; use {dtype[1].format(layout[1].format(name))}"
    return None


def _dtype_fixes(value: Tensor) -> tuple[Fix, ...]:
    if value.dtype is torch.uint8:
        return (("it holds 8-bit pixels", "{}.float() / 255", lambda x: x.float()),)
    if value.is_floating_point():
        return (("it holds floats", "{}.long()", lambda x: x.long()),)
    return (
        ("it holds whole numbers", "{}.float()", lambda x: x.float()),
        (f"it is {value.dtype}".replace("torch.", ""), "{}.long()", lambda x: x.long()),
        ("it is no mask", "{}.bool()", lambda x: x.bool()),
    )
