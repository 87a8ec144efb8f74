"""Griffe extension that shows shapes in the API reference as they are written in the source.

Griffe treats a string inside an annotation as a forward reference: it would show
``Float[Tensor, "batch"]`` without the quotes, and parse ``"batch -1"`` as a subtraction. So this
extension adds a second pair of quotes, of which one remains.
"""

import ast

import griffe
import jaxtyping

DTYPES = {
    name
    for name in dir(jaxtyping)
    if isinstance(kind := getattr(jaxtyping, name), type)
    and issubclass(kind, jaxtyping.AbstractDtype)
}


class ShapeStrings(griffe.Extension):
    """Keeps the quotes of shapes in annotations of functions and fields."""

    def on_node(self, *, node: ast.AST | griffe.ObjectNode, **kwargs: object) -> None:
        """Quote the shapes in a node; griffe calls this before it visits the node."""
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                for part in ast.walk(node.args):
                    if isinstance(part, ast.arg):
                        _quote(part.annotation)
                _quote(node.returns)
            case ast.ClassDef():
                for part in node.body:
                    if isinstance(part, ast.AnnAssign):
                        _quote(part.annotation)


def _quote(annotation: ast.expr | None) -> None:
    for node in ast.walk(annotation) if annotation else ():
        match node:
            case ast.Subscript(
                value=ast.Name(id=dtype),
                slice=ast.Tuple(elts=[_, ast.Constant(value=str(shape)) as text]),
            ) if dtype in DTYPES:
                text.value = f'"{shape}"'
