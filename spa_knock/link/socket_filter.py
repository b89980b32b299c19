"""Classic-BPF filters on sockets: the kernel drops datagrams before any process sees them. Standard library only.

Layout: linux/filter.h (`struct sock_filter`: code, jt, jf, k) and socket(7), SO_ATTACH_FILTER. Attaching replaces the
filter that was there in one step, so there is no moment without one.
"""

import ctypes
import errno
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass

MAX_INSTRUCTIONS = 4_096
_SO_ATTACH_FILTER = 26
_SO_MEMINFO = 55
_MEMINFO_WORDS = 9
_MEMINFO_DROPS = 8
_INSTRUCTION = struct.Struct("=HBBI")
_PROGRAM = struct.Struct("HxxxxxxP")


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction of classic BPF."""

    code: int
    jump_true: int
    jump_false: int
    value: int


Program = tuple[Instruction, ...]

DROP_ALL: Program = (Instruction(0x06, 0, 0, 0),)
"""Lets nothing through: for a socket that is bound before anybody judges what comes in."""


class FilterTooLarge(Exception):
    """The kernel has no room for this filter (`net.core.optmem_max`); the one that was attached stays."""


def pack(program: Sequence[Instruction]) -> bytes:
    """The program as the kernel reads it."""
    return b"".join(_INSTRUCTION.pack(one.code, one.jump_true, one.jump_false, one.value) for one in program)


def attach(sock: socket.socket, program: Program) -> None:
    """Make `program` the socket's filter, in the place of any other.

    Raises FilterTooLarge, or OSError when the kernel refuses the program.
    """
    code = pack(program)
    buffer = ctypes.create_string_buffer(code, len(code))
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, _PROGRAM.pack(len(program), ctypes.addressof(buffer)))
    except OSError as error:
        if error.errno == errno.ENOMEM:
            raise FilterTooLarge(f"a filter of {len(program)} instructions") from error
        raise


def dropped(sock: socket.socket) -> int:
    """How many datagrams the kernel has dropped at this socket since it was made, by its filter or for want of room.

    Counts modulo 2^32. 0 where the kernel does not tell.
    """
    try:
        words = sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 4 * _MEMINFO_WORDS)
    except OSError:
        return 0
    if len(words) < 4 * _MEMINFO_WORDS:
        return 0
    return int(struct.unpack_from("=I", words, 4 * _MEMINFO_DROPS)[0])
