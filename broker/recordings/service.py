"""The use-cases of recordings: opened and closed with their sessions, verified, replayed."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

from sqlmodel import Session, col, select

from broker.adapters.db.database import Database, UnitOfWork
from broker.audit.checkpoint import Checkpoint
from broker.kernel.clock import Clock
from broker.recordings import copy_store, errors, retention_store, rules, store
from broker.recordings.copy_model import place_of
from broker.recordings.events import (
    RecordingAnchored,
    RecordingAnchorRefused,
    RecordingBroken,
    RecordingOpened,
    RecordingReplayed,
    RecordingSealed,
)
from broker.recordings.files import file_name_of
from broker.recordings.model import (
    ClosedFacts,
    Details,
    Marker,
    OpenedFacts,
    Recording,
    RecordingCommand,
    RecordingState,
    ShownHead,
)
from broker.recordings.places import Places
from broker.recordings.reading import (
    audited_chain,
    cast_lines,
    check_destroyed,
    check_file,
    is_as_recorded,
    markers,
    sealed_head,
)
from broker.recordings.store import RecordingRow
from broker.recordings.trail import last_anchor, read_trail
from recorder.errors import DamagedRecordingError, StoreError
from recorder.frames import Frame
from recorder.manifest import Head, check_head
from recorder.replay import Recording as RecordingFile
from recorder.replay import open_recording
from recorder.seal import SealedKey
from recorder.stores.port import Readable, Stored
from recorder.walk import read_front

_GATEWAY: Final = "system:gateway"


class RecordingService:
    """The index over `recordings_dir`, and the one reader with the key (`unseal_private`) that opens recordings.

    `covering` gives the witness's first checkpoint at or behind a record of the trail; `evidence_public` is the key
    that marks broken recordings, None when it is not known. `store` has the copies of
    recordings that left this machine.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        recordings_dir: Path,
        unseal_private: bytes,
        evidence_public: bytes | None = None,
        checkpoint_public: bytes | None = None,
        covering: Callable[[int], Checkpoint | None] = lambda _seq: None,
        store: Readable | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._places = Places(recordings_dir, store, self._copied)
        self._unseal_private = unseal_private
        self._evidence_public = evidence_public
        self._checkpoint_public = checkpoint_public
        self._covering = covering

    # -- with a session, in its transaction ---------------------------------------------------------------------------

    def open_within(self, unit: UnitOfWork, recording_id: str, session_id: str, facts: OpenedFacts) -> None:
        """Enter a recording with its signing key, before its session is live."""
        unit.session.add(
            RecordingRow(
                id=recording_id,
                session_id=session_id,
                file_name=file_name_of(recording_id),
                state=RecordingState.OPEN,
                signing_public=facts.signing_public,
                header_sha256=facts.header_sha256,
                opened_at=self._clock.now(),
            )
        )
        unit.session.flush()
        unit.emit(
            RecordingOpened(
                actor=_GATEWAY,
                subject=recording_id,
                session_id=session_id,
                signing_key=facts.signing_public.hex(),
                header_sha256=facts.header_sha256.hex(),
            )
        )

    def close_within(self, unit: UnitOfWork, recording_id: str, facts: ClosedFacts) -> None:
        """Enter a recording's end. One that was never opened, or is closed already, stays as it is."""
        row = unit.session.get(RecordingRow, recording_id)
        if row is None or row.state is not RecordingState.OPEN:
            return
        is_sealed = facts.state is RecordingState.SEALED
        row.state = rules.moved(row.state, RecordingCommand.SEAL if is_sealed else RecordingCommand.BREAK)
        row.closed_at = facts.closed_at
        row.head_sha256, row.head_signature = facts.head_sha256, facts.head_signature
        row.frames, row.batches, row.bytes_written = facts.frames, facts.batches, facts.bytes_written
        unit.session.add(row)
        unit.emit(_sealed(row) if is_sealed else _broken(row))

    def break_within(self, unit: UnitOfWork, recording_id: str) -> None:
        """Enter that a recording's end is not known. One that was never opened, or is closed, stays as it is."""
        row = unit.session.get(RecordingRow, recording_id)
        if row is None or row.state is not RecordingState.OPEN:
            return
        row.state = rules.moved(row.state, RecordingCommand.BREAK)
        row.closed_at = self._clock.now()
        unit.session.add(row)
        unit.emit(_broken(row))

    def anchored_within(self, unit: UnitOfWork, recording_id: str, head: Head) -> None:
        """Enter a running recording's signed head, once its signature was checked; a false one goes into the trail too.

        Recordings that were never opened, or are closed, are passed over: their end says more.
        """
        row = unit.session.get(RecordingRow, recording_id)
        if row is None or row.state is not RecordingState.OPEN:
            return
        try:
            check_head(head, row.header_sha256, row.signing_public)
        except DamagedRecordingError:
            unit.emit(
                RecordingAnchorRefused(actor=_GATEWAY, subject=row.id, session_id=row.session_id, batches=head.batches)
            )
            return
        unit.emit(
            RecordingAnchored(
                actor=_GATEWAY,
                subject=row.id,
                session_id=row.session_id,
                batches=head.batches,
                frames=head.frames,
                bytes=head.bytes,
                at_us=head.at_us,
                chain_sha256=head.chain_sha256.hex(),
                signature=head.signature.hex(),
            )
        )

    def known_within(self, session: Session, recording_ids: Collection[str]) -> frozenset[str]:
        """Those of these recordings that were opened, read in the caller's transaction."""
        query = select(RecordingRow.id).where(col(RecordingRow.id).in_(recording_ids))
        return frozenset(session.exec(query).all())

    # -- reading ------------------------------------------------------------------------------------------------------

    def details(self, recording_id: str) -> Details:
        """A recording with its verification, made now by reading the whole file and its trail. Raises NotFound."""
        with self._database.reading() as session:
            recording = store.get(session, recording_id)
            if recording is None:
                raise errors.not_found(recording_id)
            trail = read_trail(session, recording_id, self._covering)
            destroyed = retention_store.tombstone(session, recording_id)
            copy = copy_store.copies(session, [recording_id]).get(recording_id)
        now = self._clock.now()
        if destroyed is not None:
            found = check_destroyed(recording, destroyed, trail, self._checkpoint_public, now)
        else:
            found = check_file(self._opener(recording), recording, trail, self._evidence_public, now)
        return replace(found, place=place_of(copy, is_destroyed=destroyed is not None), copy=copy)

    def cast(self, actor: str, recording_id: str) -> Iterator[str]:
        """The recording as lines of asciicast v2; that it was replayed is in the trail before the first line leaves.

        Raises NotFound, Unavailable when the file is missing, Conflict when it cannot be opened. A file that is damaged
        further on gives what stands before the damage.
        """
        recording = self._get(recording_id)
        opened = self._open(recording)
        self._audit(actor, recording, "cast")
        return cast_lines(opened)

    def markers(self, actor: str, recording_id: str) -> list[Marker]:
        """The moments worth finding; reading them is in the trail too. Raises as `cast`."""
        recording = self._get(recording_id)
        opened = self._open(recording)
        self._audit(actor, recording, "events")
        return markers(opened.frames())

    def frames_so_far(self, recording_id: str) -> Iterator[Frame]:
        """The frames that are on file now, from the first; whoever calls this has told the trail why.

        Raises as `cast`.
        """
        return self._open(self._get(recording_id)).frames()

    def closed_above(self, size_bytes: int, limit: int) -> list[str]:
        """The newest recordings that are closed and larger than this, newest first."""
        query = (
            select(RecordingRow.id)
            .where(col(RecordingRow.state) != RecordingState.OPEN, col(RecordingRow.bytes_written) > size_bytes)
            .order_by(col(RecordingRow.id).desc())
            .limit(limit)
        )
        with self._database.reading() as session:
            return list(session.exec(query).all())

    def opened(self, recording_id: str) -> RecordingFile:
        """The file, its seals checked now; whoever calls this tells the trail. Raises as `cast`."""
        return self._open(self._get(recording_id))

    def tell_replayed(self, actor: str, recording_id: str, what: str) -> None:
        """Enter that somebody looks into a recording. Raises NotFound."""
        self._audit(actor, self._get(recording_id), what)

    @property
    def unseal_private(self) -> bytes:
        """The key of the site's recordings, for those who make and keep indexes of them."""
        return self._unseal_private

    def mask_parts(self, recording_id: str) -> tuple[SealedKey, SealedKey]:
        """The sealed parts of its mask key. Raises NotFound, Unavailable (no file), Conflict (nothing masked)."""
        recording = self._get(recording_id)
        self._check_not_destroyed(recording.id)
        try:
            with self._places.open(recording.id) as stream:
                front = read_front(stream)
        except FileNotFoundError:
            raise errors.file_missing(recording.id) from None
        except StoreError as error:
            raise errors.store_fails(recording.id, error.code) from None
        except (DamagedRecordingError, OSError):
            raise errors.not_readable(recording.id) from None
        if front.header_sha256 != recording.header_sha256:
            raise errors.not_readable(recording.id)
        if front.opening.mask_parts is None:
            raise errors.nothing_masked(recording.id)
        return front.opening.mask_parts

    def is_as_recorded(self, recording: Recording) -> bool:
        """Whether a closed recording's file is there with its audited beginning and end."""
        return is_as_recorded(self._opener(recording), recording)

    def shown_head(self, recording_id: str) -> ShownHead:
        """The last head that the recording's key signed: of the trailer once it is sealed, else as the trail holds it.

        Raises NotFound.
        """
        recording = self._get(recording_id)
        if recording.state is RecordingState.SEALED:
            head, signature = sealed_head(self._opener(recording), recording) or (b"", b"")
        else:
            with self._database.reading() as session:
                head, signature = last_anchor(session, recording_id) or (b"", b"")
        end = "running" if recording.state is RecordingState.OPEN else recording.state.value
        return ShownHead(recording.signing_public, recording.header_sha256, head, signature, end)

    def session_of(self, recording_id: str) -> str:
        """The session of a recording. Raises NotFound."""
        return self._get(recording_id).session_id

    def _get(self, recording_id: str) -> Recording:
        with self._database.reading() as session:
            recording = store.get(session, recording_id)
        if recording is None:
            raise errors.not_found(recording_id)
        return recording

    def _opener(self, recording: Recording) -> Callable[[], BinaryIO]:
        return partial(self._places.open, recording.id)

    def _copied(self, recording_id: str) -> Stored | None:
        with self._database.reading() as session:
            return copy_store.verified_object(session, recording_id)

    def local_file(self, recording_id: str) -> Path | None:
        """The recording's file on this machine, None when it lies elsewhere."""
        path = self._places.path(recording_id)
        return path if path.is_file() else None

    def _is_destroyed(self, recording_id: str) -> bool:
        with self._database.reading() as session:
            return retention_store.tombstone(session, recording_id) is not None

    def _check_not_destroyed(self, recording_id: str) -> None:
        # From the tombstone on nobody looks in, also while the file waits for its removal.
        if self._is_destroyed(recording_id):
            raise errors.purged(recording_id)

    def _open(self, recording: Recording) -> RecordingFile:
        self._check_not_destroyed(recording.id)
        try:
            return open_recording(
                self._opener(recording),
                self._unseal_private,
                signing_public=recording.signing_public,
                audited_chain=audited_chain(recording),
            )
        except FileNotFoundError:
            raise errors.file_missing(recording.id) from None
        except StoreError as error:
            raise errors.store_fails(recording.id, error.code) from None
        except (DamagedRecordingError, OSError):
            raise errors.not_readable(recording.id) from None

    def _audit(self, actor: str, recording: Recording, what: str) -> None:
        with self._database.unit_of_work() as unit:
            unit.emit(RecordingReplayed(actor=actor, subject=recording.id, session_id=recording.session_id, what=what))


def _sealed(row: RecordingRow) -> RecordingSealed:
    head, signature = row.head_sha256 or b"", row.head_signature or b""
    return RecordingSealed(
        actor=_GATEWAY,
        subject=row.id,
        session_id=row.session_id,
        signing_key=row.signing_public.hex(),
        head_sha256=head.hex(),
        head_signature=signature.hex(),
        frames=row.frames,
        batches=row.batches,
        bytes_written=row.bytes_written,
    )


def _broken(row: RecordingRow) -> RecordingBroken:
    return RecordingBroken(
        actor=_GATEWAY,
        subject=row.id,
        session_id=row.session_id,
        signing_key=row.signing_public.hex(),
        head_sha256=row.head_sha256.hex() if row.head_sha256 is not None else None,
        frames=row.frames,
        batches=row.batches,
        bytes_written=row.bytes_written,
    )
