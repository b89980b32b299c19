"""The console's index of recordings against what the trail says of them. Reads only."""

from collections.abc import Iterator, Mapping

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from broker.recordings.audited import AuditedRecording

Index = Mapping[str, tuple[object, ...]]
Finding = tuple[str, str, str]
"""Kind, place and words."""


def read(session: Session) -> Index | None:
    """The index's rows by recording; None when they cannot be read."""
    query = text("SELECT id, state, signing_public, header_sha256, head_sha256 FROM recordings")
    try:
        return {str(row[0]): tuple(row) for row in session.connection().execute(query)}
    except (DBAPIError, UnicodeDecodeError):
        return None


def against(recordings: Mapping[str, AuditedRecording], index: Index | None) -> Iterator[Finding]:
    """Where index and trail differ, recording by recording."""
    if index is None:
        yield "unreadable", "recordings", "the console's index cannot be read"
        return
    for name in sorted(recordings.keys() | index.keys()):
        audited, row = recordings.get(name), index.get(name)
        if audited is None or row is None:
            where = "the trail" if audited is None else "the index"
            yield "missing", name, f"{where} does not know this recording"
            continue
        told = (name, audited.end, audited.signing_public, audited.header_sha256, audited.head_sha256)
        columns = ("id", "state", "signing_public", "header_sha256", "head_sha256")
        for column, trail_says, index_says in zip(columns, told, row, strict=True):
            found = bytes(index_says) if isinstance(index_says, memoryview) else index_says
            if found != trail_says and audited.is_readable:
                yield "altered", f"{name}, {column}", "the console's index differs from the trail"
                break
