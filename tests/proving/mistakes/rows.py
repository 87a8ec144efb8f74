"""What a row of mistakes is."""

from collections.abc import Callable
from typing import Any

from torch import nn

Subject = nn.Module | type[nn.Module] | Callable[..., Any]
