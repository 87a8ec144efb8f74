"""Texts for language models: sequences of characters, each labelled with the next character."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import torch
from jaxtyping import Int64
from torch import Tensor

from shapezoo._seeding import draws_nothing
from shapezoo.contracts import checked
from shapezoo.data.memory import InMemory, Split, require_classes
from shapezoo.data.packaged import DatasetError, read_packaged
from shapezoo.data.sequences import TokenBatch
from shapezoo.layers import SequenceError


@checked
@dataclass(frozen=True, eq=False)
class TextDataset(InMemory[TokenBatch]):
    """Windows of a text in memory, with the next character for each character.

    Attributes:
        tokens: The characters, as indices into `classes`.
        labels: The character after each of these, as an index into `classes`.
        classes: The characters of the vocabulary.

    Raises:
        ValueError: A token or a label is not an index into `classes`.
    """

    tokens: Int64[Tensor, "seq batch"]
    labels: Int64[Tensor, "seq batch"]
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        require_classes(self.tokens.flatten(), self.classes, "tokens")
        require_classes(self.labels.flatten(), self.classes)

    def __len__(self) -> int:
        return self.tokens.shape[1]

    @draws_nothing
    def select(self, indices: Tensor) -> TokenBatch:
        """Return the examples at these indices as a batch."""
        return TokenBatch(self.tokens[:, indices], self.labels[:, indices])

    def subset(self, indices: Tensor) -> Self:
        """Return the examples at these indices as a dataset."""
        return replace(self, tokens=self.tokens[:, indices], labels=self.labels[:, indices])


def text(path: str | os.PathLike[str] | None = None, *, window: int = 64) -> Split[TextDataset]:
    """Return a text in consecutive windows, the last tenth of it for testing.

    No position of the text is in both parts. Characters at the end of a part that do not fill a
    window are dropped. The vocabulary is that of the whole text, in the order of Unicode.

    The default text is Carroll, "Alice's Adventures in Wonderland", Macmillan, 1865: 148,303
    characters, 70 of them different.

    Args:
        path: A text file in UTF-8.
        window: The number of characters in a window, at least 1.

    Raises:
        ValueError: The window is not positive.
        DatasetError: The file is missing or not in UTF-8, or the file of the package is damaged.
        SequenceError: The text is too short for a window in each part.
    """
    if window < 1:
        raise ValueError(f"window must be at least 1, got {window}")
    whole = read_packaged("alice.txt").decode("ascii") if path is None else _read(path)
    least = 10 * (window + 1)
    if len(whole) < least:
        raise SequenceError(
            f"a text of {len(whole)} characters is too short for window={window}; "
            f"pass one of at least {least} characters, or a smaller window"
        )
    classes = tuple(sorted(set(whole)))
    past, future = encode_text(whole, classes).tensor_split([len(whole) - len(whole) // 10])

    def examples(part: Tensor) -> TextDataset:
        end = (len(part) - 1) // window * window
        windows = (part[start : start + end].view(-1, window).T for start in (0, 1))
        # copies, because tensors that share memory cannot be saved
        tokens, labels = (w.clone(memory_format=torch.contiguous_format) for w in windows)
        return TextDataset(tokens, labels, classes)

    return Split(examples(past), examples(future))


def _read(path: str | os.PathLike[str]) -> str:
    try:
        return Path(path).read_text("utf-8-sig")  # without the byte order mark of some editors
    except (OSError, ValueError) as error:
        raise DatasetError(
            f"{os.fspath(path)!r} cannot be read: {error}; pass a text file in UTF-8"
        ) from error


@checked
def encode_text(text: str, vocabulary: Sequence[str]) -> Int64[Tensor, "seq={len(text)}"]:
    """Encode the characters of a text as indices into a vocabulary.

    Args:
        text: A text, which may be empty.
        vocabulary: Different characters, such as the ``classes`` of a `TextDataset`.

    Raises:
        SequenceError: A character is not in the vocabulary.
    """
    index = {character: i for i, character in enumerate(vocabulary)}
    for character in sorted(set(text) - index.keys(), key=text.index)[:1]:
        raise SequenceError(
            f"the text contains {character!r} (U+{ord(character):04X}), which is not one of the "
            f"{len(vocabulary)} characters of the vocabulary; remove or replace it"
        )
    return torch.tensor([index[character] for character in text], dtype=torch.int64)


@checked
def decode_text(tokens: Int64[Tensor, "seq"], vocabulary: Sequence[str]) -> str:
    """Decode indices that `encode_text` returned.

    Args:
        tokens: Indices into the vocabulary.
        vocabulary: Different characters, such as the ``classes`` of a `TextDataset`.

    Raises:
        ValueError: A token is not an index into the vocabulary.
    """
    require_classes(tokens, vocabulary, "tokens")
    indices: list[int] = tokens.tolist()
    return "".join(vocabulary[index] for index in indices)
