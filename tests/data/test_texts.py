from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shapezoo import ShapeError
from shapezoo.data import (
    DatasetError,
    SequenceError,
    TextDataset,
    TokenBatch,
    decode_text,
    encode_text,
    text,
)
from shapezoo.data.packaged import FILES


def written(part: TextDataset) -> str:
    """The stretches of a part, one after the other."""
    return decode_text(part.tokens.T.flatten(), part.classes)


def followers(part: TextDataset) -> str:
    """The characters that follow those of the stretches."""
    return decode_text(part.labels.T.flatten(), part.classes)


def test_the_packaged_text_is_alice() -> None:
    train, test = text()
    assert (len(train), len(test)) == (2085, 231)
    assert train.classes == test.classes == tuple(sorted(train.classes))
    assert len(train.classes) == 70
    assert train.tokens.shape == train.labels.shape == (64, 2085)
    content = (FILES / "alice.txt").read_text("ascii")
    assert len(content) == 148_303
    assert set(content) == set(train.classes)
    assert content.startswith(written(train))
    assert "Alice was beginning to get very tired" in written(train)
    assert "her own child-life" in written(test)


@given(
    content=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), min_size=90),
    window=st.integers(1, 8),
)
def test_each_label_is_the_next_character(
    content: str, window: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_bytes(b"\xef\xbb\xbf" + content.encode())
    train, test = text(path, window=window)
    border = len(content) - len(content) // 10
    for part, characters in ((train, content[:border]), (test, content[border:])):
        assert part.classes == tuple(sorted(set(content)))
        count = (len(characters) - 1) // window
        assert part.tokens.shape == (window, count)
        assert count >= 1
        assert written(part) == characters[: count * window]
        assert followers(part) == characters[1 : count * window + 1]


def test_stretches_do_not_share_memory(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("abcdefghij" * 2)
    for part in text(tmp_path / "text.txt", window=1):
        before = part.labels.clone()
        part.tokens[:] = 0
        assert torch.equal(part.labels, before)


def test_lines_end_in_one_character(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_bytes(b"ab\r\n" * 20)
    assert text(tmp_path / "text.txt", window=2).train.classes == ("\n", "a", "b")


def test_the_shortest_text(tmp_path: Path) -> None:
    (tmp_path / "enough.txt").write_text("a" * 50)
    assert [len(part) for part in text(tmp_path / "enough.txt", window=4)] == [11, 1]
    for length in (0, 1, 49):
        (tmp_path / "short.txt").write_text("a" * length)
        message = f"a text of {length} characters is too short for window=4; pass .* at least 50"
        with pytest.raises(SequenceError, match=message):
            text(tmp_path / "short.txt", window=4)
    with pytest.raises(ValueError, match="window must be at least 1, got 0"):
        text(window=0)


def test_files_that_are_not_text_raise(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"nowhere\.txt' cannot be read: .* No such file"):
        text(tmp_path / "nowhere.txt")
    with pytest.raises(DatasetError, match="cannot be read"):
        text(tmp_path)
    with pytest.raises(DatasetError, match="cannot be read"):
        text("nul\0.txt")
    (tmp_path / "latin.txt").write_bytes("é".encode("latin-1") * 100)
    with pytest.raises(DatasetError, match=r"latin\.txt' .* can't decode .*; pass a .* in UTF-8"):
        text(tmp_path / "latin.txt")


@given(st.text("abc\n"))
def test_decoding_undoes_encoding(content: str) -> None:
    tokens = encode_text(content, "\nabc")
    assert tokens.tolist() == ["\nabc".index(character) for character in content]
    assert decode_text(tokens, tuple("\nabc")) == content


def test_strange_characters_and_tokens_are_refused() -> None:
    message = r"contains 'é' \(U\+00E9\), which is not one of the 70 characters of the vocabulary"
    with pytest.raises(SequenceError, match=message):
        encode_text("café, naïve", text().train.classes)
    for token in (-1, 2):
        with pytest.raises(ValueError, match=rf"tokens\[1\] must be from 0 to 1, got {token}"):
            decode_text(torch.tensor([0, token]), "ab")
    with pytest.raises(ShapeError, match="argument 'tokens'"):
        decode_text(torch.zeros(2, 1).long(), "ab")


@pytest.mark.parametrize("name", ["tokens", "labels"])
def test_a_dataset_has_no_characters_outside_its_vocabulary(name: str) -> None:
    fields = {"tokens": torch.zeros(2, 3).long(), "labels": torch.zeros(2, 3).long()}
    fields[name][1, 0] = 2
    with pytest.raises(ValueError, match=rf"{name}\[3\] must be from 0 to 1, got 2"):
        TextDataset(**fields, classes=("a", "b"))


def test_a_batch_holds_its_stretches_in_columns() -> None:
    train = text(window=16).train
    batch = train.select(torch.tensor([3, 0]))
    assert isinstance(batch, TokenBatch)
    assert torch.equal(batch.tokens, train.tokens[:, [3, 0]])
    assert torch.equal(batch.labels, train.labels[:, [3, 0]])
