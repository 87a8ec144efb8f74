"""The command `show`."""

import inspect
from typing import TYPE_CHECKING, Any

from shapezoo.cli.option_types import Flag, OptionError, Strings
from shapezoo.cli.wrapping import print_json, print_wrapped

if TYPE_CHECKING:
    from torch import nn


def show(model: str, /, *, init: Strings = (), json: Flag = False) -> None:
    """Show a model: its contract, hyper-parameters, paper and published weights.

    Args:
        model: The name of a model of the zoo; or a module, a module class or a builder of your own,
            such as mypackage.nets:UNet.
        init: Arguments to build it with, as in --init channels=3.
        json: Print a JSON object.
    """
    from shapezoo.cli.targets import find_model, parse_arguments
    from shapezoo.zoo import list_models, model_info

    if model in list_models():
        arguments = parse_arguments(init)
        if other := {"weights", "device"} & arguments.keys():
            raise OptionError(f"--init {other.pop()}: it does not change what the model is")
        find_model(model, init)  # reports arguments that it does not accept
        info = model_info(model, **arguments)
        weights = [vars(each) | {"classes": len(each.classes)} for each in info.weights]
        data, text = info.to_dict() | {"weights": weights}, str(info)
    else:
        data, text = _description(model, find_model(model, init))
    if json:
        print_json(data)
    else:
        print_wrapped(text)


def _description(target: str, model: "nn.Module") -> tuple[dict[str, Any], str]:
    """Describe a module of the user's own, as JSON-ready data and as text."""
    from shapezoo.contracts import ContractError, signature

    contract, reason = None, ""
    try:
        contract = str(signature(model))
    except ContractError as error:
        reason = str(error).partition("\n")[0]
    documentation = type(model).__doc__
    data = {
        "name": target,
        "summary": inspect.cleandoc(documentation).partition("\n")[0] if documentation else "",
        "class": f"{type(model).__module__}.{type(model).__qualname__}",
        "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "signature": contract,
    }
    lines = [
        f"{target}: {data['summary']}".removesuffix(": "),
        f"  class       {data['class']}",
        f"  parameters  {data['parameters']:,}",
        f"  signature   {contract or f'none: {reason}'}",
    ]
    return data, "\n".join(lines)
