"""``gatewatch bench``: fit, score and report on folders of images, without a server."""
