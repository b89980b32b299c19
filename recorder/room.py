"""Room on disk that a recording holds before it needs it. I/O.

Linux's `fallocate(2)` with FALLOC_FL_KEEP_SIZE gives a file blocks behind its end: a full disk is noticed while nothing
of a record is written yet, and the trailer always finds its place.
"""

import contextlib
import ctypes
import errno
import os
from typing import Final

from recorder.errors import RecordingError

_KEEP_SIZE: Final = 1
_NO_ROOM: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NOT_POSSIBLE: Final = {errno.EOPNOTSUPP, errno.ENOSYS}
_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]


def hold_room(descriptor: int, start: int, end: int) -> None:
    """Give the file blocks from `start` to `end` without changing its size.

    Raises `RecordingError` (`no_space`, may be tried again; `write_failed`). On a file system that cannot do this, only
    what is free at this moment is checked: then a record can still be cut short by others who write.
    """
    if _libc.fallocate(descriptor, _KEEP_SIZE, start, end - start) == 0:
        return
    number = ctypes.get_errno()
    if number in _NOT_POSSIBLE:
        state = os.fstatvfs(descriptor)
        if state.f_bavail * state.f_frsize >= end - start:
            return
        number = errno.ENOSPC
    is_full = number in _NO_ROOM
    message = f"no room for {end - start} bytes of the recording: {os.strerror(number)}"
    raise RecordingError("no_space" if is_full else "write_failed", message, can_retry=is_full)


def free_room(descriptor: int) -> None:
    """Give back what is held behind the file's end. Never raises: what is kept too long costs room and nothing else."""
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, os.fstat(descriptor).st_size)
