"""Pure: reads an SFTP channel in both directions while it passes through, and answers itself what must not pass.

Bytes go through as they came (but the client's version number, which is held down to 3, the one that is read here).
Content of WRITE and DATA streams and is hashed on its way; every other packet is held until it is whole. A request that
is refused is taken out at its packet's boundary and answered with a STATUS at a boundary of the other direction. While
the target is asked what a path means, the client's later packets wait.
"""

from collections.abc import Callable
from typing import Final

from broker.gateway.file_stream import FileFact, FileRefused, FileTurn, shown
from broker.policy.file_rules import FileAction, FileRefusal, FileRules
from broker.protocols.ssh import sftp_wire as wire
from broker.protocols.ssh.sftp_judge import Answer, Asking, Judged, describe, judge_request
from broker.protocols.ssh.sftp_replies import MAX_HANDLES, MAX_PENDING, Replies
from broker.protocols.ssh.sftp_transfer import Flow, OpenFile
from broker.protocols.ssh.sftp_wire import BadPacket, Request, Status, Type

MAX_REFUSALS: Final = 1_000
_WRITE_HEAD_BYTES: Final = wire.HEAD.size + 4 + wire.MAX_HANDLE_BYTES + 12
_LIMIT: Final = FileRefusal("files.limit", "too many files or requests at a time")
_UNKNOWN: Final = FileRefusal("files.unknown-request", "this kind of request is not known here")
_NO_HANDLE: Final = FileRefusal("files.no-handle", "there is no such open file")
_NOT_OPEN_SO: Final = FileRefusal("files.not-open-for-that", "the file was not opened for that")


class SftpStream:
    """One SFTP channel under the rules of its permit."""

    def __init__(self, rules: FileRules) -> None:
        self._rules = rules
        self._replies = Replies()
        self._buffer = bytearray()
        self._content_left = 0  # of a WRITE whose head was judged
        self._content_of: Flow | None = None  # None drops it
        self._begun = False
        self._asking: Asking | None = None
        self._held: tuple[Request, tuple[OpenFile, ...], bytes] | None = None
        self._refusals = 0
        self._facts: list[FileFact] = []
        self._to_target = bytearray()
        self._broken = False

    @property
    def waiting_bytes(self) -> int:
        return len(self._buffer) if self._waits else 0

    @property
    def drained(self) -> bool:
        return not self._waits

    @property
    def _waits(self) -> bool:
        return self._asking is not None or (self._begun and not self._replies.ready)

    def client(self, data: bytes) -> FileTurn:
        """The engineer's bytes."""
        self._buffer += data
        return self._turn(self._read)

    def target(self, data: bytes) -> FileTurn:
        """The target's bytes. An answer to our own question lets what waited go on."""

        def read() -> None:
            answer = self._replies.feed(data)
            if answer is not None and self._asking is not None:
                self._advance(self._asking, answer)
            self._read()

        return self._turn(read)

    def end(self) -> FileTurn:
        """The channel is over."""
        self._broken = True
        return FileTurn(tuple(self._replies.broken_off()))

    def _turn(self, read: Callable[[], None]) -> FileTurn:
        if self._broken:
            return FileTurn()
        broken = ""
        try:
            read()
        except BadPacket as error:
            self._broken, broken = True, str(error)
        to_client, learned = self._replies.take()
        facts, to_target = (*learned, *self._facts), bytes(self._to_target)
        self._facts, self._to_target = [], bytearray()
        return FileTurn(facts, to_target, to_client, broken)

    def _read(self) -> None:
        buffer, at = self._buffer, 0
        while not self._waits:
            if self._content_left:
                part = buffer[at : at + self._content_left]
                if not part:
                    break
                at += len(part)
                self._content_left -= len(part)
                if self._content_of is not None:
                    self._content_of.content(part)
                    self._to_target += part
                continue
            packet = self._next_packet(at)
            if packet is None:
                break
            at += len(packet)
            self._packet(packet)
        del buffer[:at]

    def _next_packet(self, at: int) -> bytes | None:
        """The next packet, of a WRITE only its head; None until it is there."""
        there = len(self._buffer) - at
        if there < wire.HEAD.size:
            return None
        length, kind, _ = wire.HEAD.unpack_from(self._buffer, at)
        if not 5 <= length <= (wire.MAX_BULK_BYTES if kind == Type.WRITE else wire.MAX_PACKET_BYTES):
            raise BadPacket(f"the client sent a packet of {length} bytes")
        wanted = 4 + length
        if kind == Type.WRITE and self._begun:
            wanted = min(wanted, _WRITE_HEAD_BYTES)
        if there < wanted:
            return None
        packet = bytes(self._buffer[at : at + wanted])
        if kind != Type.WRITE or not self._begun:
            return packet
        request, end = wire.read_request(packet)
        if end + request.length != 4 + length:
            raise BadPacket("a request to write is not as long as it says")
        self._content_left = request.length
        return packet[:end]

    def _packet(self, packet: bytes) -> None:
        if not self._begun:
            version = int(wire.U32.unpack_from(packet, 5)[0])
            if packet[4] != Type.INIT or version < wire.VERSION:
                raise BadPacket("the client does not begin with version 3 of SFTP")
            self._begun = True
            self._to_target += packet[:5] + wire.U32.pack(wire.VERSION) + packet[9:]
            return
        request, _ = wire.read_request(packet)
        if request.id in self._replies.pending:
            raise BadPacket("the client uses the number of an open request again")
        self._content_of = None
        files = tuple(self._replies.files[h] for h in request.handles if h in self._replies.files)
        refusal, code = self._objection(request, files)
        if refusal is not None:
            self._refuse(request, files, refusal, code)
        elif request.type in (Type.READ, Type.WRITE):
            self._pass_on(request, files, packet, Judged(None))
        else:
            self._held = (request, files, packet)
            self._advance(judge_request(request, files, self._rules, self._replies.made), None)

    def _objection(self, request: Request, files: tuple[OpenFile, ...]) -> tuple[FileRefusal | None, Status]:
        """What can be said without looking at paths."""
        replies = self._replies
        is_opening = request.type in (Type.OPEN, Type.OPENDIR)
        if not request.known:
            return _UNKNOWN, Status.OP_UNSUPPORTED
        if len(replies.pending) >= MAX_PENDING or (is_opening and replies.handle_count >= MAX_HANDLES):
            return _LIMIT, Status.FAILURE
        if len(files) != len(request.handles):
            return _NO_HANDLE, Status.FAILURE
        if request.type == Type.READ:
            return self._rules.permits(FileAction.DOWNLOAD), Status.PERMISSION_DENIED
        if request.type == Type.WRITE and not files[0].was_opened_to_write:
            return _NOT_OPEN_SO, Status.PERMISSION_DENIED
        if request.name == "copy-data" and not files[1].was_opened_to_write:
            return _NOT_OPEN_SO, Status.PERMISSION_DENIED
        return None, Status.OK

    def _advance(self, asking: Asking, answer: Answer | None) -> None:
        """One step of a judgement: its next question goes out, or its verdict is carried out."""
        try:
            question = next(asking) if answer is None else asking.send(answer)
        except StopIteration as done:
            judged: Judged = done.value
            held, self._held, self._asking = self._held, None, None
            if held is None:
                return
            request, files, packet = held
            if judged.refusal is not None:
                self._refuse(request, files, judged.refusal, Status.PERMISSION_DENIED)
            else:
                self._pass_on(request, files, packet, judged)
        else:
            self._asking = asking
            self._to_target += wire.packet(question.kind, self._replies.question(), question.path)

    def _pass_on(self, request: Request, files: tuple[OpenFile, ...], packet: bytes, judged: Judged) -> None:
        self._replies.passed_on(request, files, judged)
        self._to_target += packet
        if request.type == Type.WRITE:
            self._content_of = files[0].up
            self._content_of.at(request.offset)

    def _refuse(self, request: Request, files: tuple[OpenFile, ...], refusal: FileRefusal, code: Status) -> None:
        self._refusals += 1
        if self._refusals > MAX_REFUSALS:
            raise BadPacket("too many requests were refused")
        message = f"Sallyport: refused ({refusal.rule_id}): {refusal.message}."
        self._replies.say(wire.status_packet(request.id, code, message))
        self._facts.append(FileRefused(refusal.rule_id, refusal.message, shown(describe(request, files))))
