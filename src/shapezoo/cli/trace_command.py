"""The command `trace`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from shapezoo._names import did_you_mean
from shapezoo.cli.option_types import Flag, Int, OptionError, Strings, parse_shape
from shapezoo.cli.wrapping import print_json

if TYPE_CHECKING:
    from torch import Tensor, nn

OPTIONS = ("--init", "--input", "--depth", "--svg", "--json")


def trace(
    model: str,
    /,
    *,
    init: Strings = (),
    inputs: Annotated[Strings, Parameter(name="--input")] = (),
    depth: Annotated[Int | None, Parameter(validator=Number(gte=0))] = None,
    svg: Path | None = None,
    json: Flag = False,
    **sizes: Int,
) -> None:
    """Show every layer of a model, with the shapes of its input and output.

    Axes without a given size stay symbolic: 'batch 64 height/4 width/4'. A model without a contract
    needs the shapes of its inputs.

    Args:
        model: The name of a model of the zoo; or a module, a module class or a builder of your own,
            such as mypackage.nets:UNet.
        init: Arguments to build it with, as in --init channels=3.
        inputs: The shape of an input, as in --input 1,3,224,224, or of several in order. For
            integers write --input 1,77:int64.
        depth: Show layers down to this depth; by default all.
        svg: Also draw a block diagram into this file, whose name must end in .svg.
        json: Print a JSON object, with all layers and operations.
        sizes: Sizes of axes of the contract, as in --batch 8 --height 224.
    """
    if svg is not None and svg.suffix.lower() != ".svg":
        name = svg.with_suffix(".svg") if svg.name else svg / "model.svg"
        raise OptionError(f"--svg writes SVG; name the file, for example, {str(name)!r}")
    if inputs and sizes:
        raise OptionError(f"--input has all sizes; leave out --{next(iter(sizes))}")
    shapes = [_parse_input(text) for text in inputs]

    from shapezoo import tracing
    from shapezoo.cli.targets import TargetError, find_model

    built = find_model(model, init)
    sizes = {axis.replace("-", "_"): size for axis, size in sizes.items()}
    _refuse_misspelt_options(built, sizes)
    example = [_input(built, *shape) for shape in shapes]
    try:
        traced = tracing.trace(built, *example, sizes=sizes)
    except SystemExit as error:  # or its code would be that of the command
        raise TargetError(f"cannot trace {model}: it calls sys.exit({error.code!r})") from error
    if svg is not None:
        traced.save_svg(svg, depth=depth)
        print(f"shapezoo: wrote a block diagram to {svg}", file=sys.stderr)
    if json:
        print_json(traced.to_dict())
    else:
        print(traced.to_text(depth=depth))


def _parse_input(text: str) -> tuple[list[int], str]:
    """Return the shape of an input and the name of its dtype, which may be empty."""
    shape, _, dtype = text.partition(":")
    return [size for size in parse_shape("--input", shape) if size is not None], dtype


def _input(model: "nn.Module", shape: list[int], dtype_name: str) -> "Tensor":
    """Return zeros, by default of the dtype of the model."""
    import torch

    from shapezoo._modules import device_of, floating_dtype

    dtype = getattr(torch, dtype_name, None) if dtype_name else floating_dtype(model)
    if not isinstance(dtype, torch.dtype):
        raise OptionError(f"--input: {dtype_name!r} is not a dtype; write, for example, int64")
    try:
        return torch.zeros(shape, dtype=dtype, device=device_of(model))
    except (RuntimeError, TypeError) as error:  # too large, or a dtype without zeros
        reason = str(error).partition("\n")[0]
        raise OptionError(f"--input: no tensor of shape {tuple(shape)}: {reason}") from error


def _refuse_misspelt_options(model: "nn.Module", sizes: dict[str, int]) -> None:
    """Raise an OptionError for ``--dpeth 2``, which would be taken for the size of an axis."""
    from shapezoo.contracts import ContractError, signature
    from shapezoo.contracts.examples.arguments import free_axes

    try:
        axes = free_axes(signature(model))
    except ContractError:
        axes = ()
    known = [*OPTIONS, *(f"--{axis.replace('_', '-')}" for axis in axes)]
    for axis in sizes:
        option = f"--{axis.replace('_', '-')}"
        if axis not in axes and (hint := did_you_mean(option, known)):
            raise OptionError(f"unknown option {option}; {hint}")
