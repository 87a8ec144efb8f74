"""Testing whether a loss is a mean over all of its targets, so that losses of batches combine.

The test computes the loss of two parts of some rows and of the rows together: for a mean, the
weighted mean of the parts is that of the whole. It needs outputs with the same first axis as the
targets. A loss that cannot be tested is rejected.
"""

import copy
import math
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from shapezoo._containers import shapes_of, tensors_of

_UNCHECKED = "whether it is a mean over all targets cannot be checked, as"

_HALF = (torch.bfloat16, torch.float16)
# relative and absolute; a weighted mean of means differs only by the order of the additions
_TOLERANCES = {torch.float64: (1e-9, 1e-12), torch.float32: (1e-4, 1e-6)}
_TOLERANCES_OF_HALF = (0.02, 1e-3)
_MAX_ELEMENTS = 2**20  # the logits of a language model can be too large to compute a loss twice


class _HasMean(Protocol):
    @property
    def mean(self) -> Tensor: ...


def why_not_a_mean(
    loss: Callable[[Any, Tensor], _HasMean],
    last: "Rows | None",
    rows: "Rows | None",
    dtype: torch.dtype,
) -> str | None:
    """Return why a loss is not a mean over all targets, or cannot be tested; None if it is one.

    Args:
        loss: The loss.
        last: Rows of the previous batch; None for the first.
        rows: Rows of this batch; None if it cannot be split into rows.
        dtype: The dtype of the loss.
    """
    if rows is None:
        return f"{_UNCHECKED} not all outputs have an axis for the rows of the targets"
    if last is None:
        half = len(rows.targets) // 2
        last, rows = rows.part(slice(half)), rows.part(slice(half, None))
    if last.shapes != rows.shapes:
        shapes = f"{last.shapes[-1]} and {rows.shapes[-1]}"
        return f"{_UNCHECKED} the targets of the batches have rows of shape {shapes}"
    if len(last.targets) == 0:
        return None
    # a float32 loss of outputs in half precision is only as exact as these
    is_half = torch.is_autocast_enabled(rows.targets.device.type) or any(
        output.dtype in _HALF for output in tensors_of(rows.outputs)
    )
    tolerances = None if is_half else _TOLERANCES.get(dtype)
    try:
        # forked, or a loss that draws random numbers would advance the generator of the training
        with torch.no_grad(), torch.random.fork_rng(devices=()):
            return _difference(loss, last, rows, tolerances or _TOLERANCES_OF_HALF)
    except Exception as error:  # a loss may need whole batches, and raise anything for some rows
        reason = f"{type(error).__name__}: {error}"
        return f"{_UNCHECKED} on some rows of a batch it raises {reason}"


def _difference(
    loss: Callable[[Any, Tensor], _HasMean],
    first: "Rows",
    second: "Rows",
    tolerances: tuple[float, float],
) -> str | None:
    both = first.concatenated(second)
    whole, again, of_first, of_second = (
        loss(rows.outputs, rows.targets).mean.item() for rows in (both, both, first, second)
    )
    if not math.isfinite(whole):
        return None
    share = first.targets.numel() / both.targets.numel()
    combined = share * of_first + (1 - share) * of_second
    relative, absolute = tolerances
    if whole != again:  # a loss that draws random numbers differs from itself too
        relative, absolute = 0.1, 10 * abs(whole - again)
    if abs(whole - combined) <= relative * max(abs(whole), abs(combined)) + absolute:
        return None
    return (
        f"it is {whole:.6g} for {both.targets.numel()} targets, but {combined:.6g} as the mean "
        "over two parts of them: it is not a mean over all targets"
    )


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of a batch.

    Attributes:
        outputs: The rows of a model's outputs, detached.
        targets: The rows of the targets.
    """

    outputs: Any
    targets: Tensor

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shape of a row of each output, and of the targets."""
        return [shape[1:] for shape in shapes_of((self.outputs, self.targets))]

    def part(self, rows: slice) -> "Rows":
        """Return some of these rows."""
        return Rows(_mapped(lambda t: t[rows], self.outputs), self.targets[rows])

    def concatenated(self, other: "Rows") -> "Rows":
        """Return these rows followed by others."""
        outputs = _mapped(lambda *pair: torch.cat(pair), self.outputs, other.outputs)
        return Rows(outputs, torch.cat([self.targets, other.targets]))


def sample_rows(outputs: Any, targets: Tensor) -> Rows | None:
    """Return rows of a batch, evenly spaced; None unless all outputs have as many as the targets.

    Evenly spaced, because batches may be sorted, such as by length with the padding at the end.
    """
    tensors = list(tensors_of((outputs, targets)))
    if not all(t.ndim and len(t) == len(targets) for t in tensors):
        return None
    widest = max(t[:1].numel() for t in tensors)
    count = min(len(targets), max(2, _MAX_ELEMENTS // max(1, widest)))
    indices = torch.linspace(0, len(targets) - 1, count).round().long()

    def sampled(tensor: Tensor) -> Tensor:
        return tensor.detach()[indices.to(tensor.device)]

    return Rows(_mapped(sampled, outputs), sampled(targets))


def _mapped(change: Callable[..., Tensor], outputs: Any, *others: Any) -> Any:
    """Return outputs of the same structure, with a function applied to each tensor.

    `torch.utils._pytree` is private, and takes no dataclasses that are not registered with it.
    """
    every = (outputs, *others)
    if isinstance(outputs, MutableMapping):
        mapped = copy.copy(outputs)  # keeps the attributes of subclasses
        for key in outputs:
            mapped[key] = _mapped(change, *(part[key] for part in every))
        return mapped
    if is_dataclass(outputs) and not isinstance(outputs, type):
        names = [field.name for field in fields(outputs)]
        changed = {n: _mapped(change, *(getattr(part, n) for part in every)) for n in names}
        return replace(outputs, **changed)
    if isinstance(outputs, tuple | list):
        values = [_mapped(change, *parts) for parts in zip(*every, strict=True)]
        return type(outputs)(values) if type(outputs) in (tuple, list) else type(outputs)(*values)
    return change(*every) if isinstance(outputs, Tensor) else outputs
