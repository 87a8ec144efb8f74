"""mkdocs hook that generates a page for every model of the zoo, with its layers and a diagram."""

import functools
import itertools
import re
from collections.abc import Callable, Iterator

import torch
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from shapezoo import ModelInfo, Trace, create_model, list_models, model_info, trace
from shapezoo._modules import without_values
from shapezoo.models import Backbone, InceptionBlock

SECTION = "Models"
"""The section of the navigation to which the pages are added."""

SIZE = 224
"""The default height and width of images, in pixels."""

LINE = 80
"""The number of characters of code that fit on a line of a page."""


def pages() -> Iterator[tuple[str, str]]:
    """Yield the path of each page in the documentation, and its Markdown."""
    for info in _infos():
        yield f"models/{info.name}.md", page(info)


def page(info: ModelInfo) -> str:
    """Return the page of a model."""
    keywords = [f"| `{name}` | `{value!r}` |" for name, value in info.hyperparameters.items()]
    table = "\n".join(["| keyword | default |", "|---|---|", *keywords])
    return f"""\
---
hide:
  - toc
---

# {info.name}

{info.summary}

- Task: {info.task}
- Paper: {_plain(info.paper)}
- Parameters: {info.parameters:,}
- `torch.export`: {info.export}
- Reference: [`{info.name}`](../api/models.md#shapezoo.models.{info.name})

## How to build it

```python
from shapezoo import create_model

model = create_model("{info.name}")
```

{table}

## Contract

```python
{_contract(info)}
```

{_proof(info)}
{_weights(info)}
{_layers(info)}
"""


def traced(info: ModelInfo) -> Trace:
    """Trace a model for all sizes, or for one size if it is a large image model.

    A trace for all sizes runs the model about twenty times, which is too slow for large models.
    """
    with without_values():
        model = create_model(info.name).eval()
    if not isinstance(model, Backbone):
        return trace(create_model(info.name).eval())
    sizes = [weights.image_size for weights in info.weights if weights.is_default] or [SIZE]
    size = info.hyperparameters.get("image_size", *sizes)
    return trace(model, torch.empty(1, 3, size, size, device="meta"))


def overview() -> str:
    """Return a table of all models, grouped by task."""
    rows = [
        f"| [`{info.name}`](models/{info.name}.md) | {info.task} | {info.parameters:,} "
        f"| {info.summary} |"
        for info in _by_task()
    ]
    return "\n".join(["| model | task | parameters | |", "|---|---|---:|---|", *rows])


def inception() -> str:
    """Return the diagram of an Inception block."""
    return _inline(trace(InceptionBlock(10)).to_svg())


PLACEHOLDERS: dict[str, Callable[[], str]] = {
    "<!-- models -->": overview,
    "<!-- inception -->": inception,
    "<BLANKLINE>": str,  # how doctest writes an empty line
}
"""The functions that generate what replaces each placeholder in a page."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the pages to the navigation, by task; mkdocs calls this first."""
    section = next(item[SECTION] for item in config.nav or [] if SECTION in item)
    groups = itertools.groupby(_by_task(), key=lambda info: info.task)
    section[1:] = [
        {_title(task): [f"models/{info.name}.md" for info in infos]} for task, infos in groups
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


def _infos() -> list[ModelInfo]:
    """Return the descriptions of all models."""
    return [_info(name) for name in list_models()]


_info = functools.cache(model_info)


def _by_task() -> list[ModelInfo]:
    return sorted(_infos(), key=lambda info: (info.task, info.name))


def _title(task: str) -> str:
    return task.replace("-", " ").capitalize()


def _contract(info: ModelInfo) -> str:
    """Return the contract, with a line for each argument if it is long."""
    contract = str(info.signature)
    inputs = [str(argument) for argument in info.signature.inputs]
    if len(contract) <= LINE:
        return contract
    lines = "".join(f"    {text},\n" for text in inputs)
    return contract.replace(f"({', '.join(inputs)})", f"(\n{lines})")


def _proof(info: ModelInfo) -> str:
    """Return the verdicts as a list, with one item for both modes if they agree."""
    same = len(set(info.verdicts.values())) == 1
    lines = [
        f"- {'In both modes' if same else f'In {mode} mode'}: {_plain(str(verdict))}."
        for mode, verdict in info.verdicts.items()
    ]
    link = "[Proofs](../proofs.md) explains what this means."
    return "\n".join([*lines[: 1 if same else None], "", link])


def _weights(info: ModelInfo) -> str:
    """Return the section about published weights, or an empty string if there are none."""
    if not info.weights:
        return ""
    rows = [
        f"| `{weights.name}`{' (default)' * weights.is_default} "
        f"| {'features only' if weights.accuracy is None else f'{weights.accuracy:.2f} %'} "
        f"| {weights.image_size} | {weights.megabytes:.0f} MB | {weights.licence} "
        f"| [recipe]({weights.recipe}) |"
        for weights in info.weights
    ]
    table = "\n".join(
        [
            "| name | top-1 accuracy | pixels | size | licence | |",
            "|---|---|---|---|---|---|",
            *rows,
        ]
    )
    return f"""
## Published weights

```python
model = create_model("{info.name}", weights="DEFAULT")
```

{table}

[Weights](../weights.md) describes how they are downloaded, and adapted to other images and classes.
"""


def _layers(info: ModelInfo) -> str:
    """Return the sections with the table and the diagram of a model."""
    trace_ = traced(info)
    command = f"shapezoo trace {info.name}"
    sizes = {axis: size for axis, size in trace_.call.axes.items() if isinstance(size, int)}
    command += "".join(f" --{axis} {size}" for axis, size in sizes.items())
    return f"""\
## Layers

`{command}` prints this table; [Traces](../traces.md) explains it.

<div class="trace" markdown>

{trace_.to_markdown()}

</div>

## Diagram

{_inline(trace_.to_svg())}
"""


def _plain(text: str) -> str:
    """Escape text for Markdown."""
    return re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", text)


def _inline(svg: str) -> str:
    """Inline an SVG, so that it has the colours of the page; exclude it from the search index."""
    return f"<div data-search-exclude>\n{svg}</div>"
