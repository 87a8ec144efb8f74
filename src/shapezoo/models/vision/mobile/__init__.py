"""Networks for mobile devices, made of depthwise convolutions, and the EfficientNets."""
