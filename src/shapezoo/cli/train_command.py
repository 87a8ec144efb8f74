"""The command `train`."""

import contextlib
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from shapezoo.cli.option_types import Flag, Int
from shapezoo.cli.wrapping import print_wrapped

if TYPE_CHECKING:
    from shapezoo.recipes import Trained
    from shapezoo.recipes.runs import Run, RunConfig


@Parameter(name="*")
@dataclass(frozen=True)
class Options:
    """The options of a new run; missing ones have the defaults of the dataset or `RunConfig`.

    Attributes:
        data: The name of the dataset: digits, mnist, fashion_mnist, cifar10, names, text,
            breast_cancer, diabetes or weather; by default the first for the model's task.
        root: The folder of downloaded datasets; by default data.
        split_by: Draw the test digits by example (the default), or by writer, which is harder.
        epochs: Passes over the training set; by default 10 (names: 8, breast_cancer: 30,
            diabetes: 50).
        batch_size: Examples per step; by default 32 (names: 64, text: 16).
        accumulate: Parts to split a batch into, if it is too large for the memory; by default 1.
        optimizer: adagrad, adam, adamax, adamw, asgd, lbfgs, rmsprop, rprop or sgd; by default
            adam.
        lr: The learning rate; by default 0.002 (names and text: 0.004, breast_cancer and
            weather: 0.01, diabetes: 1).
        schedule: The learning rate schedule: constant (the default), cosine (names, text),
            linear or step.
        warmup_steps: Steps at the start in which the learning rate rises; by default 0.
        clip_norm: Scale gradients with a larger norm down to this one; by default not (text: 1).
        precision: Compute in float32 (the default) or, where that is safe, in bfloat16.
        on_nan: What to do if the loss is NaN or infinite: continue (the default), or stop before
            the weights change, with exit code 1.
        compile: Run the model through torch.compile.
        patience: Stop after this many epochs without a lower loss on a held-out tenth of the
            examples, and keep the weights of the best epoch; by default not (names: 3).
        seed: Seeds the weights, the split and the order of the examples; by default 0.
        device: The device to compute on: auto (the default), cpu, cuda or mps.
    """

    data: str | None = None
    root: str | None = None
    split_by: Literal["example", "writer"] | None = None
    epochs: Int | None = None
    batch_size: Int | None = None
    accumulate: Int | None = None
    optimizer: str | None = None
    lr: float | None = None
    schedule: str | None = None
    warmup_steps: Int | None = None
    clip_norm: float | None = None
    precision: Literal["float32", "bfloat16"] | None = None
    on_nan: Literal["continue", "stop"] | None = None
    compile: Annotated[bool | None, Parameter(negative="")] = None
    patience: Int | None = None
    seed: Int | None = None
    device: str | None = None


_DEFAULTS = Options()


def train(
    model: str | None = None,
    /,
    *,
    run: Path | None = None,
    resume: Path | None = None,
    download: Flag = False,
    tensorboard: Flag = False,
    options: Options = _DEFAULTS,
) -> None:
    """Train a model, by default on a dataset that suits it.

    The first Ctrl-C stops the training cleanly, the second one at once. --resume continues a
    stopped run, also after a crash. To train with several processes, put
    'torchrun --nproc-per-node N -m --' in front.

    The exit code is 0 after a training, 130 if it was stopped, and 1 on errors, and also if it
    diverged: its loss became NaN or infinite, or much higher than without training.

    Args:
        model: The name of a model; or of a dataset, to train the model that suits it.
        run: The folder to write to, which must not exist; by default runs/MODEL-DATE-TIME.
        resume: The folder of a run to continue with its own options; only --device, --root and
            --on-nan may differ.
        download: Download the dataset if it is missing.
        tensorboard: Also write events for TensorBoard into the folder.
        options: The options of a new run.
    """
    from rich.console import Console

    from shapezoo import recipes
    from shapezoo.recipes.advice import after_divergence
    from shapezoo.recipes.runs import Run, RunError
    from shapezoo.train import Interruption, Progress, joined

    passed = {name: value for name, value in vars(options).items() if value is not None}
    config = _requested(model, run, resume, passed)
    with joined() as processes, Interruption() as stop, contextlib.ExitStack() as stack:
        observers = []
        if processes.rank == 0:
            settings = config.config if isinstance(config, Run) else config
            console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
            progress = Progress(settings.epochs, console, evaluated=settings.evaluated)
            observers.append(stack.enter_context(progress))
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
    _report(trained)
    if trained.diverged:
        raise RunError(after_divergence(trained.config))


def _requested(
    model: str | None, run: Path | None, resume: Path | None, options: dict[str, Any]
) -> "RunConfig | Run":
    """Return the configuration of a new run, or the run to resume."""
    from shapezoo import recipes
    from shapezoo.recipes.configuration import CHANGEABLE
    from shapezoo.recipes.runs import Run, RunError

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


def _announce(run: "Run") -> None:
    from shapezoo.recipes.advice import after_the_end
    from shapezoo.zoo import model_info

    info = model_info(run.config.model, **run.config.hyperparameters)
    print_wrapped(replace(info, published_by=None))  # a training starts from random weights
    print(f"dataset        {run.config.data}")
    print(f"run folder     {run.path}")
    if run.has_ended:
        print_wrapped(after_the_end(run))


def _report(trained: "Trained") -> None:
    from shapezoo.recipes.advice import kept, to_use
    from shapezoo.recipes.sources import SOURCES

    run, test = trained.run, trained.test
    if run is None:  # another process reports
        return
    noun = SOURCES[run.config.data].noun
    if weights := kept(run):
        print_wrapped(f"weights        {weights}")
    if test.accuracy is None:
        print(f"test loss      {test.loss:.6g} over {test.examples} {noun}")
    else:
        print(f"test accuracy  {test.accuracy:.2%} of {test.examples} {noun}")
    if not (run.path / "curves.png").exists():
        print("for plots      pip install 'shapezoo[plots]'")
    if not trained.diverged:
        label = "to use it" if SOURCES[run.config.data].read else "in Python"
        print(f"{label:15}{to_use(run)}")
