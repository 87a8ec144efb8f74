"""Compare shapezoo with torchvision, timm, jaxtyping with beartype, torchinfo, and pyrefly.

Run `python benchmarks/peers.py [SECTIONS]` in an environment with the peers (see `README.md`); by
default it runs all sections. A section that needs a missing peer leaves it out.
"""

import ast
import importlib
import inspect
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

import planted
import torch
import torchvision
from beartype import beartype
from jaxtyping import jaxtyped
from timing import times
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

import contracts
import shapezoo
from shapezoo import create_model, list_models, model_info, prove, trace
from shapezoo.proving.proofs import Proved

PEERS = (
    *("torch", "torchvision", "timm", "jaxtyping", "beartype", "torchinfo"),
    *("pyrefly", "pyrefly-torch-stubs"),
)
WEIGHTED = list_models(published=True)
FAMILIES = ("resnet50", "vgg16", "inception_v3", "convnext_tiny", "vit_b_16")
"""One model of each family that shapezoo, torchvision and timm all have."""
TIMM_NAMES = {
    "vit_b_16": "vit_base_patch16_224",
    "vit_b_32": "vit_base_patch32_224",
    "vit_l_16": "vit_large_patch16_224",
    "vit_l_32": "vit_large_patch32_224",
    "vit_h_14": "vit_huge_patch14_224",
}


def installed(package: str) -> str | None:
    """Return the version of a package; None if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def row(*cells: object) -> None:
    """Print the row of a Markdown table."""
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def header(*cells: object) -> None:
    """Print the head of a Markdown table."""
    print()
    row(*cells)
    print("|---" * len(cells) + "|")


# Planted mistakes


def raises(model: type[nn.Module], wrap: Callable[[Any], Any], shapes: Any) -> bool:
    """Whether a call of the class raises if its forward is wrapped."""
    wrapped = type(model.__name__, (model,), {"forward": wrap(model.forward)})
    try:
        wrapped()(*(torch.randn(shape) for shape in shapes))
    except Exception:
        return True
    return False


def complains(model: type[nn.Module]) -> bool:
    """Whether `prove` refutes the contract, or finds limits that the contract does not state."""
    proof = prove(model().eval())
    return not isinstance(proof, Proved) or bool(proof.preconditions)


def declared(source: str) -> str:
    """Return the source with the declaration of axis names that pyrefly needs on each function."""
    imports, *parts = re.split(r"(?m)^(?=import torch$|    def forward)", source)
    parts[0] = "from shape_extensions import static_jaxtyping\n" + parts[0]
    for i, part in enumerate(parts[1:], 1):
        shapes = re.findall(r'"(.*?)"', part[: part.index("]:\n")])
        names = dict.fromkeys(re.findall(r"\b[a-z_]+\b", " ".join(shapes)))
        parts[i] = f'    @static_jaxtyping("{" ".join(names)}")\n{part}'
    return "".join([imports, *parts])


def pyrefly() -> tuple[set[str], float, float]:
    """Return the classes with errors, and the CPU and wall-clock seconds of the second run."""
    source = declared(inspect.getsource(planted))
    classes = [n for n in ast.parse(source).body if isinstance(n, ast.ClassDef)]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "planted.py").write_text(source)
        config = f"python-interpreter-path = {json.dumps(sys.executable)}\n"
        Path(folder, "pyrefly.toml").write_text(config)
        program = Path(sys.executable).with_name("pyrefly")
        command = [str(program), "check", "--output-format", "json"]
        for _ in range(2):  # the first run reads pyrefly and the stubs from disk
            cpu, wall = cpu_of_children(), time.perf_counter()
            out = subprocess.run(command, cwd=folder, capture_output=True, text=True).stdout
            cpu, wall = cpu_of_children() - cpu, time.perf_counter() - wall
    wrong = set()
    for error in json.loads(out)["errors"]:
        wrong.add([c.name for c in classes if c.lineno <= error["line"]][-1])
    return wrong, cpu, wall


def cpu_of_children() -> float:
    """Return the CPU seconds of all finished child processes."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def mistakes() -> None:
    """Print which tool finds which planted mistake, and the false alarms on the right twins."""
    found: dict[str, dict[str, bool]] = {}
    wraps: dict[str, Callable[[Any], Any]] = {
        "PyTorch, one call": lambda forward: forward,
        "jaxtyping and beartype, one call": jaxtyped(typechecker=beartype),
        "shapezoo, one call": shapezoo.checked,
    }
    classes = [name + twin for name in planted.SHAPES for twin in ("", "Right")]
    for tool, wrap in wraps.items():
        found[tool] = {
            name: raises(getattr(planted, name), wrap, planted.SHAPES[name.removesuffix("Right")])
            for name in classes
        }
    if installed("pyrefly") and installed("pyrefly-torch-stubs"):
        wrong, cpu, wall = pyrefly()
        found["pyrefly"] = {name: name in wrong for name in classes}
        print(f"\npyrefly, all of the file: {cpu:.2f} s of CPU time, {wall:.2f} s")
    cpu = time.process_time()
    found["shapezoo.prove"] = {name: complains(getattr(planted, name)) for name in classes}
    print(f"shapezoo.prove, all classes: {time.process_time() - cpu:.1f} s of CPU time")
    header("mistake", *found)
    for name in planted.SHAPES:
        row(name, *("found" if results[name] else "-" for results in found.values()))
    rights = [name for name in classes if name.endswith("Right")]
    row("found", *(sum(results[name] for name in planted.SHAPES) for results in found.values()))
    row("false alarms", *(sum(results[name] for name in rights) for results in found.values()))


# Cost


def nodes(module: nn.Module, inputs: Tensor) -> str:
    """Return the number of nodes in the one graph of a module, or the class of the error."""
    graphs: list[int] = []

    def backend(graph: torch.fx.GraphModule, _: object) -> Callable[..., Any]:
        graphs.append(len(graph.graph.nodes))
        return graph.forward

    torch._dynamo.reset()
    try:
        torch.compile(module, backend=backend, fullgraph=True)(inputs)
    except Exception as error:
        return type(error).__name__
    return f"{sum(graphs)} nodes"


def cost() -> None:
    """Print what a repeated checked call adds in CPU time, and what a contract adds to a graph."""
    inputs = torch.zeros(2, 3, 8, 8)
    kinds = ("raw", "raw again", "jaxtyping and beartype", "shapezoo")
    with torch.no_grad():
        calls = contracts.calls_of(contracts.built(contracts.identity), inputs)
        seconds = times(
            {kind: calls[kind] for kind in kinds},
            rounds=301,
            calls=1000,
            clock=time.process_time,
        )
        graphs = contracts.built(contracts.resnet)
        images = torch.randn(1, 3, 32, 32)
        header("one call, one tensor in and out", "CPU time", "added", "ratio", "in a graph")
        for kind in kinds:
            pairs = list(zip(seconds[kind], seconds["raw"], strict=True))
            row(
                kind,
                f"{median(seconds[kind]) * 1e6:.2f} us",
                f"{median(a - b for a, b in pairs) * 1e6:.2f} us",
                f"{median(a / b for a, b in pairs):.2f}",
                nodes(graphs[kind], images),
            )


# Wrong inputs and smallest images


class Zeros(TorchFunctionMode):
    """Makes weights zero that should be drawn at random, which takes long for large models."""

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Call a function, unless it initialises a tensor."""
        kwargs = kwargs or {}
        if (
            func in (Tensor.normal_, Tensor.uniform_)
            or getattr(func, "__module__", None) == nn.init.__name__
        ):
            return nn.init.zeros_(kwargs.get("tensor", *args[:1]))
        return func(*args, **kwargs)


def built(package: str, name: str) -> nn.Module:
    """Build a model in eval mode, without its initial weights."""
    with Zeros():
        if package == "shapezoo":
            model: nn.Module = create_model(name)
        elif package == "timm":
            model = importlib.import_module("timm").create_model(TIMM_NAMES.get(name, name))
        else:
            extra = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
            model = torchvision.models.get_model(name, **extra)
    return model.eval()


def packages() -> Iterator[tuple[str, list[str]]]:
    """Yield the installed packages with models, each with those of shapezoo's models it has."""
    yield "shapezoo", WEIGHTED
    yield "torchvision", WEIGHTED
    if installed("timm"):
        names = set(importlib.import_module("timm").list_models())
        yield "timm", [name for name in WEIGHTED if TIMM_NAMES.get(name, name) in names]


def error_of(model: nn.Module, inputs: Tensor) -> str | None:
    """Return the message of the error that a call raises; None if it raises none."""
    try:
        with torch.no_grad():
            model(inputs)
    except Exception as error:
        return str(error)
    return None


def wrong_calls(name: str) -> dict[str, tuple[Tensor, str]]:
    """Return inputs that the model must reject, each with a pattern of what it expects instead."""
    size = 299 if name == "inception_v3" else 224
    calls = {
        "channels last": (torch.zeros(1, size, size, 3), r"\b3\b"),
        "one channel": (torch.zeros(1, 1, size, size), r"\b3\b"),
        "uint8": (torch.zeros(1, 3, size, size, dtype=torch.uint8), r"(?i)\bfloat"),
        "no batch axis": (torch.zeros(3, size, size), r"(?i)\b4D?\b|\bbatch\b"),
    }
    smallest = {"vgg16": 32, "inception_v3": 75, "convnext_tiny": 32, "vit_b_16": 224}
    if name in smallest:
        calls["8 x 8 pixels"] = (torch.zeros(1, 3, 8, 8), rf"\b{smallest[name]}\b")
    return calls


def wrong() -> None:
    """Print how many messages name the input and say what was expected of it.

    The rule is generous: "input", "image" and the name of the argument all name the input, and the
    expected number may stand anywhere in the message.
    """
    counts: dict[str, Counter[str]] = {}
    for package, names in packages():
        for name in [name for name in FAMILIES if name in names]:
            model = built(package, name)
            arguments = "|".join(inspect.signature(model.forward).parameters)
            for call, (inputs, expected) in wrong_calls(name).items():
                message = error_of(model, inputs)
                if message is None:
                    outcome = "accepted"
                else:
                    named = re.search(rf"(?i)\b(inputs?|images?|{arguments})\b", message)
                    clear = named and re.search(expected, message)
                    outcome = "clear" if clear else "unclear"
                counts.setdefault(call, Counter())[f"{package} {outcome}"] += 1
                first = "accepted" if message is None else message.partition("\n")[0][:120]
                print(f"{package:12}{name:14}{call:14}{outcome:9}{first}")
    outcomes = [f"{p} {o}" for p, _ in packages() for o in ("clear", "unclear", "accepted")]
    header("wrong input", *outcomes)
    for call, count in counts.items():
        row(call, *(count[outcome] for outcome in outcomes))
    row("all", *(sum(count[o] for count in counts.values()) for o in outcomes))


def smallest_accepted(model: nn.Module) -> int | None:
    """Return the smallest n up to 299 for which the model accepts n x n pixels."""
    sizes = range(1, 300)
    return next((n for n in sizes if error_of(model, torch.zeros(1, 3, n, n)) is None), None)


def stated(package: str, name: str) -> int | None:
    """Return the smallest size of images that the package states for the model; None if none."""
    if package == "shapezoo":
        info = model_info(name)
        sizes = (
            n
            for n in range(1, 300)
            if info.signature.accepts((1, 3, n, n))
            and all(
                c.holds({"batch": 1, "height": n, "width": n})
                for c in info.verdicts["eval"].preconditions
            )
        )
        return next(sizes, None)
    if package == "timm":
        timm = importlib.import_module("timm")
        config = timm.get_pretrained_cfg(TIMM_NAMES.get(name, name))
        size = config.input_size if config.fixed_input_size else config.min_input_size
        return None if size is None else int(size[-1])
    weights = torchvision.models.get_model_weights(
        name
    )  # some are for other sizes than the default
    return min(int(w.meta["min_size"][0]) for w in weights)


def smallest() -> None:
    """Print how many of the stated smallest image sizes are those found by trying."""
    header("", "models", "state a smallest size", "exactly", "not", "s of CPU time")
    all_classifiers = torchvision.models.list_models(module=torchvision.models)
    for package, names in [*packages(), ("torchvision", all_classifiers)]:
        start = time.process_time()
        sizes = {n: (stated(package, n), smallest_accepted(built(package, n))) for n in names}
        said = {name: pair for name, pair in sizes.items() if pair[0] is not None}
        differ = {name: pair for name, pair in said.items() if pair[0] != pair[1]}
        seconds = f"{time.process_time() - start:.0f}"
        row(package, len(names), len(said), len(said) - len(differ), differ or "-", seconds)


# Layer tables


def vit_b_16_macs() -> int:
    """Return the multiply-accumulates of ViT-B/16 for an image of 224 x 224 pixels, by hand."""
    width, hidden, patches = 768, 3072, (224 // 16) ** 2
    tokens = patches + 1
    projections = tokens * width * 3 * width + tokens * width * width
    attention = 2 * tokens * tokens * width  # the scores, and the weighted sums of the values
    mlp = 2 * tokens * width * hidden
    return patches * 3 * 16 * 16 * width + 12 * (projections + attention + mlp) + width * 1000


def flops(model: nn.Module, images: Tensor) -> int:
    """Return the floating-point operations that PyTorch's own counter finds in a call."""
    with FlopCounterMode(display=False) as counter:
        model(images)
    return int(counter.get_total_flops())


def layers() -> None:
    """Print the multiply-accumulates that each tool counts in the same torchvision models.

    PyTorch's counter does not know the fused attention of a CPU, so it counts twice: once as users
    would, and once with attention as separate operations.
    """
    print(f"\nvit_b_16 by hand: {vit_b_16_macs():,}")
    counter = "FlopCounterMode / 2"
    header("", counter, f"{counter}, attention not fused", "shapezoo.trace", "torchinfo")
    for name in FAMILIES:
        images = torch.zeros(1, 3, 224, 224)
        model = built("torchvision", name)
        with torch.no_grad():
            plain = flops(model, images) // 2
        with sdpa_kernel(SDPBackend.MATH):  # with gradients: otherwise MultiheadAttention is fused
            split = flops(model, images) // 2
        theirs = "-"
        if installed("torchinfo"):
            summary = importlib.import_module("torchinfo").summary
            theirs = f"{summary(model, input_data=images, verbose=0).total_mult_adds:,}"
        row(name, f"{plain:,}", f"{split:,}", f"{trace(model, images).macs:,}", theirs)
    print("\nshapezoo.trace of resnet18, without inputs:", trace(create_model("resnet18")).macs)


# Counts


def count() -> None:
    """Print the numbers of models, and the stored verdicts on those of shapezoo."""
    header("", "models", "with published weights")
    names = list_models()
    row("shapezoo", len(names), len(WEIGHTED))
    models = torchvision.models
    modules = {"quantization": models.quantization, "detection": models.detection}
    modules |= {"segmentation": models.segmentation, "video": models.video}
    modules |= {"classification": models, "optical flow": models.optical_flow}
    for task, module in modules.items():
        theirs = models.list_models(module=module)
        weighted = [name for name in theirs if len(models.get_model_weights(name))]
        row(f"torchvision, {task}", len(theirs), len(weighted))
    if installed("timm"):
        timm = importlib.import_module("timm")
        pretrained = {name.partition(".")[0] for name in timm.list_models(pretrained=True)}
        row("timm", len(timm.list_models()), len(pretrained))
    print("\ntasks of shapezoo:", dict(Counter(model_info(name).task for name in names)))
    verdicts = [v for name in names for v in model_info(name).verdicts.values()]
    outcomes = Counter(v.outcome for v in verdicts)
    exact = sum(v.is_exact and not v.sampled for v in verdicts)
    print(f"verdicts on {len(names)} models in both modes: {dict(outcomes)}, {exact} exact")


SECTIONS = {f.__name__: f for f in (mistakes, cost, wrong, smallest, layers, count)}

if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(", ".join(f"{package} {installed(package) or 'is missing'}" for package in PEERS))
    for section in sys.argv[1:] or SECTIONS:
        print(f"\n## {section}", flush=True)
        SECTIONS[section]()
