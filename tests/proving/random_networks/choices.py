"""Steps with control flow: checks by the model, caught errors, branches, options, loops."""

from tests.proving.random_networks.drafts import Draft
from tests.proving.random_networks.templates import drawn_lines, filled, lines_of

LIMITS = ["$n < $small", "$n > $small + 4", "$n % 2", "$n == $small", "not $n % 3 == 0", "$n > 40"]

CHECKS = lines_of(
    """
    if $condition:|    raise ValueError(f"cannot take {$n}")
    if $condition:|    raise IndexError("index out of range in self")
    if $condition:|    raise RuntimeError("shapes cannot be multiplied")
    if $condition:|    x.view(-1, 7)
    if $condition:|    x = x[:, :, :, :, :, 0]
    assert not ($condition), "a size that is not taken"
    torch._assert(not ($condition), f"a size of {$n}")
    torch._check(not ($condition))
    """
)

RISKS = lines_of(
    """
    torch.ones(2, 3).view($n, -1)
    x.view(-1, 2)
    torch.ones(5)[$n]
    x.select($k, 3)
    torch.ones(5, 4) + torch.ones($n, 1)
    1 // ($n - 3)
    x.narrow($k, 0, 3)
    torch.ones(6).index_select(0, torch.tensor([$n]))
    """
)

RESCUES = ["pass", 'raise ValueError("no") from None', "x = x + 1", "x = x.narrow($k, 0, 1)"]

OF_SIZES = lines_of(
    """
    $n > $small
    $n % 2 == 0
    $n == $m
    $n < $m
    $n in (2, 5)
    $n & 1
    $n // $small > 1
    x.numel() > 24
    max(x.shape) > $small
    len(x) > $small
    $n ** 2 > 30
    $n / $small > 1.5
    not $n > $small
    $small < $n < $small + 4
    x.shape[0] == $small
    x.shape == (3, 4)
    """
)

OF_DATA = lines_of(
    """
    (x > 0).any()
    x.sum() > 0
    bool(x.isnan().any())
    x.max() > 0.5
    (x == 0).all()
    """
)

OF_SYMBOLS = lines_of(
    """
    x.is_meta
    x.device.type == "meta"
    not isinstance($n, int)
    type($n) is not int
    not torch.is_grad_enabled()
    type(x) is not Tensor
    torch.compiler.is_compiling()
    hasattr($n, "node")
    x.is_contiguous()
    x.stride(0) == 1
    x.requires_grad
    $n is $small
    x.is_floating_point()
    str($n) == "$small"
    f"{$n}" in ("3", "12")
    int($n) == $small
    float($n) > $small + 0.5
    hash($n) % 2
    x.dtype == torch.float32
    """
)
"""Questions whose answers may differ between symbols and numbers."""

CHANGES = lines_of(
    """
    x = x.narrow($k, 0, 1)
    x = x + 1
    x = x * 2
    x = x + torch.ones(1)
    raise ValueError("not this way")
    x = x.double()
    x = x.flip(0)
    x = x.sum($k, keepdim=True)
    x = x.sum($k, keepdim=True).expand_as(x)
    """
)

OPTIONS = lines_of(
    """
    x + $y.sum()
    x + $y
    x[: $y.shape[0]]
    x * $y.view(-1)[2]
    x + F.linear($y, torch.ones(1, 4)).sum()
    """
)

FLAGGED = ["x.narrow($k, 0, 1)", "x + 1", "x.topk(2, $k)[0].sum() + x", "x.relu()"]

LOOPS = lines_of(
    """
    for step in range($n):|    x = x + step
    for row in x:|    x = x + row.sum()
    q = $n|while q > 3:|    q = q // 2|x = x + torch.ones(3)[:q].sum()
    for step in range(min($n, 3)):|    x = x + torch.ones(2)[step]
    first, *rest = x.unbind(0)|x = x + first.sum()
    first, second = x.chunk(2)|x = x + first.sum()
    first, second = x|x = x + first.sum()
    x = x + sum(x.sum() for _ in range($n // 2))
    x = x + torch.stack([x.sum() for _ in range($n - 1)]).sum()
    """
)


def check(draft: Draft) -> bool:
    """Raise for some sizes, with a message of the model's own."""
    n = draft.size(draft.dim())
    condition = filled(draft.rng, LIMITS, n=n, small=draft.rng.choice([2, 3, 4, 6]))
    draft.marks |= {40} if "40" in condition else set()
    draft.body += drawn_lines(draft.rng, CHECKS, condition=condition, n=n)
    return True


def hidden_error(draft: Draft) -> bool:
    """Catch an error that a kernel raises for some sizes."""
    k = draft.dim()
    risk = filled(draft.rng, RISKS, n=draft.size(k), k=k)
    kind = draft.rng.choice(
        ["RuntimeError", "Exception", "IndexError", "(RuntimeError, ValueError)"]
    )
    rescue = filled(draft.rng, RESCUES, k=k)
    draft.body += ["try:", f"    {risk}", f"except {kind}:", f"    {rescue}"]
    return True


def branch(draft: Draft) -> bool:
    """Take another branch for some sizes or data."""
    rng, k = draft.rng, draft.dim()
    n, m, small = draft.size(k), draft.size(draft.dim()), rng.choice([2, 3, 5, 8])
    questions = rng.choices([OF_SIZES, OF_DATA, OF_SYMBOLS], [6, 1, 4])[0]
    condition = filled(rng, questions, n=n, m=m, k=k, small=small)
    draft.marks |= {24} if "numel" in condition else set()
    draft.body += [f"if {condition}:", f"    {filled(rng, CHANGES, k=k)}"]
    return True


def option(draft: Draft) -> bool:
    """Add an optional argument or a flag."""
    rng, s = draft.rng, draft.shape
    if rng.random() < 0.4 and len(draft.flags) < 3:
        flag = ("flip", "wide", "deep")[len(draft.flags)]
        draft.flags.append(flag)
        draft.body += [f"if {flag}:", f"    x = {filled(rng, FLAGGED, k=draft.dim())}"]
        return True
    if not all(size.isidentifier() or size.isdigit() for size in s):
        return False
    shape = rng.choice([s, s[-1:], s[:1], ("kv_seq",)])
    name = draft.given("data", shape=shape, presence="optional")
    draft.body += [f"if {name} is not None:", f"    x = {filled(rng, OPTIONS, y=name)}"]
    return True


def loop(draft: Draft) -> bool:
    """Loop in Python over an axis or over repeated divisions."""
    draft.body += drawn_lines(draft.rng, LOOPS, n=draft.size(draft.dim()))
    return True
