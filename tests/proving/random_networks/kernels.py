"""Steps of one kernel, with its result shape according to the documentation."""

from collections.abc import Iterator

from tests.proving.random_networks.drafts import Draft, Shape, product, window

Choice = tuple[str, Shape] | tuple[str, Shape, str]
"""An expression, its shape, and its family if that changes."""


def kernel(draft: Draft) -> bool:
    """Apply one kernel."""
    if draft.family not in ("Float", "Float32"):
        return draft.become("x.float()", draft.shape, "Float32")
    choices = [*_along_an_axis(draft), *_of_the_whole(draft), *_of_matrices(draft)]
    choices += [*_of_signals(draft), *_cuts(draft), *_cuts(draft)]
    return draft.become(*draft.rng.choice(choices))


def view(draft: Draft) -> bool:
    """View the data in another shape."""
    return draft.become(*draft.rng.choice([*_views(draft)]))


def einsum(draft: Draft) -> bool:
    """Apply a random equation to `x` and to itself or an argument."""
    letters = "abcde"[: len(draft.shape)]
    sizes = dict(zip(letters, draft.shape, strict=True))
    other = "".join(draft.rng.sample(letters, draft.rng.randint(1, len(letters))))
    if draft.rng.random() < 0.3:
        other = other[:-1] + draft.rng.choice(letters)
    first = letters if draft.rng.random() < 0.8 else draft.rng.choice(letters) * 2 + letters[2:]
    seen = sorted({*first[: len(letters)], *other})
    operands = f"{first[: len(letters)]},{other}"
    wanted = draft.rng.sample(seen, draft.rng.randint(1, len(seen)))
    second = _operand(draft, other, sizes)
    if not second:
        return False
    equation = operands if draft.rng.random() < 0.1 else f"{operands}->{''.join(wanted)}"
    if "->" not in equation:
        wanted = [letter for letter in seen if operands.count(letter) == 1]
    if not wanted:
        return False
    return draft.become(
        f'torch.einsum("{equation}", x, {second})', tuple(sizes[letter] for letter in wanted)
    )


def _operand(draft: Draft, letters: str, sizes: dict[str, str]) -> str:
    shape = tuple(sizes[letter] for letter in letters)
    if draft.rng.random() < 0.5 and all(size.isidentifier() or size.isdigit() for size in shape):
        other = tuple("kv_seq" if s == "seq" and draft.rng.random() < 0.3 else s for s in shape)
        return draft.given("data", shape=other)
    places = [list(sizes).index(letter) for letter in letters]
    return f"torch.ones({', '.join(f'x.shape[{place}]' for place in places)}).to(x)"


def _along_an_axis(draft: Draft) -> Iterator[Choice]:
    k, s = draft.dim(), draft.shape
    n, gone = s[k], draft.at(k)
    for text in ("cumsum", "cumprod", "softmax", "log_softmax", "logcumsumexp", "flip"):
        yield f"x.{text}({k})", s
    for text in ("cummax", "sort"):
        yield f"x.{text}({k})[0]", s
    yield f"F.normalize(x, dim={k})", s
    yield f"x.roll(x.shape[{k}] // 2, {k})", s
    yield f"x.index_fill({k}, torch.tensor([3]), 0.0)", s
    yield f"x.index_add({k}, torch.tensor([0, 1]), x.narrow({k}, 0, 2))", s
    yield f"x.gather({k}, torch.zeros_like(x, dtype=torch.int64))", s
    yield f"x.gather({k}, x.argsort({k}))", s
    yield f"x.scatter({k}, x.argsort({k}), x)", s
    yield f"x.select_scatter(x.select({k}, 0), {k}, 1)", s
    yield f"torch.cat([x, x.narrow({k}, 0, 1)], {k})", draft.at(k, f"{n}+1")
    yield f"torch.stack([x, -x], {k})", draft.at(k, "2", n)
    yield f"x.repeat_interleave(2, {k})", draft.at(k, product("2", n))
    yield f"torch.fft.rfft(x, dim={k}).abs()", draft.at(k, f"({n})//2+1")
    yield f"torch.fft.irfft(torch.fft.rfft(x, dim={k}), dim={k})", draft.at(k, f"({n})//2*2")
    yield f"F.glu(x, {k})", draft.at(k, f"({n})//2")
    yield f"F.cosine_similarity(x, x, dim={k})", gone
    if len(s) < 2:
        return
    for text in ("mean", "sum", "amax", "logsumexp", "std", "prod", "nanmean"):
        yield f"x.{text}({k})", gone
    for text in ("max", "median", "mode", "min"):
        yield f"x.{text}({k})[0]", gone
    yield f"x.kthvalue(2, {k})[0]", gone
    yield f"x.quantile(0.5, {k})", gone
    yield f"x.norm(dim={k})", gone
    yield f"x.argmax({k})", gone, "Int64"
    yield f"x.count_nonzero({k})", gone, "Int64"
    yield f"(x > 0).any({k})", gone, "Bool"
    yield f"x.renorm(2, {k}, 1.0)", s
    yield f"torch.trapezoid(x, dim={k})", gone


def _cuts(draft: Draft) -> Iterator[Choice]:
    k = draft.dim()
    n = draft.shape[k]
    third = f"({n}+2)//3"
    index = ":, " * k
    yield f"x.diff(dim={k})", draft.at(k, f"{n}-1")
    yield f"x.diff(n=2, dim={k})", draft.at(k, f"max({n}-2,0)")
    yield f"x.topk(3, {k})[0]", draft.at(k, "3")
    yield f"x.narrow({k}, 1, 2)", draft.at(k, "2")
    yield f"x.narrow({k}, 0, x.shape[{k}] // 2)", draft.at(k, f"({n})//2")
    yield f"x.tensor_split(3, {k})[1]", draft.at(k, f"({n}+1)//3")
    yield f"x.tensor_split((2,), {k})[1]", draft.at(k, f"max({n}-2,0)")
    yield f"x.split(2, {k})[1]", draft.at(k, f"min({n}-2,2)")
    yield f"x.split([2, x.shape[{k}] - 2], {k})[1]", draft.at(k, f"{n}-2")
    yield f"x.chunk(3, {k})[2]", draft.at(k, f"{n}-2*({third})")
    yield f"x.chunk(2, {k})[0]", draft.at(k, f"({n}+1)//2")
    yield f"x.unfold({k}, 3, 2)", (*draft.at(k, window(n, 3, 2)), "3")
    yield f"x.index_select({k}, torch.tensor([0, 2]))", draft.at(k, "2")
    yield f"x[{index}[0, 2, 1]]", draft.at(k, "3")
    yield f"x[{index}1:]", draft.at(k, f"{n}-1")
    yield f"x[{index}::2]", draft.at(k, f"({n}+1)//2")
    yield f"x[{index}:-1]", draft.at(k, f"{n}-1")
    yield f"x[{index}-2:]", draft.at(k, f"min({n},2)")
    yield f"x[{index}: x.shape[{k}] // 2]", draft.at(k, f"({n})//2")
    yield f"x[{index}x.shape[{k}] // 3 :]", draft.at(k, f"{n}-({n})//3")
    yield f"x[{index}: -(x.shape[{k}] // 3)]", draft.at(k, f"{n}-({n})//3")
    yield f"x[{index}: x.shape[{k}] - 3]", draft.at(k, f"{n}-3")
    yield f"x.unflatten({k}, (2, -1))", draft.at(k, "2", f"({n})//2")
    yield f"x.unflatten({k}, (-1, 3))", draft.at(k, f"({n})//3", "3")
    if len(draft.shape) > 1:
        yield f"x.unbind({k})[1]", draft.at(k)
        yield f"x.select({k}, {draft.rng.choice([0, 1, -2])})", draft.at(k)


def _views(draft: Draft) -> Iterator[Choice]:
    s = draft.shape
    whole = product(*s)
    yield "x.view(-1)", (whole,)
    yield "x.reshape(2, -1)", ("2", f"({whole})//2")
    yield "x.view(-1, 3)", (f"({whole})//3", "3")
    yield "x.contiguous().view(-1)", (whole,)
    yield "x.unsqueeze(1)", (s[0], "1", *s[1:])
    yield "x.expand(2, *x.shape)", ("2", *s)
    yield "x.squeeze(0)", s
    yield "x.ravel()", (whole,)
    yield (
        "x.repeat(2, *[1] * x.dim())" if len(s) < 1 else f"x.repeat(2{', 1' * (len(s) - 1)})",
        (
            product("2", s[0]),
            *s[1:],
        ),
    )
    if len(s) < 2:
        return
    swapped = (s[1], s[0], *s[2:])
    yield "x.view(x.shape[0], -1)", (s[0], product(*s[1:]))
    yield "x.view(-1, x.shape[-1])", (product(*s[:-1]), s[-1])
    yield "x.transpose(0, 1).view(x.shape[0] * x.shape[1], *x.shape[2:])", (product(*s[:2]), *s[2:])
    yield (
        "x.transpose(0, 1).reshape(x.shape[0] * x.shape[1], *x.shape[2:])",
        (
            product(*s[:2]),
            *s[2:],
        ),
    )
    yield "x.transpose(0, 1).contiguous().view(-1)", (whole,)
    yield "x.flatten(0, 1)", (product(*s[:2]), *s[2:])
    yield "x.flatten(1)", (s[0], product(*s[1:]))
    yield "x.transpose(0, 1)", swapped
    yield "x.mT", (*s[:-2], s[-1], s[-2])
    yield "x.rot90(1, (0, 1))", swapped
    yield "x.view(x.shape[1], x.shape[0], *x.shape[2:])", swapped
    yield "x.as_strided((2, 2), (1, 2))", ("2", "2")
    yield "x.movedim(0, -1)", (*s[1:], s[0])
    order = draft.rng.sample(range(len(s)), len(s))
    yield f"x.permute({', '.join(map(str, order))})", tuple(s[axis] for axis in order)


def _of_the_whole(draft: Draft) -> Iterator[Choice]:
    s = draft.shape
    for text in ("x.relu()", "x + 1", "x * torch.arange(x.shape[-1])", "torch.where(x > 0, x, -x)"):
        yield text, s
    yield "x.masked_fill(x > 0, 0.0)", s
    yield "torch.bucketize(x, torch.arange(3.0))", s, "Int64"
    yield "F.layer_norm(x, x.shape[-1:])", s
    yield "F.layer_norm(x, (4,))", s
    yield "F.pad(x, (1, -1))", s
    yield "F.pad(x, (0, -x.shape[-1] % 4))", (*s[:-1], f"({s[-1]}+3)//4*4")
    yield "x.histc(4)", ("4",)
    yield "torch.diag_embed(x)", (*s, s[-1])
    if len(s) == 1:
        yield "torch.combinations(x)", (f"({s[0]})*({s[0]}-1)//2", "2")
        yield "torch.cartesian_prod(x, x)", (product(s[0], s[0]), "2")
        yield "torch.vander(x)", (s[0], s[0])
        yield "torch.outer(x, x)", (s[0], s[0])
    if len(s) in (1, 2):
        yield "(x.abs() + 1).multinomial(2)", (*s[:-1], "2"), "Int64"


def _of_matrices(draft: Draft) -> Iterator[Choice]:
    s = draft.shape
    if len(s) < 2:
        return
    yield "x @ x.mT", (*s[:-1], s[-2])
    yield "x @ x", s
    yield "x.triu()", s
    yield "torch.cdist(x, x)", (*s[:-1], s[-2])
    yield "torch.tensordot(x, x, dims=1)", (*s[:-1], *s[1:])
    yield "x.diagonal(0, 0, 1)", (*s[2:], f"min({s[0]},{s[1]})")
    yield "x.diagonal(1, 0, 1)", (*s[2:], f"max(min({s[0]},{s[1]}-1),0)")
    yield "torch.linalg.cross(x, x)", s
    yield "torch.linalg.det(x)", s[:-2]
    if len(s) == 2:
        yield "x.mm(x)", s
        yield "torch.block_diag(x, x)", (product("2", s[0]), product("2", s[1]))
        yield "torch.kron(x, x)", (product(s[0], s[0]), product(s[1], s[1]))
    if len(s) == 3:
        yield "x.bmm(x)", s
        yield "torch.baddbmm(x, x, x)", s


def _of_signals(draft: Draft) -> Iterator[Choice]:
    s = draft.shape
    if len(s) in (2, 3):
        n = s[-1]
        yield "F.adaptive_avg_pool1d(x, 3)", (*s[:-1], "3")
        yield "F.avg_pool1d(x, 3, 2, 1)", (*s[:-1], window(n, 3, 2, 1))
        yield "F.max_pool1d(x, 2)", (*s[:-1], f"({n})//2")
        yield "F.lp_pool1d(x, 2, 2)", (*s[:-1], f"({n})//2")
        for mode in ("reflect", "replicate", "circular"):
            yield f'F.pad(x, (2, 1), mode="{mode}")', (*s[:-1], f"{n}+3")
    if len(s) == 3:
        yield "F.interpolate(x, scale_factor=0.5)", (*s[:-1], f"({s[-1]})//2")
        yield "F.interpolate(x, scale_factor=1.5)", (*s[:-1], f"3*({s[-1]})//2")
        yield "F.instance_norm(x)", s
        yield "F.group_norm(x, 2)", s
        yield "F.batch_norm(x, None, None, training=True)", s
    if len(s) != 4:
        return
    batch, channels, height, width = s
    yield "F.unfold(x, 2)", (batch, product("4", channels), product(f"{height}-1", f"{width}-1"))
    yield (
        "F.pixel_unshuffle(x, 2)",
        (
            batch,
            product("4", channels),
            f"({height})//2",
            f"({width})//2",
        ),
    )
    yield (
        "F.pixel_shuffle(x, 2)",
        (
            batch,
            f"({channels})//4",
            product("2", height),
            product("2", width),
        ),
    )
    yield "F.avg_pool2d(x, x.shape[2:])", (batch, channels, "1", "1")
    yield (
        "F.max_pool2d(x, 2, ceil_mode=True)",
        (
            batch,
            channels,
            f"({height}+1)//2",
            f"({width}+1)//2",
        ),
    )
    yield "F.local_response_norm(x, 3)", s
    yield "F.channel_shuffle(x, 2)", s
    yield (
        "F.grid_sample(x, torch.zeros(x.shape[0], 3, 2, 2), align_corners=False)",
        (
            batch,
            channels,
            "3",
            "2",
        ),
    )
    yield 'F.interpolate(x, size=(x.shape[3], 2), mode="bilinear")', (batch, channels, width, "2")
    yield "F.instance_norm(x)", s
