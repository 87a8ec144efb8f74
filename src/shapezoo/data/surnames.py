"""Surnames included in the package, each with a country where it is common.

They are from the lists of Faker; the NOTICE in the folder of the file has its version and licence.
"""

import string
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from jaxtyping import Int64
from torch import Tensor

from shapezoo._seeding import draws_nothing
from shapezoo.contracts import checked
from shapezoo.data.memory import InMemory, Split, split
from shapezoo.data.packaged import read_packaged
from shapezoo.data.sequences import PaddedSequences
from shapezoo.layers import SequenceError

COUNTRIES = (
    "China",
    "Croatia",
    "Czechia",
    "Finland",
    "France",
    "Germany",
    "Greece",
    "India",
    "Ireland",
    "Italy",
    "Japan",
    "Kenya",
    "Netherlands",
    "Poland",
    "Russia",
    "Spain",
    "Sweden",
    "United Kingdom",
)
"""The countries of `names`, in the order of the labels."""

_ALLOWED = frozenset(string.ascii_letters + " -'")
# The letters without a decomposition in Unicode. \u0131 is the Turkish i without a dot, "·" is
# Catalan, as in Gal·la; the last lines are apostrophes, hyphens and invisible characters.
_SPELLED = str.maketrans(
    {
        **dict(zip("ÐØðøĐđĦħ\u0131ĸŁłŦŧƏə", "DOdoDdHhikLlTtEe", strict=True)),
        "Æ": "Ae",
        "æ": "ae",
        "Œ": "Oe",
        "œ": "oe",
        "Þ": "Th",
        "þ": "th",
        "Ŋ": "Ng",
        "ŋ": "ng",
        "ß": "ss",
        "ẞ": "SS",
        "·": "",
        **dict.fromkeys("`\u00b4\u02bb\u02bc\u2018\u2019", "'"),
        **dict.fromkeys("\u2010\u2011\u2013", "-"),
        **dict.fromkeys("\u00ad\u200b\u200c\u200d", ""),
    }
)


@checked
@dataclass(frozen=True, eq=False)
class NameBatch:
    """Names with their countries.

    Attributes:
        characters: The codes of the characters, as `encode_names` returns them.
        lengths: The number of characters in each name. They stay on the CPU, as
            `torch.nn.utils.rnn.pack_padded_sequence` requires.
        labels: Indices of countries.
    """

    characters: Int64[Tensor, "batch seq"]
    lengths: Int64[Tensor, "batch"]
    labels: Int64[Tensor, "batch"]

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The arguments of the model."""
        return (self.characters, self.lengths)

    @property
    def targets(self) -> Tensor:
        """The labels, which the loss compares with the output of the model."""
        return self.labels

    def to(self, device: torch.device) -> Self:
        """Return the same examples on a device."""
        return replace(self, characters=self.characters.to(device), labels=self.labels.to(device))


@checked
@dataclass(frozen=True, eq=False)
class NameDataset(InMemory[NameBatch]):
    """Names in memory.

    Attributes:
        names: The codes of the characters, as `encode_names` returns them.
        labels: Indices into `classes`.
        classes: The names of the labels.
    """

    names: PaddedSequences
    labels: Int64[Tensor, "batch"]
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    @draws_nothing
    def select(self, indices: Tensor) -> NameBatch:
        """Return the examples at these indices as a batch as wide as its longest name."""
        names = self.names.select(indices)
        return NameBatch(names.tokens, names.lengths, self.labels[indices])

    def subset(self, indices: Tensor) -> Self:
        """Return the examples at these indices as a dataset."""
        return replace(self, names=self.names.select(indices), labels=self.labels[indices])


def names(*, seed: int = 0) -> Split[NameDataset]:
    """Return 16,242 pairs of a surname and one of 18 countries, a fifth of them for testing.

    24 % of the names are Polish, 49 names Japanese. 7 % occur in several countries: they are an
    example of each, and may be in both parts. So no model can be correct for all of them; a
    logistic regression on n-grams of one to five characters is correct for 75 % of the test names
    (``benchmarks/course.py``).

    Args:
        seed: Seeds the choice of the test names.

    Raises:
        DatasetError: The file of the package is missing or damaged.
    """
    lines = read_packaged("names.tsv").decode("ascii").splitlines()
    countries, spellings = zip(*(line.split("\t") for line in lines), strict=True)
    labels = torch.tensor([COUNTRIES.index(country) for country in countries])
    return split(
        NameDataset(encode_names(spellings), labels, COUNTRIES),
        test_size=len(labels) // 5,
        generator=torch.Generator().manual_seed(seed),
    )


@checked
def encode_names(names: Sequence[str]) -> PaddedSequences:
    """Encode names as sequences of ASCII codes, padded with 0.

    Each name is first reduced to ASCII letters, spaces, hyphens and apostrophes: accents are
    removed (é becomes e), other Latin letters are replaced (ß by ss, ø by o), and spaces at the
    ends are stripped. Upper case is kept.

    Args:
        names: One or more names.

    Raises:
        SequenceError: There are no names, one has no letters, or one has a character that names
            do not have.
    """
    if isinstance(names, str):
        raise SequenceError(f"names is a single string; put it into a list: [{names!r}]")
    if not names:
        raise SequenceError("there are no names to encode")
    folded = [fold(name) for name in names]
    for index in [i for i, name in enumerate(folded) if not name.strip(" -'")][:1]:
        raise SequenceError(f"name {index} ({names[index]!r}) has no letters; give at least one")
    longest = max(map(len, folded))
    padded = "".join(name.ljust(longest, "\0") for name in folded)
    codes = torch.frombuffer(bytearray(padded, "ascii"), dtype=torch.uint8)
    lengths = torch.tensor([len(name) for name in folded])
    return PaddedSequences(codes.view(-1, longest).long(), lengths)


@checked
def decode_names(tokens: Int64[Tensor, "batch seq"], lengths: Int64[Tensor, "batch"]) -> list[str]:
    """Decode names that `encode_names` returned; they are in ASCII."""
    rows = zip(tokens.tolist(), lengths.tolist(), strict=True)
    return [bytes(codes[:length]).decode("ascii") for codes, length in rows]


def fold(name: str) -> str:
    """Return a name in ASCII, as described at `encode_names`.

    Raises:
        SequenceError: It has a character that names do not have.
    """
    if set(name) <= _ALLOWED:
        return name.strip()
    return "".join(_fold_character(character, name) for character in name).strip()


def _fold_character(character: str, name: str) -> str:
    parts = unicodedata.normalize("NFKD", character.translate(_SPELLED)).translate(_SPELLED)
    folded = "".join(part for part in parts if not unicodedata.combining(part))
    if not set(folded) <= _ALLOWED:
        unicode_name = unicodedata.name(character, f"U+{ord(character):04X}")
        raise SequenceError(
            f"name {name!r} contains {character!r} ({unicode_name}); "
            "write the name in Latin letters, with spaces, hyphens and apostrophes"
        )
    return folded
