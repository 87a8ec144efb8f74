"""The command `list`."""

from typing import Literal, get_args

from shapezoo._names import did_you_mean
from shapezoo.cli.option_types import Count, Flag, OptionError, parse_shape
from shapezoo.cli.wrapping import print_json, print_wrapped

Task = Literal[
    "image-classification",
    "tabular-classification",
    "tabular-regression",
    "text-classification",
    "token-classification",
    "sequence-encoding",
    "forecasting",
]
"""The same as `shapezoo.registry.Task`, which needs torch; a test compares them."""


def list_command(
    *patterns: str,
    task: Task | None = None,
    max_parameters: Count | None = None,
    accepts: str | None = None,
    published: Flag = False,
    json: Flag = False,
) -> None:
    """List the models with their number of parameters, task and summary.

    Several options narrow the list down: a model must meet all of them.

    Args:
        patterns: Only list names that match one of these patterns, such as 'resnet*'.
        task: Only list models for this task.
        max_parameters: Only list models with at most this many parameters, as in 25M.
        accepts: Only list models that accept a tensor of this shape, as in 1,3,224,224, with the
            batch first. A question mark stands for any size.
        published: Only list models with published weights.
        json: Print a JSON array, with the contract and the limits of each model.
    """
    from shapezoo.zoo import list_models, model_info

    shape = None if accepts is None else parse_shape("--accepts", accepts, any_size="?")
    if shape and 0 in shape:
        raise OptionError(
            f"--accepts {accepts}: sizes must be 1 or more, since limits are for those"
        )
    for pattern in patterns:
        if not list_models(pattern):
            raise OptionError(_nothing_matches(pattern))
    names = list_models(
        patterns or "*", task=task, accepts=shape, published=True if published else None
    )
    infos = [model_info(name) for name in names]
    if max_parameters is not None:
        infos = [info for info in infos if info.parameters <= max_parameters]
    if not infos:
        raise OptionError("no model meets all of these conditions" + _with_a_batch(shape))
    if json:
        print_json([info.to_dict() for info in infos])
        return
    width = max(len(info.name) for info in infos)
    for info in infos:
        print_wrapped(f"{info.name:{width}}  {info.parameters:>11,}  {info.task}  {info.summary}")


def _nothing_matches(pattern: str) -> str:
    """Return an error message for a pattern that no name matches."""
    from shapezoo.zoo import list_models

    if pattern in get_args(Task):
        return f"{pattern!r} is a task; write: shapezoo list --task {pattern}"
    wider = f"*{pattern.strip('*')}*"
    if pattern.strip("*") and list_models(wider):
        return f"no model is called just {pattern!r}; write: shapezoo list '{wider}'"
    hint = did_you_mean(pattern, [*list_models(), *get_args(Task)])
    return f"no name matches {pattern!r}; " + (hint or "'shapezoo list' shows them all")


def _with_a_batch(shape: tuple[int | None, ...] | None) -> str:
    """Suggest a shape with a batch in front, if models accept that one."""
    from shapezoo.zoo import list_models

    if shape is None or not list_models(accepts=(1, *shape)):
        return ""
    text = ",".join("?" if size is None else str(size) for size in (1, *shape))
    return f"; with a batch of 1 in front the shape is --accepts {text}"
