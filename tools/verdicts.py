"""Prove models of the zoo in both modes, and store the verdicts in the package.

Run `python tools/verdicts.py NAME...` after a model has changed, or without names for all models; a
test fails when that is needed.
"""

import json
import sys
from pathlib import Path
from typing import Any, get_args

from shapezoo import Proof, create_model, list_models, prove
from shapezoo._files import replacing
from shapezoo.verdicts import Mode, Verdict

PATH = Path(__file__).parent.parent / "src/shapezoo/verdicts.json"


def verdict_of(proof: Proof) -> Verdict:
    """Return the part of a proof that is stored."""
    axes, conditions = proof.axes, proof.preconditions
    return Verdict(proof.verdict, axes, conditions, proof.is_exact, tuple(proof.sampled))


BUDGET = 3600.0
"""The budget of a proof, far more than any of them needs."""


def proof(name: str, mode: Mode, **hyperparameters: Any) -> Proof:
    """Return the proof of a model in a mode."""
    model = create_model(name, **hyperparameters).train(mode == "train")
    return prove(model, budget=BUDGET)


def main(names: list[str]) -> None:
    """Prove these models, or all if there are none, and store each verdict when it is known."""
    kept = json.loads(PATH.read_text("utf-8")) if names else {}
    for name in names or list_models():
        kept[name] = {mode: verdict_of(proof(name, mode)).to_dict() for mode in get_args(Mode)}
        with replacing(PATH) as path:
            path.write_text(json.dumps(dict(sorted(kept.items())), indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
