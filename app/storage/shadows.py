"""How often a shadow and the version in service agreed."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from app.storage.database import Database
from app.storage.tables import SHADOWS

_INSERT: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}
_COUNTS = ("agreed", "only_service", "only_shadow")


@dataclass(frozen=True, slots=True)
class Agreement:
    """Images that both versions judged: flagged alike, by one alone, by the other alone."""

    detector_id: str
    in_service: int
    shadow: int
    agreed: int
    only_service: int
    only_shadow: int
    first_at: datetime
    last_at: datetime

    def __add__(self, other: "Agreement") -> "Agreement":
        """Return the counts of both, of the same two versions."""
        return Agreement(
            self.detector_id,
            self.in_service,
            self.shadow,
            self.agreed + other.agreed,
            self.only_service + other.only_service,
            self.only_shadow + other.only_shadow,
            min(self.first_at, other.first_at),
            max(self.last_at, other.last_at),
        )

    @property
    def images(self) -> int:
        """How many images both have judged."""
        return self.agreed + self.only_service + self.only_shadow


class Shadows:
    """Adds up what every process has counted."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, counted: Iterable[Agreement]) -> None:
        """Add to what was counted before; what is of a deleted detector is left out."""
        for each in counted:
            try:
                self._add(each)
            except IntegrityError:
                continue

    def _add(self, counted: Agreement) -> None:
        with self._database.write(of_detectors=False) as connection:
            values = {name: getattr(counted, name) for name in SHADOWS.c.keys()}  # noqa: SIM118
            new = _INSERT[connection.dialect.name](SHADOWS).values(values)
            sums = {name: SHADOWS.c[name] + new.excluded[name] for name in _COUNTS}
            connection.execute(
                new.on_conflict_do_update(
                    index_elements=SHADOWS.primary_key.columns.keys(),
                    set_={**sums, "last_at": new.excluded.last_at},
                )
            )

    def get(self, detector_id: str, in_service: int, shadow: int) -> Agreement | None:
        """Return what was counted of two versions, None if nothing was."""
        chosen = select(SHADOWS).where(
            SHADOWS.c.detector_id == detector_id,
            SHADOWS.c.in_service == in_service,
            SHADOWS.c.shadow == shadow,
        )
        with self._database.read() as connection:
            row = connection.execute(chosen).first()
        return None if row is None else Agreement(**row._mapping)
