"""Step a cell through time, and measure how far back RNN, LSTM and GRU remember."""

import torch
from torch import Tensor, nn

from shapezoo import Module, scan
from shapezoo.models import gru, lstm, rnn


def main() -> None:
    """Compare the loop over a cell with `rnn`, then the three networks with one another."""
    torch.manual_seed(0)
    sequences = torch.randn(3, 1, 4)
    network = rnn()
    outputs, _ = network(sequences)

    cell = nn.RNNCell(4, 2)
    weights = network.rnn.state_dict()
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in weights.items()})

    def step(state: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        after = cell(x, state)
        print("  " + "  ".join(f"{value:.4f}" for value in after.flatten()))
        return after, after

    print("the states of a cell that is stepped through time:")
    _, states = scan(step, torch.zeros(1, 2), sequences)
    print(f"the outputs of a whole network are the same: {torch.allclose(outputs, states)}")

    print("how much the last output depends on earlier inputs, compared to the last input:")
    print("network   parameters   10 before   20 before   40 before")
    for build in (rnn, gru, lstm):
        model = build(input_size=8, hidden_size=32)
        last, *earlier = influence(model, [0, 10, 20, 40])
        count = sum(parameter.numel() for parameter in model.parameters())
        shares = "       ".join(f"{value / last:.0e}" for value in earlier)
        print(f"{build.__name__:10}{count:<13,}{shares}")


def influence(model: Module, distances: list[int]) -> list[float]:
    """Return how strongly the last output depends on the inputs at these distances from the end."""
    inputs = torch.randn(50, 16, 8, requires_grad=True)
    outputs, _ = model(inputs)
    (gradient,) = torch.autograd.grad(outputs[-1].sum(), inputs)
    return [gradient[-1 - distance].norm().item() for distance in distances]


if __name__ == "__main__":
    main()
