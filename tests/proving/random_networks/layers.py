"""Steps of layers with weights, and of operations around them."""

from random import Random

from tests.proving.random_networks.drafts import Draft, Shape, number, product, window


def conv(draft: Draft) -> bool:
    """Convolve, with any stride, padding and dilation."""
    s, rng = draft.shape, draft.rng
    if len(s) not in (3, 4) or not draft.known(1):
        return False
    kernel, stride = rng.choice([1, 2, 3, 4]), rng.choice([1, 1, 2, 3])
    pad, dilation, wide = rng.choice([0, 1, 2]), rng.choice([1, 1, 2]), rng.choice([1, 4, 6])
    options = f"{draft.known(1)}, {wide}, {kernel}, {stride}, {pad}, {dilation}"
    layer = draft.module(f"nn.Conv{len(s) - 2}d({options})")
    after = (window(size, kernel, stride, pad, dilation) for size in s[2:])
    return draft.become(f"{layer}(x)", (s[0], str(wide), *after))


def unbatched_conv(draft: Draft) -> bool:
    """Convolve one image without a batch."""
    s = draft.shape
    if len(s) != 3 or not draft.known(0):
        return False
    kernel = draft.rng.choice([1, 2, 3])
    layer = draft.module(f"nn.Conv2d({draft.known(0)}, 4, {kernel}, 2, 1)")
    return draft.become(f"{layer}(x)", ("4", *(window(size, kernel, 2, 1) for size in s[1:])))


def transposed_conv(draft: Draft) -> bool:
    """Convolve to a larger image."""
    s, rng = draft.shape, draft.rng
    if len(s) != 4 or not draft.known(1):
        return False
    kernel, stride, pad = rng.choice([2, 3, 4]), rng.choice([1, 2]), rng.choice([0, 1])
    options = f"{draft.known(1)}, 4, {kernel}, {stride}, {pad}, {stride - 1}"
    layer = draft.module(f"nn.ConvTranspose2d({options})")
    grown = kernel - 2 * pad + stride - 1
    return draft.become(f"{layer}(x)", (s[0], "4", *(f"({n}-1)*{stride}{grown:+d}" for n in s[2:])))


def pool(draft: Draft) -> bool:
    """Pool, with any stride and padding."""
    s, rng = draft.shape, draft.rng
    if len(s) not in (3, 4):
        return False
    kernel, stride, ceil = rng.choice([2, 3]), rng.choice([1, 2, 3]), rng.random() < 0.4
    pad, kind = rng.choice([0, 1]), rng.choice(["Max", "Avg"])
    options = f"{kernel}, {stride}, {pad}, ceil_mode={ceil}"
    layer = draft.module(f"nn.{kind}Pool{len(s) - 2}d({options})")
    after = (window(size, kernel, stride, pad, ceil=ceil) for size in s[2:])
    return draft.become(f"{layer}(x)", (*s[:2], *after))


def adaptive_pool(draft: Draft) -> bool:
    """Pool to a fixed size."""
    s, rng = draft.shape, draft.rng
    if len(s) != 4:
        return False
    target = rng.choice([(1, 1), (2, 3), (None, 2)])
    layer = draft.module(f"nn.Adaptive{rng.choice(['Avg', 'Max'])}Pool2d({target})")
    after = (size if t is None else str(t) for size, t in zip(s[2:], target, strict=True))
    return draft.become(f"{layer}(x)", (*s[:2], *after))


def norm(draft: Draft) -> bool:
    """Normalise the data."""
    s, rng = draft.shape, draft.rng
    if len(s) in (3, 4) and draft.known(1) and rng.random() < 0.6:
        axes = len(s) - 2
        kinds = [f"BatchNorm{axes}d({{}})", "GroupNorm(1, {})", f"InstanceNorm{axes}d({{}})"]
        layer = draft.module(f"nn.{rng.choice(kinds).format(draft.known(1))}")
    elif draft.known(len(s) - 1):
        layer = draft.module(
            f"nn.{rng.choice(['LayerNorm', 'RMSNorm'])}({draft.known(len(s) - 1)})"
        )
    else:
        return False
    return draft.become(f"{layer}(x)")


def upsample(draft: Draft) -> bool:
    """Upsample an image."""
    s, rng = draft.shape, draft.rng
    if len(s) != 4:
        return False
    if rng.random() < 0.3:
        return draft.become(f"{draft.module('nn.Upsample(size=(4, 5))')}(x)", (*s[:2], "4", "5"))
    mode = rng.choice(["nearest", "bilinear"])
    layer = draft.module(f'nn.Upsample(scale_factor=2, mode="{mode}")')
    return draft.become(f"{layer}(x)", (*s[:2], *(product("2", size) for size in s[2:])))


def pad(draft: Draft) -> bool:
    """Pad or crop an image."""
    s, rng = draft.shape, draft.rng
    if len(s) != 4:
        return False
    kind = rng.choice(["ZeroPad2d", "ReflectionPad2d", "ReplicationPad2d", "CircularPad2d"])
    left, right = (
        rng.choice([-1, 0, 1, 2] if kind == "ZeroPad2d" else [0, 1, 2]),
        rng.choice([0, 2]),
    )
    layer = draft.module(f"nn.{kind}(({left}, {right}, 0, 0))")
    return draft.become(f"{layer}(x)", (*s[:-1], f"{s[-1]}{left + right:+d}"))


def linear(draft: Draft) -> bool:
    """Multiply the last axis by a matrix, sometimes of another size."""
    wide = draft.rng.choice(["4", "6"])
    known = draft.known(len(draft.shape) - 1)
    if not known and draft.rng.random() < 0.8:
        return False
    layer = draft.module(f"nn.Linear({known or 16}, {wide})")
    draft.marks |= set() if known else {16}
    return draft.become(f"{layer}(x)", (*draft.shape[:-1], wide))


def attention(draft: Draft) -> bool:
    """Attend to all positions, or to those that a mask allows."""
    s, rng = draft.shape, draft.rng
    if len(s) != 3 or s[2] != "4":
        return False
    way = rng.choice(["mha", "padded", "encoder", "sdpa", "causal", "plain"])
    if way == "mha":
        layer = draft.module("nn.MultiheadAttention(4, 2, batch_first=True)")
        return draft.become(f"{layer}(x, x, x)[0]")
    if way == "encoder":
        layer = draft.module("nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)")
        return draft.become(f"{layer}(x)")
    if way == "padded" and s[0].isidentifier() and s[1].isidentifier():
        mask = draft.given("mask", shape=s[:2])
        layer = draft.module("nn.MultiheadAttention(4, 2, batch_first=True)")
        return draft.become(f"{layer}(x, x, x, key_padding_mask={mask})[0]")
    if way == "causal":
        return draft.become("F.scaled_dot_product_attention(x, x, x, is_causal=True)")
    if way == "sdpa":
        return draft.become("F.scaled_dot_product_attention(x, x, x)")
    return draft.become("(x @ x.transpose(1, 2)).softmax(-1) @ x")


def recurrent(draft: Draft) -> bool:
    """Apply a recurrent layer."""
    s, rng = draft.shape, draft.rng
    if len(s) != 3 or not s[2].isdigit() or s[2] == "0":
        return False
    two, is_first = rng.random() < 0.3, rng.random() < 0.7
    options = f"{s[2]}, 4, bidirectional={two}, batch_first={is_first}"
    layer = draft.module(f"nn.{rng.choice(['LSTM', 'GRU', 'RNN'])}({options})")
    return draft.become(f"{layer}(x)[0]", (*s[:2], "8" if two else "4"))


def positions(draft: Draft) -> bool:
    """Add a table of positions."""
    s, rows = draft.shape, draft.rng.choice([5, 12, 20])
    if len(s) != 3 or s[2] != "4":
        return False
    draft.marks.add(rows)
    layer = draft.module(f"nn.Embedding({rows}, 4)")
    return draft.become(f"x + {layer}.weight[: x.shape[1]]")


def skip(draft: Draft) -> bool:
    """Add or concatenate the features of a downsampled image."""
    s = draft.shape
    if len(s) != 4:
        return False
    if draft.rng.random() < 0.3:
        return draft.become("x + F.interpolate(x[..., ::2, ::2], size=x.shape[2:])")
    pooled = f"F.max_pool2d(x, 2, ceil_mode={draft.rng.random() < 0.3})"
    text = f"torch.cat([x, F.interpolate({pooled}, scale_factor=2)], 1)"
    return draft.become(text, (s[0], product("2", s[1]), *s[2:]))


def shifted_windows(draft: Draft) -> bool:
    """Pad to whole windows, shift them, process each by itself, and remove the padding."""
    s, rng = draft.shape, draft.rng
    if len(s) != 3:
        return False
    w, shift = rng.choice([2, 3]), rng.choice([0, 1])
    length, pad_text = rng.choice(["x.shape[1]", "x.size(1)"]), f"-x.shape[1] % {w}"
    if rng.random() < 0.3:
        pad_text = f"({w} - x.shape[1] % {w}) % {w}"
    draft.body += [
        f"length = {length}",
        f"x = F.pad(x, (0, 0, 0, {pad_text}))",
        f"x = x.roll(-{shift}, 1)" if shift else "x = x + 1",
        f"parts = x.view(x.shape[0], x.shape[1] // {w}, {w}, x.shape[2])",
        "parts = parts - parts.mean(2, keepdim=True)",
        "x = parts.view(x.shape[0], x.shape[1], x.shape[2])",
    ]
    return draft.become(f"x.roll({shift}, 1)[:, :length]")


def padded_blocks(draft: Draft) -> bool:
    """Stack modules that each ask whether they have to pad."""
    s, rng = draft.shape, draft.rng
    if len(s) != 3 or s[2] != "4":
        return False
    length = s[1]
    blocks = [_padded(length, rng.choice(["windows", "windows", "halved", "padded"]), rng)]
    for _ in range(rng.choice([1, 1, 2, 3])):
        blocks.append(_padded(blocks[-1][1], rng.choice(["windows", "halved", "padded"]), rng))
    layer = draft.module(f"nn.Sequential({', '.join(text for text, _ in blocks)})")
    return draft.become(f"{layer}(x)", (s[0], blocks[-1][1], s[2]))


def _padded(length: str, kind: str, rng: Random) -> tuple[str, str]:
    """Return a module, and the length of its result."""
    window = rng.choice([2, 3])
    if kind == "halved":
        return "Halved()", number(f"({length}+1)//2")
    if kind == "padded":
        return f"Windows({window}, crops=False)", number(
            f"({length}+{window - 1})//{window}*{window}"
        )
    return f"Windows({window})", length


def pair(draft: Draft) -> bool:
    """Combine `x` with a second argument, whose axes have other names."""
    s, rng = draft.shape, draft.rng
    if not all(size.isidentifier() or size.isdigit() for size in s):
        return False
    if len(s) == 3:
        other = draft.given("data", shape=(s[0], "kv_seq", s[2]))
        choices: list[tuple[str, Shape]] = [
            (f"torch.cat([x, {other}], 1)", (s[0], f"{s[1]}+kv_seq", s[2])),
            (f"x @ {other}.mT", (s[0], s[1], "kv_seq")),
            (f"x + {other}", (s[0], f"max({s[1]},kv_seq)", s[2])),
            (f"x[:, : {other}.shape[1]]", (s[0], f"min({s[1]},kv_seq)", s[2])),
            (f"F.scaled_dot_product_attention(x, {other}, {other})", s),
            (f"F.pad(x, (0, 0, 0, {other}.shape[1]))", (s[0], f"{s[1]}+kv_seq", s[2])),
            (f"x.expand_as({other})", (s[0], "kv_seq", s[2])),
        ]
    elif len(s) == 2:
        other = draft.given("data", shape=("kv_seq",))
        choices = [
            (f"x + {other}", s),
            (f"x[: {other}.shape[0]]", (f"min({s[0]},kv_seq)", s[1])),
            (f"x @ {other}[:, None]", (s[0], "1")),
            (f"x.masked_fill({other} > 0, 0.0)", s),
            (f"x.view({other}.shape[0], -1)", ("kv_seq", f"({s[0]}*{s[1]})//kv_seq")),
        ]
    else:
        return False
    return draft.become(*rng.choice(choices))
