"""Process set-up shared by the daemons: inherited sockets, hardening, peer identity and readiness.

Speaks systemd's socket-passing and notification protocols (sd_listen_fds(3), sd_notify(3)) without a library.
"""

import contextlib
import ctypes
import os
import socket
import struct

_FIRST_FD = 3
_MAX_FDS = 64
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38
_UCRED = struct.Struct("3i")


class ProcessError(Exception):
    """The process cannot be set up as its role demands; it must not go on."""


def listen_sockets() -> dict[str, list[socket.socket]]:
    """The sockets passed by the supervisor, by name; several may share one name. Empty when none was passed.

    Reads LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES and removes them, so that children inherit neither. The sockets are
    close-on-exec. Raises ProcessError when the variables are malformed or name something that is no socket.
    """
    pid = os.environ.pop("LISTEN_PID", None)
    count_text = os.environ.pop("LISTEN_FDS", None)
    names_text = os.environ.pop("LISTEN_FDNAMES", None)
    if pid is None or count_text is None or pid != str(os.getpid()):
        return {}
    if not (count_text.isascii() and count_text.isdigit()) or int(count_text) > _MAX_FDS:
        raise ProcessError(f"LISTEN_FDS is {count_text!r}; a number up to {_MAX_FDS} is needed")
    count = int(count_text)
    names = names_text.split(":") if names_text else ["unknown"] * count
    if len(names) != count:
        raise ProcessError(f"LISTEN_FDNAMES has {len(names)} names for {count} sockets")
    sockets: dict[str, list[socket.socket]] = {}
    for fd, name in enumerate(names, start=_FIRST_FD):
        try:
            inherited = socket.socket(fileno=fd)
        except OSError as error:
            raise ProcessError(f"file descriptor {fd} ({name}) is not a socket") from error
        inherited.set_inheritable(False)
        sockets.setdefault(name, []).append(inherited)
    return sockets


def harden() -> None:
    """Make this process unreadable to its own user id: not dumpable, no core file, no new privileges on exec.

    Raises ProcessError when the kernel refuses any of them.
    """
    import resource  # Not everywhere: the client's programs import this module on every system.

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    for option, value in ((_PR_SET_DUMPABLE, 0), (_PR_SET_NO_NEW_PRIVS, 1)):
        unused = ctypes.c_ulong(0)
        if libc.prctl(option, ctypes.c_ulong(value), unused, unused, unused) != 0:
            raise ProcessError(f"prctl({option}, {value}) failed: {os.strerror(ctypes.get_errno())}")


def peer_uid(sock: socket.socket) -> int:
    """The user id of the process that connected this Unix socket, as the kernel saw it then (SO_PEERCRED)."""
    _pid, uid, _gid = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return int(uid)


def notify_ready() -> None:
    """Tell the supervisor, if one listens on NOTIFY_SOCKET, that this process serves. A lost message is no error."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.settimeout(1.0)
        # Not `sendto`: a process that has confined itself names no address when it sends.
        sock.connect(address)
        sock.send(b"READY=1")
