"""Steps whose indices come from sizes, from arguments, from buffers or from data.

An index is drawn in three parts: where its numbers come from, what is done to them, and the kernel
that takes them. What that gives is summed up, so that the shape of `x` stays.
"""

from tests.proving.random_networks.drafts import Draft
from tests.proving.random_networks.templates import drawn_lines, filled, lines_of

CASTS = {"bfloat16": 256, "half": 2048, "to(torch.int8)": 127, "to(torch.uint8)": 255, "float": 0}
"""Casts to another dtype and back, and the largest integer that survives each."""

FROM_SIZE = [
    *["torch.arange($n)"] * 5,
    *lines_of(
        """
        torch.arange(0, $n, 2)
        torch.arange($n, 0, -1)
        torch.arange(-$n, $n)
        torch.arange($small, $n + $small)
        torch.arange($n).float().long()
        torch.full((3,), $n - 1)
        torch.full((3,), $n) // ($small + 1)
        torch.ones($n).cumsum(0).long() - 1
        torch.ones($n, dtype=torch.int64).sum()[None]
        torch.tensor([$n - 1])
        torch.linspace(0, $n - 1, 4).long()
        (torch.arange($n)[:, None] - torch.arange($n)).flatten()
        (torch.arange($n)[:, None] - torch.arange($n) + $n - 1).flatten()
        torch.tril_indices($n, $n)[0]
        torch.meshgrid(torch.arange($n), torch.arange(2), indexing="ij")[0].flatten()
        torch.zeros($n).long() + $n
        torch.arange(5).clamp(max=$n)
        torch.randperm($n)
        torch.arange($n) * $n
        torch.arange($n).expand(2, -1).flatten()
        """
    ),
]

FROM_TOKENS = lines_of(
    """
    $name.ne(1).cumsum($last)
    $name.ne(1).sum($last)
    $name
    $name + 1
    $name * 2
    ($name == 0).long().cumsum($last) * $name.eq(0)
    $name.argmax($last)
    $name.eq(0).int().cumsum($last).long() - 1
    $name.argsort($last)
    torch.ones_like($name).cumsum($last)
    $name.clamp(max=1).flatten()
    $name.ne(1).float().cumsum($last).long()
    $name.sort($last, stable=True)[1]
    $name.ne(1).nonzero()[:, 0]
    $name + torch.arange($name.shape[$last])
    """
)

FROM_MASK = lines_of(
    """
    $name.cumsum($last)
    $name.sum($last)
    $name.long()
    $name.int().argmax($last)
    (~$name).cumsum($last) - 1
    $name.cumsum($last) * $name
    $name.sum()[None]
    """
)

FROM_LENGTHS = ["$name - 1", "$name // 2", "$name", "($name > 1).cumsum(0)"]

BUFFERS = lines_of(
    """
    torch.arange($count)
    torch.arange($count).flip(0)
    torch.arange($count) // 2
    torch.arange($count) % 7
    torch.randperm($count)
    torch.ones($count).long()
    """
)

FROM_BUFFER = lines_of(
    """
    $table[:$n]
    $table[:$n]
    $table[-$n :]
    $table[$n :]
    $table[$n : 2 * $n]
    $table.view(1, -1)[:, :$n]
    $table[: 2 * $n : 2]
    $table[torch.arange($n)]
    $table.narrow(0, 0, $n)
    $table[$n - 1][None]
    $table[:$n] + $n
    $table.repeat(2)[:$n]
    $table[: $n // 2]
    $table
    $square[:$n, :$n].flatten()
    $square[-$n:, -$n:].flatten()
    """
)

FROM_DATA = lines_of(
    """
    x.argmax($k)
    (x >= 0).sum($k)
    (x > 0).long().cumsum($k)
    x.relu().long()
    x.argsort($k)
    x.topk(1, $k)[1]
    x.shape[$k] - 1 - x.argmax($k)
    (x == x).long().cumsum($k) - 1
    x.numel() + torch.zeros(2).long()
    x.sort($k)[1]
    x.isnan().long()
    x.flatten().argmax()[None] // x.shape[$k]
    """
)

CHANGES = lines_of(
    """
    i = i.clamp(max=$rows - 1)
    i = i.clamp(0, $rows - 1)
    i = i.clamp(-$small, $small) + $small
    i = i.clamp(max=$n - 1)
    i = i % $rows
    i = i % $n
    i = i.fmod($rows)
    i = i // $small
    i = i.div($small, rounding_mode="floor")
    i = i.div($small, rounding_mode="trunc").long()
    i = (i / $small).long()
    i = (i / $small).round().long()
    i = i + $small
    i = i - $small
    i = (i - $small).abs()
    i = $n - 1 - i
    i = i.flip(0)
    i = i.cumsum(0)
    i = i * $small
    i = i * i
    i = i ** 2
    i = i & $small
    i = i >> 1
    i = i << 1
    i = i.bitwise_or(1)
    i = ~i
    i = -i
    i = torch.where(i < $rows, i, $small)
    i = torch.where(i > $small, i - $small, i)
    i = i.minimum(torch.tensor($rows - 1))
    i = i.masked_fill(i >= $rows, 0)
    i = torch.cat([i.flatten(), i.flatten() + $small])
    i = i.sort(0)[1]
    i = i.roll(1, 0)
    i = i.int()
    i = i.clone()|i[0] = $small
    i = i.clone()|i += $small
    i = i.clone().clamp_(max=$rows - 1)
    i = i.clone()|i[:1].add_($small)
    i = i.clone()|i.view(-1)[0] += $n
    i = i.amax()[None]
    i = i.to(torch.float32).mul(0.5).long()
    i = i.to(torch.float32).sqrt().long()
    i = i.float().log2().clamp(min=0).long()
    i = i.unique()
    i = i[i < $rows]
    i = torch.empty_like(i).copy_(i)
    i = i.repeat_interleave(2)
    i = i.argsort(0)
    i = i.diff(dim=0)
    i = torch.stack([i, i + 1]).amax(0)
    i = i.detach().contiguous().view(-1)
    i = i.cumsum(0) - i
    i = i.bitwise_xor(torch.tensor($small))
    i = i.double().mul(0.3).floor().long()
    i = torch.maximum(i, -i)
    i = (i + $n).remainder($rows)
    i = i.prod()[None]
    i = i.sum()[None]
    """
)

LOOKUPS = lines_of(
    """
    F.embedding(i, torch.ones($rows, 4))
    torch.ones($rows, 4)[i]
    torch.ones($rows, 1)[i, 0]
    torch.ones(4, $rows)[:, i]
    torch.ones($rows, 4).index_select(0, i.flatten())
    torch.ones($rows).gather(0, i.flatten())
    torch.ones($rows).take(i)
    F.one_hot(i, $rows)
    torch.ones($rows).scatter(0, i.flatten(), 1.0)
    torch.ones($rows).scatter_add(0, i.flatten(), torch.ones(i.numel()))
    torch.ones($rows).index_add(0, i.flatten(), torch.ones(i.numel()))
    torch.ones($rows).index_fill(0, i.flatten(), 2.0)
    torch.ones($rows).index_put((i,), torch.tensor(1.0))
    torch.ones($rows).index_copy(0, i.flatten(), torch.ones(i.numel()))
    torch.take_along_dim(torch.ones($rows), i.flatten(), 0)
    F.embedding_bag(i.flatten(), torch.ones($rows, 4), torch.tensor([0]))
    F.nll_loss(torch.ones(i.numel(), $rows), i.flatten())
    F.cross_entropy(torch.ones(i.numel(), $rows), i.flatten())
    torch.arange($rows)[i]
    torch.ones($rows, $rows)[i, i]
    x.index_select($k, i.flatten())
    x[${index}i]
    torch.ones($rows).scatter_reduce(0, i.flatten(), torch.ones(i.numel()), "amax")
    torch.ones($rows).clone().index_put_((i,), torch.tensor(1.0), accumulate=True)
    torch.ones($rows)[: int(i.max())]
    torch.ones($rows).split($rows)[0][i]
    torch.ones($rows).expand(2, $rows)[:, i]
    F.embedding(i, torch.ones($rows, 4), padding_idx=0)
    F.embedding(i.view(1, -1), torch.ones($rows, 4), max_norm=1.0)
    """
)


def looked_up(draft: Draft) -> bool:
    """Look up indices in a table, computed in one of many ways."""
    if draft.family not in ("Float", "Float32"):
        return False
    rows = draft.rng.choice([3, 5, 8, 12, 16, 20, 40])
    source = draft.rng.choice([_from_size, _from_size, _from_argument, _from_buffer, _from_data])
    made = source(draft)
    if not made:
        return False
    draft.body.append(f"i = {made}")
    for _ in range(draft.rng.choice([0, 0, 1, 1, 2, 3])):
        draft.body += _change(draft, rows)
    draft.marks |= {rows, 2 * rows, rows // 2}
    return draft.become(f"x + {_lookup(draft, rows)}.sum()")


def _from_size(draft: Draft) -> str:
    n = draft.size(draft.dim())
    return filled(draft.rng, FROM_SIZE, n=n, small=draft.rng.choice([1, 2, 3, 5]))


def _from_argument(draft: Draft) -> str:
    rng = draft.rng
    names = [axis for argument in draft.inputs for axis in argument.shape if axis.isidentifier()]
    axes = [axis for axis in dict.fromkeys(names) if axis != draft.width]
    if not axes:
        return ""
    if {"seq", "batch"} <= {*axes} and rng.random() < 0.2:
        name = draft.given("lengths", shape=("batch",))
        return filled(rng, FROM_LENGTHS, name=name) if name else ""
    shape = tuple(rng.sample(axes, min(len(axes), rng.choice([1, 2]))))
    if rng.random() < 0.3:
        name = draft.given("mask", shape=shape)
        return filled(rng, FROM_MASK, name=name, last=len(shape) - 1)
    name = draft.given("tokens", shape=shape)
    return filled(rng, FROM_TOKENS, name=name, last=len(shape) - 1)


def _from_buffer(draft: Draft) -> str:
    rng, count = draft.rng, draft.rng.choice([8, 15, 16, 30])
    draft.marks |= {count, count // 2}
    text = filled(rng, FROM_BUFFER, n=draft.size(draft.dim()), table="$table", square="$square")
    if "$table" in text:
        return filled(rng, [text], table=draft.buffer(filled(rng, BUFFERS, count=count)))
    made = f"torch.arange({count})[:, None] - torch.arange({count}) + {count - 1}"
    return filled(rng, [text], square=draft.buffer(made))


def _from_data(draft: Draft) -> str:
    return filled(draft.rng, FROM_DATA, k=draft.dim())


def _change(draft: Draft, rows: int) -> list[str]:
    rng = draft.rng
    if rng.random() < 0.2:
        cast = rng.choice(list(CASTS))
        draft.marks |= {CASTS[cast]} - {0}
        return [f"i = i.{cast if cast.endswith(')') else cast + '()'}.long()"]
    n, small = draft.size(draft.dim()), rng.choice([2, 3, 4, 7])
    return drawn_lines(rng, CHANGES, n=n, small=small, rows=rows)


def _lookup(draft: Draft, rows: int) -> str:
    k = draft.dim()
    if draft.rng.random() < 0.4:
        return f"{draft.module(f'nn.Embedding({rows}, 4)')}(i)"
    return filled(draft.rng, LOOKUPS, rows=rows, k=k, index=":, " * k)
