"""Classifiers, segmenters and optical flow of torchvision."""

from operator import itemgetter

from public.table import Package, Table
from public.wrappers import Images, Maps, Pairs, Videos

models = Package("torchvision.models")
optical_flow = Package("torchvision.models.optical_flow")
segmentation = Package("torchvision.models.segmentation")
video = Package("torchvision.models.video")

TABLE = Table("torchvision", height=224, width=224)

for _name in (
    *("alexnet", "vgg11_bn", "resnet18", "resnext50_32x4d", "squeezenet1_1", "densenet121"),
    *("mobilenet_v2", "mobilenet_v3_large", "efficientnet_b1", "efficientnet_v2_s"),
    *("regnet_y_400mf", "shufflenet_v2_x0_5", "mnasnet0_5", "convnext_tiny", "vit_b_32"),
    *("swin_t", "swin_v2_t", "maxvit_t"),
):
    TABLE.add(_name, lambda name=_name: Images(getattr(models, name)(num_classes=10)))

for _name in ("googlenet", "inception_v3"):
    TABLE.add(
        _name,
        lambda name=_name: Images(
            getattr(models, name)(num_classes=10, aux_logits=False, init_weights=False)
        ),
    )

for _name in (
    *("fcn_resnet50", "deeplabv3_resnet50", "deeplabv3_mobilenet_v3_large"),
    "lraspp_mobilenet_v3_large",
):
    TABLE.add(
        _name,
        lambda name=_name: Maps(
            getattr(segmentation, name)(num_classes=10, weights_backbone=None), itemgetter("out")
        ),
        height=64,
        width=64,
    )

for _name in ("r3d_18", "mc3_18", "r2plus1d_18"):
    TABLE.add(
        _name,
        lambda name=_name: Videos(getattr(video, name)(num_classes=10)),
        batch=1,
        frames=8,
        height=64,
        width=64,
    )
TABLE.add("s3d", lambda: Videos(video.s3d(num_classes=10)), batch=1, frames=16)
TABLE.add("mvit_v2_s", lambda: Videos(video.mvit_v2_s(num_classes=10)), batch=1, frames=16)
TABLE.add(
    "swin3d_t",
    lambda: Videos(video.swin3d_t(num_classes=10)),
    batch=1,
    frames=8,
    height=64,
    width=64,
)

TABLE.add(
    "raft_small",
    lambda: Pairs(optical_flow.raft_small(), itemgetter(-1)),
    batch=1,
    height=128,
    width=128,
)
