"""Measure the cost of proofs relative to one ordinary call, for `prove.py --zoo`."""

import statistics
from collections.abc import Iterator, Sequence

import torch
import torchvision
from timing import times
from torch import nn

from shapezoo import Proof, create_model, list_models, prove, signature
from shapezoo.contracts.examples.arguments import example_arguments, free_axes
from tracing import Images

ROUNDS = 3
SIZES = {"batch": 1, "seq": 8, "height": 224, "width": 224}
NETWORKS = (
    *("resnet18", "resnet50", "alexnet", "vgg11", "squeezenet1_0", "googlenet", "densenet121"),
    *("mobilenet_v3_small", "efficientnet_b0", "convnext_tiny", "vit_b_16", "inception_v3"),
)


def models(names: Sequence[str]) -> Iterator[tuple[str, nn.Module]]:
    """Yield the small models of the zoo, and torchvision networks."""
    for name in list_models(published=False):
        if not names or name in names:
            yield name, create_model(name).eval()
    for name in NETWORKS:
        if not names or name in names:
            has_side_outputs = name in ("googlenet", "inception_v3")
            options = {"aux_logits": False, "init_weights": False} if has_side_outputs else {}
            yield name, Images(getattr(torchvision.models, name)(**options)).eval()


def measure(name: str, model: nn.Module) -> None:
    """Print the row for a model."""
    contract = signature(model)
    args, kwargs = example_arguments(contract, {axis: SIZES[axis] for axis in free_axes(contract)})
    proofs: list[Proof] = []

    def call() -> None:
        with torch.no_grad():
            model(*args, **kwargs)

    cases = {"call": call, "proof": lambda: proofs.append(prove(model))}
    seconds = times(cases, rounds=ROUNDS, warm_up=1)
    ratio = statistics.median(
        proof / call for proof, call in zip(seconds["proof"], seconds["call"], strict=True)
    )
    proof = proofs[-1]
    where = " and ".join(map(str, proof.preconditions)) or "-"
    print(
        f"{name:20}{type(proof).__name__:>13}{len(proof.regions):9}"
        f"{statistics.median(seconds['proof']):10.2f} s{ratio:9.1f}  {where}",
        flush=True,
    )


def print_zoo(names: Sequence[str]) -> None:
    """Print the table for these models, or for all if there are no names."""
    print(f"{'':20}{'':>13}{'regions':>9}{'proof':>12}{'ratio':>9}  preconditions")
    for name, model in models(names):
        measure(name, model)
