"""Compare the cost of models of the zoo, with contracts on, with torchvision's models.

Run `python benchmarks/zoo.py [NAMES]`; by default it compares the smallest model of each paper.
"""

import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import torch
import torchvision
from timing import times
from torch import Tensor, nn

from shapezoo import create_model, list_models, model_info
from shapezoo._containers import tensors_of
from shapezoo.verdicts import Mode

BATCHES = (1, 8)


def smallest_of_each_paper() -> list[str]:
    """Return the names of the models with published weights and the fewest parameters."""
    infos = sorted(map(model_info, list_models(published=True)), key=lambda i: -i.parameters)
    return sorted({info.paper: info.name for info in infos}.values())


def build(kind: str, name: str) -> nn.Module:
    """Build the model of the zoo (`ours`), or the one of torchvision."""
    if kind == "ours":
        return create_model(name)
    extra = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    model: nn.Module = torchvision.models.get_model(name, **extra)
    return model


def images(name: str, batch: int) -> Tensor:
    """Return random images of the size that the default weights expect."""
    (size,) = {weights.image_size for weights in model_info(name).weights if weights.is_default}
    return torch.randn(batch, 3, size, size)


def fits(name: str, mode: Mode, batch: int) -> bool:
    """Whether the model accepts a batch of this size."""
    height, width = images(name, 1).shape[2:]
    conditions = model_info(name).verdicts[mode].preconditions
    return all(c.holds({"batch": batch, "height": height, "width": width}) for c in conditions)


def forward(model: nn.Module, x: Tensor) -> Callable[[], object]:
    """Return a forward pass in eval mode."""
    model.eval()

    def run() -> object:
        with torch.no_grad():
            return model(x)

    return run


def step(model: nn.Module, x: Tensor) -> Callable[[], object]:
    """Return an in-place training step with SGD."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    model.train()

    def run() -> None:
        optimizer.zero_grad()
        torch.stack([output.mean() for output in tensors_of(model(x))]).sum().backward()
        optimizer.step()

    return run


def compare(name: str, run: Callable[[nn.Module, Tensor], Callable[[], object]], batch: int) -> str:
    """Return torchvision's time, and the ratios to it of a second run (noise) and of the zoo."""
    x = images(name, batch)
    kinds = {"theirs": "theirs", "again": "theirs", "ours": "ours"}
    cases = {}
    for case, kind in kinds.items():
        torch.manual_seed(0)
        cases[case] = run(build(kind, name), x)
    rounds = 7 if batch > 1 else 15
    seconds = times(cases, rounds=rounds, warm_up=2)
    ratios = [
        median(b / a for a, b in zip(seconds["theirs"], seconds[case], strict=True))
        for case in ("again", "ours")
    ]
    base = median(seconds["theirs"]) * 1e3
    return f"{base:.0f} ms, {ratios[0]:.3f}, **{ratios[1]:.3f}**"


def peak(kind: str, name: str, batch: int) -> None:
    """Print the peak memory of two training steps, in bytes; call this in a new process."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    run = step(build(kind, name), images(name, batch))
    for _ in range(2):
        run()
    status = Path("/proc/self/status").read_text()
    print(1024 * int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]))


def memory(name: str, batch: int) -> str:
    """Return torchvision's peak memory in training, and the ratio of the zoo's to it."""
    found = []
    for kind in ("theirs", "ours"):
        command = [sys.executable, __file__, "peak", kind, name, str(batch)]
        found.append(int(subprocess.check_output(command)))
    return f"{found[0] / 1e6:.0f} MB, **{found[1] / found[0]:.3f}**"


def main(names: Sequence[str]) -> None:
    """Print the table."""
    titles = [f"{what}, batch {n}" for what in ("forward", "training step") for n in BATCHES]
    print("| | " + " | ".join([*titles, f"peak memory, batch {BATCHES[-1]}"]) + " |")
    print("|---" * (len(titles) + 2) + "|", flush=True)
    for name in names:
        cells = [
            compare(name, run, batch) if fits(name, mode, batch) else "too small a batch"
            for mode, run in (("eval", forward), ("train", step))
            for batch in BATCHES
        ]
        print(f"| {name} | " + " | ".join([*cells, memory(name, BATCHES[-1])]) + " |", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["peak"]:
        peak(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        main(sys.argv[1:] or smallest_of_each_paper())
