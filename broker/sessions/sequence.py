"""The signed sequences of gateways as this site took them: each entry once, in order, and an alarm for all else."""

import threading
from collections import OrderedDict
from typing import Final

from sqlmodel import Session, col, select

from broker.adapters.db.database import UnitOfWork
from broker.sessions.events import EntryRefused, GatewayStarted, ReportGap, SequenceCut
from broker.sessions.sequence_rules import Cut, Gap, Refused, Repeated, Stream, Taken, Told, judge, may_adopt
from broker.sessions.store import GatewayStreamRow
from recorder.errors import DamagedRecordingError
from recorder.sequence import Boot, Entry

_CONTROL: Final = "system:control"
_GATEWAY: Final = "system:gateway"
_MOST_REFUSALS: Final = 1_000
_MOST_TOLD: Final = 256


class EventSequence:
    """Judges entries within the transaction that takes them."""

    def __init__(self, evidence_public: bytes) -> None:
        """`evidence_public` is the gateway's evidence key, whose word makes a start's key."""
        self._evidence_public = evidence_public
        self._lock = threading.Lock()
        self._told: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._refused: set[tuple[str, str, int, str]] = set()

    def tell(self, worker: str, told: Told) -> None:
        """A worker says which entry it has kept as its newest. Kept in memory only; a number never sinks again."""
        with self._lock:
            one = (worker, told.boot_id)
            self._told[one] = max(self._told.get(one, 0), told.seq)
            self._told.move_to_end(one)
            while len(self._told) > _MOST_TOLD:
                self._told.popitem(last=False)

    def take_within(self, unit: UnitOfWork, worker: str, boot: Boot, entry: Entry) -> Taken | Repeated | Refused:
        """Take an entry, once, and tell the trail of what is missing before it; or tell it why it is refused."""
        known, latest = _known(unit.session, worker, boot.boot_id), _latest(unit.session, worker)
        judged = self._forged(worker, boot, entry) or judge(boot, entry, known, latest, self._told_of(worker, latest))
        match judged:
            case Taken():
                _keep(unit.session, worker, judged.stream)
                if known is None:
                    _tell_start(unit, worker, boot, latest, judged.cut)
                if judged.gap is not None:
                    tell_gap(unit, worker, boot.boot_id, judged.gap)
            case Refused():
                self.refuse_within(unit, worker, boot.boot_id, entry.seq, judged)
            case Repeated():
                pass
        return judged

    def may_adopt_within(self, unit: UnitOfWork, worker: str, boot_id: str, old_boot_id: str) -> bool:
        """Whether this start may hand over a message that an earlier release of the worker had kept unsigned."""
        return may_adopt(_known(unit.session, worker, boot_id)) and (_known(unit.session, worker, old_boot_id) is None)

    def is_signed_within(self, unit: UnitOfWork, worker: str) -> bool:
        """Whether this worker has ever signed: from then on nothing unsigned is taken from it."""
        return _latest(unit.session, worker) is not None

    def refuse_within(self, unit: UnitOfWork, worker: str, boot_id: str, seq: int, why: Refused) -> None:
        """Tell the trail of an entry that is not taken; of each once, and of a thousand at most until a restart."""
        one = (worker, boot_id, seq, why.value)
        with self._lock:
            if one in self._refused or len(self._refused) >= _MOST_REFUSALS:
                return
            self._refused.add(one)
        unit.emit(EntryRefused(actor=_CONTROL, subject=f"gateway:{worker}", boot_id=boot_id, seq=seq, reason=why.value))

    def _told_of(self, worker: str, latest: Stream | None) -> Told | None:
        with self._lock:
            seq = self._told.get((worker, latest.boot_id)) if latest is not None else None
        return Told(latest.boot_id, seq) if latest is not None and seq is not None else None

    def _forged(self, worker: str, boot: Boot, entry: Entry) -> Refused | None:
        try:
            boot.check(self._evidence_public)
            entry.check(boot)
        except DamagedRecordingError:
            return Refused.FORGED
        return Refused.OTHER_WORKER if boot.worker != worker else None


def tell_gap(unit: UnitOfWork, worker: str, boot_id: str, gap: Gap) -> None:
    """Tell the trail that messages of a gateway are missing."""
    unit.emit(
        ReportGap(
            actor=_CONTROL,
            subject=f"gateway:{worker}",
            boot_id=boot_id,
            expected_seq=gap.expected,
            got_seq=gap.got,
        )
    )


def _tell_start(unit: UnitOfWork, worker: str, boot: Boot, latest: Stream | None, cut: Cut | None) -> None:
    unit.emit(
        GatewayStarted(
            actor=_GATEWAY,
            subject=f"gateway:{worker}",
            boot_id=boot.boot_id,
            key=boot.public.hex(),
            previous_boot_id=latest.boot_id if latest is not None else None,
            previous_seq=latest.last_seq if latest is not None else None,
        )
    )
    if cut is not None:
        unit.emit(
            SequenceCut(
                actor=_CONTROL,
                subject=f"gateway:{worker}",
                boot_id=boot.boot_id,
                known_boot_id=cut.known.boot_id if cut.known is not None else None,
                known_seq=cut.known.seq if cut.known is not None else None,
            )
        )


def _known(session: Session, worker: str, boot_id: str) -> Stream | None:
    row = session.get(GatewayStreamRow, (worker, boot_id))
    return _stream(row) if row is not None else None


def _latest(session: Session, worker: str) -> Stream | None:
    query = (
        select(GatewayStreamRow)
        .where(GatewayStreamRow.worker == worker, col(GatewayStreamRow.number).is_not(None))
        .order_by(col(GatewayStreamRow.number).desc())
        .limit(1)
    )
    row = session.exec(query).first()
    return _stream(row) if row is not None else None


def _stream(row: GatewayStreamRow) -> Stream | None:
    if row.public is None or row.link is None or row.number is None:
        return None
    return Stream(row.boot_id, row.public, row.last_seq, row.link, row.number)


def _keep(session: Session, worker: str, stream: Stream) -> None:
    row = session.get(GatewayStreamRow, (worker, stream.boot_id))
    if row is None:
        row = GatewayStreamRow(worker=worker, boot_id=stream.boot_id, last_seq=0)
    row.public, row.last_seq, row.link, row.number = stream.public, stream.last_seq, stream.link, stream.number
    session.add(row)
    session.flush()
