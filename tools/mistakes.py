"""mkdocs hook that runs common mistakes and shows the messages of PyTorch and shapezoo."""

import warnings
from typing import Any, NamedTuple

import torch

import shapezoo
from shapezoo.contracts.messages.describing import describe

PLACEHOLDER = "<!-- mistakes -->"
IMPORTS = """\
import numpy
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn, zeros
from torch.nn import functional

from shapezoo import Module, checked, create_model
from shapezoo.models import gru, lenet
from shapezoo.train import cross_entropy"""


class Mistake(NamedTuple):
    """A call that breaks a contract, or that fails in PyTorch inside a checked function.

    Attributes:
        title: Heading of the mistake.
        why: One or more sentences that explain what is wrong.
        call: The call, as one expression.
        given: Code that defines the function or module, or empty if shapezoo defines it.
    """

    title: str
    why: str
    call: str
    given: str = ""


MISTAKES = [
    Mistake(
        "A linear layer after a convolution",
        "The linear layer has the wrong input size for these images. The contract does not cover "
        "the layers inside the model, so the error is PyTorch's; a note says which layer failed, "
        "what it got, and the size that would work.",
        "Digits()(zeros(8, 1, 28, 28))",
        """\
class Digits(Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 10, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(320, 10),
        )

    def forward(
        self, images: Float[Tensor, "batch 1 height width"]
    ) -> Float[Tensor, "batch classes=10"]:
        return self.classifier(self.features(images))""",
    ),
    Mistake(
        "Batch and sequence swapped",
        "The GRU was built without `batch_first=True`. It treats 8 sequences of 20 positions as "
        "20 sequences of 8.",
        "Encoder()(zeros(8, 20, 4))",
        """\
class Encoder(Module):
    def __init__(self) -> None:
        super().__init__()
        self.gru = gru(hidden_size=16)

    def forward(
        self, inputs: Float[Tensor, "batch seq features=4"]
    ) -> Float[Tensor, "batch hidden=16"]:
        outputs, last = self.gru(inputs)
        return last[-1]""",
    ),
    Mistake(
        "A loss that broadcasts",
        "The difference has shape (8, 8): every prediction is compared with every target.",
        "squared_error(zeros(8, 1), zeros(8))",
        """\
@checked
def squared_error(
    predictions: Float[Tensor, "batch 1"], targets: Float[Tensor, "batch 1"]
) -> Float[Tensor, ""]:
    return (predictions - targets).square().mean()""",
    ),
    Mistake(
        "A mask along the wrong axis",
        "The mask hides the padded queries instead of the padded keys, so all other queries still "
        "attend to the padding.",
        "mask_padding(zeros(8, 20, 20), zeros(8, 20, 1).bool())",
        """\
@checked
def mask_padding(
    scores: Float[Tensor, "batch seq kv_seq"], padding: Bool[Tensor, "batch 1 kv_seq"]
) -> Float[Tensor, "batch seq kv_seq"]:
    return scores.masked_fill(padding, -torch.inf)""",
    ),
    Mistake(
        "The mean over the wrong axis",
        "The last axis holds the features of a position. The mean over the positions was intended.",
        "Pool()(zeros(8, 20, 16))",
        """\
class Pool(Module):
    def forward(
        self, inputs: Float[Tensor, "batch seq features"]
    ) -> Float[Tensor, "batch features"]:
        return inputs.mean(-1)""",
    ),
    Mistake(
        "One tensor of a list is shorter",
        "The third model got only one image. Broadcasting adds its scores to those of all images.",
        "average([zeros(8, 10), zeros(8, 10), zeros(1, 10)])",
        """\
@checked
def average(
    logits: list[Float[Tensor, "batch classes"]],
) -> Float[Tensor, "batch classes"]:
    return sum(logits) / len(logits)""",
    ),
    Mistake(
        "A replaced last layer",
        "The contract still expects the number of classes with which the model was built. Do not "
        "replace the layer; pass `num_classes` to `create_model`, with or without published "
        "weights.",
        "model(zeros(2, 3, 64, 64))",
        """\
model = create_model("resnet18")
model.fc = nn.Linear(512, 7)""",
    ),
    Mistake(
        "No batch axis",
        "A single image needs a batch axis of size 1.",
        "lenet()(zeros(1, 28, 28))",
    ),
    Mistake(
        "Colour images, grayscale model",
        "LeNet is built for grayscale images by default.",
        "lenet()(zeros(8, 3, 28, 28))",
    ),
    Mistake(
        "Pixels that are bytes",
        "Image files contain integers from 0 to 255, but the model expects floating-point numbers.",
        "lenet()(zeros(8, 1, 28, 28, dtype=torch.uint8))",
    ),
    Mistake(
        "Images that are too small",
        "The digits of scikit-learn have only 8x8 pixels; LeNet expects 28x28.",
        "lenet()(zeros(8, 1, 8, 8))",
    ),
    Mistake(
        "One-hot labels",
        "The loss expects class indices, not one-hot rows.",
        "cross_entropy(zeros(8, 10), functional.one_hot(zeros(8).long(), 10))",
    ),
    Mistake(
        "Integer targets",
        "The targets of a binary loss are probabilities, so they must be floating-point.",
        "binary_loss(zeros(8), zeros(8).long())",
        """\
@checked
def binary_loss(
    logits: Float[Tensor, "batch"], targets: Float[Tensor, "batch"]
) -> Float[Tensor, ""]:
    return functional.binary_cross_entropy_with_logits(logits, targets)""",
    ),
    Mistake(
        "An array instead of a tensor",
        "The images were never converted from NumPy.",
        'lenet()(numpy.zeros((8, 1, 28, 28), dtype="float32"))',
    ),
]


def without_checks(mistake: Mistake) -> tuple[str, bool]:
    """Return PyTorch's messages for a mistake, and whether PyTorch raises an error."""
    with warnings.catch_warnings(record=True, action="always") as caught, shapezoo.unchecked():
        try:
            said, raises = f"No error. It returns: {describe(_run(mistake))}", False
        except Exception as error:
            said, raises = _text(error), True
    return "\n".join([said, *(_text(warning.message) for warning in caught)]), raises


def with_checks(mistake: Mistake) -> str:
    """Return shapezoo's message for a mistake.

    Raises:
        ValueError: The call succeeds, so it is not a mistake.
    """
    with warnings.catch_warnings(action="ignore"):
        try:
            _run(mistake)
        except Exception as error:
            notes = getattr(error, "__notes__", [])
            if notes or isinstance(error, shapezoo.ShapeError):
                return "\n".join([_text(error), *notes])
            raise
    raise ValueError(f"{mistake.title!r} is not a mistake: shapezoo accepts {mistake.call}")


def render(mistakes: list[Mistake]) -> str:
    """Render the mistakes as Markdown; those for which PyTorch raises an error come first."""
    versions = f"Versions: PyTorch {torch.__version__}, shapezoo {shapezoo.__version__}."
    parts = [f"{versions} Every example starts with these imports:", _fence("python", IMPORTS)]
    said = [(mistake, *without_checks(mistake)) for mistake in mistakes]
    for heading, group in (
        ("PyTorch raises an error", [part for part in said if part[2]]),
        ("PyTorch raises no error", [part for part in said if not part[2]]),
    ):
        parts.append(f"## {heading}")
        for mistake, text, _ in group:
            code = "\n\n\n".join(filter(None, (mistake.given, mistake.call)))
            parts += [
                f"### {mistake.title}\n\n{mistake.why}",
                _fence("python", code),
                _fence('text title="PyTorch"', text),
                _fence('text title="shapezoo"', with_checks(mistake)),
            ]
    return "\n\n".join(parts)


def on_page_markdown(markdown: str, **_: object) -> str:
    """Replace the placeholder by the mistakes; mkdocs calls this for every page."""
    if PLACEHOLDER not in markdown:
        return markdown
    return markdown.replace(PLACEHOLDER, render(MISTAKES))


def _run(mistake: Mistake) -> object:
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(f"{IMPORTS}\n{mistake.given}", names)
    return eval(mistake.call, names)


def _text(error: Exception | str) -> str:
    return f"{type(error).__name__}: {error}".strip()


def _fence(language: str, text: str) -> str:
    return f"```{language}\n{text}\n```"
