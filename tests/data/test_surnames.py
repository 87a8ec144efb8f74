import string
import unicodedata
from collections import Counter, defaultdict

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shapezoo import ShapeError
from shapezoo.data import COUNTRIES, NameBatch, NameDataset, SequenceError, encode_names, names
from shapezoo.data.packaged import FILES
from shapezoo.data.surnames import fold

LATIN = [
    chr(code) for code in range(0xC0, 0x180) if unicodedata.name(chr(code), "").startswith("LATIN")
]


def spellings(dataset: NameDataset) -> list[str]:
    rows = zip(dataset.names.tokens.tolist(), dataset.names.lengths.tolist(), strict=True)
    return [bytes(row[:length]).decode("ascii") for row, length in rows]


def pairs(dataset: NameDataset) -> list[tuple[str, str]]:
    countries = [dataset.classes[label] for label in dataset.labels]
    return list(zip(countries, spellings(dataset), strict=True))


def test_the_file_is_sorted() -> None:
    lines = (FILES / "names.tsv").read_text("ascii").splitlines()
    assert lines == sorted(set(lines))


def test_every_name_of_the_file_is_in_one_part() -> None:
    train, test = names()
    assert (len(train), len(test)) == (12_994, 3_248)
    together = sorted([*pairs(train), *pairs(test)])
    lines = (FILES / "names.tsv").read_text("ascii").splitlines()
    assert together == [tuple(line.split("\t")) for line in lines]
    count = Counter(country for country, _ in together)
    assert tuple(count) == COUNTRIES
    assert (count["Poland"], count["Japan"], count["Kenya"]) == (3_866, 49, 1_000)
    romanised = {("Greece", "Papadopoulos"), ("Russia", "Yegorova"), ("Japan", "Suzuki")}
    assert romanised < set(together)


def test_some_names_stand_in_several_countries() -> None:
    where = defaultdict(set)
    for part in names():
        for country, name in pairs(part):
            where[name].add(country)
    ambiguous = sum(len(found) for found in where.values() if len(found) > 1)
    assert ambiguous / 16_242 == pytest.approx(0.067, abs=0.001)
    assert {"Ireland", "United Kingdom"} <= where["Fox"]


def test_the_seed_draws_the_test_set() -> None:
    assert torch.equal(names(seed=1).test.labels, names(seed=1).test.labels)
    assert not torch.equal(names(seed=1).test.labels, names(seed=2).test.labels)


def test_a_batch_is_as_wide_as_its_longest_name() -> None:
    dataset = NameDataset(encode_names(["Ada", "Bo", "Grace"]), torch.tensor([0, 1, 0]), ("a", "b"))
    batch = dataset.select(torch.tensor([1, 0]))
    assert batch.characters.tolist() == [[66, 111, 0], [65, 100, 97]]
    assert batch.lengths.tolist() == [2, 3]
    assert batch.inputs == (batch.characters, batch.lengths)
    assert batch.targets is batch.labels
    assert batch.labels.tolist() == [1, 0]
    assert len(dataset.subset(torch.arange(0))) == 0
    assert len(list(dataset.batches(2))) == 2


def test_lengths_stay_on_the_cpu() -> None:
    moved = names().test.select(torch.arange(4)).to(torch.device("meta"))
    assert moved.characters.is_meta
    assert moved.labels.is_meta
    assert moved.lengths.device.type == "cpu"


def test_wrong_labels_are_refused_at_once() -> None:
    encoded = encode_names(["Ada", "Bo"])
    with pytest.raises(ShapeError, match="expected batch = 2, got 3"):
        NameDataset(encoded, torch.zeros(3).long(), COUNTRIES)
    with pytest.raises(ShapeError, match="argument 'labels'"):
        NameBatch(encoded.tokens, encoded.lengths, torch.zeros(2))


def test_characters_are_their_ascii_codes() -> None:
    encoded = encode_names(["Ada", "O'Neill"])
    assert encoded.tokens.tolist() == [
        [65, 100, 97, 0, 0, 0, 0],
        [79, 39, 78, 101, 105, 108, 108],
    ]
    assert encoded.lengths.tolist() == [3, 7]


@pytest.mark.parametrize(
    ("name", "folded"),
    [
        ("Müller", "Muller"),
        ("Mu\u0308ller", "Muller"),
        ("Strauß", "Strauss"),
        ("Sørensen", "Sorensen"),
        ("Łukasz Đorđić", "Lukasz Dordic"),
        ("Nguyễn", "Nguyen"),
        ("Y\u0131ld\u0131z", "Yildiz"),
        ("Ægir Þórðarson", "Aegir Thordarson"),
        ("D\u2019Arcy", "D'Arcy"),
        ("O\u00b4Neil", "O'Neil"),
        ("Anna\u2013Maria", "Anna-Maria"),
        ("So\u00adft", "Soft"),
        ("\u01feers", "Oers"),
        ("Gal·la", "Galla"),
        ("  de la\u00a0Cruz ", "de la Cruz"),
        ("McCarthy", "McCarthy"),
    ],
)
def test_accents_are_dropped_and_capitals_kept(name: str, folded: str) -> None:
    assert fold(name) == folded


@given(name=st.text(st.sampled_from([*LATIN, *"Az '-"]), max_size=12))
def test_every_european_latin_letter_can_be_folded_once(name: str) -> None:
    folded = fold(name)
    assert folded.isascii()
    assert fold(folded) == folded


@given(name=st.text(st.characters(max_codepoint=0x24F), max_size=6))
def test_any_text_is_folded_to_printable_ascii_or_refused(name: str) -> None:
    try:
        folded = fold(name)
    except SequenceError:
        return
    assert set(folded) <= {*string.ascii_letters, *" -'"}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "there are no names to encode"),
        (["Ada", ""], r"name 1 \(''\) has no letters; give at least one"),
        (["Ada", "Bo", " \u00a0"], r"name 2 \(.*\) has no letters"),
        ("Ada", r"names is a single string; put it into a list: \['Ada'\]"),
        (
            ["Иван"],
            r"'Иван' contains 'И' \(CYRILLIC CAPITAL LETTER I\); write the name in Latin letters",
        ),
        (
            ["김"],
            r"name '김' contains '김' \(HANGUL SYLLABLE GIM\); write the name in Latin letters",
        ),
        (["Ada", "-"], r"name 1 \('-'\) has no letters"),
        (["one.png"], r"'one.png' contains '.' \(FULL STOP\)"),
        (["A1"], r"contains '1' \(DIGIT ONE\); .* with spaces, hyphens and apostrophes"),
        (["A\0"], r"name 'A\\x00' contains '\\x00' \(U\+0000\)"),
    ],
)
def test_names_that_cannot_be_encoded_are_refused(names: list[str], message: str) -> None:
    with pytest.raises(SequenceError, match=message):
        encode_names(names)
