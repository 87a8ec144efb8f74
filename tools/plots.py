"""mkdocs hook that draws the figures of the pages with the examples of the same names."""

import io
import runpy
from collections.abc import Iterator
from pathlib import Path

import matplotlib.style
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

EXAMPLES = Path(__file__).parent.parent / "examples"
PICTURES = ("course/activations", "course/optimizers", "course/names", "internals/regions")
STYLES = {"light": "default", "dark": "dark_background"}


def pictures() -> Iterator[tuple[str, str]]:
    """Yield the path of each figure in the documentation, and its SVG, which is reproducible."""
    for name in PICTURES:
        draw = runpy.run_path(str(EXAMPLES / f"{Path(name).name}.py"))["draw"]
        for theme, style in STYLES.items():
            fixed = {"svg.hashsalt": name, "savefig.transparent": True}
            with matplotlib.style.context([style, fixed]):
                svg = io.StringIO()
                draw().savefig(svg, format="svg", metadata={"Date": None})
            yield f"{name}-{theme}.svg", svg.getvalue()


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the figures to the files; mkdocs calls this before it reads the pages."""
    for path, svg in pictures():
        files.append(File.generated(config, path, content=svg))
    return files
