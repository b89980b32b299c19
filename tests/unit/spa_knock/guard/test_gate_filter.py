"""The kernel's gate against the one in Python: they must agree on every packet."""

import os
import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spa_knock.guard.gate_filter import MAX_KEYS, gate_program, length_program
from spa_knock.link.socket_filter import MAX_INSTRUCTIONS, attach
from spa_knock.wire.gate import gate_matches, gate_tag
from spa_knock.wire.packet import PACKET_BYTES

KEYS = [bytes([number]) * 8 for number in range(MAX_KEYS)]


class Port:
    """A filtered socket and one that sends to it."""

    def __init__(self) -> None:
        self.receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.receiver.bind(("127.0.0.1", 0))
        self.receiver.setblocking(False)
        self.sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sender.connect(self.receiver.getsockname())

    def passes(self, packet: bytes) -> bool:
        """Over loopback a datagram has arrived, or was dropped, before `send` returns."""
        self.sender.send(packet)
        try:
            return self.receiver.recv(1_000) == packet
        except BlockingIOError:
            return False

    def close(self) -> None:
        self.receiver.close()
        self.sender.close()


@pytest.fixture(scope="module")
def port() -> Iterator[Port]:
    port = Port()
    yield port
    port.close()


def packet(key: bytes, clear: bytes | None = None) -> bytes:
    clear = os.urandom(20) if clear is None else clear
    return clear + gate_tag(key, clear) + os.urandom(PACKET_BYTES - 24)


@given(key=st.binary(min_size=8, max_size=8), clear=st.binary(min_size=20, max_size=20), flipped=st.integers(0, 191))
def test_what_fits_passes_and_one_flipped_bit_in_header_or_tag_does_not(
    port: Port, key: bytes, clear: bytes, flipped: int
) -> None:
    attach(port.receiver, gate_program([key]))
    good = packet(key, clear)
    assert port.passes(good)
    place = flipped // 8
    bad = good[:place] + bytes([good[place] ^ 1 << flipped % 8]) + good[place + 1 :]
    assert port.passes(bad) == gate_matches(key, bad)
    assert not gate_matches(key, bad)


@pytest.mark.parametrize("count", range(1, MAX_KEYS + 1))
def test_every_key_in_force_opens_the_gate_and_no_other_does(port: Port, count: int) -> None:
    attach(port.receiver, gate_program(KEYS[:count]))
    assert [port.passes(packet(key)) for key in KEYS] == [True] * count + [False] * (MAX_KEYS - count)


@pytest.mark.parametrize("length", [0, 1, 23, 24, 191, 193, 400])
def test_another_length_does_not_pass_even_with_a_good_tag(port: Port, length: int) -> None:
    attach(port.receiver, gate_program(KEYS[:1]))
    good = packet(KEYS[0]) + bytes(300)
    assert not port.passes(good[:length])
    attach(port.receiver, length_program())
    assert not port.passes(good[:length])
    assert port.passes(good[:PACKET_BYTES])


def test_the_largest_program_fits_and_a_larger_one_is_refused() -> None:
    assert len(gate_program(KEYS)) <= MAX_INSTRUCTIONS
    for keys in ([], [*KEYS, bytes(8)]):
        with pytest.raises(ValueError, match="gate keys"):
            gate_program(keys)
