"""Runs a program inside the system-call filter that systemd would build from its unit; started by its path.

    python confine.py FILTER.json PROGRAM [ARGUMENT…]

FILTER.json: {"calls": [names], "families": [numbers], "umask": number}. Covers SystemCallFilter=,
SystemCallErrorNumber=EPERM, RestrictAddressFamilies=, MemoryDenyWriteExecute= and UMask=, with libseccomp as systemd
does it; mounts and address lists need systemd itself.
"""

import ctypes
import errno
import json
import mmap
import os
import sys
from pathlib import Path

_ALLOW = 0x7FFF0000
_EPERM = 0x00050000 | errno.EPERM
_NO_FAMILY = 0x00050000 | errno.EAFNOSUPPORT
_EQUAL, _MASKED_EQUAL = 4, 7
_FAMILIES = 46


class _Compare(ctypes.Structure):
    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("datum_a", ctypes.c_uint64),
        ("datum_b", ctypes.c_uint64),
    )


class Filter:
    """One filter of the kernel: `otherwise` is what happens to a call that no rule names."""

    def __init__(self, otherwise: int) -> None:
        self._library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
        self._library.seccomp_init.restype = ctypes.c_void_p
        self._context = ctypes.c_void_p(self._library.seccomp_init(ctypes.c_uint32(otherwise)))

    def rule(self, action: int, name: str, *compares: _Compare) -> None:
        """Adds a rule; a name that this machine's kernel does not have is left out."""
        number = self._library.seccomp_syscall_resolve_name(name.encode())
        if number < 0:
            return
        array = (_Compare * len(compares))(*compares)
        failed = self._library.seccomp_rule_add_array(
            self._context, ctypes.c_uint32(action), number, len(compares), array
        )
        if failed:
            raise OSError(-failed, f"no rule for {name}: {os.strerror(-failed)}")

    def load(self) -> None:
        """Puts the filter on this process and on what it becomes."""
        failed = self._library.seccomp_load(self._context)
        if failed:
            raise OSError(-failed, f"the filter was not loaded: {os.strerror(-failed)}")


def _confine(wanted: dict[str, list[object] | int]) -> None:
    second = Filter(_ALLOW)
    families = wanted["families"]
    assert isinstance(families, list)
    for family in set(range(_FAMILIES)) - set(families):
        second.rule(_NO_FAMILY, "socket", _Compare(0, _EQUAL, family, 0))
    both = mmap.PROT_WRITE | mmap.PROT_EXEC
    second.rule(_EPERM, "mmap", _Compare(2, _MASKED_EQUAL, both, both))
    for name in ("mprotect", "pkey_mprotect"):
        second.rule(_EPERM, name, _Compare(2, _MASKED_EQUAL, mmap.PROT_EXEC, mmap.PROT_EXEC))
    first = Filter(_EPERM)
    calls = wanted["calls"]
    assert isinstance(calls, list)
    for name in calls:
        first.rule(_ALLOW, str(name))
    umask = wanted["umask"]
    assert isinstance(umask, int)
    os.umask(umask)
    second.load()
    first.load()


if __name__ == "__main__":
    _confine(json.loads(Path(sys.argv[1]).read_text()))
    os.environ["LISTEN_PID"] = str(os.getpid())
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - an argument list, no shell
