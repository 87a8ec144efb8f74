"""The commands about models of the zoo: `list`, `show` and `trace`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from shapezoo.cli.option_types import Int


def list_command(pattern: str = "*", /) -> None:
    """List the models with their number of parameters, task and summary.

    Args:
        pattern: Only list names that match, such as 'res*'.
    """
    from shapezoo.zoo import list_models, model_info

    infos = [model_info(name) for name in list_models(pattern)]
    width = max((len(info.name) for info in infos), default=0)
    for info in infos:
        print(f"{info.name:{width}}  {info.parameters:>11,}  {info.task}  {info.summary}")


def show(model: str, /) -> None:
    """Show a model: its contract, hyper-parameters, paper and published weights.

    Args:
        model: The name of the model.
    """
    from shapezoo.zoo import model_info

    print(model_info(model))


def trace(
    model: str,
    /,
    *,
    depth: Annotated[Int | None, Parameter(validator=Number(gte=0))] = None,
    svg: Path | None = None,
    **sizes: Int,
) -> None:
    """Show every layer of a model, with the shapes of its input and output.

    Axes without a given size stay symbolic: 'batch 64 height/4 width/4'.

    Args:
        model: The name of the model.
        depth: Show layers down to this depth; by default all.
        svg: Also draw a block diagram into this file.
        sizes: Sizes of axes of the contract, as in --batch 8 --height 224.
    """
    from shapezoo import tracing
    from shapezoo.creating import create_model

    traced = tracing.trace(create_model(model).eval(), sizes=sizes)
    if svg is not None:
        traced.save_svg(svg, depth=depth)
    print(traced.to_text(depth=depth))
