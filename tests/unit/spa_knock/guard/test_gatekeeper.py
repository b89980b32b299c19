"""The filter on the knock sockets: closed first, then always one of the keys in force."""

import socket
from collections.abc import Iterator

import pytest

from spa_knock.guard import gatekeeper as gatekeeper_module
from spa_knock.guard.gatekeeper import Gate, Gatekeeper
from spa_knock.link.socket_filter import FilterTooLarge, Program, attach
from tests.unit.spa_knock.guard.test_gate_filter import Port, packet

OLD, NEW = b"old-key1", b"new-key2"


@pytest.fixture
def port() -> Iterator[Port]:
    port = Port()
    yield port
    port.close()


def test_nothing_passes_before_there_are_keys_nor_after(port: Port) -> None:
    gatekeeper = Gatekeeper([port.receiver])
    assert (gatekeeper.gate, port.passes(packet(OLD))) == (Gate.CLOSED, False)
    gatekeeper.keep((OLD,))
    assert (gatekeeper.gate, port.passes(packet(OLD))) == (Gate.KEYED, True)
    gatekeeper.keep(())
    assert (gatekeeper.gate, port.passes(packet(OLD))) == (Gate.CLOSED, False)
    assert gatekeeper.shed() == 2


def test_what_came_in_before_it_began_is_thrown_away_unread(port: Port) -> None:
    """A service manager binds the socket and attaches no filter; a guard before it left one that lets knocks in."""
    for _ in range(3):
        port.sender.send(packet(OLD))
    gatekeeper = Gatekeeper([port.receiver])
    assert gatekeeper.shed() == 3
    gatekeeper.keep((OLD,))
    with pytest.raises(BlockingIOError):
        port.receiver.recv(300)
    assert port.passes(packet(OLD))


def test_during_an_overlap_both_keys_pass_and_no_packet_is_lost_at_the_change(port: Port) -> None:
    gatekeeper = Gatekeeper([port.receiver])
    for keys in ((OLD,), (OLD, NEW), (NEW,)):
        gatekeeper.keep(keys)
        for key in keys:
            assert port.passes(packet(key))
    assert not port.passes(packet(OLD))


def test_shed_packets_are_counted_from_where_it_began(port: Port) -> None:
    Gatekeeper([port.receiver])
    port.passes(bytes(192))
    second = Gatekeeper([port.receiver])
    port.passes(bytes(192))
    assert second.shed() == 1
    assert second.shed() == 1


@pytest.mark.parametrize(("failures", "gate"), [(1, Gate.KEYED), (2, Gate.LENGTH_ONLY)])
def test_a_kernel_without_room_never_goes_without_a_filter(
    port: Port, monkeypatch: pytest.MonkeyPatch, failures: int, gate: Gate
) -> None:
    gatekeeper = Gatekeeper([port.receiver])
    left = [failures]

    def cramped(sock: socket.socket, program: Program) -> None:
        if len(program) > 10 and left[0]:
            left[0] -= 1
            raise FilterTooLarge("no room")
        attach(sock, program)

    monkeypatch.setattr(gatekeeper_module, "attach", cramped)
    gatekeeper.keep((OLD,))
    assert gatekeeper.gate is gate
    assert port.passes(packet(OLD))
    assert not port.passes(bytes(100))
    assert port.passes(packet(NEW)) == (gate is Gate.LENGTH_ONLY)
