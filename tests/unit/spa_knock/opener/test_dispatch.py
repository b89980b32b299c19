"""Requests in, answers out."""

import errno
from ipaddress import IPv4Address, IPv6Address

import pytest

from spa_knock.opener.config import Peer
from spa_knock.opener.dispatch import Dispatcher
from spa_knock.opener.errors import KernelError, Refusal
from tests.unit.spa_knock.opener.testing import a_config

ADDRESS = IPv4Address("198.51.100.7")
KNOCKS = ["aa" * 12, "bb" * 12]


class Hands:
    """Remembers what it was told to do; fails when asked to."""

    def __init__(self) -> None:
        self.done: list[tuple[object, ...]] = []
        self.error: Exception | None = None

    def _do(self, *what: object) -> None:
        if self.error is not None:
            raise self.error
        self.done.append(what)

    def open_window(self, port: int, address: IPv4Address | IPv6Address, seconds: float, nonce: bytes) -> None:
        self._do("open", port, address, seconds, nonce)

    def close_window(self, port: int, address: IPv4Address | IPv6Address) -> None:
        self._do("close", port, address)

    def allow_egress(self, address: IPv4Address | IPv6Address, port: int, seconds: int) -> None:
        self._do("egress", address, port, seconds)

    def end_egress(self, address: IPv4Address | IPv6Address, port: int) -> None:
        self._do("egress_close", address, port)

    def mark_flow(self, port: int, address: IPv4Address | IPv6Address, remote_port: int, mark: int) -> None:
        self._do("mark", port, address, remote_port, mark)

    def revoke(self, mark: int) -> int:
        self._do("revoke", mark)
        return 1

    def unrevoke(self, mark: int) -> None:
        self._do("unrevoke", mark)

    def reset_flow(self, port: int, address: IPv4Address | IPv6Address, remote_port: int) -> int:
        self._do("reset", port, address, remote_port)
        return 1

    def reset_egress(self, address: IPv4Address | IPv6Address, port: int, uid: int) -> int:
        self._do("egress_reset", address, port, uid)
        return 1


class Desk:
    def __init__(self) -> None:
        self.now = 100.0
        self.hands = Hands()
        self.dispatcher = Dispatcher(a_config(), self.hands, lambda: self.now)

    def open(self, knock_id: str, seconds: int = 8) -> dict[str, object]:
        message = {"type": "open", "door": 1, "address": str(ADDRESS), "seconds": seconds, "knock_id": knock_id}
        return self.dispatcher.answer(Peer.GUARD, message)

    def ask(self, peer: Peer, **message: object) -> dict[str, object]:
        return self.dispatcher.answer(peer, message)


def test_an_opening_names_the_doors_port_and_repeats_the_knocks_id() -> None:
    desk = Desk()
    assert desk.open(KNOCKS[0]) == {"type": "done", "knock_id": KNOCKS[0]}
    assert desk.hands.done == [("open", 443, ADDRESS, 8.0, bytes.fromhex(KNOCKS[0]))]


def test_a_window_lives_as_long_as_its_longest_knock_and_closes_with_its_last() -> None:
    desk = Desk()
    desk.open(KNOCKS[0], seconds=20)
    desk.now += 5
    desk.open(KNOCKS[1], seconds=8)
    assert desk.hands.done[-1][3] == 15.0
    shut = {"type": "shut", "door": 1, "address": str(ADDRESS)}
    desk.dispatcher.answer(Peer.GATEWAY, {**shut, "knock_id": KNOCKS[0]})
    assert desk.hands.done[-1][0] == "open"
    desk.dispatcher.answer(Peer.GATEWAY, {**shut, "knock_id": KNOCKS[1]})
    assert desk.hands.done[-1] == ("close", 443, ADDRESS)


def test_each_verb_reaches_the_hands() -> None:
    desk = Desk()
    desk.ask(Peer.GATEWAY, type="mark", door=2, address=str(ADDRESS), port=5000, mark=3)
    desk.ask(Peer.CONTROL, type="revoke", mark=3)
    desk.ask(Peer.CONTROL, type="unrevoke", mark=3)
    desk.ask(Peer.CONTROL, type="close", door=1, address=str(ADDRESS))
    desk.ask(Peer.CONTROL, type="egress", address="10.0.0.9", port=22, seconds=60)
    desk.ask(Peer.CONTROL, type="egress_close", address="10.0.0.9", port=22)
    assert [what[0] for what in desk.hands.done] == ["mark", "revoke", "unrevoke", "close", "egress", "egress_close"]


def test_a_reset_names_the_doors_port_and_only_the_gateways_own_connections() -> None:
    desk = Desk()
    desk.ask(Peer.CONTROL, type="reset", door=2, address=str(ADDRESS), port=5000)
    desk.ask(Peer.CONTROL, type="egress_reset", address="10.0.0.9", port=22)
    assert desk.hands.done == [("reset", 22, ADDRESS, 5000), ("egress_reset", IPv4Address("10.0.0.9"), 22, 61186)]


@pytest.mark.parametrize(
    ("error", "code"),
    [(Refusal("mark_taken"), "mark_taken"), (KernelError(errno.EPERM, "testing"), "kernel_refused")],
)
def test_what_the_hands_cannot_do_is_answered_with_a_code(error: Exception, code: str) -> None:
    desk = Desk()
    desk.hands.error = error
    answer = desk.ask(Peer.CONTROL, type="revoke", mark=3, id=9)
    assert answer == {"type": "refused", "code": code, "id": 9}


def test_a_wrong_peer_is_refused_without_an_effect() -> None:
    desk = Desk()
    assert desk.ask(Peer.GATEWAY, type="revoke", mark=3)["code"] == "not_yours"
    assert desk.hands.done == []


def test_a_peer_that_asks_too_often_is_refused_while_others_are_served() -> None:
    desk = Desk()
    answers = [desk.open(KNOCKS[0])["type"] for _ in range(150)]
    assert answers.count("done") == 100
    assert desk.open(KNOCKS[0])["code"] == "too_many"
    assert desk.ask(Peer.CONTROL, type="revoke", mark=3)["type"] == "done"
    desk.now += 1
    assert desk.open(KNOCKS[0])["type"] == "done"


@pytest.mark.parametrize("identity", ["x" * 65, [1], {"a": 1}, 1.5, True, 1 << 70, None])
def test_only_a_short_identity_is_repeated(identity: object) -> None:
    assert Desk().ask(Peer.CONTROL, type="revoke", mark=3, id=identity) == {"type": "done"}
