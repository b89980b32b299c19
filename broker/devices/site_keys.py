"""The site key and its successor: which keys open the gate now, and which one clients get day keys of."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from sqlmodel import Session, col, select

from broker.adapters.db.database import Database
from broker.adapters.sealing import Sealer, associated_data
from broker.devices import rules
from broker.devices.errors import rotation_under_way
from broker.devices.events import SiteKeyRotated
from broker.devices.store import SiteKeyRow
from broker.kernel.clock import Clock
from broker.kernel.ids import new_id

_KEY_BYTES: Final = 32


class SiteKeys:
    """`first` is the key that the site was made with; later ones lie sealed in the database."""

    def __init__(
        self, database: Database, clock: Clock, sealer: Sealer, first: bytes, random: Callable[[int], bytes]
    ) -> None:
        if len(first) != _KEY_BYTES:
            raise ValueError(f"the site key must have {_KEY_BYTES} bytes")
        self._database = database
        self._clock = clock
        self._sealer = sealer
        self._first = first
        self._random = random

    def in_force(self) -> tuple[bytes, ...]:
        """Every key whose gate is open now, the newest first: one, or two while a rotation is under way."""
        now = self._clock.now()
        with self._database.reading() as session:
            rows = _newest(session)
            if not rows:
                return (self._first,)
            newest = self._open(rows[0])
            if now >= rows[0].made_at + rules.SITE_KEY_OVERLAP:
                return (newest,)
            return newest, self._before(rows)

    def for_clients(self) -> bytes:
        """The key that day keys are made of: a new one once every guard has had time to hear of it."""
        with self._database.reading() as session:
            rows = _newest(session)
            if not rows:
                return self._first
            if self._clock.now() < rows[0].made_at + rules.SITE_KEY_LEAD:
                return self._before(rows)
            return self._open(rows[0])

    def rotate(self, actor: str) -> datetime:
        """Put a new key in force; returns until when the one before stays beside it.

        Raises Conflict `devices.site_key_rotating` while the overlap of the last rotation lasts: clients still hold day
        keys of the key that would fall out.
        """
        now = self._clock.now()
        with self._database.unit_of_work() as unit:
            rows = _newest(unit.session)
            if rows and now < rows[0].made_at + rules.SITE_KEY_OVERLAP:
                raise rotation_under_way(rows[0].made_at + rules.SITE_KEY_OVERLAP)
            identity, until = new_id("key", now), now + rules.SITE_KEY_OVERLAP
            sealed = self._sealer.seal(self._random(_KEY_BYTES), site_key_bound_to(identity))
            unit.session.add(SiteKeyRow(id=identity, sealed=sealed, made_at=now))
            unit.emit(SiteKeyRotated(actor=actor, subject=identity, overlap_until=until.isoformat(timespec="seconds")))
        return until

    def _before(self, rows: Sequence[SiteKeyRow]) -> bytes:
        return self._open(rows[1]) if len(rows) > 1 else self._first

    def _open(self, row: SiteKeyRow) -> bytes:
        return self._sealer.open(row.sealed, site_key_bound_to(row.id))


def site_key_bound_to(identity: str) -> bytes:
    """The associated data of a sealed site key."""
    return associated_data("site key", {"id": identity})


def _newest(session: Session) -> Sequence[SiteKeyRow]:
    return session.exec(
        select(SiteKeyRow).order_by(col(SiteKeyRow.made_at).desc(), col(SiteKeyRow.id).desc()).limit(2)
    ).all()
