"""Errors in the arguments of a command, in words for the person at the prompt."""

import inspect
from typing import Literal, get_args, get_origin

from cyclopts import (
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
    ValidationError,
)

from shapezoo._names import did_you_mean

_NUMBERS: dict[object, str] = {int: "a whole number", float: "a number"}


def usage_message(error: CycloptsError) -> str:
    """Return an error message in one line, which suggests what was probably meant."""
    message, hint = _message(error)
    command = " ".join(["shapezoo", *(error.command_chain or ())])
    return "; ".join(filter(None, [message, hint, f"see '{command} --help'"])).replace("?;", "?")


def _message(error: CycloptsError) -> tuple[str, str]:
    """Return a message and a suggestion, which may be empty."""
    match error:
        case UnknownCommandError(unused_tokens=[name, *_]):
            commands = [name for name in error.app or () if not name.startswith("-")]
            hint = did_you_mean(name, commands) or f"the commands are {', '.join(commands)}"
            return f"unknown command {name!r}", hint
        case UnknownOptionError():
            name = error.token.keyword or error.token.value
            return f"unknown option {name}", did_you_mean(name, _options(error))
        case UnusedCliTokensError(unused_tokens=[token, *_]):
            return f"unexpected argument {token!r}", ""
        case MissingArgumentError(argument=argument) if argument is not None:
            name = error.keyword or argument.name
            if not name.startswith("-"):
                return f"the argument {name.upper()} is missing", ""
            if hint := _hint_of_any(error, name):
                return f"unknown option {name}", hint
            return f"{name} needs a value", ""
        case CoercionError() | ValidationError():
            return _value_message(error)
    error.verbose = False
    return str(error), ""


def _value_message(error: CoercionError | ValidationError) -> tuple[str, str]:
    """Return the message and a suggestion for a value that an argument cannot have."""
    tokens = error.argument.tokens if error.argument else []
    token = error.token if isinstance(error, CoercionError) else None
    token = token or next(iter(tokens), None)
    name = (token and token.keyword) or (error.argument.name.upper() if error.argument else "")
    got = repr(token.value) if token else "nothing"
    if hint := _hint_of_any(error, name):
        return f"unknown option {name}", hint
    if isinstance(error, ValidationError):
        reason = error.exception_message.rstrip(".").replace("Must be >=", "must be at least")
        return f"{name} {reason}, got {got}", ""
    if error.msg is not None:  # from a converter of ours
        return f"{name} {error.msg}", ""
    if get_origin(error.target_type) is Literal:
        choices = list(map(str, get_args(error.target_type)))
        hint = did_you_mean(token.value, choices) if token else ""
        return f"{name} must be one of {', '.join(choices)}, got {got}", hint
    return f"{name} must be {_NUMBERS.get(error.target_type, 'another value')}, got {got}", ""


def _hint_of_any(error: CycloptsError, name: str) -> str:
    """Return a suggestion for an option of a command that accepts options of any name."""
    kind = error.argument.field_info.kind if error.argument else None
    is_any = kind is inspect.Parameter.VAR_KEYWORD
    return did_you_mean(name, _options(error)) if is_any else ""


def _options(error: CycloptsError) -> list[str]:
    """Return the options of the command."""
    collection = error.app.assemble_argument_collection() if error.app else ()
    names = [name for argument in collection for name in argument.names]
    return [name for name in names if name.startswith("--") and "[" not in name]
