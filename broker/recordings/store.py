"""The table of recordings, and its queries."""

from datetime import datetime

from sqlalchemy import BigInteger, LargeBinary
from sqlmodel import Field, Session, SQLModel

from broker.adapters.db.columns import UtcDateTime, enum_column
from broker.recordings.model import Recording, RecordingState


class RecordingRow(SQLModel, table=True):
    """One recording: its session, its keys and its end. `file_name` is made of the id, never of outside input."""

    __tablename__ = "recordings"

    id: str = Field(primary_key=True, max_length=40)
    session_id: str = Field(foreign_key="sessions.id", unique=True, max_length=40)
    file_name: str = Field(max_length=80)
    state: RecordingState = Field(sa_type=enum_column(RecordingState), index=True)
    signing_public: bytes = Field(sa_type=LargeBinary)
    header_sha256: bytes = Field(sa_type=LargeBinary)
    opened_at: datetime = Field(sa_type=UtcDateTime)
    closed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    head_sha256: bytes | None = Field(default=None, sa_type=LargeBinary)
    head_signature: bytes | None = Field(default=None, sa_type=LargeBinary)
    frames: int = Field(default=0, sa_type=BigInteger)
    batches: int = Field(default=0, sa_type=BigInteger)
    bytes_written: int = Field(default=0, sa_type=BigInteger)


def recording_of(row: RecordingRow) -> Recording:
    """A row as a value."""
    return Recording(
        id=row.id,
        session_id=row.session_id,
        file_name=row.file_name,
        state=row.state,
        signing_public=row.signing_public,
        header_sha256=row.header_sha256,
        opened_at=row.opened_at,
        closed_at=row.closed_at,
        head_sha256=row.head_sha256,
        head_signature=row.head_signature,
        frames=row.frames,
        batches=row.batches,
        bytes_written=row.bytes_written,
    )


def get(session: Session, recording_id: str) -> Recording | None:
    """One recording."""
    row = session.get(RecordingRow, recording_id)
    return recording_of(row) if row is not None else None
