"""Image classifiers of papers, with the layers and weights of torchvision, and a tiny one of each.

A name such as `resnet50` is torchvision's; a name that ends in `_micro` is a tiny model of the same
class for tests. Toys for digits are in `shapezoo.models.course`.
"""
