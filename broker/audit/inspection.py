"""The trail as it lies in its table, read without trusting the table: for verification.

A row counts as intact only when every column holds exactly what the appender would have written: another spelling of
the same moment or of the same parameters means that somebody else wrote it. The hash chain covers the rest.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Row, text
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from broker.audit.model import AuditRecord

_PAGE: Final = 500
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SQLITE_FORM: Final = "%Y-%m-%d %H:%M:%S.%f"
_COLUMNS: Final = "seq, at, code, actor, subject, params_json, previous_hash, hash"
_AFTER: Final = text(f"SELECT {_COLUMNS} FROM audit_events WHERE seq > :after ORDER BY seq LIMIT :page")  # noqa: S608
_ONE: Final = text(f"SELECT {_COLUMNS} FROM audit_events WHERE seq = :seq")  # noqa: S608
_ABOUT: Final = text("SELECT seq FROM audit_events WHERE subject = :subject ORDER BY seq")
_COUNT: Final = text("SELECT COUNT(*) FROM audit_events WHERE seq = :seq")
_NUMBERS: Final = text("SELECT seq FROM audit_events WHERE seq > :after ORDER BY seq LIMIT :page")


@dataclass(frozen=True)
class Stored:
    """One row. `is_intact` is false when a column does not hold what the appender writes; `record` is then a stand-in
    that has the number and, where they can be read, the two hashes."""

    record: AuditRecord
    is_intact: bool


class _NotAsWritten(Exception):
    """A column holds something that the appender would not have written."""


def walk(session: Session, after: int | None = None) -> Iterator[Stored]:
    """Every row of the trail in the order of their numbers, a page at a time; no row's content stops the walk.

    With `after` only those behind this number.
    """
    while True:
        page = _page(session, after)
        yield from page
        if len(page) < _PAGE:
            return
        after = page[-1].record.seq


def about(session: Session, subject: str) -> Iterator[Stored]:
    """The rows about one thing, in their order. Rows whose subject was changed do not come; the chain tells of them."""
    for seq in session.connection().execute(_ABOUT, {"subject": subject}).scalars().all():
        yield _fetched(session, seq)


def one(session: Session, seq: int) -> Stored | None:
    """One row, None when there is none."""
    found = session.connection().execute(_COUNT, {"seq": seq}).scalar_one()
    return _fetched(session, seq) if found else None


def _page(session: Session, after: int | None) -> list[Stored]:
    # Numbers are above 0 in every genuine trail; a forged one below must be seen too.
    bounds = {"after": after if after is not None else -(2**63), "page": _PAGE}
    try:
        return [_stored(row) for row in session.connection().execute(_AFTER, bounds).all()]
    except (DBAPIError, UnicodeDecodeError):
        # Some column cannot even be fetched (text that is not UTF-8): find out which, one by one.
        numbers: Sequence[int] = session.connection().execute(_NUMBERS, bounds).scalars().all()
        return [_fetched(session, seq) for seq in numbers]


def _fetched(session: Session, seq: int) -> Stored:
    try:
        return _stored(session.connection().execute(_ONE, {"seq": seq}).one())
    except (DBAPIError, UnicodeDecodeError):
        return Stored(AuditRecord(seq, _EPOCH, "", "", "", {}, b"", b""), is_intact=False)


def _stored(row: Row[Any]) -> Stored:
    seq, at, code, actor, subject, params_json, previous_hash, linked = tuple(row)
    try:
        if not all(isinstance(part, str) for part in (code, actor, subject)):
            raise _NotAsWritten
        record = AuditRecord(
            seq, _moment(at), code, actor, subject, _params(params_json), _hash(previous_hash), _hash(linked)
        )
        return Stored(record, is_intact=True)
    except _NotAsWritten:
        hashes = [bytes(part) if isinstance(part, bytes | memoryview) else b"" for part in (previous_hash, linked)]
        return Stored(AuditRecord(seq, _EPOCH, "", "", "", {}, *hashes), is_intact=False)


def _moment(value: object) -> datetime:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC)
    try:
        moment = datetime.strptime(str(value), _SQLITE_FORM).replace(tzinfo=UTC)
    except ValueError:
        raise _NotAsWritten from None
    if moment.strftime(_SQLITE_FORM) != value:
        raise _NotAsWritten
    return moment


def _params(value: object) -> dict[str, Any]:
    try:
        params = json.loads(str(value))
        is_as_written = json.dumps(params, sort_keys=True, ensure_ascii=False) == value
    except (ValueError, RecursionError):
        raise _NotAsWritten from None
    if not is_as_written or not isinstance(params, dict):
        raise _NotAsWritten
    return params


def _hash(value: object) -> bytes:
    if not isinstance(value, bytes | memoryview) or len(value) != 32:
        raise _NotAsWritten
    return bytes(value)
