"""What the service does under load, beside its limit and a plain server; see ``__main__``."""
