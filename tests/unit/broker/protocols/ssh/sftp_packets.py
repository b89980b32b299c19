"""SFTP packets for tests, and a small honest target that keeps files in memory."""

import posixpath
from struct import pack, unpack_from

from broker.protocols.ssh.sftp_wire import Fields, OpenFlag, Status, Type

INIT = pack(">IBI", 5, Type.INIT, 3)
VERSION = pack(">IBI", 5, Type.VERSION, 3)
PUT = OpenFlag.WRITE | OpenFlag.CREAT | OpenFlag.TRUNC
Part = bytes | int | tuple[int]


def packet(kind: int, number: int, *parts: Part) -> bytes:
    """Texts, u32 numbers, and u64 numbers as a tuple of one."""
    body = b""
    for part in parts:
        match part:
            case bytes():
                body += pack(">I", len(part)) + part
            case int():
                body += pack(">I", part)
            case (long,):
                body += pack(">Q", long)
    return pack(">IBI", 5 + len(body), kind, number) + body


def status(number: int, code: int) -> bytes:
    return packet(Type.STATUS, number, code, b"", b"en")


def split(data: bytes) -> list[bytes]:
    """Whole packets."""
    found = []
    while data:
        (length,) = unpack_from(">I", data)
        found.append(data[: 4 + length])
        assert len(data) >= 4 + length
        data = data[4 + length :]
    return found


class Target:
    """Answers requests in order. `links` maps a path to what it really is; relative paths begin in `/home/u`."""

    def __init__(self, files: dict[str, bytes] | None = None, links: dict[str, str] | None = None) -> None:
        self.files = dict(files or {})
        self.links = dict(links or {})
        self.handles: dict[bytes, str] = {}
        self.asked: list[int] = []
        self._buffer = b""

    def real(self, path: bytes) -> str:
        text = posixpath.normpath(posixpath.join("/home/u", path.decode("utf-8", "surrogateescape")))
        for link, real in self.links.items():
            if text == link or text.startswith(link + "/"):
                text = real + text[len(link) :]
        return text

    def answer(self, data: bytes) -> bytes:
        self._buffer += data
        answers = b""
        while len(self._buffer) >= 4:
            (length,) = unpack_from(">I", self._buffer)
            if len(self._buffer) < 4 + length:
                break
            one, self._buffer = self._buffer[: 4 + length], self._buffer[4 + length :]
            answers += self._one(one)
        return answers

    def _one(self, one: bytes) -> bytes:
        kind, number = one[4], unpack_from(">I", one, 5)[0]
        fields = Fields(one, 9)
        self.asked.append(kind)
        match kind:
            case Type.INIT:
                return VERSION
            case Type.REALPATH:
                return packet(Type.NAME, number, 1, self.real(fields.text()).encode("utf-8", "surrogateescape"), b"", 0)
            case Type.LSTAT | Type.STAT:
                path = self.real(fields.text())
                if path not in self.files:
                    return status(number, Status.NO_SUCH_FILE)
                return packet(Type.ATTRS, number, 1, (len(self.files[path]),))
            case Type.OPEN:
                path, flags = self.real(fields.text()), fields.u32()
                if not flags & OpenFlag.CREAT and path not in self.files:
                    return status(number, Status.NO_SUCH_FILE)
                if flags & OpenFlag.TRUNC or path not in self.files:
                    self.files[path] = b""
                handle = b"h%d" % len(self.handles)
                self.handles[handle] = path
                return packet(Type.HANDLE, number, handle)
            case Type.WRITE:
                path, offset, data = self.handles[fields.text()], fields.u64(), fields.text()
                before = self.files[path].ljust(offset, b"\0")
                self.files[path] = before[:offset] + data + before[offset + len(data) :]
            case Type.READ:
                path, offset, wanted = self.handles[fields.text()], fields.u64(), fields.u32()
                found = self.files[path][offset : offset + wanted]
                return packet(Type.DATA, number, found) if found else status(number, Status.EOF)
            case Type.REMOVE:
                code = Status.NO_SUCH_FILE if self.files.pop(self.real(fields.text()), None) is None else Status.OK
                return status(number, code)
            case Type.RENAME:
                old, new = self.real(fields.text()), self.real(fields.text())
                self.files[new] = self.files.pop(old)
        return status(number, Status.OK)
