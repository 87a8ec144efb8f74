"""Trees of expressions."""

import ast

import pytest

from shapezoo.contracts.language.parsing import expression


def test_a_tree_that_another_thread_disturbed_is_made_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tree = ast.parse("height + 1", mode="eval")
    disturbed = iter([True, False])

    def parse(*_: object, **__: object) -> ast.Expression:
        if next(disturbed):
            raise SystemError("AST constructor recursion depth mismatch (before=81, after=72)")
        return tree

    monkeypatch.setattr(ast, "parse", parse)
    assert expression("height + 1") is tree.body


def test_what_is_no_expression_is_refused() -> None:
    with pytest.raises(SyntaxError):
        expression("height +")
