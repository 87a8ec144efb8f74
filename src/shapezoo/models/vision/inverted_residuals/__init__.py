"""Networks of inverted residuals: MobileNets, MnasNet and EfficientNets."""
