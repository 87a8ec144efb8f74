"""Convert scikit-learn's digits to the file that ships with the package.

Run from the root of the repository: python tools/make_digits.py
"""

from pathlib import Path

import torch
from safetensors.torch import save
from sklearn.datasets import load_digits

TARGET = Path("src/shapezoo/data/files/digits.safetensors")


def main() -> None:
    """Write the file; the output is deterministic."""
    digits = load_digits()
    tensors = {
        "images": torch.from_numpy(digits.images).to(torch.uint8),
        "labels": torch.from_numpy(digits.target).to(torch.uint8),
    }
    TARGET.write_bytes(save(tensors))


if __name__ == "__main__":
    main()
