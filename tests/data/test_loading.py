import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shapezoo.data import ImageBatch, ImageDataset, loader


def numbered(count: int) -> ImageDataset:
    """A dataset whose pixels tell the index of their example."""
    images = torch.arange(count, dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 2, 2)
    return ImageDataset(images, torch.arange(count), tuple(map(str, range(count))))


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(1)


@given(count=st.integers(0, 30), batch_size=st.integers(1, 12), shuffle=st.booleans())
def test_a_loader_gives_the_batches_of_its_dataset(
    count: int, batch_size: int, shuffle: bool
) -> None:
    dataset = numbered(count)
    own, generator = (seeded(), seeded()) if shuffle else (None, None)
    batches = loader(dataset, batch_size, generator)
    for _ in range(2):  # two epochs, each with an order of its own
        expected = list(dataset.batches(batch_size, own))
        assert len(batches) == len(expected)
        for batch, other in zip(batches, expected, strict=True):
            assert isinstance(batch, ImageBatch)
            assert torch.equal(batch.images, other.images)
            assert torch.equal(batch.labels, other.labels)


def test_a_loader_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    list(loader(numbered(5), 2))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_batch_size_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="batch_size"):
        loader(numbered(3), 0)


SCRIPT = """
import torch
from shapezoo.data import digits, loader

def main():
    dataset = digits().test
    generator = torch.Generator().manual_seed(1)
    batches = loader(dataset, 100, generator, num_workers=2, start_method="spawn")
    labels = torch.cat([batch.labels for batch in batches])
    expected = torch.cat([b.labels for b in dataset.batches(100, generator.manual_seed(1))])
    print(len(batches), torch.equal(labels, expected))
"""


def run(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    (folder / "script.py").write_text(script)
    return subprocess.run(
        [sys.executable, "script.py"], cwd=folder, capture_output=True, text=True, timeout=300
    )


@pytest.mark.slow
def test_spawned_workers_prepare_the_same_batches(tmp_path: Path) -> None:
    guarded = run(SCRIPT + 'if __name__ == "__main__":\n    main()\n', tmp_path)
    assert guarded.stdout == "4 True\n", guarded.stderr


@pytest.mark.slow
def test_without_the_main_guard_spawning_fails_aloud(tmp_path: Path) -> None:
    unguarded = run(SCRIPT + "main()\n", tmp_path)
    assert unguarded.returncode != 0
    assert "__main__" in unguarded.stderr
