"""Rounding of scaled numbers of channels."""


def make_divisible(channels: float, divisor: int = 8) -> int:
    """Round a number of channels to a multiple of a divisor, so that kernels are efficient.

    The result is at least the divisor, and at least nine tenths of the number. From the code of
    MobileNet's authors; Sandler et al., "MobileNetV2", 2018, arXiv:1801.04381, Section 4.

    Args:
        channels: The number of channels, such as 1.4 times 24.
        divisor: What divides the result.
    """
    nearest = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return nearest if nearest >= 0.9 * channels else nearest + divisor
