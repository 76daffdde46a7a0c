"""Images: their network comes trained, with the service; the image they are is ``app.images``'."""

from detector.kinds.kind import Kind


class Image(Kind):
    """One picture."""

    name = "image"
    sample = "image"
    media_types = ("image/jpeg", "image/png", "image/webp", "image/bmp", "image/tiff")
    suffixes = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")


KIND = Image()
