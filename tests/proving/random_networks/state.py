"""Steps that keep state between calls, and steps that write in place."""

from tests.proving.random_networks.drafts import Draft
from tests.proving.random_networks.templates import drawn_lines, lines_of

KEPT = lines_of(
    """
    $kept = None|if $kept is None:|    $kept = $ones|x = x * $kept
    $kept = torch.ones(0)|if len($kept) < $n:|    $kept = torch.ones($n)|x = x * $kept[:$n].$view
    $kept = torch.ones(0)|if $kept.shape[0] != $n:|    $kept = torch.ones($n)|x = x * $kept.$view
    $kept = 0|$kept += 1|if $kept > 1:|    raise RuntimeError("called twice")
    $kept = 0|x = x + $kept|$kept = x.mean()
    $kept = 0|x = x + $kept|$kept = x
    $kept = {}|x = x * $kept.setdefault($n, $ones)
    $kept = {}|x = x * $kept.setdefault("ones", $ones)
    $kept = []|$kept.append(x)|x = x + sum(y.sum() for y in $kept)
    $kept = []|$kept.append(x)|x = torch.cat($kept, $k).narrow($k, 0, $n)
    $kept = []|$kept.append(x)|x = torch.cat($kept, $k)
    $kept = 3|$kept = max($kept, $n)|x = x + torch.ones(20)[$kept]
    $kept = set()|$kept.add($n)|x = x + torch.ones(4)[len($kept)]
    $kept = iter(range(20))|x = x + torch.ones(4)[next($kept)]
    $kept = torch.zeros(1)|x = x + torch.ones(9)[$kept.long()].sum()|$kept.fill_($n)
    $kept = nn.Dropout(0.0)|if $kept.training:|    raise RuntimeError("called twice")|$kept.train()
    """
)
"""A line of the constructor, and lines of the forward."""

WRITES = lines_of(
    """
    x = x.clone()|x[${index}: $n // 2] = 0.0
    x = x.clone()|x[${index}1:] += x[${index}:-1]
    x = x.clone()|x[${index}2] = 1.0
    x = x.clone()|x[${index}: 2] = torch.ones(2, $rest)
    x = x.clone()|x.view(-1)[3] = 0.0
    x = x.clone()|x.select($k, 0).zero_()
    x = x.clone()|x.narrow($k, 0, 2).fill_(1.0)
    x = x.expand(2, *x.shape)[0].add_(1.0)
    y = x[:1].expand_as(x)|y.add_(1.0)
    y = x.new_zeros(x.shape)|y.copy_(x[${index}:1])|x = x + y
    x = x.clone().add_(torch.ones(3, 1))
    x = x.clone().mul_(x.sum(0))
    x = x.clone()|x.masked_fill_(torch.ones($n).bool(), 0.0)
    y = torch.zeros(4)|y[:$n] = torch.ones($n)|x = x + y.sum()
    y = torch.zeros(4)|y[$n - 1] = 1.0|x = x + y.sum()
    y = torch.zeros(4)|torch.ones($n).sum(0, keepdim=True, out=y[:1])|x = x + y.sum()
    y = torch.zeros(4)|torch.add(torch.ones($n), 1, out=y)|x = x + y.sum()
    x = x.clone()|x.unsqueeze_(0).squeeze_(0)
    x = x.clone()|x.squeeze_()
    x += 1.0
    x = x.clone().resize_(x.shape)
    x = x.clone()|x.index_copy_($k, torch.tensor([0, 1]), x.narrow($k, 0, 2))
    x = x.clone()|x.transpose(0, -1).copy_(x)
    x = x.clone()|x.scatter_($k, torch.zeros_like(x).long(), x)
    x = x.clone()|x[x > 0] = 0.0
    x = x.clone()|x[${index}[0, 3]] = 2.0
    x = x.clone()|x[1:].copy_(x[:-1])
    x = x.clone()|x.as_strided((2, 2), (1, 1)).add_(1.0)
    x = x.clone()|x.t_() if x.dim() == 2 else x.relu_()
    """
)

LEARNED = lines_of(
    """
    $weight[0] = 0.0|x = x + $weight[0]
    x = x + $weight.add_(1.0).sum()
    y, z = (x * $weight[0]).chunk(2)|y += 1.0|x = x + y.sum()
    if (x * $weight[0]).requires_grad:|    x = x.sum(0)
    y, = torch.autograd.grad((x * $weight[0]).sum(), [$weight])|x = x + y.sum()
    $weight.data.fill_(2.0)|x = x * $weight[1]
    x = x * $weight.detach().clone().mul_(2.0)[0]
    """
)


def state(draft: Draft) -> bool:
    """Keep state between calls."""
    k = draft.dim()
    n, kept = draft.size(k), f"self.{draft.name('kept')}"
    rest = f"*[1] * {len(draft.shape) - 1 - k}"
    ones = f"torch.ones({n}, {rest})"
    setup, *lines = drawn_lines(
        draft.rng, KEPT, kept=kept, n=n, k=k, ones=ones, view=f"view({n}, {rest})"
    )
    draft.setup.append(setup)
    draft.body += lines
    return True


def written(draft: Draft) -> bool:
    """Write in place, to a slice or a view."""
    k = draft.dim()
    rest = ", ".join(["1"] * (len(draft.shape) - 1 - k))
    draft.body += drawn_lines(draft.rng, WRITES, n=draft.size(k), k=k, index=":, " * k, rest=rest)
    return True


def learned(draft: Draft) -> bool:
    """Use a parameter in ways that may fail with gradients."""
    name = draft.name("weight")
    draft.setup.append(f"self.{name} = nn.Parameter(torch.ones(3))")
    draft.body += drawn_lines(draft.rng, LEARNED, weight=f"self.{name}")
    return True
