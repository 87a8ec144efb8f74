"""Models of an introductory PyTorch course, from linear regression to a name classifier.

They are small enough to read in one sitting, and train in seconds. They take the idea of a paper,
not its network: `resnet_small` has two residual blocks, and `lenet` is not LeNet-5. The networks of
papers are in `shapezoo.models.vision`.
"""
