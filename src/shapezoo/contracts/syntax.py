"""Python's syntax trees, in any thread."""

import ast


def expression(text: str) -> ast.expr:
    """The tree of an expression.

    Before Python 3.11.8, `ast.parse` counts the depths of all threads' trees in one place and
    fails by chance when two threads run it: https://github.com/python/cpython/issues/106905.

    Raises:
        SyntaxError: The text is no expression.
    """
    try:
        return ast.parse(text, mode="eval").body
    except SystemError:
        return expression(text)
