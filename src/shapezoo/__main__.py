"""``python -m shapezoo`` is the command line, as ``torchrun -m`` wants it."""

from shapezoo.cli import main

if __name__ == "__main__":
    main()
