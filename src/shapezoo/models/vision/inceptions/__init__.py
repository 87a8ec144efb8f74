"""GoogLeNet and Inception v3, with convolutions of several sizes side by side."""
