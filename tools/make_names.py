"""Build the packaged list of surnames from Faker 40.54.0, whose lists change between versions.

Run from the root of the repository: pip install faker==40.54.0 && python tools/make_names.py

Greek is transliterated according to ELOT 743, and Russian according to BGN/PCGN, without the marks
for hard and soft signs. For China and Japan, Faker has romanised lists. All names are then folded
to ASCII as in `shapezoo.data.encode_names`. Names that contain anything but letters, spaces,
hyphens and apostrophes are dropped, and so are duplicates within a country.
"""
# ruff: noqa: RUF001  # the Greek and Russian letters are intentional

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
"""For each country, the locale in Faker and the names of its lists."""

ALPHABETS = {"Greece": "αβγδεζηθικλμνξοπρσςτυφχψωϊϋ", "Russia": "абвгдеёжзийклмнопрстуфхцчшщъыьэюя"}
LATIN = {
    "Greece": "a v g d e z i th i k l m n x o p r s s t y f ch ps o i y",
    "Russia": "a b v g d e e zh z i y k l m n o p r s t u f kh ts ch sh shch - y - e yu ya",
}
"""The replacement for each letter of the alphabet; a hyphen means that the letter is dropped."""

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
"""Context-dependent replacements, as regular expressions, which are applied first."""


def main() -> None:
    """Write the file; the output depends only on Faker's lists."""
    lines = {
        f"{country}\t{name}\n"
        for country, (locale, *lists) in SOURCES.items()
        for name in latin_names(country, faker_names(locale, lists))
    }
    TARGET.write_text("".join(sorted(lines)), encoding="ascii", newline="\n")


def faker_names(locale: str, lists: Iterable[str]) -> list[str]:
    """Return the names in these lists of a locale."""
    provider = importlib.import_module(f"faker.providers.person.{locale}").Provider
    return [name for list_name in lists for name in getattr(provider, list_name)]


def latin_names(country: str, names: Iterable[str]) -> list[str]:
    """Return the names in ASCII; drop those with other characters than a name may have."""
    folded = [fold(romanised(country, name) if country in ALPHABETS else name) for name in names]
    return [name for name in folded if re.fullmatch("[A-Za-z '-]+", name)]


def romanised(country: str, name: str) -> str:
    """Transliterate a Greek or Russian name to Latin letters."""
    decomposed = unicodedata.normalize("NFD", name.lower())
    name = unicodedata.normalize("NFC", decomposed.replace("\u0301", ""))  # drop acute accents
    for pattern, latin in IN_CONTEXT[country].items():
        name = re.sub(pattern, latin, name)
    letters = zip(ALPHABETS[country], LATIN[country].split(), strict=True)
    return name.translate({ord(a): b.replace("-", "") for a, b in letters}).capitalize()


if __name__ == "__main__":
    main()
