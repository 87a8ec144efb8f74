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

from torch import Tensor, nn
from torch.nn import functional

from shapezoo.contracts import ShapeError
from shapezoo.train.steps import losses
from shapezoo.train.steps.combining import Rows, rows_of, why_not_combinable

Loss = Callable[[Any, Tensor], Tensor | tuple[Tensor, Tensor | float]]
"""Maps a model's output and the targets to the mean over all targets, as a scalar; or to a sum and
the weight to divide it by, such as the number of targets that count."""

_MEANS = (
    losses.auxiliary_cross_entropy,
    losses.binary_cross_entropy,
    losses.cross_entropy,
    losses.mean_squared_error,
)
_MEAN_MODULES = (  # over all elements of the targets
    *(nn.BCELoss, nn.BCEWithLogitsLoss, nn.HuberLoss, nn.L1Loss, nn.MSELoss),
    *(nn.PoissonNLLLoss, nn.SmoothL1Loss, nn.SoftMarginLoss),
)
_AS_MODULE = ((functional.cross_entropy, nn.CrossEntropyLoss), (functional.nll_loss, nn.NLLLoss))

_ADVICE = (
    "so the losses of several batches cannot be combined. Return (sum, weight), where weight is "
    "what to divide the sum by; or give nn.CrossEntropyLoss or nn.NLLLoss itself, which shapezoo "
    "splits"
)


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
        self._before: Rows | None = None
        self._is_known = self._cross_entropy or _is_mean(loss)

    def __call__(self, outputs: Any, targets: Tensor) -> BatchLoss:
        """Compute the loss of a batch.

        Raises:
            ValueError: The loss returns neither a scalar nor a sum and a weight.
        """
        weight: float = targets.numel()
        if self._cross_entropy:
            weight = _counted(self._cross_entropy, targets)
            if weight == 0:  # the mean would be NaN, and so would 0 times an infinite score
                nothing = 0 * outputs.nan_to_num(0, 0, 0).sum()
                return BatchLoss(nothing, 0, is_mean=False)
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
        """Return why the loss of this batch cannot be combined with others; None if it can.

        A loss of which nothing is known is computed again on rows of this batch and of the one
        before, apart and together: for a mean over all targets, the parts make up the whole.
        """
        if self._is_known or not result.is_mean:
            return None
        before, self._before = self._before, rows_of(outputs, targets)
        reason = why_not_combinable(self, before, self._before, result.value.dtype)
        return f"loss: {reason}, {_ADVICE}" if reason else None


def _scalar(name: str, value: object) -> Tensor:
    if isinstance(value, Tensor) and value.numel() == 1:
        return value
    came = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)
    raise ValueError(f"{name} must be a tensor with a single number, got {came}")


def _function(loss: Loss) -> Any:
    """The loss itself, or the function to which `functools.partial` adds keywords."""
    return loss.func if isinstance(loss, functools.partial) and not loss.args else loss


def _is_mean(loss: Loss) -> bool:
    """Whether a loss is known to be a mean over all elements of the targets."""
    if isinstance(loss, _MEAN_MODULES) and type(loss) in _MEAN_MODULES:
        return loss.reduction == "mean"
    return any(_function(loss) is mean for mean in _MEANS)


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
