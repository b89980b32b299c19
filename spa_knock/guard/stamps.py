"""The anti-replay file: the newest accepted stamp of each device, in shared memory backed by a file.

A stamp is in the kernel's page cache as soon as it is written, so it outlives the guard's violent death; only a power
loss can take it, and then the changed boot id says so and the start fence (`wire.replay`) covers what may be missing.

File: a 64-byte header (magic, version, capacity, boot id, clean flag, fence, CRC-32) and fixed 32-byte records (device
tag 16, stamp ms 8, CRC-32 of both 4, unused 4). A damaged file is put aside, a damaged record is taken out; both count
as doubtful history.
"""

import fcntl
import hashlib
import mmap
import os
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from spa_knock.guard.errors import StampStoreError, StoreFull
from spa_knock.wire.replay import WINDOW_MS, History, start_fence_ms

CAPACITY = 65_536
REUSE_AFTER_MS = 30 * 86_400_000
"""A record of a device that left the roster may be reused when its stamp is this old."""

_MAGIC = b"sallystp"
_VERSION = 1
_HEADER_BYTES = 64
_HEADER = struct.Struct(">8sII16sBxxxQ")
_CRC = struct.Struct(">I")
_RECORD_BYTES = 32
_RECORD = struct.Struct(">16sQ")
_TAG_BYTES = 16


class StampStore:
    """Opened by one guard at a time. `history` and `fence_ms` say where the replay rule starts again."""

    history: History
    fence_ms: int

    def __init__(self, path: Path, *, boot_id: bytes, started_ms: int, capacity: int = CAPACITY) -> None:
        """Open or create the file. boot_id: 16 bytes that change with every boot. started_ms: the guard's clock now.

        Raises StampStoreError when the file cannot be opened, or another guard has it.
        """
        self._capacity = capacity
        self._dirty = False
        try:
            self._file, self._map, existed = _mapped(path, capacity)
        except OSError as error:
            raise StampStoreError(f"the anti-replay file {path} cannot be used: {error.strerror}") from error
        old_boot_id, was_clean, old_fence_ms = self._read_header() if existed else (b"", False, 0)
        self._slots, undamaged = self._read_records()
        complete = existed and undamaged and (was_clean or old_boot_id == boot_id)
        self.history = History.COMPLETE if complete else History.DOUBTFUL
        newest_ms = self.newest_ms()
        # Stamps from beyond the clock mean that it was set back: what they were newer than must not become valid again.
        set_back_fence_ms = newest_ms if newest_ms > started_ms + WINDOW_MS else 0
        self.fence_ms = max(old_fence_ms, start_fence_ms(started_ms, self.history), set_back_fence_ms)
        self._boot_id = boot_id
        used = set(self._slots.values())
        self._free = [slot for slot in reversed(range(capacity)) if slot not in used]
        self._write_header(was_stopped_cleanly=False)
        self.flush()

    @classmethod
    def create_for_new_site(cls, path: Path, capacity: int = CAPACITY) -> None:
        """Make the file of a site that has never accepted a knock, so that its first start needs no fence.

        Raises StampStoreError when there is one already: declaring a history empty that is not would allow replays.
        """
        if path.exists():
            raise StampStoreError(f"the anti-replay file {path} exists already")
        with cls(path, boot_id=bytes(16), started_ms=0, capacity=capacity) as store:
            store.fence_ms = 0

    def __enter__(self) -> "StampStore":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def last_ms(self, device_id: str) -> int:
        """The newest stamp accepted from this device; 0 when none."""
        slot = self._slots.get(_tag(device_id))
        return 0 if slot is None else self._stamp(slot)

    def accept(self, device_id: str, stamp_ms: int, *, roster: Iterable[str], now_ms: int) -> None:
        """Remember `stamp_ms` as accepted, before anything is opened for it.

        roster: the devices whose records must stay. Raises StoreFull when there is no room, StampStoreError when the
        stamp is not newer than the last one.
        """
        tag = _tag(device_id)
        slot = self._slots.get(tag)
        if slot is None:
            slot = self._take_slot(roster, now_ms)
            self._slots[tag] = slot
        elif stamp_ms <= self._stamp(slot):
            raise StampStoreError("a stamp that is not newer was about to be accepted")
        body = _RECORD.pack(tag, stamp_ms)
        self._map[_offset(slot) : _offset(slot) + len(body) + _CRC.size] = body + _CRC.pack(zlib.crc32(body))
        self._dirty = True

    def raise_fence(self, fence_ms: int) -> None:
        """Refuse stamps up to `fence_ms` from now on, also after a restart."""
        if fence_ms > self.fence_ms:
            self.fence_ms = fence_ms
            self._write_header(was_stopped_cleanly=False)

    def newest_ms(self) -> int:
        """The newest stamp accepted from anybody; 0 when none."""
        return max((self._stamp(slot) for slot in self._slots.values()), default=0)

    def flush(self) -> None:
        """Write what changed to the disk; only a power loss needs it. Raises StampStoreError."""
        if not self._dirty:
            return
        try:
            self._map.flush()
        except OSError as error:
            raise StampStoreError(f"the anti-replay file cannot be written: {error.strerror}") from error
        self._dirty = False

    def close(self) -> None:
        """Stop cleanly: everything on the disk, then the mark that says so."""
        self._dirty = True
        self.flush()
        self._write_header(was_stopped_cleanly=True)
        self.flush()
        self.abandon()

    def abandon(self) -> None:
        """Let go of the file as a crash would: nothing is marked as clean."""
        self._map.close()
        os.close(self._file)

    def _take_slot(self, roster: Iterable[str], now_ms: int) -> int:
        if self._free:
            return self._free.pop()
        kept = {_tag(device_id) for device_id in roster}
        for tag, slot in self._slots.items():
            if self._stamp(slot) < now_ms - REUSE_AFTER_MS and tag not in kept:
                del self._slots[tag]
                return slot
        raise StoreFull(f"all {self._capacity} records of the anti-replay file are in use")

    def _stamp(self, slot: int) -> int:
        _tag_bytes, stamp_ms = _RECORD.unpack_from(self._map, _offset(slot))
        return int(stamp_ms)

    def _read_header(self) -> tuple[bytes, bool, int]:
        _magic, _version, _capacity, boot_id, clean, fence_ms = _HEADER.unpack_from(self._map, 0)
        return boot_id, bool(clean), fence_ms

    def _write_header(self, *, was_stopped_cleanly: bool) -> None:
        self._map[: _HEADER.size + _CRC.size] = _header_bytes(
            self._capacity, self._boot_id, int(was_stopped_cleanly), self.fence_ms
        )
        self._dirty = True

    def _read_records(self) -> tuple[dict[bytes, int], bool]:
        slots: dict[bytes, int] = {}
        undamaged = True
        for slot in range(self._capacity):
            record = self._map[_offset(slot) : _offset(slot) + _RECORD.size + _CRC.size]
            if not any(record):
                continue
            tag, _stamp_ms = _RECORD.unpack_from(record)
            if zlib.crc32(record[: _RECORD.size]) != _CRC.unpack_from(record, _RECORD.size)[0] or tag in slots:
                undamaged = False
                self._map[_offset(slot) : _offset(slot) + _RECORD_BYTES] = bytes(_RECORD_BYTES)
                continue
            slots[tag] = slot
        return slots, undamaged


def _mapped(path: Path, capacity: int) -> tuple[int, mmap.mmap, bool]:
    """The file, locked and mapped, and whether it was there before and is one of ours."""
    size = _HEADER_BYTES + capacity * _RECORD_BYTES
    fd = _locked(path)
    existed = os.fstat(fd).st_size > 0
    if existed and not _is_ours(fd, size, capacity):
        path.rename(path.with_suffix(".damaged"))
        os.close(fd)
        fd = _locked(path)
        existed = False
    if not existed:
        # Space that is not there would kill the process at the first write to the mapping.
        os.posix_fallocate(fd, 0, size)
    return fd, mmap.mmap(fd, size), existed


def _locked(path: Path) -> int:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise
    return fd


def _is_ours(fd: int, size: int, capacity: int) -> bool:
    if os.fstat(fd).st_size != size:
        return False
    header = os.pread(fd, _HEADER.size + _CRC.size, 0)
    _magic, _version, _capacity, boot_id, clean, fence_ms = _HEADER.unpack_from(header)
    return header == _header_bytes(capacity, boot_id, clean & 1, fence_ms)


def _header_bytes(capacity: int, boot_id: bytes, clean: int, fence_ms: int) -> bytes:
    header = _HEADER.pack(_MAGIC, _VERSION, capacity, boot_id, clean, fence_ms)
    return header + _CRC.pack(zlib.crc32(header))


def _offset(slot: int) -> int:
    return _HEADER_BYTES + slot * _RECORD_BYTES


def _tag(device_id: str) -> bytes:
    return hashlib.sha256(device_id.encode()).digest()[:_TAG_BYTES]
