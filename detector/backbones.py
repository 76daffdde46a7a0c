"""The names of the backbones, which are known without building one.

``timm:NAME`` is one, too, where timm is installed. A test compares them with ``models.backbone``.
"""

BACKBONES = (
    "se-lite0",
    *(f"efficientnet-b{size}" for size in range(8)),
    "mobilenet-v3-large",
    "mobilenet-v3-small",
)
