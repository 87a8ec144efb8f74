"""The command `prove`."""

import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from shapezoo.cli.option_types import Strings

if TYPE_CHECKING:
    from shapezoo.proving import Proof


def prove(
    target: str,
    /,
    *,
    init: Strings = (),
    assume: Strings = (),
    train: Annotated[bool, Parameter(negative="")] = False,
    all_sizes: Annotated[bool, Parameter(negative="")] = False,
    budget: float = 60.0,
) -> None:
    """Prove the contract of a model for all sizes, or find sizes for which it fails.

    The exit code is 0 if the contract is proved: for every size the result is as stated, or the
    call raises; the output says for which sizes it raises. It is 1 if the contract is refuted, and
    2 if it is proved only in part or not at all, or on errors. With --all-sizes it is 0 only if the
    model also accepts every size, and 2 if it has limits.

    Args:
        target: The name of a model of the zoo; or a module class, a function or a module of your
            own, such as mypackage.nets:UNet.
        init: An argument to build it with, as in --init channels=3; for a class, channels=...
            stands for any size.
        assume: A condition on the sizes, such as 'height >= 32'; may be given several times.
        train: Prove it in train mode.
        all_sizes: Exit with 0 only if the model accepts every size of the contract.
        budget: The maximum amount of work, in units of about a second on one core.
    """
    from shapezoo import proving
    from shapezoo.cli.failures import EXPECTED_ERRORS
    from shapezoo.cli.targets import TargetError, find_target

    subject, arguments = find_target(target, init, train=train)
    try:
        proof = proving.prove(subject, init=arguments, assume=assume, budget=budget)
    except EXPECTED_ERRORS:
        raise
    except Exception as error:  # an uncaught one exits with 1, which means refuted
        raise TargetError(f"cannot prove {target}: {type(error).__name__}: {error}") from error
    print(proof)
    code = {proving.Proved: 0, proving.Refuted: 1}.get(type(proof), 2)
    if all_sizes and code == 0 and not _accepts_all_sizes(proof):
        print("  --all-sizes   some sizes are refused, or not proved to be accepted")
        code = 2
    sys.exit(code)


def _accepts_all_sizes(proof: "Proof") -> bool:
    """Whether it is proved that no size of the contract raises."""
    from shapezoo.proving import Proved

    is_free = all(case.is_exact and not case.preconditions for case in proof.cases)
    return isinstance(proof, Proved) and is_free and not proof.sampled
