"""The files of the package."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from shapezoo.data import DatasetError, digits, names, packaged, text

READERS: dict[str, Callable[[], object]] = {
    "alice.txt": text,
    "digits.safetensors": digits,
    "names.tsv": names,
}


def test_every_file_has_its_checksum_in_the_notice() -> None:
    notice = (packaged.FILES / "NOTICE.md").read_text("utf-8")
    visible = {path.name for path in packaged.FILES.glob("[!.]*")}
    assert visible - {"NOTICE.md"} == set(packaged.CHECKSUMS) == set(READERS)
    for name, checksum in packaged.CHECKSUMS.items():
        assert f"`{name}`" in notice
        assert f"`{checksum}`" in notice
        assert packaged.read_packaged(name) == (packaged.FILES / name).read_bytes()


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("damage", ["flipped", "truncated", "missing"])
def test_a_damaged_file_raises(
    name: str, damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packaged, "FILES", tmp_path)
    shutil.copytree(Path(packaged.__file__).parent / "files", tmp_path, dirs_exist_ok=True)
    READERS[name]()
    content = bytearray((tmp_path / name).read_bytes())
    content[-2] ^= 1
    (tmp_path / name).unlink()
    if damage != "missing":
        (tmp_path / name).write_bytes(content if damage == "flipped" else content[:-1])
    with pytest.raises(DatasetError, match=f"{name}'; reinstall shapezoo"):
        READERS[name]()
