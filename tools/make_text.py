"""Extract the packaged text from the test data of Brotli 1.1.0.

Run from the root of the repository:
pip download --no-deps --no-binary brotli brotli==1.1.0 && python tools/make_text.py

The title page and the MS-DOS end-of-file character are dropped, and line endings are converted to
a single newline character.
"""

import tarfile
from pathlib import Path

SOURCE = "Brotli-1.1.0"
TARGET = Path("src/shapezoo/data/files/alice.txt")


def main() -> None:
    """Write the file; the output depends only on the source."""
    with tarfile.open(f"{SOURCE}.tar.gz") as archive:
        file = archive.extractfile(f"{SOURCE}/tests/testdata/alice29.txt")
        assert file is not None
        text = file.read().decode("ascii").replace("\r\n", "\n").rstrip("\x1a")
    TARGET.write_text(text[text.index("CHAPTER I\n") :], encoding="ascii", newline="\n")


if __name__ == "__main__":
    main()
