"""Every page has a description of its own, which search engines and link previews show."""

from collections import Counter
from pathlib import Path

import pytest
import yaml
from tests.docs.test_models import hook

from shapezoo import list_models, model_info

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
MODELS = list_models()


def description(markdown: str) -> str:
    """Return the description in the front matter of a page, or an empty string."""
    _, _, rest = markdown.partition("---\n")
    front_matter, _, _ = rest.partition("\n---\n")
    return str((yaml.safe_load(front_matter) or {}).get("description", ""))
