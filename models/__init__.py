"""SE networks: the block, the trunk, the backbones and their weights.

Axis letters, everywhere: b samples, c d channels, h w p q pixels, t frames or tokens, n rows.
"""
