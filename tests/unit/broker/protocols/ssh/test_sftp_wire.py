"""SFTP packets are read into one shape; what is cut short is not read at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.protocols.ssh import sftp_wire as wire
from broker.protocols.ssh.sftp_wire import BadPacket, Request, Status, Type, read_request
from tests.unit.broker.protocols.ssh.sftp_packets import packet, split


@pytest.mark.parametrize(
    ("one", "request_"),
    [
        (packet(Type.OPEN, 7, b"/x", 26, 0), Request(Type.OPEN, 7, paths=(b"/x",), flags=26)),
        (packet(Type.READ, 7, b"h", (5,), 9), Request(Type.READ, 7, handles=(b"h",), offset=5, length=9)),
        (packet(Type.WRITE, 7, b"h", (5,), b"abc"), Request(Type.WRITE, 7, handles=(b"h",), offset=5, length=3)),
        (packet(Type.RENAME, 7, b"/a", b"/b"), Request(Type.RENAME, 7, paths=(b"/a", b"/b"))),
        (packet(Type.SETSTAT, 7, b"/a", 4, 0o644), Request(Type.SETSTAT, 7, paths=(b"/a",))),
        (packet(Type.FSETSTAT, 7, b"h", 1, (12,)), Request(Type.FSETSTAT, 7, handles=(b"h",), size=12)),
        (
            packet(Type.EXTENDED, 7, b"posix-rename@openssh.com", b"/a", b"/b"),
            Request(Type.EXTENDED, 7, "posix-rename@openssh.com", paths=(b"/a", b"/b")),
        ),
        (
            packet(Type.EXTENDED, 7, b"copy-data", b"r", (0,), (9,), b"w", (3,)),
            Request(Type.EXTENDED, 7, "copy-data", handles=(b"r", b"w"), offset=0, length=9),
        ),
        (packet(Type.EXTENDED, 7, b"md5-hash", b"x"), Request(Type.EXTENDED, 7, "md5-hash", known=False)),
        (packet(21, 7, b"x"), Request(21, 7, known=False)),
        (packet(Type.HANDLE, 7, b"x"), Request(Type.HANDLE, 7, known=False)),
    ],
)
def test_requests_are_read(one: bytes, request_: Request) -> None:
    found, end = read_request(one)
    assert found == request_
    assert end <= len(one)


@pytest.mark.parametrize(
    "one",
    [
        packet(Type.OPEN, 7, b"/x"),
        packet(Type.REMOVE, 7, 2**32 - 1),
        packet(Type.CLOSE, 7, bytes(wire.MAX_HANDLE_BYTES + 1)),
        packet(Type.RENAME, 7, b"/a"),
        packet(Type.EXTENDED, 7),
    ],
)
def test_a_field_that_is_not_there_whole_is_no_request(one: bytes) -> None:
    with pytest.raises(BadPacket):
        read_request(one)


@given(st.integers(0, 255), st.binary(max_size=60))
def test_any_bytes_are_a_request_or_a_bad_packet(kind: int, body: bytes) -> None:
    one = wire.HEAD.pack(5 + len(body), kind, 1) + body
    try:
        request, end = read_request(one)
    except BadPacket:
        return
    assert request.type == kind
    assert wire.HEAD.size <= end <= len(one)


def test_our_own_packets_have_their_length() -> None:
    ours = wire.status_packet(9, Status.PERMISSION_DENIED, "no") + wire.packet(Type.REALPATH, 8, b"/x")
    one, two = split(ours)
    assert one == packet(Type.STATUS, 9, 3, b"no", b"en")
    assert two == packet(Type.REALPATH, 8, b"/x")
