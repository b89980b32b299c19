"""Netlink bytes and the conversation with the kernel, the kernel being a script here."""

import errno
import os
import socket
import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spa_knock.opener.errors import KernelError
from spa_knock.opener.netlink import (
    ACK,
    REQUEST,
    Message,
    Netlink,
    Reply,
    attribute,
    nested,
    pack,
    parse_attributes,
    unpack,
)


@given(st.dictionaries(st.integers(1, 0x3FFF), st.binary(max_size=40), max_size=6))
def test_attributes_come_back_and_stay_aligned(attributes: dict[int, bytes]) -> None:
    data = b"".join(attribute(kind, value) for kind, value in attributes.items())
    assert len(data) % 4 == 0
    assert parse_attributes(data) == attributes
    assert parse_attributes(parse_attributes(nested(7, data))[7]) == attributes


@given(st.lists(st.binary(max_size=40), max_size=5), st.integers(0, 1 << 30))
def test_messages_come_back_numbered(payloads: list[bytes], first: int) -> None:
    datagram = pack([Message(9, REQUEST, payload) for payload in payloads], first)
    assert unpack(datagram) == [Reply(9, REQUEST, first + index, payload) for index, payload in enumerate(payloads)]


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_read_without_an_exception(data: bytes) -> None:
    unpack(data)
    parse_attributes(data)


def reply(sequence: int, kind: int, payload: bytes) -> bytes:
    return struct.pack("=IHHII", 16 + len(payload), kind, 0, sequence, 0) + payload + bytes(-len(payload) % 4)


def error(sequence: int, number: int = 0) -> bytes:
    return reply(sequence, 2, struct.pack("=i", -number))


class ScriptedNetlink(Netlink):
    """A netlink socket whose other end is a function from the sequence numbers sent to the datagrams that come back."""

    def __init__(self, script: Callable[[list[int]], list[bytes]]) -> None:
        self._socket, self._kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(0.2)
        self._sequence = 1
        self._script = script

    def _send(self, messages: object) -> int:
        first = super()._send(messages)  # type: ignore[arg-type]
        sequences = [sent.sequence for sent in unpack(self._kernel.recv(65_536))]
        for datagram in self._script(sequences):
            self._kernel.send(datagram)
        return first

    def close(self) -> None:
        super().close()
        self._kernel.close()


BATCH = [Message(16, REQUEST, b""), Message(40, REQUEST | ACK, b"a"), Message(40, REQUEST | ACK, b"b")]


def test_a_batch_is_done_when_each_message_is_acknowledged() -> None:
    link = ScriptedNetlink(lambda sent: [error(sent[1]), reply(sent[1], 99, b"news"), error(sent[2])])
    assert [other.payload for other in link.transact(BATCH, "testing")] == [b"news"]
    link.close()


def test_the_first_error_is_told_and_later_answers_are_not_taken_for_the_next_requests() -> None:
    link = ScriptedNetlink(lambda sent: [error(sent[1], errno.ENOENT), error(sent[2], errno.EINVAL)])
    for _ in range(2):
        with pytest.raises(KernelError) as caught:
            link.transact(BATCH, "testing")
        assert caught.value.number == errno.ENOENT
        assert "testing" in str(caught.value)
    link.close()


def test_an_error_of_a_message_that_asks_for_no_answer_ends_the_wait() -> None:
    silent = [BATCH[0], Message(40, REQUEST, b"a"), BATCH[2]]
    link = ScriptedNetlink(lambda sent: [error(sent[1], errno.ENFILE), error(sent[2])])
    with pytest.raises(KernelError) as caught:
        link.transact(silent, "testing")
    assert caught.value.number == errno.ENFILE
    link.close()


def test_a_batch_refused_as_a_whole_is_not_waited_for() -> None:
    link = ScriptedNetlink(lambda sent: [error(sent[0], errno.EPERM)])
    with pytest.raises(KernelError) as caught:
        link.transact(BATCH, "testing")
    assert caught.value.number == errno.EPERM
    link.close()


def test_answers_to_something_older_are_passed_over() -> None:
    link = ScriptedNetlink(lambda sent: [error(sent[0] - 1, errno.EPERM), error(sent[1]), error(sent[2])])
    assert link.transact(BATCH, "testing") == []
    link.close()


def test_a_silent_kernel_is_an_error_after_the_time_limit() -> None:
    link = ScriptedNetlink(lambda _sent: [])
    with pytest.raises(KernelError) as caught:
        link.transact(BATCH, "testing")
    assert caught.value.number == errno.ETIMEDOUT
    link.close()


def test_a_list_ends_with_its_end_mark_or_its_error() -> None:
    link = ScriptedNetlink(
        lambda sent: [reply(sent[0], 50, b"one") + reply(sent[0], 50, b"two"), reply(sent[0], 3, b"")]
    )
    assert [entry.payload for entry in link.dump(Message(1, REQUEST, b""), "listing")] == [b"one", b"two"]
    link.close()
    link = ScriptedNetlink(lambda sent: [reply(sent[0], 50, b"one"), error(sent[0], errno.EPERM)])
    with pytest.raises(KernelError):
        link.dump(Message(1, REQUEST, b""), "listing")
    link.close()


def test_the_real_kernel_answers_an_unknown_request_with_an_error() -> None:
    link = Netlink(4)
    with pytest.raises(KernelError):
        link.transact([Message(0x7F, REQUEST | ACK, os.urandom(8))], "asking nonsense")
    link.close()
