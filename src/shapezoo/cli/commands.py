"""The command line: each command parses its arguments and calls one public function."""

import contextlib
import io
import math
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, CycloptsError, Parameter, Token
from cyclopts.validators import Number
from rich.console import Console

from shapezoo import __version__, proving, recipes, tracing
from shapezoo.cli.targets import TargetError, find_target
from shapezoo.contracts import ContractError
from shapezoo.creating import UnknownModelError, create_model
from shapezoo.data import DatasetError, ImageError
from shapezoo.layers import SequenceError
from shapezoo.proving import SubjectError
from shapezoo.recipes import DataMismatchError, StoppedError
from shapezoo.recipes.configuration import CHANGEABLE
from shapezoo.recipes.runs import Run, RunConfig, RunError
from shapezoo.recipes.sources import SOURCES
from shapezoo.tracing import SizesError, TraceError
from shapezoo.train import (
    DeviceError,
    Interruption,
    Metrics,
    NonFiniteLossError,
    OnNan,
    Progress,
    StateError,
    joined,
)
from shapezoo.weights import WeightsError
from shapezoo.zoo import list_models, model_info

app = App(
    name="shapezoo",
    help="A PyTorch model zoo whose shapes are types.",
    version=__version__,
)

_EXPECTED_ERRORS = (
    ContractError,
    DataMismatchError,
    DatasetError,
    DeviceError,
    ImageError,
    ImportError,
    NonFiniteLossError,
    OSError,
    RunError,
    SequenceError,
    SizesError,
    StateError,
    SubjectError,
    TargetError,
    TraceError,
    UnknownModelError,
    WeightsError,
)


@app.command(name="list")
def list_command(pattern: str = "*", /) -> None:
    """List the models with their number of parameters, task and summary.

    Args:
        pattern: Only list names that match, such as 'res*'.
    """
    infos = [model_info(name) for name in list_models(pattern)]
    width = max((len(info.name) for info in infos), default=0)
    for info in infos:
        print(f"{info.name:{width}}  {info.parameters:>11,}  {info.task}  {info.summary}")


@app.command
def show(model: str, /) -> None:
    """Show a model: its contract, hyper-parameters, paper and published weights.

    Args:
        model: The name of the model.
    """
    print(model_info(model))


def _int(type_: object, tokens: Sequence[Token]) -> int:
    """Parse an integer strictly: the default of cyclopts would round 2.7."""
    return int(tokens[0].value)


_Int = Annotated[int, Parameter(converter=_int)]
_Strings = Annotated[tuple[str, ...], Parameter(negative="", consume_multiple=True)]


@app.command
def trace(
    model: str,
    /,
    *,
    depth: Annotated[_Int | None, Parameter(validator=Number(gte=0))] = None,
    svg: Path | None = None,
    **sizes: _Int,
) -> None:
    """Show every layer of a model, with the shapes of its input and output.

    Axes without a given size stay symbolic: 'batch 64 height/4 width/4'.

    Args:
        model: The name of the model.
        depth: Show layers down to this depth; by default all.
        svg: Also draw a block diagram into this file.
        sizes: Sizes of axes of the contract, as in --batch 8 --height 224.
    """
    traced = tracing.trace(create_model(model).eval(), sizes=sizes)
    if svg is not None:
        traced.save_svg(svg, depth=depth)
    print(traced.to_text(depth=depth))


@app.command
def prove(
    target: str,
    /,
    *,
    init: _Strings = (),
    assume: _Strings = (),
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
    subject, arguments = find_target(target, init, train=train)
    try:
        proof = proving.prove(subject, init=arguments, assume=assume, budget=budget)
    except _EXPECTED_ERRORS:
        raise
    except Exception as error:  # an uncaught one exits with 1, which means refuted
        raise TargetError(f"cannot prove {target}: {type(error).__name__}: {error}") from error
    print(proof)
    code = {proving.Proved: 0, proving.Refuted: 1}.get(type(proof), 2)
    if all_sizes and code == 0 and not _accepts_all_sizes(proof):
        print("  --all-sizes   some sizes are refused, or not proved to be accepted")
        code = 2
    sys.exit(code)


def _accepts_all_sizes(proof: proving.Proof) -> bool:
    """Whether it is proved that no size of the contract raises."""
    is_free = all(case.is_exact and not case.preconditions for case in proof.cases)
    return isinstance(proof, proving.Proved) and is_free and not proof.sampled


@Parameter(name="*")
@dataclass(frozen=True)
class _Options:
    """The options of a new run; missing ones have the defaults of the dataset or `RunConfig`.

    Attributes:
        data: The name of the dataset: digits, mnist, fashion_mnist, cifar10, names, text,
            breast_cancer, diabetes or weather; by default the first for the model's task.
        root: The folder of downloaded datasets; by default data.
        split_by: Draw the test digits by example (the default), or by writer, which is harder.
        epochs: Passes over the training set; by default 10 (breast_cancer: 30, diabetes: 50).
        batch_size: Examples per step; by default 32 (text: 16).
        accumulate: Parts to split a batch into, if it is too large for the memory; by default 1.
        optimizer: adagrad, adam, adamax, adamw, asgd, lbfgs, rmsprop, rprop or sgd; by default
            adam.
        lr: The learning rate; by default 0.002 (text: 0.004, breast_cancer and weather: 0.01,
            diabetes: 1).
        schedule: The learning rate schedule: constant (the default), cosine (text), linear or
            step.
        warmup_steps: Steps at the start in which the learning rate rises; by default 0.
        clip_norm: Scale gradients with a larger norm down to this one; by default not (text: 1).
        precision: Compute in float32 (the default) or, where that is safe, in bfloat16.
        on_nan: What to do if the loss is NaN or infinite: continue (the default), or stop before
            the weights change, with exit code 1.
        compile: Run the model through torch.compile.
        patience: Stop after this many epochs without a lower loss on a held-out tenth of the
            examples, and keep the weights of the best epoch.
        seed: Seeds the weights, the split and the order of the examples; by default 0.
        device: The device to compute on: auto (the default), cpu, cuda or mps.
    """

    data: str | None = None
    root: str | None = None
    split_by: Literal["example", "writer"] | None = None
    epochs: _Int | None = None
    batch_size: _Int | None = None
    accumulate: _Int | None = None
    optimizer: str | None = None
    lr: float | None = None
    schedule: str | None = None
    warmup_steps: _Int | None = None
    clip_norm: float | None = None
    precision: Literal["float32", "bfloat16"] | None = None
    on_nan: OnNan | None = None
    compile: Annotated[bool | None, Parameter(negative="")] = None
    patience: _Int | None = None
    seed: _Int | None = None
    device: str | None = None


_DEFAULTS = _Options()


@app.command
def train(
    model: str | None = None,
    /,
    *,
    run: Path | None = None,
    resume: Path | None = None,
    download: Annotated[bool, Parameter(negative="")] = False,
    tensorboard: Annotated[bool, Parameter(negative="")] = False,
    options: _Options = _DEFAULTS,
) -> None:
    """Train a model, by default on a dataset that suits it.

    The first Ctrl-C stops the training cleanly, the second one at once. --resume continues a
    stopped run, also after a crash. To train with several processes, put
    'torchrun --nproc-per-node N -m --' in front.

    Args:
        model: The name of a model; or of a dataset, to train the model that suits it.
        run: The folder to write to, which must not exist; by default runs/MODEL-DATE-TIME.
        resume: The folder of a run to continue with its own options; only --device, --root and
            --on-nan may differ.
        download: Download the dataset if it is missing.
        tensorboard: Also write events for TensorBoard into the folder.
        options: The options of a new run.
    """
    passed = {name: value for name, value in vars(options).items() if value is not None}
    config = _requested(model, run, resume, passed)
    with joined() as processes, Interruption() as stop, contextlib.ExitStack() as stack:
        observers = []
        if processes.rank == 0:
            settings = config.config if isinstance(config, Run) else config
            console = Console(highlight=False, soft_wrap=True)
            observers.append(stack.enter_context(Progress(settings.epochs, console)))
        trained = recipes.train(
            config,
            run=run,
            download=download,
            tensorboard=tensorboard,
            observers=observers,
            begun=_announce,
            stop=stop,
            processes=processes,
        )
    if trained.run:
        _report(trained.run, trained.test)


def _requested(
    model: str | None, run: Path | None, resume: Path | None, options: dict[str, Any]
) -> RunConfig | Run:
    """Return the configuration of a new run, or the run to resume."""
    if resume is None:
        if model is None:
            raise RunError("name a model or a dataset to train, or a run to --resume")
        return recipes.configure(model, **options)
    changes = {name: options.pop(name) for name in CHANGEABLE if name in options}
    fixed = {"MODEL": model, "--run": run} | {
        f"--{name.replace('_', '-')}": value for name, value in options.items()
    }
    if wrong := [name for name, value in fixed.items() if value is not None]:
        raise RunError(f"--resume continues a run with its own options; leave out {wrong[0]}")
    resumed = Run.open(resume)
    return replace(resumed, config=replace(resumed.config, **changes))


def _announce(run: Run) -> None:
    print(model_info(run.config.model, **run.config.hyperparameters))
    print(f"run folder     {run.path}")


def _report(run: Run, test: Metrics) -> None:
    noun = SOURCES[run.config.data].noun
    if test.accuracy is None:
        print(f"test loss      {test.loss:.4f} over {test.examples} {noun}")
    else:
        print(f"test accuracy  {test.accuracy:.2%} of {test.examples} {noun}")
    if not math.isfinite(test.loss):
        print("the training diverged; retrain with a smaller lr")
    if not (run.path / "curves.png").exists():
        print("for plots of the results: pip install 'shapezoo[plots]'")


@app.command
def predict(run: Path, example: str, /, *, device: str = "auto") -> None:
    """Classify an image, a name or the beginning of a text with the model of a run.

    Args:
        run: The folder that 'shapezoo train' wrote.
        example: An image file (of a digit on a plain background, for example), a name, or the
            beginning of a text, whose next character is predicted.
        device: The device to compute on: auto, cpu, cuda or mps.
    """
    prediction = recipes.predict(run, example, device=device)
    for label, probability in list(prediction.probabilities.items())[:3]:
        print(f"{label if label.isprintable() else repr(label)}  {probability:.1%}")


def main() -> None:
    """Run the command line.

    An expected error prints one message and exits with 1, or with 2 for ``prove``, where 1 means
    refuted. An interruption exits with 130.
    """
    failure = 2 if sys.argv[1:2] == ["prove"] else 1
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # not every console can encode the names in papers
            stream.reconfigure(errors="replace")
    try:
        app(sys.argv[1:], exit_on_error=False)
    except CycloptsError:  # cyclopts has printed it
        sys.exit(failure)
    except _EXPECTED_ERRORS as error:
        print(f"shapezoo: {error}", file=sys.stderr)
        sys.exit(failure)
    except (StoppedError, KeyboardInterrupt) as error:
        print(f"shapezoo: {str(error) or 'stopped'}", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
