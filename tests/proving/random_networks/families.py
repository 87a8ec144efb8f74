"""Steps for annotations that allow several dtypes, with the family of each result."""

from tests.proving.random_networks.drafts import Draft

ALLOWED = {
    "Float32": ("float32",),
    "Float": ("float32", "float64", "float16", "bfloat16"),
    "Int": ("int64", "int32", "int16", "int8"),
    "Int64": ("int64",),
    "Bool": ("bool",),
}
ALLOWED["Num"] = (*ALLOWED["Float"], *ALLOWED["Int"], "uint8")
ALLOWED["Shaped"] = (*ALLOWED["Num"], "bool")
"""The dtypes of each family that are tried, the usual one first."""


def convert(draft: Draft) -> bool:
    """Change the dtype, or do something that only some dtypes support."""
    s, family = draft.shape, draft.family
    choices = [
        ("x.float()", s, "Float32"),
        ("x + 1", s, family),
        ("-x", s, family),
        ("x.abs()", s, family),
        ("x * 2", s, family),
        ("x > 0", s, "Bool"),
        ("x + 0.5", s, "Float" if family in ("Num", "Shaped", "Int") else family),
        ("x / 2", s, "Float" if family in ("Num", "Shaped", "Int") else family),
        ("x // 2", s, family),
        ("x.sum(0, keepdim=True) + x", s, family),
        ("x.clone()", s, family),
        ("x.relu()", s, family),
        ("x.sort(0)[0]", s, family),
        ("x + torch.zeros(1)", s, "Float32"),
        ("x.softmax(0)", s, family),
        ("x - x.mean(0)", s, family),
        ("torch.zeros_like(x)", s, family),
        ("x * torch.arange(x.shape[-1])", s, family),
        ("~x", s, family),
        ("x.cumsum(0)", s, family),
        ("x.sqrt()", s, family),
        (
            "x @ x.mT" if len(s) > 1 else "x.dot(x)[None]",
            (*s[:-1], s[-2]) if len(s) > 1 else ("1",),
        ),
        ("x.argmax(0, keepdim=True).expand_as(x)", s, "Int64"),
        ("F.pad(x, (1, 0))", (*s[:-1], f"{s[-1]}+1"), family),
        ("F.interpolate(x, scale_factor=2)", (*s[:-1], f"2*({s[-1]})"), family),
        ("F.layer_norm(x, x.shape[-1:])", s, family),
        ("F.linear(x, torch.ones(4, x.shape[-1]))", (*s[:-1], "4"), family),
        ("torch.where(x > 0, x, torch.zeros(1))", s, "Float32"),
        ("x.to(torch.bfloat16).float()", s, "Float32"),
        ("x.type_as(torch.ones(1))", s, "Float32"),
        ("torch.cat([x, torch.zeros_like(x)])", (f"2*({s[0]})", *s[1:]), family),
        ("torch.cat([x, x.float()])", (f"2*({s[0]})", *s[1:]), "Float32"),
        ("x.masked_fill(x > 0, 1.0)", s, family),
        ("x.clamp(min=0)", s, family),
        ("torch.stack([x, x.float()])", ("2", *s), "Float32"),
    ]
    text, shape, *other = draft.rng.choice(choices)
    if "interpolate" in text and len(s) != 3:
        return False
    return draft.become(str(text), tuple(shape), str(other[0]) if other else family)
