"""The witness file: signed checkpoints of the trail, outside the database, only ever added to.

Control adds one a minute while the trail moves, one an hour while it rests, and one at its stop. Each is one write and
is on the disk before it counts. The file protects against who can write the database; against who can also write this
file and use the checkpoint key, only a copy that lies outside the site's reach does (SECURITY: evidence).
"""

import contextlib
import json
import os
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from broker.adapters.db.database import Database
from broker.audit import store
from broker.audit.checkpoint import LINE_BYTES, Checkpoint, NotAuthentic, Torn, read_line
from broker.kernel.clock import Clock

EVERY: Final = timedelta(seconds=60)
AT_REST: Final = timedelta(hours=1)
_TAIL_BYTES: Final = 64 * LINE_BYTES


class WitnessContradicted(Exception):
    """The trail is not the one that was witnessed: nothing more is witnessed until a person has looked."""


@dataclass(frozen=True)
class BadLine:
    """A line of a witness file that this site has not written."""

    number: int
    reason: str


@dataclass(frozen=True)
class Witnessed:
    """What a witness file holds, in its own order. `torn_lines` are what crashes left of a checkpoint."""

    checkpoints: tuple[Checkpoint, ...]
    torn_lines: int
    first_bad: BadLine | None


def read(lines: Iterable[bytes], public_key: Ed25519PublicKey, site: str) -> Witnessed:
    """Check every line of a witness file; the first that is not this site's is named, the rest is still read."""
    checkpoints: list[Checkpoint] = []
    torn, first_bad = 0, None
    for number, line in enumerate(lines, start=1):
        try:
            checkpoints.append(read_line(line.rstrip(b"\n"), public_key, site))
        except Torn:
            torn += 1
        except NotAuthentic as error:
            first_bad = first_bad or BadLine(number, str(error))
    return Witnessed(tuple(checkpoints), torn, first_bad)


@dataclass(frozen=True)
class WitnessState:
    """How far the witness is behind the trail. `witnessed_at` is None before the first checkpoint of this process."""

    witnessed_seq: int
    witnessed_at: datetime | None
    records_behind: int
    problem: str | None


class Witness:
    """The one writer of a site's witness file."""

    def __init__(self, database: Database, clock: Clock, *, site: str, path: Path, key: Ed25519PrivateKey) -> None:
        self._database = database
        self._clock = clock
        self._site = site
        self._path = path
        self._key = key
        self._lock = threading.Lock()
        self._last: Checkpoint | None = None
        self._tried_at: datetime | None = None
        self._problem: str | None = None

    def keep(self) -> None:
        """Add a checkpoint if one is due.

        Raises OSError when the file cannot be written and WitnessContradicted when the trail is not the witnessed one.
        """
        now = self._clock.now()
        with self._lock:
            if self._tried_at is not None and now - self._tried_at < EVERY:
                return
            self._tried_at = now
            self._add(now)

    def conclude(self) -> None:
        """Add a last checkpoint, at the stop of the process; raises as `keep`."""
        with self._lock:
            self._add(self._clock.now())

    def covering(self, seq: int) -> Checkpoint | None:
        """The first checkpoint at or behind this record; None when no authentic line is, or there is no file.

        The lines stand in the order of their numbers, so it is searched for; only what is found is checked.
        """
        try:
            with self._path.open("rb") as file:
                return self._first_from(file, seq)
        except OSError:
            return None

    def _first_from(self, file: BinaryIO, seq: int) -> Checkpoint | None:
        low, high = 0, file.seek(0, os.SEEK_END)
        while high - low > _TAIL_BYTES:
            middle = (low + high) // 2
            file.seek(middle)
            file.readline()
            if (found := _number_on(file.readline(_TAIL_BYTES))) is None or found >= seq:
                high = middle
            else:
                low = middle
        file.seek(low)
        if low:
            file.readline()
        for line in file:
            number = _number_on(line)
            if number is None or number < seq:
                continue
            with contextlib.suppress(Torn, NotAuthentic):
                return read_line(line.rstrip(b"\n"), self._key.public_key(), self._site)
        return None

    def state(self) -> WitnessState:
        """How far the witness is behind."""
        with self._database.reading() as session:
            seq, _ = store.head(session)
        last = self._last
        witnessed = last.seq if last is not None else 0
        return WitnessState(witnessed, last.at if last is not None else None, max(0, seq - witnessed), self._problem)

    def _add(self, now: datetime) -> None:
        try:
            last = self._last or self._last_in_file()
            with self._database.reading() as session:
                seq, head = store.head(session)
                still_holds = last is None or store.hash_at(session, last.seq) == last.head
            if last is not None and not still_holds:
                raise WitnessContradicted(
                    f"record {last.seq} of the audit trail is not the one that was witnessed at {last.at.isoformat()}:"
                    " run 'sallyport verify'; after a restore from a backup, move the witness file aside and keep it"
                )
            is_due = last is None or last.seq != seq or now - last.at >= AT_REST
            if is_due:
                last = Checkpoint(self._site, seq, head, now)
                _append(self._path, last.signed(self._key))
            self._last, self._problem = last, None
        except WitnessContradicted:
            self._problem = "contradicted"
            raise
        except OSError:
            self._problem = "not_writable"
            raise

    def _last_in_file(self) -> Checkpoint | None:
        with contextlib.suppress(FileNotFoundError), self._path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            is_strange = False
            for line in reversed(file.read().split(b"\n")):
                try:
                    return read_line(line, self._key.public_key(), self._site)
                except Torn:
                    continue
                except NotAuthentic:
                    is_strange = True
            if is_strange:
                raise WitnessContradicted(f"{self._path} holds no checkpoint of this site at its end: look into it")
        return None


def _number_on(line: bytes) -> int | None:
    """The record's number that a line claims, unchecked."""
    try:
        number = json.loads(line)["checkpoint"]["seq"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return number if isinstance(number, int) else None


def _append(path: Path, line: bytes) -> None:
    """One line, by one write, on the disk when this returns. What a crash left torn stays on a line of its own."""
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    with _opened(path, flags) as descriptor:
        size = os.fstat(descriptor).st_size
        is_torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        content = (b"\n" if is_torn else b"") + line + b"\n"
        if os.write(descriptor, content) != len(content):
            raise OSError(f"{path}: the checkpoint could not be written whole; is the disk full?")
        os.fsync(descriptor)
    if size == 0:
        with _opened(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC) as folder:
            os.fsync(folder)


@contextlib.contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    descriptor = os.open(path, flags, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
