"""Combining the losses of several batches into the loss over all of their targets.

The mean over all targets follows from the means of parts, weighted by their numbers of targets. A
mean over *some* targets (labels to ignore), a weighted mean (class weights) or a sum does not: such
a loss returns its sum and the weight to divide it by. PyTorch's cross-entropies are converted into
this form here. Any other loss that returns a single number is assumed to be a mean over all
targets, which `mean_check` tests whenever batches are combined.
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
from shapezoo.train.steps.mean_check import Rows, sample_rows, why_not_a_mean

Loss = Callable[[Any, Tensor], Tensor | tuple[Tensor, Tensor | float]]
"""Maps a model's output and the targets to the mean over all targets, as a scalar; or to a sum and
the weight to divide it by, such as the number of targets that count."""

_CrossEntropy = nn.CrossEntropyLoss | nn.NLLLoss

_MEANS = (
    losses.auxiliary_cross_entropy,
    losses.binary_cross_entropy,
    losses.cross_entropy,
    losses.mean_squared_error,
)
# with reduction="mean", over all elements of the targets
_MEAN_MODULES = (
    *(nn.BCELoss, nn.BCEWithLogitsLoss, nn.HuberLoss, nn.L1Loss, nn.MSELoss),
    *(nn.PoissonNLLLoss, nn.SmoothL1Loss, nn.SoftMarginLoss),
)
_MODULES = ((functional.cross_entropy, nn.CrossEntropyLoss), (functional.nll_loss, nn.NLLLoss))

_ADVICE = (
    "so the losses of several batches cannot be combined. Return (sum, weight), where weight is "
    "what to divide the sum by; or pass nn.CrossEntropyLoss or nn.NLLLoss itself, which shapezoo "
    "can combine"
)


@dataclass(frozen=True, eq=False)
class BatchLoss:
    """The loss of one batch, in a form that can be combined with those of others.

    Attributes:
        value: The mean or the sum.
        weight: The weight to divide the sum by.
        is_mean: Whether `value` is the mean.
    """

    value: Tensor
    weight: float
    is_mean: bool

    @property
    def mean(self) -> Tensor:
        """The mean; 0 if no target counts."""
        return self.value if self.is_mean else self.value / (self.weight or 1)

    @property
    def total(self) -> float:
        """The sum."""
        return self.value.item() * (self.weight if self.is_mean else 1)

    def over(self, count: float) -> Tensor:
        """Return the sum divided by the number of targets of several batches."""
        factor = (self.weight if self.is_mean else 1) / count
        # not multiplied by 1, so that a single batch gets the bits and the graph of ordinary code
        return self.value if factor == 1 else self.value * factor


class BatchLosses:
    """Computes a loss batch by batch in a form that can be combined.

    Args:
        loss: The loss.
    """

    def __init__(self, loss: Loss) -> None:
        self._loss = loss
        self._cross_entropy = _as_cross_entropy(loss)
        self._needs_check = not (self._cross_entropy or _is_mean(loss))
        self._last_rows: Rows | None = None

    def __call__(self, outputs: Any, targets: Tensor) -> BatchLoss:
        """Compute the loss of a batch.

        Raises:
            ValueError: The loss returns neither a scalar nor a sum and a weight.
        """
        weight: float = targets.numel()
        if self._cross_entropy:
            weight = _weight_of(self._cross_entropy, targets)
            if weight == 0:
                # PyTorch's mean would be NaN; a zero that depends on the outputs has gradients of
                # zero. 0 times an infinite score would be NaN too.
                zero = 0 * outputs.nan_to_num(0, 0, 0).sum()
                return BatchLoss(zero, 0, is_mean=False)
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

        An unknown loss is computed again on rows of this batch and of the last one, separately and
        together, and the results are compared.
        """
        if not self._needs_check or not result.is_mean:
            return None
        last, self._last_rows = self._last_rows, sample_rows(outputs, targets)
        reason = why_not_a_mean(self, last, self._last_rows, result.value.dtype)
        return f"loss: {reason}, {_ADVICE}" if reason else None


def _scalar(name: str, value: object) -> Tensor:
    if isinstance(value, Tensor) and value.numel() == 1:
        return value
    got = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)
    raise ValueError(f"{name} must be a tensor with a single number, got {got}")


def _function(loss: Loss) -> Any:
    """Return the loss, or the function to which a `functools.partial` adds keyword arguments."""
    return loss.func if isinstance(loss, functools.partial) and not loss.args else loss


def _is_mean(loss: Loss) -> bool:
    """Whether a loss is known to be a mean over all elements of the targets."""
    if isinstance(loss, _MEAN_MODULES) and type(loss) in _MEAN_MODULES:
        return loss.reduction == "mean"
    return any(_function(loss) is mean for mean in _MEANS)


def _as_cross_entropy(loss: Loss) -> _CrossEntropy | None:
    """Return the equivalent module if the loss is a mean cross-entropy of PyTorch, or None."""
    module: Any = loss
    for function, class_ in _MODULES:
        if _function(loss) is function:
            module = class_(**loss.keywords) if isinstance(loss, functools.partial) else class_()
    is_mean = type(module) in (nn.CrossEntropyLoss, nn.NLLLoss) and module.reduction == "mean"
    return module if is_mean else None


def _weight_of(loss: _CrossEntropy, targets: Tensor) -> float:
    """Return the number by which PyTorch divides the sum of a cross-entropy."""
    if targets.is_floating_point():  # probabilities of the classes, along axis 1
        return targets.numel() / targets.shape[min(1, targets.ndim - 1)]
    counted = targets[targets != loss.ignore_index]
    return float(counted.numel() if loss.weight is None else loss.weight[counted].sum())
