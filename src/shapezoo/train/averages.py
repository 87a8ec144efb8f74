"""How the losses of several batches add up to the loss of all their targets.

A mean over all targets can be put together from the means of parts, each weighted by its number of
targets. A mean over *some* of them (labels to ignore), a weighted mean (class weights) and a sum
cannot: such a loss returns its sum and the weight to divide it by. PyTorch's own cross-entropies
are split here; any other loss that returns a single number is checked where batches are combined.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from shapezoo.contracts import ShapeError
from shapezoo.train import losses

Loss = Callable[[Any, Tensor], Tensor | tuple[Tensor, Tensor | float]]
"""Maps a model's output and the targets to the mean over all targets, as a scalar; or to a sum and
the weight to divide it by, such as the number of targets that count."""

_MEANS = (
    losses.auxiliary_cross_entropy,
    losses.binary_cross_entropy,
    losses.cross_entropy,
    losses.mean_squared_error,
)
_AS_MODULE = ((functional.cross_entropy, nn.CrossEntropyLoss), (functional.nll_loss, nn.NLLLoss))
# a mean over halves differs from the mean only by the order of its additions
_TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4}
_TOLERANCE_OF_HALVES = 0.02  # for bfloat16 and float16


@dataclass(frozen=True, eq=False)
class BatchLoss:
    """The loss of one batch, and what it takes to combine it with those of others.

    Attributes:
        value: The mean, or the sum.
        weight: What the sum is divided by.
        is_mean: Whether `value` is the mean.
    """

    value: Tensor
    weight: float
    is_mean: bool

    @property
    def mean(self) -> Tensor:
        """The mean; 0 where no target counts."""
        return self.value if self.is_mean else self.value / (self.weight or 1)

    @property
    def total(self) -> float:
        """The sum."""
        return self.value.item() * (self.weight if self.is_mean else 1)

    def over(self, count: float) -> Tensor:
        """The sum, divided by a number that several batches share."""
        factor = (self.weight if self.is_mean else 1) / count
        return self.value if factor == 1 else self.value * factor


class BatchLosses:
    """Computes a loss batch by batch, such that the results can be combined.

    Args:
        loss: The loss.
    """

    def __init__(self, loss: Loss) -> None:
        self._loss = loss
        self._cross_entropy = _as_cross_entropy(loss)
        self._before: list[Tensor] | None = None
        self._is_known = self._cross_entropy or any(_function(loss) is mean for mean in _MEANS)

    def __call__(self, outputs: Any, targets: Tensor) -> BatchLoss:
        """Compute the loss of a batch.

        Raises:
            ValueError: The loss returns neither a scalar nor a sum and a weight.
        """
        weight: float = targets.numel()
        if self._cross_entropy:
            weight = _counted(self._cross_entropy, targets)
            if weight == 0:  # the mean would be NaN, and with it all gradients
                return BatchLoss(0 * outputs.sum(), 0, is_mean=False)
        try:
            result = self._loss(outputs, targets)
        except ShapeError as error:
            if self._loss is losses.cross_entropy:
                error.add_note(
                    "note: this is the default of loss; for scores with the classes in axis 1, "
                    "such as those of pixels, pass loss=nn.CrossEntropyLoss()"
                )
            raise
        except IndexError as error:
            if self._cross_entropy and targets.numel():
                error.add_note(
                    f"note: the targets have labels from {targets.min()} to {targets.max()}; build "
                    "the model for all of them, as with num_classes, or let the loss ignore one "
                    "with ignore_index"
                )
            raise
        if not isinstance(result, tuple):
            return BatchLoss(_scalar("loss", result), weight, is_mean=True)
        if len(result) != 2:
            raise ValueError(f"loss returned {len(result)} values; return a mean, or (sum, weight)")
        total, weight = _scalar("the sum of loss", result[0]), float(result[1])
        if not 0 <= weight < math.inf:
            raise ValueError(f"the weight of loss must be finite and not negative, got {weight}")
        return BatchLoss(total, weight, is_mean=False)

    def obstacle(self, result: BatchLoss, outputs: Any, targets: Tensor) -> str | None:
        """Return why the losses of batches cannot be combined, if this batch shows it.

        A loss of which nothing is known is computed again on rows of this batch and of the one
        before, apart and together: for a mean over all targets, the parts make up the whole.
        Outputs that cannot be cut into the rows of the targets leave the loss unchecked.
        """
        if self._is_known or not result.is_mean or not (rows := _rows(outputs, targets)):
            return None
        before, self._before = self._before, rows
        if before is None or [t.shape[1:] for t in before] != [t.shape[1:] for t in rows]:
            half = len(rows[-1]) // 2
            before, rows = [t[:half] for t in rows], [t[half:] for t in rows]
        if len(before[-1]) == 0:
            return None

        def mean(tensors: list[Tensor]) -> float:
            *parts, labels = tensors
            return self(parts[0] if isinstance(outputs, Tensor) else (*parts,), labels).mean.item()

        together = [torch.cat(pair) for pair in zip(before, rows, strict=True)]
        share = before[-1].numel() / together[-1].numel()
        with torch.no_grad():
            whole, combined = mean(together), share * mean(before) + (1 - share) * mean(rows)
        tolerance = _TOLERANCE.get(result.value.dtype, _TOLERANCE_OF_HALVES) * max(1, abs(whole))
        if not math.isfinite(whole) or abs(whole - combined) <= tolerance:
            return None
        return (
            f"loss: it is {whole:.6g} for {together[-1].numel()} targets, but {combined:.6g} as "
            "the mean over two parts of them: it is not a mean over all targets, so the losses of "
            "several batches cannot be combined. Return (sum, weight), where weight is what to "
            "divide the sum by; or give nn.CrossEntropyLoss or nn.NLLLoss itself, which shapezoo "
            "splits"
        )


def _scalar(name: str, value: object) -> Tensor:
    if isinstance(value, Tensor) and value.numel() == 1:
        return value
    came = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)
    raise ValueError(f"{name} must be a tensor with a single number, got {came}")


def _rows(outputs: Any, targets: Tensor) -> list[Tensor]:
    """The first rows of outputs, and of the targets; none unless all have as many rows.

    At least one, and not more than hold a million numbers: scores of words can fill a memory.
    """
    tensors = [*outputs, targets] if isinstance(outputs, tuple) else [outputs, targets]
    if not all(isinstance(t, Tensor) and t.ndim and len(t) == len(targets) for t in tensors):
        return []
    widest = max(t[:1].numel() for t in tensors)
    return [t.detach()[: max(1, 2**20 // max(1, widest))] for t in tensors]


def _function(loss: Loss) -> Any:
    """The loss itself, or the function to which `functools.partial` adds keywords."""
    return loss.func if isinstance(loss, functools.partial) and not loss.args else loss


def _as_cross_entropy(loss: Loss) -> nn.CrossEntropyLoss | nn.NLLLoss | None:
    """The module that computes the same, if the loss is a mean cross-entropy of PyTorch."""
    module: Any = loss
    for function, kind in _AS_MODULE:
        if _function(loss) is function:
            module = kind(**loss.keywords) if isinstance(loss, functools.partial) else kind()
    is_mean = type(module) in (nn.CrossEntropyLoss, nn.NLLLoss) and module.reduction == "mean"
    return module if is_mean else None


def _counted(loss: nn.CrossEntropyLoss | nn.NLLLoss, targets: Tensor) -> float:
    """What PyTorch divides the sum by."""
    if targets.is_floating_point():  # probabilities of the classes, along axis 1
        return targets.numel() / targets.shape[min(1, targets.ndim - 1)]
    counted = targets[targets != loss.ignore_index]
    return float(counted.numel() if loss.weight is None else loss.weight[counted].sum())
