"""Error messages for names that do not exist, with the names that were probably meant."""

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Ask whether one of the most similar names was meant; empty if none is similar.

    Upper and lower case are treated as equal.

    Args:
        name: The unknown name.
        known: The valid names.
    """
    originals = {valid.lower(): valid for valid in known}
    matches = difflib.get_close_matches(name.lower(), originals)
    nearest = [repr(originals[match]) for match in matches]
    names = " or ".join(filter(None, (", ".join(nearest[:-1]), *nearest[-1:])))
    return names and f"did you mean {names}?"


def unknown_name(what: str, name: str, names: Iterable[str]) -> str:
    """Return an error message that lists the close matches of a name and all valid names.

    Args:
        what: What the name should refer to, such as "optimizer".
        name: The unknown name.
        names: The valid names.
    """
    valid = list(names)
    hint = did_you_mean(name, valid)
    return f"no {what} is called {name!r}; {hint and hint + ' '}valid names: {', '.join(valid)}"
