"""What a key may be: its name, when it ends, how often it may ask."""

import re
from datetime import datetime, timedelta

from app.access.credentials import without_secrets
from app.errors import InvalidKeySpecError
from detector.spec import NAME

MOST_PER_MINUTE = 1_000_000
LONGEST = timedelta(days=3660)
"""Ten years: a key that is to outlive this needs no expiry."""
LOCAL = "local"
"""Who makes requests without a key, hence no key's name."""


def check(name: str, expires_at: datetime | None, per_minute: int | None, moment: datetime) -> None:
    """Refuse what a key cannot be, now. Raises InvalidKeySpecError."""
    if without_secrets(name) != name:
        raise InvalidKeySpecError("the text of a key is no name: names are seen by everybody")
    if not re.fullmatch(NAME, name) or name == LOCAL:
        raise InvalidKeySpecError(f"the name {name!r} does not match {NAME}, or is {LOCAL!r}")
    if expires_at is not None:
        if expires_at.tzinfo is None:
            raise InvalidKeySpecError("the expiry needs a time zone, as 2030-01-31T12:00:00Z")
        if not moment < expires_at <= moment + LONGEST:
            raise InvalidKeySpecError("the expiry must lie ahead, by ten years at most")
    if per_minute is not None and not 1 <= per_minute <= MOST_PER_MINUTE:
        raise InvalidKeySpecError(f"the limit must be 1 to {MOST_PER_MINUTE} requests a minute")
