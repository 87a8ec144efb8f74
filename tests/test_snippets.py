"""The code of the documentation is written to files as a type checker wants it."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

PAGE = """# Title

```python
x = 1
```

```sh
echo no
```

```pycon
>>> def double(y):
...     return 2 * y
>>> double(x)
2

```

```python
z = double(
    x
)
```
"""


@pytest.fixture
def tool() -> ModuleType:
    path = Path(__file__).parents[1] / "tools/snippets.py"
    spec = importlib.util.spec_from_file_location("snippets_tool", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_code_has_the_line_numbers_of_its_page(tool: ModuleType) -> None:
    numbered = enumerate(tool.code_of(PAGE).splitlines(), 1)
    assert {number: line for number, line in numbered if line} == {
        4: "x = 1",
        12: "def double(y):  # pyright: ignore",
        13: "    return 2 * y  # pyright: ignore",
        14: "double(x)  # pyright: ignore",
        20: "z = double(",
        21: "    x",
        22: ")",
    }


def test_every_page_with_code_is_a_file(tool: ModuleType, tmp_path: Path) -> None:
    tool.main(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert {"README.py", "docs_weights.py", "docs_course_names.py"} <= names
    for path in tmp_path.iterdir():
        compile(path.read_text(), path.name, "exec")
