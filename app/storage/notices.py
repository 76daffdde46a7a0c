"""Notices as they are written: in the transaction of what they tell, one delivery for each sink.

What is written follows from what stands: an alarm that was not told yet is told, and one that was
and stands no more has ended, whatever ended it. So neither a crash nor another process loses a
notice or makes it twice; and numbers rise in the order in which states were kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import Connection, insert, select, update

from app.clock import now
from app.notices.content import ANOTHER_BASELINE, Content, Ending, ended
from app.storage.notice_tables import DELIVERIES, NOTICES


@dataclass(frozen=True, slots=True)
class Standing:
    """All alarms of a detector that nobody has ended.

    Attributes:
        sinks: that are told of alarms which are new.
        alarms: the notice of each, by id.
        ending: of alarms that were told and are not among these.
    """

    sinks: Sequence[str]
    alarms: Mapping[str, Content] = field(default_factory=dict)
    ending: Ending = ANOTHER_BASELINE


def tell(connection: Connection, detector_id: str, standing: Standing) -> None:
    """Write what is new since it was told last: ends first, for what begins is later.

    Whoever calls has locked a row of the detector: else two would tell the same.
    """
    told = _told(connection, detector_id)
    monitors = sorted({alarm["monitor"] for alarm in standing.alarms.values()})
    moment = now()
    for row in told:
        if row.id in standing.alarms:
            continue
        # To whom it was told, though there may be other sinks by now.
        chosen = select(DELIVERIES.c.sink).where(DELIVERIES.c.sequence == row.sequence)
        sinks = connection.scalars(chosen).all()
        ours = NOTICES.c.sequence == row.sequence
        connection.execute(update(NOTICES).where(ours).values(standing=False))
        over = ended(row.content, standing.ending, moment)
        _write(connection, detector_id, {**over, "standing": monitors}, sinks)
    known = {row.id for row in told}
    for content in standing.alarms.values():
        if content["id"] not in known and not _exists(connection, content["id"]):
            _write(connection, detector_id, {**content, "standing": monitors}, standing.sinks)


def tell_of_deletion(connection: Connection, detector_id: str, who: str, reason: str) -> None:
    """Write that a detector's alarms have ended, as it was deleted in this transaction."""
    tell(connection, detector_id, Standing((), {}, Ending("detector.delete", who, reason)))


class _Told(NamedTuple):
    sequence: int
    id: str
    content: Content


def _told(connection: Connection, detector_id: str) -> list[_Told]:
    """Return the alarms that were told and not ended, in that order."""
    chosen = (
        select(NOTICES.c.sequence, NOTICES.c.id, NOTICES.c.content)
        .where(NOTICES.c.detector_id == detector_id, NOTICES.c.standing)
        .order_by(NOTICES.c.sequence)
    )
    return [_Told(*row) for row in connection.execute(chosen)]


def _exists(connection: Connection, identity: str) -> bool:
    """Return whether this alarm was told before, though it has ended since."""
    chosen = select(NOTICES.c.sequence).where(NOTICES.c.id == identity)
    return connection.scalar(chosen) is not None


def _write(
    connection: Connection, detector_id: str, content: Content, sinks: Sequence[str]
) -> None:
    moment = now()
    made = insert(NOTICES).values(
        id=content["id"],
        detector_id=detector_id,
        standing=content["resolved_at"] is None,
        made_at=moment,
        content=dict(content),
    )
    key = connection.execute(made).inserted_primary_key
    assert key is not None  # of an insert of one row
    waiting = [
        {
            "sequence": key[0],
            "sink": sink,
            "detector_id": detector_id,
            "state": "waiting",
            "attempts": 0,
            "due_at": moment,
            "problem": "",
        }
        for sink in sinks
    ]
    if waiting:
        connection.execute(insert(DELIVERIES), waiting)
