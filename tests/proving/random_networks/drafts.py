"""A network and its annotation while they are being drawn.

A network is drawn as the text of a module or function, so that one with a wrong verdict can be
read, run, and minimised line by line. `x` is the value that passes through it. Each step appends
lines that change `x`, and states the new shape of `x` as expressions of the names of axes.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Literal

Shape = tuple[str, ...]
"""Expressions of the names of axes, without spaces."""

Role = Literal["data", "tokens", "mask", "lengths"]
"""Which values an argument may have."""

Presence = Literal["required", "optional"]

AXES = ("batch", "channels", "height", "width", "seq", "kv_seq", "frames", "hidden")

LONGEST = 60
"""How long the expression of a size may become."""


@dataclass(frozen=True)
class Input:
    """An argument of a network.

    Attributes:
        name: Its name.
        family: The dtypes that its annotation allows, as jaxtyping names them.
        shape: The axes of its annotation.
        role: Which values it may have.
        presence: Whether None may be passed instead.
        rows: How many different tokens there are.
    """

    name: str
    family: str
    shape: Shape
    role: Role = "data"
    presence: Presence = "required"
    rows: int = 2

    def __str__(self) -> str:
        kind = f'{self.family}[Tensor, "{" ".join(self.shape)}"]'
        return (
            f"{self.name}: {kind} | None = None"
            if self.presence == "optional"
            else f"{self.name}: {kind}"
        )


@dataclass
class Draft:
    """A network while it is being drawn.

    Attributes:
        rng: The source of randomness.
        inputs: The arguments.
        shape: The shape of `x` so far.
        family: The dtypes of `x` so far, as jaxtyping names them.
        setup: Lines of the constructor.
        body: Lines of the forward.
        flags: Names of boolean options.
        marks: Sizes above the small ones at which something may change.
        width: The name of a size that the constructor takes, if it takes one.
    """

    rng: Random
    inputs: list[Input]
    shape: Shape
    family: str = "Float32"
    setup: list[str] = field(default_factory=list)
    body: list[str] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    marks: set[int] = field(default_factory=set)
    width: str = ""

    def name(self, stem: str) -> str:
        """Return a name that is not used yet."""
        text = "\n".join([*self.setup, *self.body, *map(str, self.inputs)])
        return next(f"{stem}{i}" for i in range(1, 1000) if f"{stem}{i}" not in text)

    def module(self, text: str) -> str:
        """Add a layer, and return the text that refers to it."""
        name = self.name("layer")
        self.setup.append(f"self.{name} = {text}")
        return f"self.{name}"

    def buffer(self, text: str) -> str:
        """Add a buffer, and return the text that refers to it."""
        name = self.name("table")
        self.setup.append(f'self.register_buffer("{name}", {text})')
        return f"self.{name}"

    def become(self, text: str, shape: Shape | None = None, family: str = "") -> bool:
        """Assign an expression to `x`; False if its shape has too many axes or is too long."""
        shape = self.shape if shape is None else tuple(map(number, shape))
        if len(shape) > 5 or any(len(size) > LONGEST for size in shape):
            return False
        self.body.append(f"x = {text}")
        self.shape, self.family = shape, family or self.family
        return True

    def at(self, dim: int, *sizes: str) -> Shape:
        """Return the shape with one size replaced by others."""
        return (*self.shape[:dim], *sizes, *self.shape[dim + 1 :])

    def dim(self) -> int:
        """Draw an axis."""
        return self.rng.randrange(len(self.shape))

    def size(self, dim: int) -> str:
        """Return one of the expressions for the size of an axis of `x`."""
        return self.rng.choice([f"x.shape[{dim}]", f"x.shape[{dim}]", f"x.size({dim})"])

    def known(self, dim: int) -> str:
        """Return a size if the constructor knows it, else an empty text."""
        size = self.shape[dim]
        return size if (size.isdigit() and size != "0") or size == self.width else ""

    def given(
        self, role: Role, *, shape: Shape, rows: int = 2, presence: Presence = "required"
    ) -> str:
        """Return the name of an argument with a role; add one if there is none."""
        families = {"mask": "Bool", "tokens": "Int64", "lengths": "Int64", "data": "Float"}
        for other in self.inputs:
            if (other.role, other.shape, other.presence) == (
                role,
                shape,
                presence,
            ) and role != "data":
                return other.name
        names = {"mask": "mask", "tokens": "tokens", "lengths": "lengths", "data": "y"}
        taken = {other.name for other in self.inputs}
        name = names[role] if names[role] not in taken else self.name(names[role])
        if role == "lengths" and name != "lengths":
            return ""
        self.inputs.append(Input(name, families[role], shape, role, presence, rows))
        self.inputs.sort(key=lambda argument: argument.presence == "optional")
        return name


Step = Callable[[Draft], bool]
"""Appends lines to a draft; returns False without changing the body if it does not fit."""


def number(text: str) -> str:
    """Return an expression, evaluated if it contains no axis."""
    return text if any(axis in text for axis in AXES) else str(eval(text))


def window(
    size: str, kernel: int, stride: int = 1, pad: int = 0, dilation: int = 1, *, ceil: bool = False
) -> str:
    """Return the number of windows that fit into a size."""
    reach = 2 * pad - dilation * (kernel - 1) - 1
    if not ceil:
        return number(f"({size}{reach:+d})//{stride}+1")
    return number(
        f"min(({size}{reach + stride - 1:+d})//{stride}+1,({size}{pad - 1:+d})//{stride}+1)"
    )


def product(*sizes: str) -> str:
    """Return the product of sizes."""
    return number("*".join(size if size.isalnum() else f"({size})" for size in sizes))
