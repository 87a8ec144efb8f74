"""Networks of smaller packages."""

from operator import attrgetter, itemgetter

from torch import nn

from public.table import Package, Table
from public.wrappers import (
    Channels,
    Features,
    Images,
    Language,
    Mapped,
    Maps,
    Noise,
    Tokens,
    Volumes,
)

cct = Package("vit_pytorch.cct")
conformer = Package("conformer")
cv = Package("pytorchcv.model_provider")
deepvit = Package("vit_pytorch.deepvit")
denoising_diffusion_pytorch = Package("denoising_diffusion_pytorch")
diffusers = Package("diffusers")
efficientnet_pytorch = Package("efficientnet_pytorch")
facenet_pytorch = Package("facenet_pytorch")
g_mlp_pytorch = Package("g_mlp_pytorch")
linear_attention_transformer = Package("linear_attention_transformer")
linformer = Package("linformer")
mlp_mixer_pytorch = Package("mlp_mixer_pytorch")
mobile_vit = Package("vit_pytorch.mobile_vit")
monai_nets = Package("monai.networks.nets")
nystrom_attention = Package("nystrom_attention")
performer_pytorch = Package("performer_pytorch")
pytorch_tcn = Package("pytorch_tcn")
reformer_pytorch = Package("reformer_pytorch")
simple_vit = Package("vit_pytorch.simple_vit")
smp = Package("segmentation_models_pytorch")
torchaudio = Package("torchaudio")
vit = Package("kornia.models.vit")
vit_pytorch = Package("vit_pytorch")
x_transformers = Package("x_transformers")

SEGMENTERS = Table("segmentation_models_pytorch")
for _name in (
    *("Unet", "UnetPlusPlus", "FPN", "PSPNet", "DeepLabV3Plus", "Linknet", "MAnet"),
    "Segformer",
):
    SEGMENTERS.add(
        _name,
        lambda name=_name: Maps(getattr(smp, name)("resnet18", encoder_weights=None, classes=10)),
    )

SEGMENTERS.add(
    "PAN",
    lambda: Maps(smp.PAN("resnet18", encoder_weights=None, classes=10)),
    height=128,
    width=128,
)

MONAI = Table("monai", height=32, width=32)
MONAI.add("BasicUNet", lambda: Volumes(monai_nets.BasicUNet(3, 1, 10, (8, 8, 16, 16, 32, 8))))
MONAI.add("UNet", lambda: Volumes(monai_nets.UNet(3, 1, 10, (8, 16, 32), (2, 2))))
MONAI.add("SegResNet", lambda: Volumes(monai_nets.SegResNet(3, 8, in_channels=1, out_channels=10)))
MONAI.add("VNet", lambda: Volumes(monai_nets.VNet(3, 1, 10)))
MONAI.add("UNETR", lambda: Volumes(monai_nets.UNETR(1, 10, (32, 32, 32), 8, 48, 96, 4)))
MONAI.add(
    "SwinUNETR",
    lambda: Maps(monai_nets.SwinUNETR(3, 10, feature_size=12, spatial_dims=2)),
    height=64,
    width=64,
)
MONAI.add(
    "DenseNet", lambda: Images(monai_nets.DenseNet(2, 3, 10, 8, 8, (2, 2, 2))), height=64, width=64
)

VIT = Table("vit_pytorch", height=32, width=32)
_OPTIONS = {
    "image_size": 32,
    "patch_size": 8,
    "num_classes": 10,
    "dim": 32,
    "depth": 2,
    "heads": 4,
    "mlp_dim": 48,
}
VIT.add("ViT", lambda: Images(vit_pytorch.ViT(**_OPTIONS)), height=32, width=32)
VIT.add("SimpleViT", lambda: Images(simple_vit.SimpleViT(**_OPTIONS)), height=32, width=32)
VIT.add("DeepViT", lambda: Images(deepvit.DeepViT(**_OPTIONS)), height=32, width=32)
VIT.add(
    "CCT",
    lambda: Images(cct.cct_2(img_size=32, n_conv_layers=1, kernel_size=3, num_classes=10)),
    height=32,
    width=32,
)
VIT.add(
    "MobileViT",
    lambda: Images(
        mobile_vit.MobileViT(
            (256, 256), [96, 120, 144], [16, 32, 48, 48, 64, 64, 80, 80, 96, 96, 384], 10
        )
    ),
    height=256,
    width=256,
)

OTHERS = Table("others")
OTHERS.add(
    "x_transformers encoder",
    lambda: Tokens(
        x_transformers.TransformerWrapper(
            num_tokens=50,
            max_seq_len=40,
            logits_dim=32,
            attn_layers=x_transformers.Encoder(dim=32, depth=2, heads=4),
        )
    ),
)
OTHERS.add(
    "x_transformers decoder",
    lambda: Language(
        x_transformers.TransformerWrapper(
            num_tokens=50,
            max_seq_len=40,
            attn_layers=x_transformers.Decoder(dim=32, depth=2, heads=4, rotary_pos_emb=True),
        )
    ),
)
OTHERS.add(
    "efficientnet_pytorch b0",
    lambda: Images(efficientnet_pytorch.EfficientNet.from_name("efficientnet-b0", num_classes=10)),
)
OTHERS.add("pytorch_tcn TCN", lambda: Channels(pytorch_tcn.TCN(16, [16, 16, 16])))
OTHERS.add(
    "denoising_diffusion Unet", lambda: Noise(denoising_diffusion_pytorch.Unet(8, dim_mults=(1, 2)))
)
OTHERS.add(
    "diffusers UNet2DModel",
    lambda: Noise(
        diffusers.UNet2DModel(
            sample_size=32,
            block_out_channels=(8, 16),
            norm_num_groups=4,
            layers_per_block=1,
            down_block_types=("DownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        ),
        attrgetter("sample"),
    ),
)
OTHERS.add(
    "diffusers AutoencoderKL",
    lambda: Mapped(
        diffusers.AutoencoderKL(
            block_out_channels=(8, 16),
            norm_num_groups=4,
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
        ),
        attrgetter("sample"),
    ),
)
OTHERS.add("linformer", lambda: Features(linformer.Linformer(32, 40, 2, heads=4, k=8)), seq=40)
OTHERS.add(
    "performer",
    lambda: Language(
        performer_pytorch.PerformerLM(
            num_tokens=50, max_seq_len=40, dim=32, depth=2, heads=4, dim_head=8
        )
    ),
)
OTHERS.add(
    "linear attention",
    lambda: Language(
        linear_attention_transformer.LinearAttentionTransformerLM(
            num_tokens=50, dim=32, heads=4, depth=2, max_seq_len=64
        )
    ),
    seq=64,
)
OTHERS.add(
    "reformer",
    lambda: Language(
        reformer_pytorch.ReformerLM(
            num_tokens=50, dim=32, depth=2, max_seq_len=64, heads=4, bucket_size=8, n_hashes=2
        )
    ),
    seq=64,
)
OTHERS.add(
    "nystromformer",
    lambda: Features(
        nystrom_attention.Nystromformer(dim=32, dim_head=8, heads=4, depth=2, num_landmarks=8)
    ),
)
OTHERS.add(
    "g_mlp", lambda: Language(g_mlp_pytorch.gMLP(num_tokens=50, dim=32, depth=2, seq_len=16))
)
OTHERS.add(
    "mlp_mixer",
    lambda: Images(
        mlp_mixer_pytorch.MLPMixer(
            image_size=32, channels=3, patch_size=8, dim=32, depth=2, num_classes=10
        )
    ),
    height=32,
    width=32,
)
OTHERS.add("conformer", lambda: Features(conformer.Conformer(32, depth=2, dim_head=8, heads=4)))
OTHERS.add(
    "facenet InceptionResnetV1",
    lambda: Images(facenet_pytorch.InceptionResnetV1(classify=True, num_classes=10)),
    height=160,
    width=160,
)
OTHERS.add(
    "torchaudio Conformer",
    lambda: Features(_Lengths(torchaudio.models.Conformer(32, 4, 48, 2, 7)), itemgetter(0)),
)
OTHERS.add(
    "kornia ViT",
    lambda: Images(
        vit.VisionTransformer(image_size=32, patch_size=8, embed_dim=10, depth=2, num_heads=2),
        lambda result: result[:, 0],
    ),
    height=32,
    width=32,
)

CV = Table("pytorchcv", height=224, width=224)
for _name in (
    "resnet10",
    "preresnet10",
    "airnet50_1x64d_r2",
    "bninception",
    "shufflenetv2b_wd2",
    "igcv3_wd4",
    "sknet50",
    "darknet_ref",
):
    CV.add(_name, lambda name=_name: Images(cv.get_model(name, num_classes=10)))


class _Lengths(nn.Module):
    """Calls a network that requires lengths; all sequences have the full length."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, features):
        return self.net(features, features.new_full((features.shape[0],), features.shape[1]).long())


TABLES = (SEGMENTERS, MONAI, VIT, OTHERS, CV)
