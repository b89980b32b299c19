"""What the archive does for control: uploads a recording while it grows, reads it back whole, locks it, gives receipts.

It keeps nothing on disk. What was uploaded is asked of the store, so that a process that was killed goes on where the
dead one was, and nothing is there twice: the n-th try of a recording is the n-th version of its object.
"""

import hashlib
import io
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import BinaryIO, Final

from recorder.errors import DamagedRecordingError, StoreError
from recorder.receipt import Receipt, signed_line
from recorder.report import State
from recorder.stores.port import Stored, opened
from recorder.stores.s3 import Lock, S3Store, Upload
from recorder.tombstone import read_line
from recorder.verify import verify

_MOST_KEPT: Final = 256
_MARGIN: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Site:
    """What a receipt says of its place, and how objects are locked: `compliance` or `governance`, for `days`."""

    name: str
    bucket: str
    lock_mode: str
    lock_days: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How many bytes of a recording the store has; `stored` once its object is complete."""

    uploaded: int
    stored: Stored | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What a copy must be: the recording's own key, the chain of its seal (None: it broke off), kept until then."""

    signing_public: bytes
    chain: bytes | None
    evidence_public: bytes | None
    keep_until: datetime


class Archive:
    """The verbs of the archive's socket. Every method raises StoreError and may be called again after it did."""

    def __init__(
        self,
        store: S3Store,
        site: Site,
        sign: Callable[[bytes], bytes],
        tombstone_public: bytes,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`tombstone_public` is the site's checkpoint key: an object goes only with a tombstone that it signed."""
        self.store = store
        self._site = site
        self._sign = sign
        self._tombstone_public = tombstone_public
        self._now = now
        self._uploading = threading.Lock()
        self._uploads: OrderedDict[str, Upload] = OrderedDict()

    def advance(self, recording_id: str, descriptor: int, size: int | None, attempt: int) -> Progress:
        """Send at most one part. `size` is the whole recording's once it has ended, None while it may grow.

        `attempt` counts from 1: an earlier object was not what was sent and stays as it is.
        """
        with self._uploading:
            upload = self._uploads.get(recording_id)
            if upload is None:
                versions = self.store.versions(recording_id)
                if len(versions) >= attempt:
                    made = versions[attempt - 1]
                    return Progress(made.size, made)
                upload = self._found(recording_id)
            try:
                return self._send(recording_id, upload, descriptor, size)
            except (StoreError, OSError) as error:
                # The store knows better what it has than this memory does.
                self._uploads.pop(recording_id, None)
                if isinstance(error, OSError):
                    raise StoreError("failed", f"{recording_id} cannot be read: {error.strerror}") from error
                raise

    def _send(self, recording_id: str, upload: Upload | None, descriptor: int, size: int | None) -> Progress:
        there = os.fstat(descriptor).st_size
        if size is not None and there != size:
            raise StoreError("altered", f"{recording_id}: its file has {there} bytes, it ended with {size}")
        if upload is not None and upload.size > there:
            self.store.abort(upload)
            raise StoreError("altered", f"{recording_id}: more was uploaded than its file holds")
        sent = upload.size if upload is not None else 0
        if size is None and there - sent < self.store.part_bytes:
            return Progress(sent)
        if upload is None:
            until = self._now() + timedelta(days=self._site.lock_days) + _MARGIN
            upload = self.store.begin(recording_id, Lock(self._site.lock_mode.upper(), until))
        if there > sent or not upload.tags:
            upload = self.store.add(upload, os.pread(descriptor, self.store.part_bytes, sent))
            self._keep(upload)
        if size is None or upload.size < size:
            return Progress(upload.size)
        stored = self.store.complete(upload)
        self._uploads.pop(recording_id, None)
        return Progress(stored.size, stored)

    def _keep(self, upload: Upload) -> None:
        self._uploads[upload.recording_id] = upload
        self._uploads.move_to_end(upload.recording_id)
        while len(self._uploads) > _MOST_KEPT:
            self._uploads.popitem(last=False)

    def _found(self, recording_id: str) -> Upload | None:
        """The unfinished upload that has most; others of this recording are given up."""
        found = [self.store.resumed(one) for one in self.store.unfinished(recording_id)]
        if not found:
            return None
        most = max(found, key=lambda one: one.size)
        for one in found:
            if one is not most:
                self.store.abort(one)
        self._keep(most)
        return most

    def verify(self, stored: Stored, facts: Facts) -> bytes:
        """Read the object back whole, have the recorder's verifier judge it, lock it; returns the receipt's line.

        Raises StoreError `altered` when it is not that recording, `no_lock` when it is not locked long enough.
        """
        reading = _Hashing(opened(self.store, stored))
        stream = io.BufferedReader(reading, 1 << 18)
        report = verify(
            stream,
            signing_public=facts.signing_public,
            evidence_public=facts.evidence_public,
            audited_chain=facts.chain,
        )
        header = report.header
        wanted = State.SEALED if facts.chain is not None else State.BROKEN
        if header is None or header.recording_id != stored.recording_id or report.state not in {wanted, State.SEALED}:
            raise StoreError("altered", f"{stored.recording_id}: the copy is {report.state.value}: {report.message}")
        sha256 = reading.digest()
        now = self._now()
        until = max(now + timedelta(days=self._site.lock_days) + _MARGIN, facts.keep_until)
        kept = self.store.retain(stored, Lock(self._site.lock_mode.upper(), until))
        try:
            receipt = Receipt(
                site=self._site.name,
                recording_id=stored.recording_id,
                bytes=stored.size,
                sha256=sha256.hex(),
                bucket=self._site.bucket,
                version=stored.version,
                lock_mode=self._site.lock_mode,
                locked_until_ms=int(kept.timestamp() * 1000),
                verified_at_ms=int(now.timestamp() * 1000),
            )
        except ValueError as error:
            raise StoreError("no_lock", f"{stored.recording_id}: {error}") from None
        return signed_line(receipt, self._sign)

    def remove(self, line: bytes) -> int:
        """Destroy every version of the recording whose tombstone this is, and its unfinished uploads; returns how many.

        Raises StoreError `not_signed`, and `locked` while the store itself keeps a version: then nothing is lost.
        """
        try:
            recording_id = read_line(line, self._tombstone_public).recording_id
        except DamagedRecordingError as error:
            raise StoreError("not_signed", f"this is no tombstone of the site: {error}") from error
        with self._uploading:
            self._uploads.pop(recording_id, None)
            for upload in self.store.unfinished(recording_id):
                self.store.abort(upload)
            versions = self.store.versions(recording_id)
            for one in versions:
                self.store.remove(one)
            return len(versions)

    def abandoned(self, wanted: Callable[[str], bool]) -> int:
        """Give up uploads of recordings that nobody wants any more; returns how many."""
        with self._uploading:
            found = [one for one in self.store.unfinished() if not wanted(one.recording_id)]
            for one in found:
                self.store.abort(one)
                self._uploads.pop(one.recording_id, None)
            return len(found)


class _Hashing(io.RawIOBase):
    """Hashes each byte once, in order, as it is first read; the rest is read when the digest is asked for."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._digest = hashlib.sha256()
        self._hashed = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def read(self, size: int | None = -1) -> bytes:
        at = self._stream.tell()
        data = self._stream.read(-1 if size is None else size)
        if at <= self._hashed < at + len(data):
            self._digest.update(data[self._hashed - at :])
            self._hashed = at + len(data)
        return data

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def digest(self) -> bytes:
        """SHA-256 of the whole stream."""
        self._stream.seek(self._hashed)
        while data := self._stream.read(1 << 20):
            self._digest.update(data)
            self._hashed += len(data)
        return self._digest.digest()


def facts_of(fields: Mapping[str, object]) -> Facts:
    """Facts from a message. Raises ValueError."""

    def raw(name: str) -> bytes | None:
        value = fields.get(name)
        data = bytes.fromhex(value) if isinstance(value, str) else None
        if data is not None and len(data) != 32:
            raise ValueError(f"{name} has 32 bytes")
        return data

    signing, until = raw("signing_public"), fields.get("keep_until_ms")
    if signing is None or type(until) is not int:
        raise ValueError("a key and a moment are needed")
    return Facts(signing, raw("chain"), raw("evidence_public"), datetime.fromtimestamp(until / 1000, UTC))
