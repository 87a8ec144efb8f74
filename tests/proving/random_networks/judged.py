"""Prove a network, compare the verdict with real kernels, and minimise what is wrong."""

import dataclasses
import itertools
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace

from tests.proving.random_networks.drawing import Network, draw
from tests.proving.random_networks.oracle import MOST_POINTS, Finding, Kind, findings

from shapezoo import Proof, prove

BUDGET = 3.0
"""The default budget of `prove` for one network."""


@dataclass(frozen=True)
class Judged:
    """A network, its verdict, and where real kernels contradict it.

    Attributes:
        network: The network.
        proof: The verdict; None if there was an error instead.
        findings: Where real kernels contradict it.
        error: The error that `prove` raised, if any.
    """

    network: Network
    proof: Proof | None
    findings: tuple[Finding, ...]
    error: str = ""

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of the findings; ``crash`` if `prove` raised."""
        return frozenset(["crash"] if self.error else [f.kind for f in self.findings])


def judged(network: Network, most: int = MOST_POINTS, budget: float = BUDGET) -> Judged:
    """Prove a network, and compare the verdict with real kernels at `most` small sizes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            proof = prove(network.subject(), budget=budget)
        except Exception as error:
            return Judged(network, None, (), f"{type(error).__name__}: {error}")
        return Judged(network, proof, tuple(findings(network, proof, most)))


def drawn_and_judged(seed: int, most: int = MOST_POINTS, budget: float = BUDGET) -> Judged:
    """Draw a network, and judge it at `most` small sizes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return judged(draw(seed), most, budget)


def minimised(found: Judged, kind: Kind | str) -> Judged:
    """Remove lines from a network as long as its verdict is wrong in the same way."""
    smallest = found
    while True:
        for network in _smaller(smallest.network):
            if (tried := _tried(network)) is not None and kind in tried.kinds:
                smallest = tried
                break
        else:
            return smallest


def _tried(network: Network) -> Judged | None:
    try:
        return judged(network)
    except Exception:  # without this line it is not a network any more
        return None


def _smaller(network: Network) -> Iterator[Network]:
    """Yield networks with one line, block, argument or option less."""
    for count, part in itertools.product((2, 1), ("body", "setup")):
        lines: tuple[str, ...] = getattr(network, part)
        for start in range(len(lines) - count + 1):
            shorter = (*lines[:start], *lines[start + count :])
            if part == "body":
                yield replace(network, body=shorter)
            else:
                yield replace(network, setup=shorter)
    text = "\n".join(network.body)
    for argument in network.inputs[1:]:
        if argument.name not in text:
            yield replace(network, inputs=tuple(a for a in network.inputs if a is not argument))
    for flag in network.flags:
        if flag not in text:
            yield replace(network, flags=tuple(f for f in network.flags if f != flag))
    if network.is_training:
        yield dataclasses.replace(network, is_training=False)
