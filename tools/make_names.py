"""Write the packaged surnames from the lists of Faker 40.54.0, which change between versions.

Run from the root of the repository: pip install faker==40.54.0 && python tools/make_names.py

Greek is transliterated after ELOT 743, Russian after BGN/PCGN without the marks for its hard and
soft signs. For China and Japan, Faker has romanised lists. All names are then folded to ASCII as
`shapezoo.data.encode_names` does. One with anything but letters, spaces, hyphens and apostrophes
is left out, and so is one that its country has already.
"""
# ruff: noqa: RUF001  # Greek and Russian letters are meant

import importlib
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from shapezoo.data.surnames import fold

TARGET = Path("src/shapezoo/data/files/names.tsv")

SOURCES = {
    "China": ("zh_CN", "last_romanized_names"),
    "Croatia": ("hr_HR", "last_names"),
    "Czechia": ("cs_CZ", "last_names"),
    "Finland": ("fi_FI", "last_names"),
    "France": ("fr_FR", "last_names"),
    "Germany": ("de_DE", "last_names"),
    "Greece": ("el_GR", "last_names"),
    "India": ("en_IN", "last_names"),
    "Ireland": ("en_IE", "last_names"),
    "Italy": ("it_IT", "last_names"),
    "Japan": ("ja_JP", "last_romanized_names"),
    "Kenya": ("en_KE", "last_names"),
    "Netherlands": ("nl_NL", "last_names"),
    "Poland": ("pl_PL", "unisex_last_names", "male_last_names"),
    "Russia": ("ru_RU", "last_names"),
    "Spain": ("es_ES", "last_names"),
    "Sweden": ("sv_SE", "last_names"),
    "United Kingdom": ("en_GB", "last_names"),
}
"""For each country the locale of Faker, and the lists in it."""

ALPHABETS = {"Greece": "αβγδεζηθικλμνξοπρσςτυφχψωϊϋ", "Russia": "абвгдеёжзийклмнопрстуфхцчшщъыьэюя"}
LATIN = {
    "Greece": "a v g d e z i th i k l m n x o p r s s t y f ch ps o i y",
    "Russia": "a b v g d e e zh z i y k l m n o p r s t u f kh ts ch sh shch - y - e yu ya",
}
"""What replaces each letter of the alphabet; a hyphen stands for nothing."""

IN_CONTEXT = {
    "Greece": {
        r"^μπ": "b",
        r"γ(?=[γξχ])": "n",
        r"ου": "ou",
        r"(?<=[αεη])υ(?=[θκξπσςτφχψ]|$)": "f",
        r"(?<=[αεη])υ": "v",
    },
    "Russia": {r"(^|(?<=[аеёиоуъыьэюя]))е": "ye"},
}
"""What replaces some letters before that, by their neighbours, as regular expressions."""


def main() -> None:
    """Write the file; its bytes depend on Faker's lists alone."""
    lines = {
        f"{country}\t{name}\n"
        for country, (locale, *lists) in SOURCES.items()
        for name in latin_names(country, faker_names(locale, lists))
    }
    TARGET.write_text("".join(sorted(lines)), encoding="ascii", newline="\n")


def faker_names(locale: str, lists: Iterable[str]) -> list[str]:
    """The names in these lists of a locale."""
    provider = importlib.import_module(f"faker.providers.person.{locale}").Provider
    return [name for list_name in lists for name in getattr(provider, list_name)]


def latin_names(country: str, names: Iterable[str]) -> list[str]:
    """The names in ASCII, without those that hold anything but words."""
    folded = [fold(romanised(country, name) if country in ALPHABETS else name) for name in names]
    return [name for name in folded if re.fullmatch("[A-Za-z '-]+", name)]


def romanised(country: str, name: str) -> str:
    """A Greek or Russian name in Latin letters."""
    decomposed = unicodedata.normalize("NFD", name.lower())
    name = unicodedata.normalize("NFC", decomposed.replace("\u0301", ""))  # without acute accents
    for pattern, latin in IN_CONTEXT[country].items():
        name = re.sub(pattern, latin, name)
    letters = zip(ALPHABETS[country], LATIN[country].split(), strict=True)
    return name.translate({ord(a): b.replace("-", "") for a, b in letters}).capitalize()


if __name__ == "__main__":
    main()
