"""Train on the accelerator of this machine, or on the CPU if there is none."""

import sys

import torch

from shapezoo.data import digits
from shapezoo.models import lenet
from shapezoo.train import choose_device, choose_optimizer, evaluate, init, train_step


def main(name: str = "auto") -> None:
    """Train LeNet for two epochs on a device."""
    torch.manual_seed(0)
    device = choose_device(name)
    data, model = digits(), lenet()
    make_optimizer = choose_optimizer("adam", lr=0.002)
    state = init(model, make_optimizer, device=device)
    generator = torch.Generator().manual_seed(0)
    for _ in range(2):
        for batch in data.train.batches(32, generator):
            state, _ = train_step(model, make_optimizer, state, batch)
    metrics = evaluate(model, state, data.test.batches(128))
    print(f"on {device}: {metrics.accuracy:.1%} of {metrics.examples} test digits right")


if __name__ == "__main__":
    main(*sys.argv[1:])
