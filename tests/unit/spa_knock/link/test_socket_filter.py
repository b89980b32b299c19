"""Filters on real sockets of the loopback interface; classic BPF needs no right."""

import socket
from collections.abc import Iterator

import pytest

from spa_knock.link import socket_filter
from spa_knock.link.socket_filter import DROP_ALL, FilterTooLarge, Instruction, attach, dropped, pack

ACCEPT_ALL = (Instruction(0x06, 0, 0, 0xFFFF),)


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(0.2)
        sender.connect(receiver.getsockname())
        yield receiver, sender


def test_a_filter_replaces_the_one_before_and_what_it_drops_is_counted(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    receiver, sender = ends
    attach(receiver, DROP_ALL)
    sender.send(b"one")
    sender.send(b"two")
    with pytest.raises(TimeoutError):
        receiver.recv(10)
    assert dropped(receiver) == 2
    attach(receiver, ACCEPT_ALL)
    sender.send(b"three")
    assert receiver.recv(10) == b"three"
    assert dropped(receiver) == 2


def test_a_program_the_kernel_refuses_leaves_the_one_before(ends: tuple[socket.socket, socket.socket]) -> None:
    receiver, sender = ends
    attach(receiver, DROP_ALL)
    with pytest.raises(OSError, match="Invalid argument"):
        attach(receiver, (Instruction(0xFFFF, 0, 0, 0),))
    sender.send(b"one")
    with pytest.raises(TimeoutError):
        receiver.recv(10)


def test_a_filter_without_room_is_told_from_a_wrong_one(
    ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        def setsockopt(self, *_arguments: object) -> None:
            raise OSError(12, "Cannot allocate memory")

    with pytest.raises(FilterTooLarge):
        attach(Full(), DROP_ALL)  # type: ignore[arg-type]


def test_an_instruction_is_packed_as_the_kernel_has_it() -> None:
    assert pack([Instruction(0x15, 1, 2, 0x01020304)]) == b"\x15\x00\x01\x02\x04\x03\x02\x01"
    assert socket_filter.MAX_INSTRUCTIONS == 4_096
