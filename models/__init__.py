"""SE networks: the block, the trunk, the backbones and their weights.

Axis letters, everywhere: b images, c d channels, h w p q pixels, n rows.
"""
