"""Steps that mask by an argument, by lengths, by position, or by a table."""

from tests.proving.random_networks.drafts import Draft
from tests.proving.random_networks.templates import drawn_lines, filled, lines_of

CUTS = ["$table[:$n, :$n]", "$table[$n - 1, :$n]", "$table[:$n, 0]"]

ORDERED = ["torch.ones($n, $n).tril()", "torch.triu(torch.ones($n, $n), 1)"]

BY_LENGTHS = lines_of(
    """
    x * (torch.arange(x.shape[1]) < $lengths[:, None]).view(x.shape[0], -1, $rest)
    x * (torch.arange($lengths.max()) < $lengths[:, None]).view(x.shape[0], -1, $rest)
    x.masked_fill((torch.arange(x.shape[1]) >= $lengths.view(-1, 1)).view(*x.shape[:2], $rest), 0.0)
    """
)

BY_MASK = lines_of(
    """
    x = x.masked_fill($mask.view(-1, $rest), 0.0)
    x = torch.where($mask.view(-1, $rest), x, 1.0)
    if $mask.any():|    x = x + 1
    if $mask.all():|    raise ValueError("all is masked")
    if not $mask.any():|    x = x.narrow($k, 0, 1)
    x = x + x.flatten().sum() * $mask.nonzero().sum()
    x = x + torch.ones_like($mask, dtype=x.dtype)[$mask].sum()
    x = x + torch.ones($n)[$mask].amax()
    x = x.index_select($k, $mask.nonzero()[:, 0])
    x = x + torch.ones($n)[$mask].softmax(0).sum()
    x = x.clone()|x[${index}$mask] = 0.0
    """
)


def masked(draft: Draft) -> bool:
    """Mask by a padding mask, by lengths, by position or by a table."""
    rng, s, k = draft.rng, draft.shape, draft.dim()
    way = rng.choice([_by_table, _by_order, _by_lengths, _by_mask, _by_mask])
    if way is _by_lengths and s[:2] != ("batch", "seq"):
        return False
    if way is _by_mask and (not s[k].isidentifier() or s[k] == draft.width):
        return False
    return way(draft, k)


def _ones(draft: Draft, k: int) -> str:
    return f"*[1] * {len(draft.shape) - 1 - k}"


def _by_table(draft: Draft, k: int) -> bool:
    size = draft.rng.choice([8, 12, 20])
    draft.marks.add(size)
    table = draft.buffer(f"torch.ones({size}, {size}).tril().bool()")
    part = filled(draft.rng, CUTS, table=table, n=draft.size(k))
    return draft.become(
        f"x.masked_fill({part}.any(0, keepdim=True).view(-1, {_ones(draft, k)}), 0.0)"
    )


def _by_order(draft: Draft, k: int) -> bool:
    n = draft.size(k)
    ordered = filled(draft.rng, ORDERED, n=n)
    return draft.become(f"x * ({ordered}.sum(0) > 0).view({n}, {_ones(draft, k)})")


def _by_lengths(draft: Draft, k: int) -> bool:
    lengths = draft.given("lengths", shape=("batch",))
    return draft.become(filled(draft.rng, BY_LENGTHS, lengths=lengths, rest=_ones(draft, 1)))


def _by_mask(draft: Draft, k: int) -> bool:
    mask, n = draft.given("mask", shape=(draft.shape[k],)), draft.size(k)
    parts = {"mask": mask, "n": n, "k": k, "rest": _ones(draft, k), "index": ":, " * k}
    draft.body += drawn_lines(draft.rng, BY_MASK, **parts)
    return True
