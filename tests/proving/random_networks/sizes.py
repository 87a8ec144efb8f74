"""Steps that compute with sizes, and pass the result to a kernel that has a limit."""

from tests.proving.random_networks.drafts import Draft
from tests.proving.random_networks.templates import filled, lines_of

SIZES = lines_of(
    """
    $n // 2
    $n % 3
    -$n % 4
    $n - 2
    $n + 1
    2 * $n - 3
    ($n + 2) // 3
    min($n, 4)
    max($n, 4)
    min($n, $m)
    $n * $m // 4
    abs($n - 3)
    $n - $m
    round($n / 3)
    int($n / 2)
    int($n * 0.5)
    int($n ** 0.5)
    math.ceil($n / 4)
    math.floor($n / 3)
    math.isqrt($n)
    divmod($n, 3)[1]
    $n & 3
    $n >> 1
    $n << 1
    $n ^ 1
    ~$n + 5
    $n ** 2 - 8
    math.gcd($n, 4)
    int(math.sqrt($n))
    int(math.log2($n))
    $n.bit_length()
    sum(x.shape)
    x.numel() // 3
    max(x.shape)
    sorted(x.shape)[0]
    [1, 2, 3][$n % 3]
    (1, 2)[$n > 4]
    bool($n > 3) + 1
    len(x)
    $n // ($m - 2)
    $n % ($m - 1)
    $n // $m
    $n % $m
    len(range(0, $n, 3))
    int($n / $m)
    int($n * 1.5)
    int($n * 0.1)
    int($n / 3 * 3)
    math.prod(x.shape)
    int(bool($n - 3))
    ($n > 3) * 4
    int("1" * ($n % 3 + 1)) % 7
    3 if $n > 4 else 1
    len("ab" * $n)
    {1: 2, 2: 3, 3: 1}.get($n, 2)
    range($n)[-1]
    torch.Size([$n])[0]
    sum(range($n))
    int(f"{$n}") + 1
    x.stride(0)
    x[:2].numel()
    x.storage_offset()
    torch.sym_max($n, 3)
    torch.sym_min($n, 3)
    int(torch.tensor($n))
    x.dim() + $n
    operator.index($n)
    -(-$n // 3)
    $n // -2 + 9
    $n % -3 + 3
    int(-$n / 2) + 8
    """
)
"""Expressions of one or two sizes."""

USES = lines_of(
    """
    torch.ones($limit).narrow(0, 0, q)
    torch.ones($limit)[q]
    torch.ones($limit).topk(q)[0]
    torch.ones($limit).view(q, -1)
    torch.ones(q)
    torch.ones(12).reshape(-1, q)
    torch.ones($limit).split([q, $limit - q])[0]
    torch.ones(12).unflatten(0, (q, -1))
    torch.ones($limit).unfold(0, q, 1)
    F.pad(torch.ones(3), (0, -q))
    torch.ones($limit).repeat(q)
    torch.ones(2, $limit) @ torch.ones(q, 3)
    F.one_hot(torch.tensor([2]), q)
    F.avg_pool1d(torch.ones(1, $limit), q)
    F.max_pool1d(torch.ones(1, $limit), 2, q + 1)
    F.adaptive_avg_pool1d(torch.ones(1, 6), q)
    F.interpolate(torch.ones(1, 1, 6), size=q)
    torch.ones($limit).chunk(q)[-1]
    torch.ones($limit).tensor_split(q)[0]
    torch.ones($limit).select(0, -q)
    torch.ones($limit).expand(q, $limit)
    torch.ones($limit).as_strided((q,), (2,))
    torch.ones($limit).kthvalue(q)[0]
    torch.ones($limit, $limit).diagonal(q)
    torch.eye(q)
    torch.ones($limit)[:q].amax()
    torch.linspace(0, 1, q)
    torch.ones(1, $limit).unsqueeze(q % 3)
    torch.ones($limit).roll(q)
    torch.ones($limit)[q:].mean(0)
    torch.ones(1, 1, $limit, 1).view(1, q, -1)
    F.conv1d(torch.ones(1, 2, $limit), torch.ones(2, 2, 3), padding=q)
    F.conv1d(torch.ones(1, 2, $limit), torch.ones(2, 2, q))
    F.group_norm(torch.ones(2, 6, 2), q)
    F.unfold(torch.ones(1, 1, $limit, 4), (q, 2))
    torch.ones($limit).multinomial(q)
    torch.arange($limit, q, -1)
    torch.arange(q, $limit)
    torch.full((q,), 1.0).max(0)[0]
    torch.ones($limit, 3).sum(q % 3)
    torch.ones($limit).unfold(0, 2, q)
    F.max_pool1d(torch.ones(1, $limit), 2, 1, q)
    torch.stack([torch.ones(2)] * q)
    torch.cat([torch.ones(2)] * q)
    torch.ones($limit).tensor_split((q,))[1].amin()
    F.pad(torch.ones(1, 1, $limit), (q, 0), mode="reflect")
    torch.fft.fft(torch.ones($limit), n=q).abs()
    torch.ones(q, $limit).softmax(0).argmax(0)
    torch.tril_indices(q, q)
    torch.zeros(q).masked_scatter(torch.ones(q).bool(), torch.ones($limit))
    torch.bernoulli(torch.ones(3) * (q / $limit))
    torch.linalg.inv(torch.eye(3) * (q - $limit))
    torch.linalg.cholesky(torch.eye(3) * ($limit - q))
    torch.ones(3, dtype=torch.long) // (q - $limit)
    torch.ones(3, dtype=torch.long) % ($limit - q)
    torch.ones(3, dtype=torch.long) ** ($limit - q)
    torch.zeros(3, dtype=torch.int8).fill_(16 * q)
    torch.zeros(3, dtype=torch.int8).masked_fill(torch.ones(3).bool(), $limit * q)
    torch.ones(3) * (1 / (q * 0.5 - $limit))
    torch.ones($limit)[torch.arange(40)[-q - 2 : -q] // 2]
    torch.add(*torch.ones(2, q).split($limit, 1))
    torch.ones(q, 2).split($limit)[-1]
    sum(torch.ones($limit, q).unbind(1)[:2])
    torch.stack([torch.ones(q), torch.ones($limit)]).view(-1)
    F.embedding_bag(torch.arange(3), torch.ones(6, 2), torch.tensor([q // $limit]))
    nn.utils.rnn.pack_padded_sequence(torch.ones($limit, 1, 3), torch.tensor([q])).data
    """
)
"""Kernels that take a size."""

CUTS = [
    ("$n // 2", "($s)//2"),
    ("$n - 2", "max($s-2,0)"),
    ("min($n, 4)", "min($s,4)"),
    ("max($n - 3, 1)", "max($s-3,1)"),
    ("int($n / 2)", "($s)//2"),
    ("math.ceil($n / 2)", "($s+1)//2"),
    ("$n % 3 + 1", "min(($s)%3+1,$s)"),
    ("-(-$n // 2)", "($s+1)//2"),
    ("round($n * 0.5)", "($s)//2"),
]


def sized(draft: Draft) -> bool:
    """Pass an expression of sizes to a kernel that has a limit, and keep the shape of `x`."""
    n, m = draft.size(draft.dim()), draft.size(draft.dim())
    limit = draft.rng.choice([4, 6, 9, 40])
    draft.marks |= {limit, 2 * limit, 16, 25}
    draft.body.append(f"q = {filled(draft.rng, SIZES, n=n, m=m)}")
    return draft.become(f"x + {filled(draft.rng, USES, limit=limit)}.sum()")


def cut_by_size(draft: Draft) -> bool:
    """Cut an axis to an expression of its size, in the code and in the annotation."""
    k = draft.dim()
    text, after = draft.rng.choice(CUTS)
    size = filled(draft.rng, [text], n=draft.size(k))
    shape = draft.at(k, filled(draft.rng, [after], s=draft.shape[k]))
    return draft.become(f"x[{':, ' * k}: {size}]", shape)
