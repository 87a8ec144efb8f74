"""Fixed transforms of images: Fourier magnitudes and the Haar transform."""
