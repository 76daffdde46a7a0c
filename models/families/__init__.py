"""SE networks by family: convolutional ones for images, and networks for other data."""
