"""The keys of a database, in the words of the client."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from app.access.credentials import Role
from app.commands.common import answer
from app.schemas.keys import KeyInfo, KeyMade
from app.settings import Settings
from app.storage.audit import By
from app.storage.data_dir import require_data_dir
from app.storage.database import open_database
from app.storage.keys import Keys
from gatewatch import answers

WHO = "command line"
"""Who changes made here are by: no key's name, for it holds a space."""


class StoredKeys:
    """Makes, lists and revokes them."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def create_key(
        self,
        name: str,
        role: str,
        *,
        expires_at: datetime | None,
        per_minute: int | None,
        reason: str,
        force: bool = False,
    ) -> answers.KeyMade:
        """Make a key; with ``force`` also one that no admin key can manage."""
        made = self._keys.create(
            By(WHO, reason),
            name,
            Role(role),
            expires_at=expires_at,
            per_minute=per_minute,
            force=force,
        )
        return answer(answers.KeyMade, KeyMade.of_new(made))

    def keys(self) -> list[answers.KeyInfo]:
        """Return all keys there ever were, oldest first."""
        return [answer(answers.KeyInfo, KeyInfo.of(key)) for key in self._keys.all()]

    def revoke_key(self, id: str, *, force: bool, reason: str) -> None:
        """Revoke a key; with ``force`` also the last that can manage the others."""
        self._keys.revoke(By(WHO, reason), id, force=force)


@contextmanager
def opened(settings: Settings) -> Iterator[StoredKeys]:
    """Give the keys of the database that the settings name.

    Raises:
        StorageError, StorageUnavailableError: if it cannot be used or reached.
    """
    address = settings.database.get_secret_value() if settings.database else None
    if address is None:
        require_data_dir(settings.data_dir)
    database = open_database(address, settings.data_dir)
    try:
        yield StoredKeys(Keys(database))
    finally:
        database.close()
