"""Knocks: what is in them, how stamps rise, which address they name, and how rounds are planned."""

import dataclasses
import ipaddress
import socket
import time

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from spa_knock.client import knocking
from spa_knock.client.connecting import Trace
from spa_knock.client.errors import ClientError, Exit
from spa_knock.client.home import KnockState
from spa_knock.client.invite import parse_invite
from spa_knock.client.knocking import Approach, Knocker, approaches, make_knock, named_address, next_stamp
from spa_knock.client.site import Endpoint
from spa_knock.wire.gate import gate_matches
from spa_knock.wire.keys import DeviceKeys, epoch_at, gate_key
from spa_knock.wire.packet import open_, verify_signed
from spa_knock.wire.proof import check_proof, proof_key
from tests.unit.spa_knock.client.fake_site import FakeSite

DAY = 20_777
STAMP_MS = (DAY * 86_400 + 5) * 1000
STATE = KnockState(knock_key=b"k" * 32, day_keys={DAY: b"d" * 32})
AUDIENCE, NONCE, BIND, GRANT = b"audience", b"n" * 12, b"b" * 32, b"g" * 16
KEY = Ed25519PrivateKey.generate()


def test_a_knock_opens_with_the_wires_own_code() -> None:
    knock = make_knock(
        STATE,
        audience=AUDIENCE,
        sign=KEY.sign,
        door=2,
        bind=BIND,
        grant=GRANT,
        address=ipaddress.ip_address("192.0.2.7"),
        stamp_ms=STAMP_MS,
        nonce=NONCE,
    )
    assert gate_matches(gate_key(b"d" * 32, epoch_at(STAMP_MS // 1000)), knock.packet)
    opened = open_(knock.packet, DeviceKeys.derive(STATE.knock_key, AUDIENCE))
    body = verify_signed(opened.signed_knock, KEY.public_key())
    assert (body.service, body.stamp_ms, body.bind, body.grant) == (2, STAMP_MS, BIND, GRANT)
    assert str(body.address) == "192.0.2.7"
    check_proof(knock.proof, proof_key(STATE.knock_key, AUDIENCE, NONCE), NONCE, 2)
    assert repr(knock) == "Knock()"


def test_without_a_gate_key_for_the_day_no_knock_is_made() -> None:
    with pytest.raises(ClientError, match="other days"):
        make_knock(
            STATE,
            audience=AUDIENCE,
            sign=KEY.sign,
            door=1,
            bind=BIND,
            grant=None,
            address=None,
            stamp_ms=STAMP_MS + 86_400_000,
            nonce=NONCE,
        )


@given(st.integers(0, 2**41), st.integers(0, 2**41))
def test_stamps_rise_unless_the_clock_once_ran_far_ahead(last_ms: int, now_ms: int) -> None:
    stamp = next_stamp(last_ms, now_ms)
    assert stamp >= now_ms
    if last_ms <= now_ms + 60_000:
        assert stamp > last_ms
    else:
        assert stamp == now_ms


@pytest.mark.parametrize(
    ("seen_from", "second_guess", "named"),
    [
        (None, False, None),
        (None, True, "10.0.0.7"),
        (("10.0.0.7", "192.0.2.1"), False, "192.0.2.1"),
        (("10.0.0.7", "192.0.2.1"), True, None),
        (("10.0.0.8", "192.0.2.1"), False, None),
        (("10.0.0.7", "nonsense"), False, None),
        (("10.0.0.7", "::ffff:192.0.2.1"), False, "192.0.2.1"),
        (("10.0.0.7", "fe80::1%eth0"), False, None),
    ],
)
def test_an_address_is_named_when_the_site_has_told_it(
    seen_from: tuple[str, str] | None, second_guess: bool, named: str | None
) -> None:
    found = named_address("10.0.0.7", seen_from, second_guess=second_guess)
    assert (str(found) if found else None) == named


def test_rounds_change_family_first_and_then_the_guess() -> None:
    rounds = approaches(Endpoint("127.0.0.1", (443,)), Endpoint("127.0.0.1", (62201, 53)))
    assert [one.second_guess for one in rounds] == [False, True, False, True]
    assert [one.knock_port for one in rounds] == [62201, 53, 62201, 53]
    assert {one.address for one in rounds} == {"127.0.0.1"}
    assert rounds[0].seconds < rounds[-1].seconds


def test_knock_and_door_need_one_family() -> None:
    with pytest.raises(ClientError) as refused:
        approaches(Endpoint("127.0.0.1", (443,)), Endpoint("::1", (62201,)))
    assert refused.value.exit_code is Exit.UNREACHABLE


def test_a_name_that_nobody_knows_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise OSError("unknown")

    monkeypatch.setattr("socket.getaddrinfo", unknown)
    with pytest.raises(ClientError, match=r"gate\.example cannot be resolved"):
        approaches(Endpoint("gate.example", (443,)), Endpoint("gate.example", (62201,)))


def test_a_stamp_is_stored_before_its_knock_leaves(site: FakeSite) -> None:
    invite = parse_invite(site.invite())
    stored: list[KnockState] = []

    def full(state: KnockState) -> None:
        stored.append(state)
        raise OSError(28, "No space left on device")

    state = KnockState(invite.knock_key, invite.day_keys)
    knocker = Knocker(invite.site, invite.private_key.sign, lambda: state, full)
    approach = approaches(invite.site.vendor_face, invite.site.knock)[0]
    with pytest.raises(ClientError):
        knocker.knock(1, approach, bind=BIND)
    assert stored[0].last_stamp_ms > 0
    assert site.heard == []


def test_two_knocks_of_one_millisecond_have_two_stamps(site: FakeSite) -> None:
    invite = parse_invite(site.invite())
    held = [KnockState(invite.knock_key, invite.day_keys)]

    def store(state: KnockState) -> None:
        held.append(state)

    stamp = site.now_ms()
    knocker = Knocker(invite.site, invite.private_key.sign, lambda: held[-1], store, lambda: stamp)
    approach = approaches(invite.site.vendor_face, invite.site.knock)[0]
    first, second = (knocker.knock(1, approach, bind=BIND) for _ in range(2))
    assert first.packet != second.packet
    assert [state.last_stamp_ms for state in held[1:]] == [stamp, stamp + 1]
    knocker.change(lambda state: dataclasses.replace(state, clock_offset_ms=100))
    assert held[-1].last_stamp_ms == stamp + 1


def test_an_unreachable_network_is_told(site: FakeSite) -> None:
    invite = parse_invite(site.invite())
    knocker = Knocker.of_invite(invite.site, invite.private_key.sign, KnockState(invite.knock_key, invite.day_keys))
    nowhere = Approach("127.0.0.1", 1, "255.255.255.255", 9, second_guess=False, seconds=1.0)
    with pytest.raises(ClientError, match="could not be sent"):
        knocker.knock(1, nowhere, bind=BIND)


def test_silence_names_the_three_likely_causes(site: FakeSite) -> None:
    invite = parse_invite(site.invite())
    state = KnockState(invite.knock_key, invite.day_keys, clock_offset_ms=-1500, seen_from=("a", "b"))
    error = Knocker.of_invite(invite.site, invite.private_key.sign, state).nobody_answered("Test Plant")
    assert error.exit_code is Exit.UNREACHABLE
    for words in ("clock", "+1.5 s", "UDP", "no longer accepts this device"):
        assert words in error.why


def test_the_port_that_worked_last_begins_and_every_round_names_the_others() -> None:
    knock = Endpoint("127.0.0.1", (443, 4500, 62201))
    rounds = approaches(Endpoint("127.0.0.1", (443,)), knock, 4500)
    assert [one.knock_port for one in rounds] == [4500, 62201, 443, 4500]
    assert all({one.knock_port, *one.other_knock_ports} == {443, 4500, 62201} for one in rounds)
    assert approaches(Endpoint("127.0.0.1", (443,)), knock, 9)[0].knock_port == 443


class Ports:
    """Several UDP ports that keep what comes."""

    def __init__(self, count: int) -> None:
        self.socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
        for sock in self.socks:
            sock.bind(("127.0.0.1", 0))
            sock.settimeout(5)

    def __enter__(self) -> "Ports":
        return self

    def __exit__(self, *_: object) -> None:
        for sock in self.socks:
            sock.close()

    @property
    def numbers(self) -> tuple[int, ...]:
        return tuple(sock.getsockname()[1] for sock in self.socks)


def a_knocker(site: FakeSite) -> Knocker:
    invite = parse_invite(site.invite())
    return Knocker.of_invite(invite.site, invite.private_key.sign, KnockState(invite.knock_key, invite.day_keys))


def test_a_door_that_stays_shut_gets_one_copy_at_each_port(site: FakeSite) -> None:
    with Ports(3) as ports:
        first, *others = ports.numbers
        approach = Approach("127.0.0.1", 1, "127.0.0.1", first, False, 1.0, tuple(others))
        knock = a_knocker(site).knock(1, approach, bind=BIND)
        assert {sock.recv(500) for sock in ports.socks} == {knock.packet}
        assert ports.socks[0].recv(500) == knock.packet
        for sock in ports.socks:
            sock.setblocking(False)
            with pytest.raises(BlockingIOError):
                sock.recv(500)


def test_a_door_that_opened_gets_no_copies(site: FakeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(knocking, "COPIES_AFTER_SECONDS", 0.3)
    with Ports(2) as ports:
        first, other = ports.numbers
        knock = a_knocker(site).knock(1, Approach("127.0.0.1", 1, "127.0.0.1", first, False, 1.0, (other,)), bind=BIND)
        assert knock.copies is not None
        knock.copies.stop()
        assert ports.socks[0].recv(500) == knock.packet
        ports.socks[1].settimeout(0.6)
        with pytest.raises(TimeoutError):
            ports.socks[1].recv(500)
        assert not knock.copies.were_sent


def test_a_closed_port_that_answers_is_evidence(site: FakeSite) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.bind(("127.0.0.1", 0))
        port = gone.getsockname()[1]
    knocker = a_knocker(site)
    knocker.knock(1, Approach("127.0.0.1", 1, "127.0.0.1", port, False, 1.0), bind=BIND)
    until = time.monotonic() + 5
    while not knocker.evidence().udp_errors and time.monotonic() < until:
        time.sleep(0.01)
    assert "port is closed" in knocker.nobody_answered("Test Plant").why


def test_what_got_through_is_remembered_and_a_port_that_only_copies_reached_makes_way(site: FakeSite) -> None:
    knocker = a_knocker(site)
    with Ports(2) as ports:
        first, other = ports.numbers
        approach = Approach("127.0.0.1", 1, "127.0.0.1", first, False, 1.0, (other,))
        knock = knocker.knock(1, approach, bind=BIND)
        assert knock.copies is not None
        ports.socks[1].recv(500)
        trace = Trace()
        trace.won_after_seconds = 0.03
        knocker.came_through(knock, approach, trace)
        assert knocker._load().knock_port == first
        trace.won_after_seconds = 0.35
        knocker.came_through(knock, approach, trace)
    state = knocker._load()
    assert (state.knock_port, state.reached_from) == (other, "127.0.0.1")
    assert abs(state.reached_at_ms - site.now_ms()) < 60_000
    assert knocker.evidence().same_network is True
