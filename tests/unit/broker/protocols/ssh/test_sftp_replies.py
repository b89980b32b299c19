"""The target's direction: correlation, our own answers between packets, and what is no SFTP."""

from struct import pack

import pytest

from broker.gateway.file_stream import FileTransferred
from broker.protocols.ssh import sftp_wire as wire
from broker.protocols.ssh.sftp_judge import Answer, Judged
from broker.protocols.ssh.sftp_replies import Replies
from broker.protocols.ssh.sftp_wire import BadPacket, OpenFlag, Request, Status, Type
from tests.unit.broker.protocols.ssh.sftp_packets import VERSION, packet, status


@pytest.fixture
def replies() -> Replies:
    one = Replies()
    assert one.feed(VERSION) is None
    assert one.take() == (VERSION, [])
    return one


def opened(replies: Replies, path: bytes = b"/x", flags: int = OpenFlag.READ, handle: bytes = b"h") -> None:
    request = Request(Type.OPEN, 1, paths=(path,), flags=flags)
    replies.passed_on(request, (), Judged(None, (path.decode(),)))
    replies.feed(packet(Type.HANDLE, 1, handle))


def asked(replies: Replies, kind: int, number: int, **fields: int) -> None:
    file = replies.files[b"h"]
    replies.passed_on(Request(kind, number, handles=(b"h",), **fields), (file,), Judged(None))


def test_a_download_is_told_when_its_close_is_answered(replies: Replies) -> None:
    opened(replies)
    asked(replies, Type.READ, 2, offset=0)
    asked(replies, Type.READ, 3, offset=2)
    replies.feed(packet(Type.DATA, 2, b"ab") + status(3, Status.EOF))
    asked(replies, Type.CLOSE, 4)
    assert replies.files == {}
    assert replies.take()[1] == []
    replies.feed(status(4, Status.OK))
    (told,) = replies.take()[1]
    assert isinstance(told, FileTransferred)
    assert (told.path, told.moved_bytes, told.complete) == ("/x", 2, True)


def test_our_answer_waits_for_the_end_of_the_targets_packet(replies: Replies) -> None:
    opened(replies)
    asked(replies, Type.READ, 2)
    replies.take()
    data = packet(Type.DATA, 2, b"x" * 100)
    replies.feed(data[:50])
    ours = wire.status_packet(9, Status.PERMISSION_DENIED, "no")
    replies.say(ours)
    assert ours not in replies.take()[0]
    replies.feed(data[50:] + b"\0")
    assert replies.take()[0].endswith(ours)
    replies.say(ours)  # a head that is not whole yet was not passed on: this is a boundary
    assert replies.take()[0] == ours


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        (lambda n: packet(Type.NAME, n, 1, b"/real", b"long", 0), Answer(Status.OK, b"/real")),
        (lambda n: packet(Type.NAME, n, 0), Answer(Status.FAILURE)),
        (lambda n: packet(Type.NAME, n, 1, b"relative", b"", 0), Answer(Status.OK, None)),
        (lambda n: status(n, Status.NO_SUCH_FILE), Answer(Status.NO_SUCH_FILE)),
        (lambda n: status(n, Status.OK), Answer(Status.FAILURE)),
        (lambda n: packet(Type.ATTRS, n, 0), Answer(Status.OK)),
    ],
)
def test_the_answer_to_our_question_is_kept(replies: Replies, reply: object, answer: Answer) -> None:
    number = replies.question()
    assert replies.feed(reply(number)) == answer  # type: ignore[operator]
    assert replies.take() == (b"", [])


def test_our_question_takes_a_number_that_is_free(replies: Replies) -> None:
    request = Request(Type.STAT, 2**32 - 1, paths=(b"/x",))
    replies.passed_on(request, (), Judged(None))
    assert replies.question() == 2**32 - 2


@pytest.mark.parametrize(
    "data",
    [
        VERSION,
        pack(">IBI", 4, Type.STATUS, 1),
        pack(">IBI", wire.MAX_PACKET_BYTES + 1, Type.STATUS, 1),
        pack(">IBI", wire.MAX_BULK_BYTES + 1, Type.DATA, 1),
        status(77, Status.OK),
        packet(Type.DATA, 1, 2**31),
        packet(Type.HANDLE, 1),
    ],
)
def test_what_is_no_answer_ends_it(replies: Replies, data: bytes) -> None:
    replies.passed_on(Request(Type.OPEN, 1, paths=(b"/x",)), (), Judged(None, ("/x",)))
    with pytest.raises(BadPacket):
        replies.feed(data)


@pytest.mark.parametrize("data", [b"Welcome to plc-3\r\n", pack(">IBI", 5, Type.VERSION, 6), status(1, 0)])
def test_a_target_that_does_not_begin_with_version_3_ends_it(data: bytes) -> None:
    with pytest.raises(BadPacket):
        Replies().feed(data)


def test_the_end_tells_what_was_open_and_what_was_closing(replies: Replies) -> None:
    opened(replies)
    asked(replies, Type.READ, 2)
    replies.feed(packet(Type.DATA, 2, b"ab"))
    asked(replies, Type.CLOSE, 3)
    opened(replies, b"/y", OpenFlag.WRITE | OpenFlag.TRUNC, b"g")
    told = replies.broken_off()
    assert [(one.path, one.complete) for one in told if isinstance(one, FileTransferred)] == [
        ("/x", False),
        ("/y", False),
    ]
    assert replies.broken_off() == []


def test_the_size_that_a_stat_told_makes_a_download_complete(replies: Replies) -> None:
    replies.passed_on(Request(Type.STAT, 9, paths=(b"/x",)), (), Judged(None))
    replies.feed(packet(Type.ATTRS, 9, 1, (2,)))
    opened(replies)
    assert replies.files[b"h"].size == 2
    asked(replies, Type.FSTAT, 2)
    replies.feed(packet(Type.ATTRS, 2, 1, (5,)))
    assert replies.files[b"h"].size == 5
