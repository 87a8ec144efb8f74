"""The architectures of the zoo, and the builder functions that configure them.

There are three kinds of models:

- Models of an introductory PyTorch course, in `course`. Each teaches one idea. Those for images are
  toys for digits of 28 x 28 pixels (`lenet`, `lenet_small`, `inception_small`, `resnet_small`), not
  the networks of the papers that they cite.
- Models of papers, in `vision`, layer by layer as torchvision has them, so that its published
  weights load: `alexnet`, `vgg16`, `googlenet`, `inception_v3`, `resnet50`, `convnext_tiny`,
  `vit_b_16` and others.
- Tiny models of the same classes, in the same files: `resnet_micro`, `vit_micro`. They have few and
  narrow layers, for tests and experiments, and no published weights.
"""

from shapezoo.models.course.features import (
    FeatureClassifier,
    conv_linear,
    fourier_linear,
    haar_linear,
)
from shapezoo.models.course.forecaster import Forecaster, rnn_forecaster
from shapezoo.models.course.inception_small import InceptionBlock, SmallInception, inception_small
from shapezoo.models.course.lenet import LeNet, SmallLeNet, lenet, lenet_small
from shapezoo.models.course.linear_regression import LinearRegression, linear_regression
from shapezoo.models.course.logistic_regression import LogisticRegression, logistic_regression
from shapezoo.models.course.mlp import MLP, mlp
from shapezoo.models.course.name_classifier import NameClassifier, name_classifier
from shapezoo.models.course.recurrent.gru import GRU, BatchFirstGRU, gru
from shapezoo.models.course.recurrent.lstm import LSTM, BatchFirstLSTM, lstm
from shapezoo.models.course.recurrent.rnn import RNN, BatchFirstRNN, rnn
from shapezoo.models.course.recurrent.stepped_rnn import (
    BatchFirstSteppedRNN,
    SteppedRNN,
    stepped_rnn,
)
from shapezoo.models.course.resnet_small import ResidualBlock, SmallResNet, resnet_small
from shapezoo.models.course.softmax_classifier import SoftmaxClassifier, softmax_classifier
from shapezoo.models.course.tagging import (
    EmbeddingTagger,
    OneHotTagger,
    character_rnn,
    embedding_tagger,
    onehot_cell_tagger,
    onehot_tagger,
)
from shapezoo.models.vision.alexnet import AlexNet, alexnet, alexnet_micro
from shapezoo.models.vision.backbone import Backbone
from shapezoo.models.vision.convnext import (
    ConvNeXt,
    ConvNeXtBlock,
    convnext_base,
    convnext_large,
    convnext_micro,
    convnext_small,
    convnext_tiny,
)
from shapezoo.models.vision.densenet import (
    DenseBlock,
    DenseLayer,
    DenseNet,
    TransitionLayer,
    densenet121,
    densenet161,
    densenet169,
    densenet201,
    densenet_micro,
)
from shapezoo.models.vision.headless import HasPooledFeatures, Headless
from shapezoo.models.vision.inceptions.googlenet import (
    GoogLeNet,
    GoogLeNetAuxiliary,
    InceptionModule,
    googlenet,
    googlenet_micro,
)
from shapezoo.models.vision.inceptions.inception_modules import (
    InceptionA,
    InceptionB,
    InceptionC,
    ReductionA,
    ReductionB,
)
from shapezoo.models.vision.inceptions.inception_v3 import (
    InceptionV3,
    InceptionV3Auxiliary,
    inception_v3,
    inception_v3_micro,
)
from shapezoo.models.vision.mobile.efficientnet import (
    EfficientNet,
    efficientnet_b0,
    efficientnet_b1,
    efficientnet_b2,
    efficientnet_b3,
    efficientnet_b4,
    efficientnet_b5,
    efficientnet_b6,
    efficientnet_b7,
    efficientnet_micro,
)
from shapezoo.models.vision.mobile.efficientnet_blocks import FusedMBConv
from shapezoo.models.vision.mobile.efficientnet_v2 import (
    efficientnet_v2_l,
    efficientnet_v2_m,
    efficientnet_v2_micro,
    efficientnet_v2_s,
)
from shapezoo.models.vision.mobile.mbconv import MBConv
from shapezoo.models.vision.mobile.mnasnet import (
    MnasNet,
    MnasNetBlock,
    mnasnet0_5,
    mnasnet0_75,
    mnasnet1_0,
    mnasnet1_3,
    mnasnet_micro,
)
from shapezoo.models.vision.mobile.mobilenet_v2 import (
    InvertedResidual,
    MobileNetV2,
    mobilenet_v2,
    mobilenet_v2_micro,
)
from shapezoo.models.vision.mobile.mobilenet_v3 import (
    MobileNetV3,
    mobilenet_v3_large,
    mobilenet_v3_micro,
    mobilenet_v3_small,
)
from shapezoo.models.vision.resnets.resnet import (
    ResNet,
    resnet18,
    resnet34,
    resnet50,
    resnet101,
    resnet152,
    resnet_micro,
)
from shapezoo.models.vision.resnets.resnet_blocks import BasicBlock, Bottleneck
from shapezoo.models.vision.resnets.resnext import (
    resnext50_32x4d,
    resnext101_32x8d,
    resnext101_64x4d,
)
from shapezoo.models.vision.resnets.wide_resnet import wide_resnet50_2, wide_resnet101_2
from shapezoo.models.vision.shufflenet_v2 import (
    ChannelShuffle,
    ShuffleDownsamplingUnit,
    ShuffleNetV2,
    ShuffleUnit,
    shufflenet_v2_micro,
    shufflenet_v2_x0_5,
    shufflenet_v2_x1_0,
    shufflenet_v2_x1_5,
    shufflenet_v2_x2_0,
)
from shapezoo.models.vision.squeezenet import (
    Fire,
    SqueezeNet,
    squeezenet1_0,
    squeezenet1_0_micro,
    squeezenet1_1,
    squeezenet1_1_micro,
)
from shapezoo.models.vision.transformers.vit import (
    VisionTransformer,
    vit_b_16,
    vit_b_32,
    vit_h_14,
    vit_l_16,
    vit_l_32,
    vit_micro,
)
from shapezoo.models.vision.transformers.vit_encoder import Encoder, EncoderBlock
from shapezoo.models.vision.vgg import (
    VGG,
    vgg11,
    vgg11_bn,
    vgg13,
    vgg13_bn,
    vgg16,
    vgg16_bn,
    vgg19,
    vgg19_bn,
    vgg_bn_micro,
    vgg_micro,
)

__all__ = [
    "GRU",
    "LSTM",
    "MLP",
    "RNN",
    "VGG",
    "AlexNet",
    "Backbone",
    "BasicBlock",
    "BatchFirstGRU",
    "BatchFirstLSTM",
    "BatchFirstRNN",
    "BatchFirstSteppedRNN",
    "Bottleneck",
    "ChannelShuffle",
    "ConvNeXt",
    "ConvNeXtBlock",
    "DenseBlock",
    "DenseLayer",
    "DenseNet",
    "EfficientNet",
    "EmbeddingTagger",
    "Encoder",
    "EncoderBlock",
    "FeatureClassifier",
    "Fire",
    "Forecaster",
    "FusedMBConv",
    "GoogLeNet",
    "GoogLeNetAuxiliary",
    "HasPooledFeatures",
    "Headless",
    "InceptionA",
    "InceptionB",
    "InceptionBlock",
    "InceptionC",
    "InceptionModule",
    "InceptionV3",
    "InceptionV3Auxiliary",
    "InvertedResidual",
    "LeNet",
    "LinearRegression",
    "LogisticRegression",
    "MBConv",
    "MnasNet",
    "MnasNetBlock",
    "MobileNetV2",
    "MobileNetV3",
    "NameClassifier",
    "OneHotTagger",
    "ReductionA",
    "ReductionB",
    "ResNet",
    "ResidualBlock",
    "ShuffleDownsamplingUnit",
    "ShuffleNetV2",
    "ShuffleUnit",
    "SmallInception",
    "SmallLeNet",
    "SmallResNet",
    "SoftmaxClassifier",
    "SqueezeNet",
    "SteppedRNN",
    "TransitionLayer",
    "VisionTransformer",
    "alexnet",
    "alexnet_micro",
    "character_rnn",
    "conv_linear",
    "convnext_base",
    "convnext_large",
    "convnext_micro",
    "convnext_small",
    "convnext_tiny",
    "densenet121",
    "densenet161",
    "densenet169",
    "densenet201",
    "densenet_micro",
    "efficientnet_b0",
    "efficientnet_b1",
    "efficientnet_b2",
    "efficientnet_b3",
    "efficientnet_b4",
    "efficientnet_b5",
    "efficientnet_b6",
    "efficientnet_b7",
    "efficientnet_micro",
    "efficientnet_v2_l",
    "efficientnet_v2_m",
    "efficientnet_v2_micro",
    "efficientnet_v2_s",
    "embedding_tagger",
    "fourier_linear",
    "googlenet",
    "googlenet_micro",
    "gru",
    "haar_linear",
    "inception_small",
    "inception_v3",
    "inception_v3_micro",
    "lenet",
    "lenet_small",
    "linear_regression",
    "logistic_regression",
    "lstm",
    "mlp",
    "mnasnet0_5",
    "mnasnet0_75",
    "mnasnet1_0",
    "mnasnet1_3",
    "mnasnet_micro",
    "mobilenet_v2",
    "mobilenet_v2_micro",
    "mobilenet_v3_large",
    "mobilenet_v3_micro",
    "mobilenet_v3_small",
    "name_classifier",
    "onehot_cell_tagger",
    "onehot_tagger",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnet_micro",
    "resnet_small",
    "resnext50_32x4d",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "rnn",
    "rnn_forecaster",
    "shufflenet_v2_micro",
    "shufflenet_v2_x0_5",
    "shufflenet_v2_x1_0",
    "shufflenet_v2_x1_5",
    "shufflenet_v2_x2_0",
    "softmax_classifier",
    "squeezenet1_0",
    "squeezenet1_0_micro",
    "squeezenet1_1",
    "squeezenet1_1_micro",
    "stepped_rnn",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
    "vgg_bn_micro",
    "vgg_micro",
    "vit_b_16",
    "vit_b_32",
    "vit_h_14",
    "vit_l_16",
    "vit_l_32",
    "vit_micro",
    "wide_resnet50_2",
    "wide_resnet101_2",
]
