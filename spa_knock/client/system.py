"""What differs between operating systems: owners and modes of files, locks, and the sockets between our own programs.

Standard library only and light: the ssh helper imports it. Everything asks what the platform has, never what it is
called. Where there are no Unix sockets, the agent listens on a loopback port; its number and a secret lie in the file
that would have been the socket, in the user's own profile, and whoever connects must send the secret first.
"""

import hmac
import importlib
import os
import socket
import stat
import struct
from pathlib import Path
from typing import Any

_SECRET_BYTES = 32
_SECRET_SECONDS = 2.0
_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED_BYTES = 0, 1, 76


def has_owners() -> bool:
    """Whether files have an owner and a mode; elsewhere the profile's access list keeps others out."""
    return hasattr(os, "geteuid")


def has_unix_sockets() -> bool:
    return hasattr(socket, "AF_UNIX")


def is_ours_alone(found: os.stat_result) -> bool:
    """Whether a file or folder is ours and closed to everybody else."""
    return not has_owners() or (found.st_uid == os.geteuid() and not found.st_mode & 0o077)


def is_folder(found: os.stat_result) -> bool:
    return stat.S_ISDIR(found.st_mode)


def set_mode(handle: int, mode: int) -> None:
    """The mode of an open file, where there are modes."""
    if hasattr(os, "fchmod"):
        os.fchmod(handle, mode)


def try_lock(handle: int) -> bool:
    """Locks an open file for this process; False when another has it."""
    try:
        fcntl: Any = importlib.import_module("fcntl")
    except ImportError:
        msvcrt: Any = importlib.import_module("msvcrt")
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def connect_local(path: Path) -> socket.socket:
    """A connection to our own agent. Raises OSError when none listens."""
    if has_unix_sockets():
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.connect(str(path))
        except BaseException:
            sock.close()
            raise
        return sock
    content = path.read_bytes()
    if len(content) != 2 + _SECRET_BYTES:
        raise ConnectionRefusedError("no agent listens")
    sock = socket.create_connection(("127.0.0.1", int.from_bytes(content[:2], "big")), timeout=_SECRET_SECONDS)
    sock.sendall(content[2:])
    sock.settimeout(None)
    return sock


class LocalListener:
    """Where our own programs reach the agent; a context manager. `socket` is to be watched and accepted from."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._secret: bytes | None = None
        path.unlink(missing_ok=True)
        if has_unix_sockets():
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.socket.bind(str(path))
            path.chmod(0o600)
        else:
            self._secret = os.urandom(_SECRET_BYTES)
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            self.socket.bind(("127.0.0.1", 0))
            port = int(self.socket.getsockname()[1])
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(port.to_bytes(2, "big") + self._secret)
        self.socket.setblocking(False)
        self.socket.listen(16)

    def __enter__(self) -> "LocalListener":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()
        self._path.unlink(missing_ok=True)

    def is_ours(self, connection: socket.socket) -> bool:
        """Whether this user's program is at the other end; may wait two seconds for its secret."""
        if self._secret is None:
            return _peer_uid(connection) == os.geteuid()
        connection.settimeout(_SECRET_SECONDS)
        shown = b""
        try:
            while len(shown) < _SECRET_BYTES and (more := connection.recv(_SECRET_BYTES - len(shown))):
                shown += more
        except OSError:
            return False
        return hmac.compare_digest(shown, self._secret)


def _peer_uid(connection: socket.socket) -> int:
    if hasattr(socket, "SO_PEERCRED"):
        _pid, uid, _gid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        return int(uid)
    # BSD and macOS, `struct xucred` of sys/ucred.h: version, then the effective user id.
    credentials = connection.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED_BYTES)
    return int(struct.unpack_from("=I", credentials, 4)[0])
