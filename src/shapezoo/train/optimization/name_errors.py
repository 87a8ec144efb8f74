"""The error message for an optimizer or schedule that does not exist."""

import difflib
from collections.abc import Iterable


def unknown_name(what: str, name: str, names: Iterable[str]) -> str:
    """Return an error message that lists the close matches of a name and all valid names.

    Args:
        what: What the name should refer to, such as "optimizer".
        name: The unknown name.
        names: The valid names.
    """
    valid = list(names)
    matches = difflib.get_close_matches(name.lower(), valid)
    hint = f"did you mean {' or '.join(map(repr, matches))}? " if matches else ""
    return f"no {what} is called {name!r}; {hint}valid names: {', '.join(valid)}"
