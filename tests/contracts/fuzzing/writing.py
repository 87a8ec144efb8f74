"""Draws the source of functions with shape annotations."""

import functools
from collections.abc import Callable
from random import Random

from tests.contracts.reference import DTYPES, Names, is_star

NAMES, STARS = ["batch", "seq", "height", "width"], ["*batch", "*rest"]
FORMULAS = ["{}+1", "2*{}", "{}//2+1", "{}-1", "({}-1)//2+1", "min({},2)", "max({}-1,1)", "{}/2"]
PAIRS = ["{}+{}", "{}*{}", "{}//{}"]
READ_FROM_SELF = ["{self.width}", "{self.depth+1}", "{self.width//2}", "{max(self.width,2)}"]
READ_FROM_SIZE = ["{size}", "{size-1}", "{2*size}"]
STRANGER = "stranger"
"""An axis that nothing binds: an expression over it must be refused when a function is checked."""


class Author:
    """Writes the source of a function, and of the records that it takes."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.records: list[str] = []
        self.is_method = rng.random() < 0.5
        self.has_size = rng.random() < 0.4
        self.read = READ_FROM_SELF * self.is_method + READ_FROM_SIZE * self.has_size
        self.bound: set[str] = set()
        self.perhaps: set[str] = set()

    def source(self) -> str:
        rng = self.rng
        names = ["first", "second", "third", "fourth"][: rng.choice([1, 2, 2, 3, 3, 4])]
        if self.has_size:
            names.insert(rng.randint(0, len(names)), "size")
        cut = max(0, len(names) - rng.choice([0, 0, 0, 1, 2]))
        positional, named = names[:cut], names[cut:]
        more = ["more"] if rng.random() < 0.12 else []
        # in the order in which they are checked: expressions stand after what they refer to
        hints = {name: self.parameter(name) for name in [*positional, *more, *named]}
        texts = {name: f"{name}: {hint}" for name, hint in hints.items()}
        for name in reversed(positional):
            if not hints[name].endswith("| None"):
                break
            texts[name] += " = None"
        for name in named:
            default = {"size": " = 2"}.get(name, " = None" * hints[name].endswith("| None"))
            texts[name] += default * (rng.random() < 0.7)
        parameters = ["self"] * self.is_method + [texts[name] for name in positional]
        parameters += [f"*{texts[name]}" for name in more] or ["*"]
        parameters += [*(texts[name] for name in named), "answer: Any"]
        result = self.hint(2, is_result=True)
        function = f"def forward({', '.join(parameters)}) -> {result}:\n{BODY}\n"
        return "\n".join([*self.records, function])

    def pair(self) -> str:
        """An option of a union that may bind a name before it fails."""
        name = self.rng.choice(NAMES)
        self.bound.add(name)
        return f'tuple[Float[Tensor, "{name}"], {self.tensor(is_result=False)}]'

    def parameter(self, name: str) -> str:
        if name == "more":
            return self.passing(functools.partial(self.hint, 0))
        return "int" if name == "size" else self.hint(2)

    def passing(self, draw: Callable[[], str]) -> str:
        """An annotation whose names may or may not be bound by a call."""
        before = set(self.bound)
        text = draw()
        self.perhaps |= self.bound - before
        self.bound = before
        return text

    def hint(self, depth: int, *, is_result: bool = False) -> str:
        rng, before = self.rng, set(self.bound)
        kind = rng.choices(list(HINTS), list(HINTS.values()))[0] if depth else "tensor"
        one = functools.partial(self.hint, depth - 1, is_result=is_result)
        if kind == "tuple":
            return f"tuple[{', '.join(one() for _ in range(rng.randint(1, 3)))}]"
        if kind == "record" and depth == 2:
            return self.record(is_result)
        if kind == "union":
            options, bound, perhaps = [], [], [set(self.perhaps)]
            for _ in range(rng.randint(2, 3)):
                self.bound, self.perhaps = set(before), set(perhaps[0])
                is_pair = not is_result and rng.random() < 0.6
                options.append(self.pair() if is_pair else self.tensor(is_result))
                bound.append(self.bound)
                perhaps.append(self.perhaps)
            self.bound = set.intersection(*bound)
            self.perhaps = set.union(*perhaps, *bound) - self.bound
            return " | ".join(dict.fromkeys(options))
        if kind == "optional":
            return f"{self.passing(one)} | None"
        if kind in CONTAINERS:
            return CONTAINERS[kind].format(self.passing(one))
        return self.tensor(is_result)

    def record(self, is_result: bool) -> str:
        before, perhaps = set(self.bound), set(self.perhaps)
        base, mark = self.rng.choice(
            [("(NamedTuple)", ""), ("", "@dataclass(frozen=True)\n"), ("(TypedDict)", "")]
        )
        fields: Names = {}
        for field_name in ("left", "right")[: self.rng.choice([1, 2, 2])]:
            draw = functools.partial(self.hint, 1)
            if base == "(TypedDict)" and self.rng.random() < 0.3:
                fields[field_name] = f"NotRequired[{self.passing(draw)}]"
            else:
                fields[field_name] = draw()
        if is_result:
            self.bound, self.perhaps = before, perhaps
        name = f"Record{len(self.records)}"
        lines = "\n".join(f"    {field_name}: {hint}" for field_name, hint in fields.items())
        self.records.append(f"{mark}class {name}{base}:\n{lines}\n")
        return name

    def tensor(self, is_result: bool) -> str:
        tokens: list[str] = []
        for _ in range(self.rng.choice([0, 1, 1, 2, 2, 2, 3, 3, 4])):
            tokens.append(self.axis(is_result, any(map(is_star, tokens))))
        dtype = self.rng.choice(["Float"] * 5 + list(DTYPES))
        return f'{dtype}[Tensor, "{" ".join(tokens)}"]'

    def axis(self, is_result: bool, has_star: bool) -> str:
        rng = self.rng
        kinds = ["number", "name", "name", "name", "name", "formula", "read", "any"]
        kind = rng.choice(kinds if has_star else [*kinds, "star", "star"])
        label = rng.choice(["", "", "", "channels="])
        known = sorted(name for name in self.bound if name.isidentifier())
        may_be = NAMES
        if is_result:
            unsure = 3 * sorted(self.perhaps - self.bound)  # these are told in a way of their own
            may_be = [name for name in (*sorted(self.bound), *unsure) if name.isidentifier()]
        if kind == "star":
            stars = sorted({*STARS} & (self.bound | self.perhaps) if is_result else STARS)
            star = rng.choice(["...", *stars])
            if star == "...":
                return star
            self.bound.add(star)
            return star.replace("*", rng.choice(["*", "*", "#*", "*#"]))
        if kind == "read" and self.read:
            text = rng.choice(self.read)
            if known and rng.random() < 0.2:
                text += f"*{rng.choice(known)}"
            return rng.choice(["", "", "", "#"]) + label + text
        if kind == "formula" and known:
            known += [STRANGER] * (rng.random() < 0.02) + sorted(self.perhaps & {*NAMES})
            pair = rng.choice(known), rng.choice(known)
            text = rng.choice(FORMULAS * 2 + PAIRS).format(*pair)
            return rng.choice(["", "", "", "#"]) + label + text
        if kind == "name" and may_be:
            name = rng.choice(may_be)
            is_open = rng.random() < 0.12
            if is_open:
                self.perhaps.add(name)
            else:
                self.bound.add(name)
            return "#" * is_open + rng.choice(["", "", "", "", "label="]) + name
        if kind == "any":
            return rng.choice(["_", "_ignored"])
        return rng.choice(["", "", "", "#"]) + label + str(rng.randint(0, 4))


HINTS = {
    "tensor": 12,
    "optional": 3,
    "union": 2,
    "tuple": 2,
    "record": 2,
    "list": 2,
    "many": 1,
    "dict": 1,
}
"""The kinds of annotations, and how often each is drawn."""

CONTAINERS = {"list": "list[{}]", "many": "tuple[{}, ...]", "dict": "dict[str, {}]"}
BODY = "    return answer() if callable(answer) else answer"
