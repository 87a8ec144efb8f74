"""Checking that the losses of batches combine: that a loss is a mean over all of its targets.

The check computes the loss of some rows apart and together. It needs outputs that can be cut into
the rows of the targets; a loss that cannot be checked is not trusted.
"""

import copy
import math
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor

# a mean over parts differs from the mean only by the order of its additions: relative, absolute
_TOLERANCE = {torch.float64: (1e-9, 1e-12), torch.float32: (1e-4, 1e-6)}
_TOLERANCE_OF_HALVES = (0.02, 1e-3)  # for bfloat16 and float16
_MOST = 2**20
"""Of how many numbers a loss is computed again: scores of words can fill a memory."""


class _Averaged(Protocol):
    @property
    def mean(self) -> Tensor: ...


def why_not_combinable(
    loss: Callable[[Any, Tensor], _Averaged],
    before: "Rows | None",
    rows: "Rows | None",
    dtype: torch.dtype,
) -> str | None:
    """Return why a loss is not known to be a mean over all targets; None if it seems to be one.

    Args:
        loss: The loss.
        before: Rows of the batch before; None at the first.
        rows: Rows of this batch; None if it cannot be cut into rows.
        dtype: The dtype of the loss.
    """
    if rows is None:
        return (
            "whether it is a mean over all targets cannot be checked, as not all outputs have an "
            "axis for the rows of the targets"
        )
    if before is None:  # then of this batch alone
        half = len(rows.targets) // 2
        before, rows = rows.cut(slice(half)), rows.cut(slice(half, None))
    if before.shapes != rows.shapes:
        return (
            "whether it is a mean over all targets cannot be checked, as the targets of the "
            f"batches have rows of shape {before.shapes[-1]} and {rows.shapes[-1]}"
        )
    if len(before.targets) == 0:
        return None
    if torch.is_autocast_enabled(rows.targets.device.type):
        dtype = torch.bfloat16
    for output in _tensors(rows.outputs):
        dtype = torch.bfloat16 if output.dtype in (torch.bfloat16, torch.float16) else dtype
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=()):
            return _difference(loss, before, rows, dtype)
    except Exception as error:  # whatever a loss raises for fewer rows
        return (
            "whether it is a mean over all targets cannot be checked, as on some rows of a batch "
            f"it raises {type(error).__name__}: {error}"
        )


def _difference(
    loss: Callable[[Any, Tensor], _Averaged], one: "Rows", other: "Rows", dtype: torch.dtype
) -> str | None:
    both = one.joined(other)
    whole, again, first, second = (
        loss(rows.outputs, rows.targets).mean.item() for rows in (both, both, one, other)
    )
    if not math.isfinite(whole):
        return None
    share = one.targets.numel() / both.targets.numel()
    combined = share * first + (1 - share) * second
    relative, absolute = _TOLERANCE.get(dtype, _TOLERANCE_OF_HALVES)
    if whole != again:  # one that draws at random differs from itself as well
        relative, absolute = 0.1, 10 * abs(whole - again)
    if abs(whole - combined) <= relative * max(abs(whole), abs(combined)) + absolute:
        return None
    return (
        f"it is {whole:.6g} for {both.targets.numel()} targets, but {combined:.6g} as the mean "
        "over two parts of them: it is not a mean over all targets"
    )


@dataclass(frozen=True, eq=False)
class Rows:
    """Some rows of a batch.

    Attributes:
        outputs: Those of the outputs of a model, without gradients.
        targets: Those of the targets.
    """

    outputs: Any
    targets: Tensor

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shape of a row of each output, and of the targets."""
        return [tuple(t.shape[1:]) for t in (*_tensors(self.outputs), self.targets)]

    def cut(self, rows: slice) -> "Rows":
        """Some of these rows."""
        return Rows(_mapped(lambda t: t[rows], self.outputs), self.targets[rows])

    def joined(self, other: "Rows") -> "Rows":
        """These rows, then others."""
        outputs = _mapped(lambda *pair: torch.cat(pair), self.outputs, other.outputs)
        return Rows(outputs, torch.cat([self.targets, other.targets]))


def rows_of(outputs: Any, targets: Tensor) -> Rows | None:
    """Rows of a batch, spread over it; None unless all outputs have as many as the targets."""
    tensors = [*_tensors(outputs), targets]
    if not all(t.ndim and len(t) == len(targets) for t in tensors):
        return None
    widest = max(t[:1].numel() for t in tensors)
    count = min(len(targets), max(2, _MOST // max(1, widest)))
    spread = torch.linspace(0, len(targets) - 1, count).round().long()

    def picked(tensor: Tensor) -> Tensor:
        return tensor.detach()[spread.to(tensor.device)]

    return Rows(_mapped(picked, outputs), picked(targets))


def _tensors(outputs: Any) -> Iterator[Tensor]:
    """The tensors in tuples, lists, dicts and dataclasses."""
    if isinstance(outputs, MutableMapping):
        outputs = tuple(outputs.values())
    elif is_dataclass(outputs) and not isinstance(outputs, type):
        outputs = tuple(getattr(outputs, field.name) for field in fields(outputs))
    if isinstance(outputs, tuple | list):
        for part in outputs:
            yield from _tensors(part)
    elif isinstance(outputs, Tensor):
        yield outputs


def _mapped(change: Callable[..., Tensor], outputs: Any, *others: Any) -> Any:
    """The same outputs with other tensors."""
    every = (outputs, *others)
    if isinstance(outputs, MutableMapping):
        twin = copy.copy(outputs)  # some have attributes too
        for key in outputs:
            twin[key] = _mapped(change, *(part[key] for part in every))
        return twin
    if is_dataclass(outputs) and not isinstance(outputs, type):
        names = [field.name for field in fields(outputs)]
        changed = {n: _mapped(change, *(getattr(part, n) for part in every)) for n in names}
        return replace(outputs, **changed)
    if isinstance(outputs, tuple | list):
        values = [_mapped(change, *parts) for parts in zip(*every, strict=True)]
        return type(outputs)(values) if type(outputs) in (tuple, list) else type(outputs)(*values)
    return change(*every) if isinstance(outputs, Tensor) else outputs
