"""What an image costs each part of a service, and what clusters would do; see ``__main__``."""
