"""Parse Python expressions in any thread."""

import ast


def expression(text: str) -> ast.expr:
    """Return the syntax tree of an expression.

    Before Python 3.11.8, `ast.parse` shares a depth counter between threads and occasionally fails
    when two threads run it: https://github.com/python/cpython/issues/106905.

    Raises:
        SyntaxError: The text is not an expression.
    """
    try:
        return ast.parse(text, mode="eval").body
    except SystemError:
        return expression(text)
