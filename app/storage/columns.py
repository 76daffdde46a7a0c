"""What all tables are made of: columns that both databases hold alike, and the list of tables."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, MetaData, String, TypeDecorator

METADATA = MetaData()
"""Every table; a module's are in it once the module was read."""
ID = String(32)
"""A UUID in hexadecimal."""
NAME = String(200)
COUNTED = BigInteger().with_variant(Integer, "sqlite")
"""A number that the database counts up: SQLite does so for INTEGER keys only."""


class Moment(TypeDecorator[datetime]):
    """A moment in UTC: kept without zone, which SQLite has no type for, and given with it."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Take the zone away."""
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Give the zone back."""
        return None if value is None else value.replace(tzinfo=UTC)
