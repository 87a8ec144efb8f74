"""Write the packaged text from the tests of Brotli 1.1.0, which compress it.

Run from the root of the repository:
pip download --no-deps --no-binary brotli brotli==1.1.0 && python tools/make_text.py

The title page is left out, and so is the mark that ends a file of MS-DOS; a line ends in one
character.
"""

import tarfile
from pathlib import Path

SOURCE = "Brotli-1.1.0"
TARGET = Path("src/shapezoo/data/files/alice.txt")


def main() -> None:
    """Write the file; its bytes depend on the source alone."""
    with tarfile.open(f"{SOURCE}.tar.gz") as archive:
        file = archive.extractfile(f"{SOURCE}/tests/testdata/alice29.txt")
        assert file is not None
        text = file.read().decode("ascii").replace("\r\n", "\n").rstrip("\x1a")
    TARGET.write_text(text[text.index("CHAPTER I\n") :], encoding="ascii", newline="\n")


if __name__ == "__main__":
    main()
