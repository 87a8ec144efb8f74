"""What to say of a name that nothing has."""

import difflib
from collections.abc import Iterable


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """The message for a name that is not known, with the nearest ones and all.

    Args:
        kind: What the name was to stand for, such as "optimizer".
        name: The name that came.
        known: The names that there are.
    """
    names = tuple(known)
    nearest = difflib.get_close_matches(name.lower(), names)
    hint = f"did you mean {' or '.join(map(repr, nearest))}? " if nearest else ""
    return f"no {kind} is called {name!r}; {hint}there are {', '.join(names)}"
