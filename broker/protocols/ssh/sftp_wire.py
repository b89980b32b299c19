"""Pure: SFTP version 3 packets (draft-ietf-secsh-filexfer-02, and OpenSSH's PROTOCOL for the extensions).

A packet is length u32 | type u8 | id u32 | fields; INIT and VERSION carry their version where the others have the id.
Requests are read into one shape; only what a decision or a hash needs is kept, trailing attributes are not looked at.
"""

from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from typing import Final

VERSION: Final = 3
MAX_PACKET_BYTES: Final = 256 * 1024  # OpenSSH's own limit; such a packet is held whole
MAX_BULK_BYTES: Final = 4 * 1024 * 1024  # WRITE and DATA, whose content streams through
MAX_HANDLE_BYTES: Final = 256  # §6.3
MAX_PATH_BYTES: Final = 4_096

U32: Final = Struct(">I")
U64: Final = Struct(">Q")
HEAD: Final = Struct(">IBI")
ATTR_SIZE: Final = 1


class Type(IntEnum):
    INIT = 1
    VERSION = 2
    OPEN = 3
    CLOSE = 4
    READ = 5
    WRITE = 6
    LSTAT = 7
    FSTAT = 8
    SETSTAT = 9
    FSETSTAT = 10
    OPENDIR = 11
    READDIR = 12
    REMOVE = 13
    MKDIR = 14
    RMDIR = 15
    REALPATH = 16
    STAT = 17
    RENAME = 18
    READLINK = 19
    SYMLINK = 20
    STATUS = 101
    HANDLE = 102
    DATA = 103
    NAME = 104
    ATTRS = 105
    EXTENDED = 200
    EXTENDED_REPLY = 201


class Status(IntEnum):
    OK = 0
    EOF = 1
    NO_SUCH_FILE = 2
    PERMISSION_DENIED = 3
    FAILURE = 4
    OP_UNSUPPORTED = 8


class OpenFlag(IntEnum):
    READ = 1
    WRITE = 2
    APPEND = 4
    CREAT = 8
    TRUNC = 16
    EXCL = 32


CHANGING_FLAGS: Final = OpenFlag.WRITE | OpenFlag.APPEND | OpenFlag.CREAT | OpenFlag.TRUNC


class BadPacket(Exception):
    """What came is not SFTP as we know it; nothing after it can be trusted to mean what it seems to."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request of the client. `name` is that of an extension; `size` is what a SETSTAT cuts or extends a file to."""

    type: int
    id: int
    name: str = ""
    paths: tuple[bytes, ...] = ()
    handles: tuple[bytes, ...] = ()
    flags: int = 0
    offset: int = 0
    length: int = 0
    size: int | None = None
    known: bool = True


# p path, h handle, n u32, o u64, t any text, a attributes up to the size; what follows is other attributes, or nothing.
_FIELDS: Final[dict[int, str]] = {
    Type.OPEN: "pn",
    Type.CLOSE: "h",
    Type.READ: "hon",
    Type.WRITE: "hon",
    Type.LSTAT: "p",
    Type.FSTAT: "h",
    Type.SETSTAT: "pa",
    Type.FSETSTAT: "ha",
    Type.OPENDIR: "p",
    Type.READDIR: "h",
    Type.REMOVE: "p",
    Type.MKDIR: "p",
    Type.RMDIR: "p",
    Type.REALPATH: "p",
    Type.STAT: "p",
    Type.RENAME: "pp",
    Type.READLINK: "p",
    Type.SYMLINK: "pp",
}
_EXTENSIONS: Final = {
    "posix-rename@openssh.com": "pp",
    "hardlink@openssh.com": "pp",
    "statvfs@openssh.com": "p",
    "fstatvfs@openssh.com": "h",
    "fsync@openssh.com": "h",
    "lsetstat@openssh.com": "pa",
    "limits@openssh.com": "",
    "expand-path@openssh.com": "p",
    "copy-data": "hooho",
    "home-directory": "t",
    "users-groups-by-id@openssh.com": "tt",
}


class Fields:
    """Reads the fields of one packet in turn. Raises BadPacket when one is not there whole."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self._data = data
        self.at = at

    def u32(self) -> int:
        return int(U32.unpack(self._take(4))[0])

    def u64(self) -> int:
        return int(U64.unpack(self._take(8))[0])

    def text(self) -> bytes:
        return self._take(self.u32())

    def size(self) -> int | None:
        """The size in attributes that begin here (§5), None when they do not tell it."""
        return self.u64() if self.u32() & ATTR_SIZE else None

    def _take(self, length: int) -> bytes:
        end = self.at + length
        if end > len(self._data):
            raise BadPacket("a field is longer than its packet")
        taken, self.at = self._data[self.at : end], end
        return taken


def read_request(packet: bytes) -> tuple[Request, int]:
    """The request and where its known fields end; of a WRITE the head is enough. Raises BadPacket.

    A type or an extension that is not known comes back as `known=False`.
    """
    kind, number = packet[4], int(U32.unpack_from(packet, 5)[0])
    fields = Fields(packet, HEAD.size)
    name = ""
    form: str | None
    if kind == Type.EXTENDED:
        name = fields.text()[:64].decode("ascii", "replace")
        form = _EXTENSIONS.get(name)
    else:
        form = _FIELDS.get(kind)
    if form is None:
        return Request(kind, number, name, known=False), fields.at
    paths: list[bytes] = []
    handles: list[bytes] = []
    numbers: list[int] = []
    size: int | None = None
    for field in form:
        match field:
            case "p":
                paths.append(fields.text())
            case "h":
                handles.append(_handle(fields.text()))
            case "n":
                numbers.append(fields.u32())
            case "o":
                numbers.append(fields.u64())
            case "a":
                size = fields.size()
            case _:
                fields.text()
    flags = numbers.pop() if kind == Type.OPEN else 0
    offset, length = (numbers[0], numbers[1]) if len(numbers) > 1 else (0, 0)
    return Request(kind, number, name, tuple(paths), tuple(handles), flags, offset, length, size), fields.at


def _handle(value: bytes) -> bytes:
    if len(value) > MAX_HANDLE_BYTES:
        raise BadPacket("a handle is too long")
    return value


def packet(kind: Type, number: int, *texts: bytes) -> bytes:
    """A packet whose fields are texts."""
    body = b"".join(U32.pack(len(text)) + text for text in texts)
    return HEAD.pack(5 + len(body), kind, number) + body


def status_packet(number: int, code: Status, message: str) -> bytes:
    """The answer to request `number` (§7), in English."""
    text, language = message.encode(), b"en"
    body = U32.pack(code) + U32.pack(len(text)) + text + U32.pack(len(language)) + language
    return HEAD.pack(5 + len(body), Type.STATUS, number) + body
