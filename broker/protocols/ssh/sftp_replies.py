"""Pure: the target's direction of an SFTP channel: which answer belongs to which request, and what it tells of files.

Passes every byte on but the answers to our own questions, and puts our own answers between two packets.
"""

from dataclasses import dataclass
from typing import Final

from broker.gateway.file_stream import FileFact
from broker.protocols.ssh import sftp_wire as wire
from broker.protocols.ssh.sftp_judge import Answer, Judged
from broker.protocols.ssh.sftp_transfer import Flow, OpenFile
from broker.protocols.ssh.sftp_wire import BadPacket, Fields, Request, Status, Type

MAX_PENDING: Final = 4_096
MAX_HANDLES: Final = 1_024
_MAX_REMEMBERED: Final = 10_000
_MAX_SIZES: Final = 256
_DATA_HEAD_BYTES: Final = wire.HEAD.size + 4


@dataclass(slots=True)
class Pending:
    """A request that was passed on and is not answered yet."""

    request: Request
    files: tuple[OpenFile, ...]
    judged: Judged


class Replies:
    """Knows the open handles and the requests under way. `feed` raises BadPacket for what is not SFTP version 3."""

    def __init__(self) -> None:
        self.ready = False  # the target named its version
        self.files: dict[bytes, OpenFile] = {}
        self.pending: dict[int, Pending] = {}
        self.made: set[str] = set()  # what this channel made in protected folders: it may change that again
        self._sizes: dict[bytes, int] = {}
        self._question: int | None = None
        self._last_question = 0
        self._buffer = bytearray()
        self._left = 0  # bytes of a packet that streams through
        self._content_left = 0
        self._content_of: Flow | None = None
        self._late: list[bytes] = []
        self._to_client = bytearray()
        self._facts: list[FileFact] = []

    @property
    def handle_count(self) -> int:
        """Handles that are open or asked for."""
        opening = sum(one.request.type in (Type.OPEN, Type.OPENDIR) for one in self.pending.values())
        return len(self.files) + opening

    def passed_on(self, request: Request, files: tuple[OpenFile, ...], judged: Judged) -> None:
        """The client's request goes to the target."""
        self.pending[request.id] = Pending(request, files, judged)
        match request.type:
            case Type.CLOSE:
                self.files.pop(request.handles[0], None)
            case Type.WRITE:
                files[0].unanswered_writes += 1
        if request.name == "copy-data":
            files[1].up.started, files[1].up.sequential = True, False

    def question(self) -> int:
        """The id of a request of our own, whose answer is kept."""
        while True:
            self._last_question = (self._last_question - 1) & 0xFFFF_FFFF
            if self._last_question not in self.pending:
                self._question = self._last_question
                return self._question

    def say(self, packet: bytes) -> None:
        """An answer of our own, between two packets of the target."""
        if self._left:
            self._late.append(packet)
        else:
            self._to_client += packet

    def take(self) -> tuple[bytes, list[FileFact]]:
        """What may go to the client now, and what was learned."""
        taken = bytes(self._to_client), self._facts
        self._to_client, self._facts = bytearray(), []
        return taken

    def broken_off(self) -> list[FileFact]:
        """The channel is over: the files that nobody closed, or whose close was not answered."""
        closing = [one.files[0] for one in self.pending.values() if one.request.type == Type.CLOSE]
        files = [*closing, *self.files.values()]
        self.files, self.pending = {}, {}
        return [told for file in files for told in file.transfers(closed=False)]

    def feed(self, data: bytes) -> Answer | None:
        """The target's bytes; the answer to our question when it is among them."""
        self._buffer += data
        buffer, at = self._buffer, 0
        answer: Answer | None = None
        while True:
            if self._left:
                part = buffer[at : at + self._left]
                if not part:
                    break
                at += len(part)
                self._stream(part)
                continue
            head = self._head(at)
            if head is None:
                break
            answer = self._packet(head) or answer
            at += len(head)
        del buffer[:at]
        return answer

    def _head(self, at: int) -> bytes | None:
        """The next packet, or the beginning of one that streams; None until it is there."""
        there = len(self._buffer) - at
        if there < wire.HEAD.size:
            return None
        length, kind, number = wire.HEAD.unpack_from(self._buffer, at)
        if not 5 <= length <= (wire.MAX_BULK_BYTES if kind == Type.DATA else wire.MAX_PACKET_BYTES):
            raise BadPacket(f"the target sent a packet of {length} bytes")
        if (kind == Type.VERSION) is self.ready:
            raise BadPacket("the target did not begin with its version")
        streams = number != self._question and kind in (Type.DATA, Type.NAME, Type.EXTENDED_REPLY)
        wanted = 4 + length
        if streams:
            wanted = min(wanted, _DATA_HEAD_BYTES if kind == Type.DATA else wire.HEAD.size)
        if there < wanted:
            return None
        self._left = 4 + length - wanted
        return bytes(self._buffer[at : at + wanted])

    def _packet(self, head: bytes) -> Answer | None:
        kind, number = head[4], int(wire.U32.unpack_from(head, 5)[0])
        if kind == Type.VERSION:
            if number != wire.VERSION:
                raise BadPacket(f"the target speaks version {number} of SFTP")
            self.ready = True
        elif number == self._question:
            self._question = None
            return _read_answer(kind, head)
        else:
            pending = self.pending.pop(number, None)
            if pending is None:
                raise BadPacket("the target answered what was not asked")
            self._replied(kind, pending, head)
        self._to_client += head
        if not self._left:
            self._flush_late()
        return None

    def _stream(self, part: bytearray) -> None:
        self._to_client += part
        self._left -= len(part)
        if self._content_of is not None:
            content = part[: self._content_left]
            self._content_of.content(content)
            self._content_left -= len(content)
            if not self._content_left:
                self._content_of = None
        if not self._left:
            self._flush_late()

    def _flush_late(self) -> None:
        self._to_client += b"".join(self._late)
        self._late.clear()

    def _replied(self, kind: int, pending: Pending, head: bytes) -> None:
        request = pending.request
        fields = Fields(head, wire.HEAD.size)
        match kind:
            case Type.HANDLE if request.type in (Type.OPEN, Type.OPENDIR):
                self._opened(pending, fields.text())
            case Type.STATUS:
                self._done(pending, fields.u32())
            case Type.ATTRS if request.type in (Type.STAT, Type.LSTAT, Type.FSTAT):
                if (size := fields.size()) is not None:
                    self._sized(pending, size)
            case Type.DATA:
                length = fields.u32()
                if length > self._left:
                    raise BadPacket("content is longer than its packet")
                if request.type == Type.READ and length:
                    self._content_of, self._content_left = pending.files[0].down, length
                    self._content_of.at(request.offset)

    def _opened(self, pending: Pending, handle: bytes) -> None:
        request = pending.request
        if (before := self.files.get(handle)) is not None:
            self._facts += before.transfers(closed=False)
        path = pending.judged.paths[0]
        is_folder = request.type == Type.OPENDIR
        self.files[handle] = OpenFile(path, request.flags, is_folder, size=self._sizes.get(request.paths[0]))
        self._remember(pending.judged)

    def _done(self, pending: Pending, code: int) -> None:
        request, files = pending.request, pending.files
        match request.type:
            case Type.WRITE:
                files[0].unanswered_writes -= 1
                files[0].up.failed |= code != Status.OK
            case Type.READ:
                if code == Status.EOF:
                    known = files[0].ends_at
                    files[0].ends_at = request.offset if known is None else min(known, request.offset)
                elif code != Status.OK:
                    files[0].down.failed = True
            case Type.CLOSE:
                self._facts += files[0].transfers(closed=code == Status.OK)
            case Type.FSETSTAT if code == Status.OK and request.size is not None:
                files[0].cut_to = request.size
            case _ if code == Status.OK:
                self._remember(pending.judged)

    def _remember(self, judged: Judged) -> None:
        self.made.difference_update(judged.gone)
        if len(self.made) < _MAX_REMEMBERED:
            self.made.update(judged.makes)

    def _sized(self, pending: Pending, size: int) -> None:
        if pending.files:
            pending.files[0].size = size
            return
        while len(self._sizes) >= _MAX_SIZES:
            del self._sizes[next(iter(self._sizes))]
        self._sizes[pending.request.paths[0]] = size


def _read_answer(kind: int, packet: bytes) -> Answer:
    fields = Fields(packet, wire.HEAD.size)
    match kind:
        case Type.STATUS:
            return Answer(fields.u32() or Status.FAILURE)
        case Type.ATTRS:
            return Answer(Status.OK)
        case Type.NAME if fields.u32() > 0:
            path = fields.text()
            return Answer(Status.OK, path if path.startswith(b"/") else None)
    return Answer(Status.FAILURE)
