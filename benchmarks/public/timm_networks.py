"""Classifiers of timm, one per family."""

from public.table import Package, Table
from public.wrappers import Images

timm = Package("timm")

LARGER = {"swinv2_tiny_window8_256": 256, "crossvit_tiny_240": 240, "botnet26t_256": 256}
"""Image sizes of the networks that are not designed for 224x224 pixels."""

NAMES = (
    *("vit_tiny_patch16_224", "deit_tiny_distilled_patch16_224", "mixer_s32_224"),
    *("beit_base_patch16_224", "swin_tiny_patch4_window7_224", "swinv2_tiny_window8_256"),
    *("maxvit_tiny_tf_224", "coatnet_0_rw_224", "davit_tiny", "convnext_atto", "efficientnet_b0"),
    *("mobilenetv3_small_100", "regnetx_002", "resnest14d", "res2net50_26w_4s", "hrnet_w18_small"),
    *("dla34", "ghostnet_100", "eca_nfnet_l0", "levit_128s", "cait_xxs24_224"),
    *("xcit_nano_12_p16_224", "pvt_v2_b0", "poolformer_s12", "twins_svt_small", "gcvit_xxtiny"),
    *("volo_d1_224", "crossvit_tiny_240", "mvitv2_tiny", "edgenext_xx_small", "fastvit_t8"),
    *("tiny_vit_5m_224", "resmlp_12_224", "gmlp_ti16_224", "convmixer_768_32", "repvgg_a0"),
    *("inception_next_atto", "cs3darknet_m", "mobilevit_xxs", "botnet26t_256"),
)


def _network(name: str) -> Images:
    return Images(timm.create_model(name, num_classes=10))


def _table() -> Table:
    table = Table("timm", height=224, width=224)
    for name in NAMES:
        side = LARGER.get(name, 224)
        table.add(name, lambda name=name: _network(name), height=side, width=side)
    return table


TABLE = _table()
