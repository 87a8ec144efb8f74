"""Steps in which the model decides: checks, branches, state, options, and arithmetic of sizes."""

from tests.proving.random_networks.drafts import Draft, Shape, number


def check(draft: Draft) -> bool:
    """Raise for some sizes, with words of the model's own."""
    n, small = draft.size(draft.dim()), draft.rng.choice([2, 3, 4, 6])
    condition = draft.rng.choice(
        [f"{n} < {small}", f"{n} > {small + 4}", f"{n} % 2", f"{n} == {small}", f"not {n} % 3 == 0"]
    )
    if draft.rng.random() < 0.2:
        draft.marks.add(40)
        condition = f"{n} > 40"
    draft.body += draft.rng.choice(
        [
            [f"if {condition}:", f'    raise ValueError(f"cannot take {{{n}}}")'],
            [f"if {condition}:", '    raise IndexError("index out of range in self")'],
            [f"if {condition}:", '    raise RuntimeError("shapes cannot be multiplied")'],
            [f'assert not ({condition}), "a size that is not taken"'],
            [f'torch._assert(not ({condition}), f"a size of {{{n}}}")'],
            [f"torch._check(not ({condition}))"],
            [f"if {condition}:", "    x.view(-1, 7)"],
            [f"if {condition}:", "    x = x[:, :, :, :, :, 0]"],
        ]
    )
    return True


def hidden_error(draft: Draft) -> bool:
    """Catch an error that a kernel raises for some sizes."""
    k, s = draft.dim(), draft.shape
    n = draft.size(k)
    risky, after = draft.rng.choice(
        [
            (f"torch.ones(2, 3).view({n}, -1)", ""),
            ("x.view(-1, 2)", ""),
            (f"torch.ones(5)[{n}]", ""),
            (f"x.select({k}, 3)", ""),
            (f"torch.ones(5, 4) + torch.ones({n}, 1)", ""),
            (f"1 // ({n} - 3)", ""),
            (f"x.narrow({k}, 0, 3)", ""),
            (f"torch.ones(6).index_select(0, torch.tensor([{n}]))", ""),
        ]
    )
    del after
    gone: Shape = draft.at(k)
    lost = draft.rng.choice(
        [
            (["    pass"], s),
            ([f'    raise ValueError("no") from None'], s),
            (["    x = x + 1"], s),
            ([f"    x = x.narrow({k}, 0, 1)"], s),
            ([f"    x = x.sum({k})"], s) if len(gone) else (["    pass"], s),
        ]
    )[0]
    kind = draft.rng.choice(["RuntimeError", "Exception", "IndexError", "(RuntimeError, ValueError)"])
    draft.body += ["try:", f"    {risky}", f"except {kind}:", *lost]
    return True


def branch(draft: Draft) -> bool:
    """Do something else for some sizes or data."""
    rng, k = draft.rng, draft.dim()
    n, small = draft.size(k), rng.choice([2, 3, 5, 8])
    other = draft.size(draft.dim())
    of_sizes = [f"{n} > {small}", f"{n} % 2 == 0", f"{n} == {other}", f"{n} < {other}", f"{n} in (2, 5)"]
    of_sizes += [f"{n} & 1", f"{n} // {small} > 1", f"x.numel() > 24", f"max(x.shape) > {small}"]
    of_sizes += [f"len(x) > {small}", f"{n} ** 2 > 30", f"{n} / {small} > 1.5", f"not {n} > {small}"]
    of_sizes += [f"{small} < {n} < {small + 4}", f"x.shape[0] == {small}", f"x.shape == (3, 4)"]
    of_data = ["(x > 0).any()", "x.sum() > 0", "bool(x.isnan().any())", "x.max() > 0.5", "(x == 0).all()"]
    of_symbols = [
        "x.is_meta",
        "x.device.type == 'meta'",
        f"not isinstance({n}, int)",
        f"type({n}) is not int",
        "not torch.is_grad_enabled()",
        "type(x) is not Tensor",
        "torch.compiler.is_compiling()",
        f"hasattr({n}, 'node')",
        "x.is_contiguous()",
        f"x.stride(0) == 1",
        "x.requires_grad",
        f"{n} is {small}",
        "self.training" if draft.setup else "x.is_floating_point()",
        f"str({n}) == '{small}'",
        f"f'{{{n}}}' in ('3', '12')",
        f"int({n}) == {small}",
        f"float({n}) > {small}.5",
        f"hash({n}) % 2",
        f"x.dtype == torch.float32",
    ]
    condition = rng.choice([*of_sizes * 2, *of_data, *of_symbols])
    draft.marks |= {24} if "numel" in condition else set()
    changes = [
        f"x = x.narrow({k}, 0, 1)",
        "x = x + 1",
        "x = x + torch.ones(1)",
        'raise ValueError("not this way")',
        "x = x.double()",
        "x = x.flip(0)",
        f"x = x.sum({k}, keepdim=True)",
        f"x = x.sum({k}, keepdim=True).expand_as(x)",
    ]
    change = rng.choice([*changes, "x = x + 1", "x = x * 2"])
    draft.body += [f"if {condition}:", f"    {change}"]
    return True


def state(draft: Draft) -> bool:
    """Keep something between calls."""
    rng, k = draft.rng, draft.dim()
    n, name = draft.size(k), draft.name("kept")
    kept = f"self.{name}"
    ones = f"torch.ones({n}, *[1] * {len(draft.shape) - 1 - k})"
    setup, lines = rng.choice(
        [
            (f"{kept} = None", [f"if {kept} is None:", f"    {kept} = {ones}", f"x = x * {kept}"]),
            (
                f"{kept} = torch.ones(0)",
                [
                    f"if {kept}.shape[0] < {n}:",
                    f"    {kept} = torch.ones({n})",
                    f"x = x * {kept}[:{n}].view({n}, *[1] * {len(draft.shape) - 1 - k})",
                ],
            ),
            (
                f"{kept} = torch.ones(0)",
                [
                    f"if {kept}.shape[0] != {n}:",
                    f"    {kept} = torch.ones({n})",
                    f"x = x * {kept}.view({n}, *[1] * {len(draft.shape) - 1 - k})",
                ],
            ),
            (
                f"{kept} = 0",
                [f"{kept} += 1", f"if {kept} > 1:", '    raise RuntimeError("called twice")'],
            ),
            (f"{kept} = 0", [f"x = x + {kept}", f"{kept} = x.mean()"]),
            (f"{kept} = 0", [f"x = x + {kept}", f"{kept} = x"]),
            (f"{kept} = {{}}", [f"x = x * {kept}.setdefault({n}, {ones})"]),
            (f"{kept} = {{}}", [f"x = x * {kept}.setdefault('ones', {ones})"]),
            (f"{kept} = []", [f"{kept}.append(x)", f"x = x + sum(y.sum() for y in {kept})"]),
            (
                f"{kept} = []",
                [f"{kept}.append(x)", f"x = torch.cat({kept}, {k}).narrow({k}, 0, {n})"],
            ),
            (f"{kept} = []", [f"{kept}.append(x)", f"x = torch.cat({kept}, {k})"]),
            (f"{kept} = 3", [f"{kept} = max({kept}, {n})", f"x = x + torch.ones(20)[{kept}]"]),
        ]
    )
    draft.setup.append(setup)
    draft.body += lines
    return True


def option(draft: Draft) -> bool:
    """Take an argument that may be left out, or a flag."""
    rng, s, k = draft.rng, draft.shape, draft.dim()
    if rng.random() < 0.4:
        flag = next(name for name in ("flip", "wide", "deep", "last") if name not in draft.flags)
        draft.flags.append(flag)
        change = rng.choice([f"x.narrow({k}, 0, 1)", "x + 1", f"x.topk(2, {k})[0].sum() + x", "x.relu()"])
        draft.body += [f"if {flag}:", f"    x = {change}"]
        return len(draft.flags) < 4
    if not all(size.isidentifier() or size.isdigit() for size in s):
        return False
    shape = rng.choice([s, s[-1:], s[:1], ("kv_seq",)])
    name = draft.given("data", shape=shape, presence="optional")
    ways = [f"x + {name}.sum()", f"x + {name}", f"x[: {name}.shape[0]]", f"x * {name}.view(-1)[2]"]
    ways += [f"x + F.linear({name}, torch.ones(1, 4)).sum()"]
    draft.body += [f"if {name} is not None:", f"    x = {rng.choice(ways)}"]
    return True


def masked(draft: Draft) -> bool:
    """Mask by a padding mask, by lengths or by order."""
    rng, s, k = draft.rng, draft.shape, draft.dim()
    n = draft.size(k)
    rest = f"*[1] * {len(s) - 1 - k}"
    if rng.random() < 0.3:
        size = rng.choice([8, 12, 20])
        draft.marks.add(size)
        table = draft.buffer(f"torch.ones({size}, {size}).tril().bool()")
        use = rng.choice([f"{table}[:{n}, :{n}]", f"{table}[{n} - 1, :{n}]", f"{table}[:{n}, 0]"])
        return draft.become(f"x.masked_fill({use}.any(0, keepdim=True).view(-1, {rest}), 0.0)")
    if rng.random() < 0.25:
        text = rng.choice([f"torch.ones({n}, {n}).tril()", f"torch.triu(torch.ones({n}, {n}), 1)"])
        return draft.become(f"x * ({text}.sum(0) > 0).view({n}, {rest})")
    if s[:2] == ("batch", "seq") and rng.random() < 0.4:
        lengths = draft.given("lengths", shape=("batch",))
        mask = f"torch.arange(x.shape[1]) < {lengths}[:, None]"
        if rng.random() < 0.3:
            return draft.become(f"x * (torch.arange({lengths}.max()) < {lengths}[:, None])"
                                f".view(x.shape[0], -1, *[1] * (x.dim() - 2))")
        return draft.become(f"x * ({mask}).view(x.shape[0], -1, *[1] * (x.dim() - 2))")
    if not s[k].isidentifier() or s[k] == draft.width:
        return False
    mask = draft.given("mask", shape=(s[k],))
    lines = rng.choice(
        [
            [f"x = x.masked_fill({mask}.view(-1, {rest}), 0.0)"],
            [f"x = torch.where({mask}.view(-1, {rest}), x, 1.0)"],
            [f"if {mask}.any():", "    x = x + 1"],
            [f"if {mask}.all():", '    raise ValueError("all is masked")'],
            [f"if not {mask}.any():", f"    x = x.narrow({k}, 0, 1)"],
            [f"x = x + x.flatten().sum() * {mask}.nonzero().sum()"],
            [f"x = x + torch.ones_like({mask}, dtype=x.dtype)[{mask}].sum()"],
            [f"x = x + torch.ones({n})[{mask}].amax()"],
            [f"x = x.index_select({k}, {mask}.nonzero()[:, 0])"],
            [f"x = x + torch.ones({n})[{mask}].softmax(0).sum()"],
            [f"x = x.clone(); x[{':, ' * k}{mask}] = 0.0"],
        ]
    )
    draft.body += lines
    return True


SIZES = [
    *("{n} // 2", "{n} % 3", "-{n} % 4", "{n} - 2", "{n} + 1", "2 * {n} - 3", "({n} + 2) // 3"),
    *("min({n}, 4)", "max({n}, 4)", "min({n}, {m})", "{n} * {m} // 4", "abs({n} - 3)", "{n} - {m}"),
    *("round({n} / 3)", "int({n} / 2)", "int({n} * 0.5)", "int({n} ** 0.5)", "math.ceil({n} / 4)"),
    *("math.floor({n} / 3)", "math.isqrt({n})", "divmod({n}, 3)[1]", "{n} & 3", "{n} >> 1"),
    *("{n} << 1", "{n} ^ 1", "~{n} + 5", "{n} ** 2 - 8", "math.gcd({n}, 4)", "int(math.sqrt({n}))"),
    *("int(math.log2({n}))", "{n}.bit_length()", "sum(x.shape)", "x.numel() // 3", "max(x.shape)"),
    *("sorted(x.shape)[0]", "[1, 2, 3][{n} % 3]", "(1, 2)[{n} > 4]", "bool({n} > 3) + 1", "len(x)"),
    *("{n} // ({m} - 2)", "{n} % ({m} - 1)", "{n} // {m}", "{n} % {m}", "len(range(0, {n}, 3))"),
    *("int({n} / {m})", "int({n} * 1.5)", "int({n} * 0.1)", "int({n} / 3 * 3)", "math.prod(x.shape)"),
    *("int(bool({n} - 3))", "({n} > 3) * 4", "int('1' * ({n} % 3 + 1)) % 7", "3 if {n} > 4 else 1"),
    *("len('ab' * {n})", "{1: 2, 2: 3, 3: 1}.get({n}, 2)", "range({n})[-1]", "torch.Size([{n}])[0]"),
    *("sum(range({n}))", "int(f'{{{n}}}') + 1", "x.stride(0)", "x[:2].numel()", "x.storage_offset()"),
    *("torch.sym_max({n}, 3)", "torch.sym_min({n}, 3)", "int(torch.tensor({n}))", "x.dim() + {n}"),
    *("operator.index({n})", "-(-{n} // 3)", "{n} // -2 + 9", "{n} % -3 + 3", "int(-{n} / 2) + 8"),
]
"""Expressions of one or two sizes."""


def sized(draft: Draft) -> bool:
    """Use an expression of sizes where a kernel has a limit, and keep the shape of `x`."""
    rng, k = draft.rng, draft.dim()
    n, m, limit = draft.size(k), draft.size(draft.dim()), rng.choice([4, 6, 9])
    size = rng.choice(SIZES).replace("{n}", n).replace("{m}", m)
    draft.marks |= {limit, 2 * limit, 16, 25}
    use = rng.choice(
        [
            f"torch.ones({limit}).narrow(0, 0, q)",
            f"torch.ones({limit})[q]",
            f"torch.ones({limit}).topk(q)[0]",
            f"torch.ones({limit}).view(q, -1)",
            "torch.ones(q)",
            "torch.ones(12).reshape(-1, q)",
            f"torch.ones({limit}).split([q, {limit} - q])[0]",
            "torch.ones(12).unflatten(0, (q, -1))",
            f"torch.ones({limit}).unfold(0, q, 1)",
            "F.pad(torch.ones(3), (0, -q))",
            f"torch.ones({limit}).repeat(q)",
            f"torch.ones(2, {limit}) @ torch.ones(q, 3)",
            f"F.one_hot(torch.tensor([2]), q)",
            f"F.avg_pool1d(torch.ones(1, {limit}), q)",
            f"F.max_pool1d(torch.ones(1, {limit}), 2, q + 1)",
            "F.adaptive_avg_pool1d(torch.ones(1, 6), q)",
            "F.interpolate(torch.ones(1, 1, 6), size=q)",
            f"torch.ones({limit}).chunk(q)[-1]",
            f"torch.ones({limit}).tensor_split(q)[0]",
            f"torch.ones({limit}).select(0, -q)",
            f"torch.ones({limit}).expand(q, {limit})",
            f"torch.ones({limit}).as_strided((q,), (2,))",
            f"torch.ones({limit}).kthvalue(q)[0]",
            f"torch.ones({limit}, {limit}).diagonal(q)",
            f"torch.eye(q)",
            f"torch.ones({limit})[:q].amax()",
            f"torch.linspace(0, 1, q)",
            f"torch.ones(1, {limit}).unsqueeze(q % 3)",
            f"torch.ones({limit}).roll(q)",
            f"torch.ones({limit})[q:].mean(0)",
            f"torch.ones(1, 1, {limit}, 1).view(1, q, -1)",
            f"F.conv1d(torch.ones(1, 2, {limit}), torch.ones(2, 2, 3), padding=q)",
            f"F.conv1d(torch.ones(1, 2, {limit}), torch.ones(2, 2, q))",
            f"F.group_norm(torch.ones(2, 6, 2), q)",
            f"F.unfold(torch.ones(1, 1, {limit}, 4), (q, 2))",
        ]
    )
    draft.body.append(f"q = {size}")
    return draft.become(f"x + {use}.sum()")


def cut_by_size(draft: Draft) -> bool:
    """Make an axis as long as an expression of its size says, and say so in the annotation."""
    rng, k = draft.rng, draft.dim()
    n, size = draft.size(k), draft.shape[k]
    text, after = rng.choice(
        [
            (f"{n} // 2", "({s})//2"),
            (f"{n} - 2", "max({s}-2,0)"),
            (f"min({n}, 4)", "min({s},4)"),
            (f"max({n} - 3, 1)", "max({s}-3,1)"),
            (f"int({n} / 2)", "({s})//2"),
            (f"math.ceil({n} / 2)", "({s}+1)//2"),
            (f"{n} % 3 + 1", "min(({s})%3+1,{s})"),
            (f"-(-{n} // 2)", "({s}+1)//2"),
            (f"round({n} * 0.5)", "({s})//2"),
        ]
    )
    index = ":, " * k
    return draft.become(f"x[{index}: {text}]", draft.at(k, number(after.replace("{s}", size))))


def loop(draft: Draft) -> bool:
    """Go over an axis or through powers in Python."""
    n = draft.size(draft.dim())
    draft.body += draft.rng.choice(
        [
            [f"for step in range({n}):", "    x = x + step"],
            ["for row in x:", "    x = x + row.sum()"],
            [f"q = {n}", "while q > 3:", "    q = q // 2", "x = x + torch.ones(3)[:q].sum()"],
            [f"for step in range(min({n}, 3)):", "    x = x + torch.ones(2)[step]"],
            ["first, *rest = x.unbind(0)", "x = x + first.sum()"],
            ["first, second = x.chunk(2)", "x = x + first.sum()"],
            ["first, second = x", "x = x + first.sum()"],
            [f"x = x + sum(x.sum() for _ in range({n} // 2))"],
            [f"x = x + torch.stack([x.sum() for _ in range({n} - 1)]).sum()"],
        ]
    )
    return True


def written(draft: Draft) -> bool:
    """Write in place, into a part or a view."""
    rng, k, s = draft.rng, draft.dim(), draft.shape
    n, index = draft.size(k), ":, " * k
    lines = rng.choice(
        [
            [f"x = x.clone()", f"x[{index}: {n} // 2] = 0.0"],
            [f"x = x.clone()", f"x[{index}1:] += x[{index}:-1]"],
            [f"x = x.clone()", f"x[{index}2] = 1.0"],
            [f"x = x.clone()", f"x[{index}: 2] = torch.ones(2, {', '.join(['1'] * (len(s) - 1 - k))})"],
            [f"x = x.clone()", "x.view(-1)[3] = 0.0"],
            [f"x = x.clone()", f"x.select({k}, 0).zero_()"],
            [f"x = x.clone()", f"x.narrow({k}, 0, 2).fill_(1.0)"],
            [f"x = x.expand(2, *x.shape)[0].add_(1.0)"],
            [f"y = x[:1].expand_as(x)", "y.add_(1.0)"],
            [f"y = x.new_zeros(x.shape)", f"y.copy_(x[{index}:1])", "x = x + y"],
            [f"x = x.clone().add_(torch.ones(3, 1))"],
            [f"x = x.clone().mul_(x.sum(0))"],
            [f"x = x.clone()", f"x.masked_fill_(torch.ones({n}).bool(), 0.0)"],
            [f"y = torch.zeros(4)", f"y[:{n}] = torch.ones({n})", "x = x + y.sum()"],
            [f"y = torch.zeros(4)", f"y[{n} - 1] = 1.0", "x = x + y.sum()"],
            [f"y = torch.zeros(4)", f"torch.ones({n}).sum(0, keepdim=True, out=y[:1])", "x = x + y.sum()"],
            [f"x = x.clone()", "x.unsqueeze_(0).squeeze_(0)"],
            [f"x = x.clone()", "x.squeeze_()"],
            [f"x += 1.0"],
            [f"x = x.clone().resize_(x.shape)"],
            [f"x = x.clone()", f"x.index_copy_({k}, torch.tensor([0, 1]), x.narrow({k}, 0, 2))"],
            [f"x = x.clone()", f"x.transpose(0, -1).copy_(x)"],
            [f"x = x.clone()", f"x.scatter_({k}, torch.zeros_like(x).long(), x)"],
            [f"x = x.clone()", f"x[x > 0] = 0.0"],
            [f"x = x.clone()", f"x.T.add_(x) if x.dim() == 2 else x"],
        ]
    )
    draft.body += lines
    return True
