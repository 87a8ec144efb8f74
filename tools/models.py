"""mkdocs hook that generates the table of all models, and a page for each with its layers."""

import html
import itertools
import re
from collections.abc import Callable, Iterator

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from model_facts import (
    SIZE,
    arxiv,
    chapter_of,
    default_weights,
    image_size,
    info_of,
    input_type,
    macs,
    reached_by,
)
from model_layers import diagram, layers
from model_layers import table as scrolled
from model_table import table

from shapezoo import ModelInfo, list_models, trace
from shapezoo.contracts import Argument
from shapezoo.contracts.language.types import TensorType
from shapezoo.models import InceptionBlock
from shapezoo.recipes import DataMismatchError, resolve

SECTION = "Models"
"""The section of the navigation to which the pages are added."""

_MACS = '<abbr title="multiply-accumulate operations">MACs</abbr>'

LINE = 80
"""The number of characters of code that fit on a line of a page."""

TABLE = "<!-- models -->"
"""What the table of all models replaces in the HTML of a page."""

EXAMPLE_SIZES = {"batch": 2, "seq": 5, "height": SIZE, "width": SIZE}
"""The sizes of the inputs in an example."""


def pages() -> Iterator[tuple[str, str]]:
    """Yield the path of each page in the documentation, and its Markdown."""
    for name in list_models():
        yield f"models/{name}.md", page(info_of(name))


def page(info: ModelInfo) -> str:
    """Return the page of a model."""
    return f"""\
---
description: {_description(info)}
hide:
  - toc
---

# {info.name}

{info.summary}

<div class="zoo-top" markdown>
<div class="zoo-facts" markdown>

{_facts(info)}

</div>
{diagram(info.name)}
<div class="zoo-use" markdown>

## Use it

{_usage(info)}
{_weights(info)}
</div>
</div>

{layers(info)}
## Contract

```python
{_contract(info)}
```

{_proof(info)}

## Options

{_options(info)}
"""


def snippet(info: ModelInfo) -> str:
    """Return code that builds a model and predicts with it."""
    return _prediction(info) if info.weights else _call(info)


def inception() -> str:
    """Return the diagram of an Inception block."""
    return _figure(trace(InceptionBlock(10)).to_svg())


PLACEHOLDERS: dict[str, Callable[[], str]] = {
    "<!-- inception -->": inception,
    "<BLANKLINE>": str,  # how doctest writes an empty line
}
"""The functions that generate what replaces each placeholder in the Markdown of a page."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the pages to the navigation, by task; mkdocs calls this first."""
    section = next(item[SECTION] for item in config.nav or [] if SECTION in item)
    infos = sorted(map(info_of, list_models()), key=lambda info: (info.task, info.name))
    groups = itertools.groupby(infos, key=lambda info: info.task)
    section[1:] = [
        {_words(task).capitalize(): [f"models/{info.name}.md" for info in group]}
        for task, group in groups
    ]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages to the files; mkdocs calls this before it reads them."""
    for path, content in pages():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Replace the placeholders; mkdocs calls this for every page."""
    for placeholder, render in PLACEHOLDERS.items():
        if placeholder in markdown:
            markdown = markdown.replace(placeholder, render())
    return markdown


def on_page_content(content: str, *, page: Page, files: Files, **_: object) -> str:
    """Insert the table of all models; mkdocs calls this for the HTML of every page."""
    if TABLE not in content:
        return content

    def address(name: str) -> str:
        file = files.get_file_from_path(f"models/{name}.md")
        assert file
        return file.url_relative_to(page.file)

    return content.replace(TABLE, table(address))


def _description(info: ModelInfo) -> str:
    """Return what search engines show of a page, as a string of YAML."""
    contents = ["published weights"] * bool(info.weights) + ["layers", "shapes and limits"]
    return f'"{info.name}: {info.summary.removesuffix(".")}; {", ".join(contents)}."'


def _words(task: str) -> str:
    return task.replace("-", " ")


def _facts(info: ModelInfo) -> str:
    """Return a list of what a reader wants to know first."""
    size = image_size(info.name)
    example = f"one image of {size} x {size} pixels" if size else "one example"
    axes = " ".join(str(axis) for axis in input_type(info).axes)
    paper = _plain(info.paper)
    if link := arxiv(info.paper):
        paper = paper.replace(link[0], f"[{link[0]}]({link[1]})")
    facts = {
        "Task": _words(info.task),
        "Parameters": f"{info.parameters:,}",
        _MACS: f"{macs(info.name).text} for {example}",
        "Input": f"`{axes}`",
        "Limits": "; ".join(f"{text} ([proof](#contract))" for text in _limits(info)[:1]),
        "Paper": paper,
    }
    if weights := default_weights(info):
        accuracy = f"{weights.accuracy:.2f} % top-1 on ImageNet-1K" if weights.accuracy else "none"
        pixels = f"{weights.image_size} x {weights.image_size} pixels"
        facts["Accuracy"] = f"{accuracy}, at {pixels} ([weights](#weights))"
        facts["Licence"] = f"{', '.join(dict.fromkeys(w.licence for w in info.weights))} (weights)"
    if chapter := chapter_of(info.name):
        facts["Chapter"] = f"[{chapter.title}](../{chapter.path}) of the course"
    if reached := reached_by(info.name):
        facts["Reaches"] = reached.text
    facts["Reference"] = f"[`{info.name}`](../api/models.md#shapezoo.models.{info.name})"
    return "\n".join(f"- **{name}:** {text}" for name, text in facts.items() if text)


def _usage(info: ModelInfo) -> str:
    """Return the section with code to copy, and how to train a model of the course."""
    text = f"```python\n{snippet(info)}```\n"
    if info.weights:
        return text
    text += "\nThe weights are random."
    if chapter := chapter_of(info.name):
        text += f" [{chapter.title}](../{chapter.path}) explains the model."
        if command := _training(info.name):
            text += f" This trains it on the command line:\n\n```sh\n{command}\n```"
    return f"{text}\n"


def _training(name: str) -> str | None:
    """Return the command that trains a model; None if no data set of a run suits it."""
    reached = reached_by(name)
    try:
        _, data = resolve(name)
    except DataMismatchError:
        return None
    return f"shapezoo train {name}" if reached and reached.data == data else None


def _prediction(info: ModelInfo) -> str:
    """Return code that classifies an image with published weights."""
    from torchvision.models import get_model_weights

    enum = get_model_weights(info.name).__name__
    return f"""\
import torch
from PIL import Image
from torchvision.models import {enum}

from shapezoo import create_model
from shapezoo.weights import preprocess

weights = {enum}.DEFAULT
model = create_model("{info.name}", weights=weights).eval()

image = preprocess(Image.open("photo.jpg"), weights)
with torch.inference_mode():
    probabilities = model(image.unsqueeze(0)).softmax(1)[0]
for probability, index in zip(*probabilities.topk(5)):
    print(f"{{probability:6.1%}}  {{weights.meta['categories'][index]}}")
"""


def _call(info: ModelInfo) -> str:
    """Return code that calls a model with example arguments."""
    required = [argument for argument in info.signature.inputs if argument.is_required]
    lines = [f"{argument.name} = {_example(info, argument)}" for argument in required]
    names = ", ".join(argument.name for argument in required)
    arguments = "\n".join(lines)
    return f"""\
import torch

from shapezoo import create_model

model = create_model("{info.name}").eval()
{arguments}
with torch.inference_mode():
    outputs = model({names})
"""


def _example(info: ModelInfo, argument: Argument) -> str:
    type_ = argument.type
    assert isinstance(type_, TensorType)
    sizes = [str(axis.fixed or EXAMPLE_SIZES[str(axis.name)]) for axis in type_.axes]
    axes = ", ".join(axis.name or axis.label or str(axis.fixed) for axis in type_.axes)
    if argument.name == "lengths":
        return f"torch.full(({sizes[0]},), {EXAMPLE_SIZES['seq']})"
    if type_.dtype == "Float":
        return f"torch.rand({', '.join(sizes)})  # {axes}"
    return f"torch.zeros({', '.join(sizes)}, dtype=torch.{type_.dtype.lower()})  # {axes}"


def _weights(info: ModelInfo) -> str:
    """Return the section about published weights, or an empty string if there are none."""
    if not info.weights:
        return ""
    body = "\n".join(
        f'<tr><th scope="row"><code>{weights.name}</code>{" (default)" * weights.is_default}</th>'
        f"<td>{'features only' if weights.accuracy is None else f'{weights.accuracy:.2f} %'}</td>"
        f"<td>{weights.image_size} x {weights.image_size}</td>"
        f"<td>{weights.megabytes:.0f} MB</td><td>{weights.licence}</td>"
        f'<td><a href="{html.escape(weights.recipe)}">recipe</a></td></tr>'
        for weights in info.weights
    )
    heads = ("Name", "Top-1 accuracy", "Pixels", "Size", "Licence", "Training")
    return f"""
## Weights

{scrolled(f"Published weights of {info.name}", heads, body, "zoo-weights")}

The accuracy is what torchvision publishes, on the validation images of ImageNet-1K. Pass a name
as in `create_model("{info.name}", weights="{info.weights[0].name}")`;
[Weights](../weights.md) describes how they are downloaded, and adapted to other images and classes.
"""


def _contract(info: ModelInfo) -> str:
    """Return the contract, with a line for each argument if it is long."""
    contract = str(info.signature)
    inputs = [str(argument) for argument in info.signature.inputs]
    if len(contract) <= LINE:
        return contract
    lines = "".join(f"    {text},\n" for text in inputs)
    return contract.replace(f"({', '.join(inputs)})", f"(\n{lines})")


def _limits(info: ModelInfo) -> list[str]:
    """Return the verdict in each mode, or one verdict if they agree."""
    same = len(set(info.verdicts.values())) == 1
    lines = [
        _plain(str(verdict)) if same else f"{_plain(str(verdict))}, in {mode} mode"
        for mode, verdict in info.verdicts.items()
    ]
    return lines[: 1 if same else None]


def _proof(info: ModelInfo) -> str:
    """Return the verdicts as a list, and whether the model can be exported."""
    lines = [f"- The contract is {text}." for text in _limits(info)]
    lines.append(f"- `torch.export`: {info.export}.")
    return "\n".join([*lines, "", "[Proofs](../proofs.md) explains what this means."])


def _options(info: ModelInfo) -> str:
    """Return a table of the keywords of `create_model`."""
    keywords = [f"| `{name}` | `{value!r}` |" for name, value in info.hyperparameters.items()]
    return "\n".join(["| keyword | default |", "|---|---|", *keywords])


def _plain(text: str) -> str:
    """Escape text for Markdown."""
    return re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", text)


def _figure(svg: str) -> str:
    """Inline an SVG, so that it has the colours of the page; exclude it from the search index."""
    return f"<div data-search-exclude>\n{svg}</div>"
