"""The command `prove`."""

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from shapezoo.cli.option_types import Flag, Strings
from shapezoo.cli.wrapping import print_json, print_wrapped

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from shapezoo.proving import Proof


def prove(
    target: str,
    /,
    *,
    init: Strings = (),
    assume: Strings = (),
    train: Flag = False,
    all_sizes: Flag = False,
    budget: Annotated[float, Parameter(validator=Number(gt=0))] = 60.0,
    json: Flag = False,
) -> int:
    """Prove the contract of a model for all sizes, or find sizes for which it fails.

    The exit code is 0 if the contract is proved: for every size the result is as stated, or the
    call raises; the output says for which sizes it raises. It is 1 if the contract is refuted, and
    2 if it is proved only in part or not at all, or on errors. With --all-sizes it is 0 only if the
    model also accepts every size, and 2 if it has limits. After Ctrl-C it is 130.

    Args:
        target: The name of a model of the zoo; or a module class, a function or a module of your
            own, such as mypackage.nets:UNet.
        init: Arguments to build it with, as in --init channels=3; for a class, channels=...
            stands for any size.
        assume: Conditions on the sizes, such as 'height >= 32'. The model must then accept every
            size that meets them, or it is refuted.
        train: Prove it in train mode.
        all_sizes: Exit with 0 only if the model accepts every size of the contract.
        budget: The maximum amount of work, in units of about a second on one core.
        json: Print a JSON object.
    """
    from shapezoo import proving
    from shapezoo.cli.failures import EXPECTED_ERRORS
    from shapezoo.cli.targets import TargetError, find_target

    subject, arguments = find_target(target, init, train=train)
    try:
        with _spinner(f"proving {target}"):
            proof = proving.prove(subject, init=arguments, assume=assume, budget=budget)
    except EXPECTED_ERRORS:
        raise
    except (Exception, SystemExit) as error:
        raise TargetError(f"cannot prove {target}: {type(error).__name__}: {error}") from error
    code = {proving.Proved: 0, proving.Refuted: 1}.get(type(proof), 2)
    has_limits = all_sizes and code == 0 and not _accepts_all_sizes(proof)
    if json:
        print_json(proof.to_dict())
    else:
        text, replay, snippet = str(proof).partition("\n  replay\n")  # code is not wrapped
        print_wrapped(text)
        if replay:
            print(replay.strip("\n") + "\n" + snippet)
        if has_limits:
            print("  --all-sizes   some sizes are refused, or not proved to be accepted")
    return 2 if has_limits else code


def _spinner(text: str) -> "AbstractContextManager[object]":
    """Show on a terminal that the program works, and for how long it has."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    progress = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
        disable=not console.is_terminal,
    )
    progress.add_task(text, total=None)
    return progress


def _accepts_all_sizes(proof: "Proof") -> bool:
    """Whether it is proved that no size of the contract raises."""
    from shapezoo.proving import Proved

    is_free = all(case.is_exact and not case.preconditions for case in proof.cases)
    return isinstance(proof, Proved) and is_free and not proof.sampled
