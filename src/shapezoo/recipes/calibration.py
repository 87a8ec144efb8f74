"""Temperature scaling: probabilities that are as high as the predictions are often correct.

Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, arXiv:1706.04599, section 4.2.
"""

import math

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import cross_entropy

from shapezoo.contracts import checked

_COOLEST, _HOTTEST = 0.05, 20.0
_HALVINGS = 40


@checked
def fit_temperature(
    logits: Float[Tensor, "batch classes"], labels: Int64[Tensor, "batch"]
) -> float:
    """Return the temperature for which the logits divided by it have the lowest cross-entropy.

    The accuracy stays the same, because all logits of an example are divided by the same number.

    Args:
        logits: The output of a classifier for examples that it was not trained on.
        labels: Their labels.

    Returns:
        A temperature from 0.05 to 20; 1 if a logit is not finite.
    """
    if not logits.isfinite().all():
        return 1.0
    scores = logits.double()
    # The cross-entropy is convex in the inverse of the temperature, so its slope has one zero.
    low, high = math.log(1 / _HOTTEST), math.log(1 / _COOLEST)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        inverse = torch.tensor(math.exp(middle), dtype=torch.float64, requires_grad=True)
        (slope,) = torch.autograd.grad(cross_entropy(inverse * scores, labels), inverse)
        low, high = (middle, high) if slope < 0 else (low, middle)
    return math.exp(-(low + high) / 2)
