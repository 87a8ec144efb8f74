"""The architectures of the zoo, and the builders that configure them."""

from shapezoo.models.sequence.gru import GRU, BatchFirstGRU, gru
from shapezoo.models.vision.lenet import LeNet, lenet

__all__ = ["GRU", "BatchFirstGRU", "LeNet", "gru", "lenet"]
