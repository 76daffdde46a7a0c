"""State that survives a restart: a database of rows, and blobs that the rows name."""

from app.storage_old import Storage, Stored

__all__ = ["Storage", "Stored"]
