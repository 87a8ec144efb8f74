"""Steps whose indices come from sizes, from arguments, from buffers or from data.

An index is drawn in three parts: where its numbers come from, what is done to them, and the kernel
that takes them. What that gives is summed up, so that the shape of `x` stays.
"""

from tests.proving.random_networks.drafts import Draft

CASTS = {"bfloat16": 256, "half": 2048, "to(torch.int8)": 127, "to(torch.uint8)": 255, "float": 0}
"""Casts there and back, and the last whole number that comes through each."""


def looked_up(draft: Draft) -> bool:
    """Look up numbers that were made in some way in a table."""
    if draft.family not in ("Float", "Float32"):
        return False
    rows = draft.rng.choice([3, 5, 8, 12, 16, 20, 40])
    source = draft.rng.choice([_from_size, _from_size, _from_argument, _from_buffer, _from_data])
    lines = source(draft)
    if not lines:
        return False
    for _ in range(draft.rng.choice([0, 0, 1, 1, 2, 3])):
        lines.append(_change(draft, rows))
    text = _lookup(draft, rows)
    draft.body += lines
    draft.marks |= {rows, 2 * rows, rows // 2}
    return draft.become(text)


def _from_size(draft: Draft) -> list[str]:
    rng, k = draft.rng, draft.dim()
    n, small = draft.size(k), rng.choice([1, 2, 3, 5])
    return [
        rng.choice(
            [
                *[f"i = torch.arange({n})"] * 5,
                f"i = torch.arange(0, {n}, 2)",
                f"i = torch.arange({n}, 0, -1)",
                f"i = torch.arange(-{n}, {n})",
                f"i = torch.arange({small}, {n} + {small})",
                f"i = torch.arange({n}).float().long()",
                f"i = torch.full((3,), {n} - 1)",
                f"i = torch.full((3,), {n}) // {small + 1}",
                f"i = torch.ones({n}).cumsum(0).long() - 1",
                f"i = torch.ones({n}, dtype=torch.int64).sum()[None]",
                f"i = torch.tensor([{n} - 1])",
                f"i = torch.linspace(0, {n} - 1, 4).long()",
                f"i = (torch.arange({n})[:, None] - torch.arange({n})).flatten()",
                f"i = (torch.arange({n})[:, None] - torch.arange({n}) + {n} - 1).flatten()",
                f"i = torch.tril_indices({n}, {n})[0]",
                f"i = torch.meshgrid(torch.arange({n}), torch.arange(2), indexing='ij')[0].flatten()",
                f"i = torch.zeros({n}).long() + {n}",
                f"i = torch.arange(5).clamp(max={n})",
                f"i = torch.randperm({n})",
                f"i = torch.arange({n}) * {n}",
                f"i = torch.arange({n}).expand(2, -1).flatten()",
            ]
        )
    ]


def _from_argument(draft: Draft) -> list[str]:
    rng, s = draft.rng, draft.shape
    names = [axis for argument in draft.inputs for axis in argument.shape if axis.isidentifier()]
    named = list(dict.fromkeys(names))
    if not named:
        return []
    shape = tuple(rng.sample(named, min(len(named), rng.choice([1, 2]))))
    role = rng.choice(["tokens", "tokens", "mask"])
    if "seq" in named and "batch" in named and rng.random() < 0.2:
        lengths = draft.given("lengths", shape=("batch",))
        ways = ["{} - 1", "{} // 2", "{}", "({} > 1).cumsum(0)"]
        return [f"i = {rng.choice(ways).format(lengths)}"] if lengths else []
    name = draft.given("mask" if role == "mask" else "tokens", shape=shape)
    last = len(shape) - 1
    if role == "mask":
        ways = [f"{{}}.cumsum({last})", f"{{}}.sum({last})", "{}.long()", f"{{}}.int().argmax({last})"]
        ways += [f"(~{{}}).cumsum({last}) - 1", f"{{}}.cumsum({last}) * {{}}", "{}.sum()[None]"]
    else:
        ways = [f"{{}}.ne(1).cumsum({last})", f"{{}}.ne(1).sum({last})", "{}", "{} + 1", "{} * 2"]
        ways += [f"({{}} == 0).long().cumsum({last}) * {{}}.eq(0)", f"{{}}.argmax({last})"]
        ways += [f"{{}}.eq(0).int().cumsum({last}).long() - 1", f"{{}}.argsort({last})"]
        ways += ["torch.ones_like({}).cumsum(" + str(last) + ")", "{}.clamp(max=1).flatten()"]
        ways += [f"{{}}.ne(1).float().cumsum({last}).long()", f"{{}}.sort({last}, stable=True)[1]"]
        ways += ["{}.ne(1).nonzero()[:, 0]", "{} + " + f"torch.arange({{}}.shape[{last}])"]
    del s
    return [f"i = {rng.choice(ways).replace('{}', name)}"]


def _from_buffer(draft: Draft) -> list[str]:
    rng, k = draft.rng, draft.dim()
    n, count = draft.size(k), rng.choice([8, 15, 16, 30])
    made = [f"torch.arange({count})", f"torch.arange({count}).flip(0)", f"torch.arange({count}) // 2"]
    made += [f"torch.arange({count}) % 7", f"torch.randperm({count})", f"torch.ones({count}).long()"]
    table = draft.buffer(rng.choice(made))
    draft.marks |= {count, count // 2}
    ways = [f"{table}[:{n}]", f"{table}[:{n}]", f"{table}[-{n} :]", f"{table}[{n} :]"]
    ways += [f"{table}[{n} : 2 * {n}]", f"{table}.view(1, -1)[:, :{n}]", f"{table}[: 2 * {n} : 2]"]
    ways += [f"{table}[torch.arange({n})]", f"{table}.narrow(0, 0, {n})", f"{table}[{n} - 1][None]"]
    ways += [f"{table}[:{n}] + {n}", f"{table}.repeat(2)[:{n}]", f"{table}[: {n} // 2]", f"{table}"]
    square = draft.buffer(f"torch.arange({count})[:, None] - torch.arange({count}) + {count - 1}")
    ways += [f"{square}[:{n}, :{n}].flatten()", f"{square}[-{n}:, -{n}:].flatten()"]
    return [f"i = {rng.choice(ways)}"]


def _from_data(draft: Draft) -> list[str]:
    k = draft.dim()
    ways = [f"x.argmax({k})", f"(x >= 0).sum({k})", f"(x > 0).long().cumsum({k})", "x.relu().long()"]
    ways += [f"x.argsort({k})", f"x.topk(1, {k})[1]", f"x.shape[{k}] - 1 - x.argmax({k})"]
    ways += [f"(x == x).long().cumsum({k}) - 1", "x.numel() + torch.zeros(2).long()"]
    ways += [f"x.sort({k})[1]", "x.isnan().long()", f"x.flatten().argmax()[None] // x.shape[{k}]"]
    return [f"i = {draft.rng.choice(ways)}"]


def _change(draft: Draft, rows: int) -> str:
    rng, small = draft.rng, draft.rng.choice([2, 3, 4, 7])
    n = draft.size(draft.dim())
    if rng.random() < 0.2:
        cast = rng.choice(list(CASTS))
        draft.marks |= {CASTS[cast]} - {0}
        call = cast if cast.endswith(")") else f"{cast}()"
        return f"i = i.{call}.long()"
    return rng.choice(
        [
            f"i = i.clamp(max={rows - 1})",
            f"i = i.clamp(0, {rows - 1})",
            f"i = i.clamp(-{small}, {small}) + {small}",
            f"i = i.clamp(max={n} - 1)",
            f"i = i % {rows}",
            f"i = i % {n}",
            f"i = i.fmod({rows})",
            f"i = i // {small}",
            f"i = i.div({small}, rounding_mode='floor')",
            f"i = i.div({small}, rounding_mode='trunc').long()",
            f"i = (i / {small}).long()",
            f"i = (i / {small}).round().long()",
            f"i = i + {small}",
            f"i = i - {small}",
            f"i = (i - {small}).abs()",
            f"i = {n} - 1 - i",
            f"i = i.flip(0)",
            f"i = i.cumsum(0)",
            f"i = i * {small}",
            f"i = i * i",
            f"i = i ** 2",
            f"i = i & {small}",
            f"i = i >> 1",
            f"i = i << 1",
            f"i = i | 1",
            f"i = ~i",
            f"i = -i",
            f"i = torch.where(i < {rows}, i, {small})",
            f"i = torch.where(i > {small}, i - {small}, i)",
            f"i = i.minimum(torch.tensor({rows - 1}))",
            f"i = i.masked_fill(i >= {rows}, 0)",
            f"i = torch.cat([i.flatten(), i.flatten() + {small}])",
            f"i = i.sort(0)[1]",
            f"i = i.roll(1, 0)",
            f"i = i.int()",
            f"i = i.clone(); i[0] = {small}",
            f"i = i.clone(); i += {small}",
            f"i = i.clone().clamp_(max={rows - 1})",
            f"i = i.clone(); i[:1].add_({small})",
            f"i = i.clone(); i.view(-1)[0] += {n}",
            f"i = i.amax()[None]",
            f"i = i.to(torch.float32).mul(0.5).long()",
            f"i = i.to(torch.float32).sqrt().long()",
            f"i = i.float().log2().clamp(min=0).long()",
            f"i = i.unique()",
            f"i = i[i < {rows}]",
            f"i = torch.empty_like(i).copy_(i)",
            f"i = i.tril() if i.dim() > 1 else i",
            f"i = i.repeat_interleave(2)",
            f"i = i.argsort(0)",
            f"i = i.diff(dim=0)",
            f"i = torch.stack([i, i + 1]).amax(0)",
            f"i = i.detach().contiguous().view(-1)",
        ]
    )


def _lookup(draft: Draft, rows: int) -> str:
    rng, k = draft.rng, draft.dim()
    if rng.random() < 0.4:
        layer = draft.module(f"nn.Embedding({rows}, 4)")
        return f"x + {layer}(i).sum()"
    table = f"torch.ones({rows}, 4)"
    flat = "i.flatten()"
    ways = [
        f"F.embedding(i, {table})",
        f"{table}[i]",
        f"{table}[:, :1][i, 0]",
        f"torch.ones(4, {rows})[:, i]",
        f"{table}.index_select(0, {flat})",
        f"torch.ones({rows}).gather(0, {flat})",
        f"torch.ones({rows}).take(i)",
        f"F.one_hot(i, {rows})",
        f"torch.ones({rows}).scatter(0, {flat}, 1.0)",
        f"torch.ones({rows}).scatter_add(0, {flat}, torch.ones(i.numel()))",
        f"torch.ones({rows}).index_add(0, {flat}, torch.ones(i.numel()))",
        f"torch.ones({rows}).index_fill(0, {flat}, 2.0)",
        f"torch.ones({rows}).index_put((i,), torch.tensor(1.0))",
        f"torch.ones({rows}).index_copy(0, {flat}, torch.ones(i.numel()))",
        f"torch.take_along_dim(torch.ones({rows}), {flat}, 0)",
        f"F.embedding_bag({flat}, {table}, torch.tensor([0]))",
        f"F.nll_loss(torch.ones(i.numel(), {rows}), {flat})",
        f"F.cross_entropy(torch.ones(i.numel(), {rows}), {flat})",
        f"torch.arange({rows})[i]",
        f"torch.ones({rows}, {rows})[i, i]",
        f"x.index_select({k}, {flat})",
        f"x[{':, ' * k}i]",
        f"torch.ones({rows}).scatter_reduce(0, {flat}, torch.ones(i.numel()), 'amax')",
        f"torch.ones({rows}).clone().index_put_((i,), torch.tensor(1.0), accumulate=True)",
        f"torch.ones({rows})[: int(i.max())]",
        f"torch.ones({rows}).split({rows})[0][i]",
        f"torch.ones({rows}).expand(2, {rows})[:, i]",
        f"F.embedding(i, {table}, padding_idx=0)",
        f"F.embedding(i.view(1, -1), {table}, max_norm=1.0)",
    ]
    return f"x + {rng.choice(ways)}.sum()"
