"""ResNet, and the papers that vary it: ResNeXt and wide ResNet."""
