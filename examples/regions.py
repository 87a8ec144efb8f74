"""Prove a small model; draw its regions to each file named on the command line."""

import functools
import sys
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from shapezoo import Module, Proof, prove

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LARGEST = 20
COLOURS = {"holds": "Blues", "raises": "Oranges"}


class Patches(Module):
    """Embed 4x4 patches of a padded image, mix them by a 3x3 convolution, and average them."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, kernel_size=4, stride=4)
        self.mix = nn.Conv2d(8, 8, kernel_size=3)

    def forward(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch channels=8"]:
        """Return the mean over the mixed patches."""
        height, width = images.shape[2:]
        if height % 4 or width % 4:
            images = functional.pad(images, (0, -width % 4, 0, -height % 4))
        maps: Tensor = self.mix(self.patches(images)).mean((2, 3))
        return maps


@functools.cache
def proved() -> Proof:
    """Prove the model."""
    return prove(Patches().eval())


def region_of(proof: Proof, **sizes: int) -> int:
    """Return the index of the first region whose guards hold for these sizes."""
    names: dict[str, Any] = {"batch": 1, **sizes}
    matches = (all(eval(guard, {}, names) for guard in region.guards) for region in proof.regions)
    return list(matches).index(True)


def draw() -> "Figure":
    """Colour each image size by its region, with a dot at the smallest size of each region."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    proof = proved()
    picture = torch.ones(LARGEST, LARGEST, 4)
    for height in range(1, LARGEST + 1):
        for width in range(1, LARGEST + 1):
            number = region_of(proof, height=height, width=width)
            shade = 0.3 + 0.6 * number / len(proof.regions)
            colour = colormaps[COLOURS[proof.regions[number].outcome]](shade)
            picture[height - 1, width - 1] = torch.tensor(colour)
    figure = Figure(figsize=(4.2, 4.2), layout="constrained")
    axes = figure.subplots()
    edges = (0.5, LARGEST + 0.5)
    axes.imshow(picture.numpy(), origin="lower", extent=(*edges, *edges))
    smallest = [region.smallest for region in proof.regions if region.smallest]
    axes.plot([s["width"] for s in smallest], [s["height"] for s in smallest], "o", color="black")
    axes.set(xlabel="width", ylabel="height", xticks=range(4, 21, 4), yticks=range(4, 21, 4))
    axes.set_title("blue: the contract holds; orange: the call raises", fontsize=10)
    return figure


def main() -> None:
    """Print the regions; draw them to each file named on the command line."""
    proof = proved()
    print(proof)
    for region in proof.regions:
        print(f"{region.outcome:7} from {dict(region.smallest or {})}: {region.error}")
    for path in sys.argv[1:]:
        draw().savefig(path)


if __name__ == "__main__":
    main()
