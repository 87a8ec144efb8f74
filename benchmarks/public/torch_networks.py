"""Networks that come with torch itself."""

from torch import nn

from public.table import Table
from public.wrappers import CausalFeatures, Features, PaddedFeatures, SourceTarget

TABLE = Table("torch")


def _encoder(*, is_nested: bool = True, **options: bool) -> nn.TransformerEncoder:
    layer = nn.TransformerEncoderLayer(32, 4, 48, batch_first=True, **options)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=is_nested)


TABLE.add("TransformerEncoder", lambda: Features(_encoder()))
TABLE.add("TransformerEncoder, norm first", lambda: Features(_encoder(norm_first=True)))
TABLE.add("TransformerEncoder, padding", lambda: PaddedFeatures(_encoder()))
TABLE.add("TransformerEncoder, plain padding", lambda: PaddedFeatures(_encoder(is_nested=False)))
TABLE.add("TransformerEncoder, causal", lambda: CausalFeatures(_encoder()))
TABLE.add("Transformer", lambda: SourceTarget(nn.Transformer(32, 4, 2, 2, 48, batch_first=True)))
TABLE.add("LSTM", lambda: Features(nn.LSTM(32, 32, 2, batch_first=True), lambda result: result[0]))
TABLE.add(
    "GRU, both ways",
    lambda: Features(
        nn.GRU(32, 16, 2, batch_first=True, bidirectional=True), lambda result: result[0]
    ),
)
