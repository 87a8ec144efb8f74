"""Fit y = w x by hand, one example at a time: forward, loss, gradient, step."""

import torch
from jaxtyping import Float
from torch import Tensor

from shapezoo import checked

EXAMPLES = ((1.0, 2.0), (2.0, 4.0), (3.0, 6.0))


@checked
def forward(w: Float[Tensor, ""], x: float) -> Float[Tensor, ""]:
    """Return the prediction of the model."""
    return w * x


@checked
def loss(w: Float[Tensor, ""], x: float, y: float) -> Float[Tensor, ""]:
    """Return the squared error."""
    return (forward(w, x) - y) ** 2


@checked
def gradient(w: Float[Tensor, ""], x: float, y: float) -> Float[Tensor, ""]:
    """Return the derivative of the loss with respect to w, derived on paper."""
    return 2 * x * (forward(w, x) - y)


def main() -> None:
    """Train for a hundred epochs; check PyTorch's gradient against the one derived on paper."""
    w = torch.tensor(1.0, requires_grad=True)
    print(f"before training, at x = 4, y = {forward(w, 4.0).item():.3f}")
    for epoch in range(1, 101):
        for x, y in EXAMPLES:
            value = loss(w, x, y)
            (computed,) = torch.autograd.grad(value, w)
            torch.testing.assert_close(computed, gradient(w.detach(), x, y))
            w = (w - 0.01 * computed).detach().requires_grad_()
        if epoch % 10 == 0:
            print(f"epoch {epoch:3}  w {w.item():.6f}  loss of the last example {value.item():.1e}")
    print(f"after training, at x = 4, y = {forward(w, 4.0).item():.3f}")


if __name__ == "__main__":
    main()
