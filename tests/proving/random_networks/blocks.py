"""Modules with parts, to be stacked: each of them asks whether it has to pad."""

from torch import Tensor, nn
from torch.nn import functional


class Windows(nn.Module):
    """Pads to whole windows, mixes each window, and optionally removes the padding."""

    def __init__(self, window: int, *, crops: bool = True) -> None:
        super().__init__()
        self.window, self.crops = window, crops
        self.mix = nn.Sequential(nn.Linear(4, 4), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        length, rest = x.shape[1], x.shape[1] % self.window
        if rest:
            x = functional.pad(x, (0, 0, 0, self.window - rest))
        parts = self.mix(x.view(x.shape[0], -1, self.window, 4))
        x = parts.view(x.shape[0], -1, 4)
        return x[:, :length].contiguous() if self.crops else x


class Halved(nn.Module):
    """Pads to an even length, and adds each pair of neighbours."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Sequential(nn.Linear(4, 4))

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[1] % 2 == 1:
            x = functional.pad(x, (0, 0, 0, 1))
        mixed: Tensor = self.mix(x[:, ::2] + x[:, 1::2])
        return mixed
