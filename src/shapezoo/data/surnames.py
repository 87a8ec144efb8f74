"""Surnames that come with the package, each with a country where people bear it.

They are from the lists of Faker; the NOTICE beside the file has its version and licence.
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
_SPELLED = str.maketrans(
    {
        "Æ": "Ae",
        "Ð": "D",
        "Ø": "O",
        "Þ": "Th",
        "ß": "ss",
        "æ": "ae",
        "ð": "d",
        "ø": "o",
        "þ": "th",
        "Đ": "D",
        "đ": "d",
        "Ħ": "H",
        "ħ": "h",
        "\u0131": "i",  # Turkish, without its dot
        "ĸ": "k",
        "Ł": "L",
        "ł": "l",
        "Ŋ": "Ng",
        "ŋ": "ng",
        "Œ": "Oe",
        "œ": "oe",
        "Ŧ": "T",
        "ŧ": "t",
        "Ə": "E",
        "ə": "e",
        "ẞ": "SS",
        "·": "",  # Catalan, as in Gal·la
        **dict.fromkeys("`\u00b4\u02bb\u02bc\u2018\u2019", "'"),  # apostrophes
        **dict.fromkeys("\u2010\u2011\u2013", "-"),  # hyphens, and the dash for one
        **dict.fromkeys("\u00ad\u200b\u200c\u200d", ""),  # invisible
    }
)


@checked
@dataclass(frozen=True, eq=False)
class NameBatch:
    """Names with their countries.

    Attributes:
        characters: The codes of the characters, as `encode_names` gives them.
        lengths: How many characters each name has. They stay on the CPU, where packing
            wants them.
        labels: Indices of countries.
    """

    characters: Int64[Tensor, "batch seq"]
    lengths: Int64[Tensor, "batch"]
    labels: Int64[Tensor, "batch"]

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """What a model takes."""
        return (self.characters, self.lengths)

    @property
    def targets(self) -> Tensor:
        """What a loss compares with."""
        return self.labels

    def to(self, device: torch.device) -> Self:
        """The same examples on a device."""
        return replace(self, characters=self.characters.to(device), labels=self.labels.to(device))


@checked
@dataclass(frozen=True, eq=False)
class NameDataset(InMemory[NameBatch]):
    """Names in memory.

    Attributes:
        names: The codes of the characters, as `encode_names` gives them.
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
        """The examples at these indices, as a batch as wide as its longest name."""
        names = self.names.select(indices)
        return NameBatch(names.tokens, names.lengths, self.labels[indices])

    def subset(self, indices: Tensor) -> Self:
        """The examples at these indices, as a dataset."""
        return replace(self, names=self.names.select(indices), labels=self.labels[indices])


def names(*, seed: int = 0) -> Split[NameDataset]:
    """16,242 pairs of a surname and one of 18 countries, a fifth of them set aside for testing.

    24 % of the names are Polish, 49 names Japanese. 7 % stand in more than one country: they are
    an example of each, and may be in both parts. No model can be right about all; a logistic
    regression on pieces of one to five characters is right about 75 % of the test names
    (``benchmarks/course.py``).

    Args:
        seed: Seeds the draw of the names that are set aside.

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
    """Names as sequences of ASCII codes; 0 is padding.

    Each name is folded first: accents are dropped (é becomes e), other Latin letters are spelled
    out (ß becomes ss, ø o), capitals stay, spaces at the ends go. What is left are letters, spaces,
    hyphens and apostrophes.

    Args:
        names: At least one.

    Raises:
        SequenceError: There is no name, one has no letters, or one has a character that cannot
            stand in a name.
    """
    if isinstance(names, str):
        raise SequenceError(f"names is one text; put it into a list: [{names!r}]")
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


def fold(name: str) -> str:
    """A name in ASCII, as described at `encode_names`.

    Raises:
        SequenceError: It has a character that cannot stand in a name.
    """
    if set(name) <= _ALLOWED:
        return name.strip()
    return "".join(_fold_character(character, name) for character in name).strip()


def _fold_character(character: str, name: str) -> str:
    parts = unicodedata.normalize("NFKD", character.translate(_SPELLED)).translate(_SPELLED)
    folded = "".join(part for part in parts if not unicodedata.combining(part))
    if not set(folded) <= _ALLOWED:
        known_as = unicodedata.name(character, f"U+{ord(character):04X}")
        raise SequenceError(
            f"name {name!r} contains {character!r} ({known_as}); "
            "write the name in Latin letters, with spaces, hyphens and apostrophes"
        )
    return folded
