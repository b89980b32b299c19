"""Requests in, answers out."""

import errno
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address

import pytest

from spa_knock.link.framing import MAX_MESSAGE_BYTES, encode
from spa_knock.opener.config import Peer
from spa_knock.opener.dispatch import Dispatcher
from spa_knock.opener.errors import KernelError, Refusal
from spa_knock.opener.firewall import Contents, Held
from spa_knock.opener.ruleset import BaseChain
from tests.unit.spa_knock.opener.testing import a_config

ADDRESS = IPv4Address("198.51.100.7")
KNOCKS = ["aa" * 12, "bb" * 12]


class Hands:
    """Remembers what it was told to do; fails when asked to."""

    def __init__(self) -> None:
        self.done: list[tuple[object, ...]] = []
        self.error: Exception | None = None
        self.chains_error: KernelError | None = None
        self.wrong: list[str] = []
        self.windows = 1

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

    def shed_nonce(self, nonce: bytes) -> None:
        self._do("shed", nonce)

    def revoked_marks(self) -> set[int]:
        return {4}

    def wrong_chains(self, wanted: Sequence[BaseChain]) -> list[str]:
        if self.chains_error is not None:
            raise self.chains_error
        return self.wrong

    def contents(self) -> Contents:
        window = Held(ADDRESS, 443, 5_000)
        return Contents({"shed_nonce": 3}, [window] * self.windows, [Held(ADDRESS, 22, 9_000)], 1, 2)

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


def test_rules_that_are_not_ours_open_no_door_until_they_are_whole_again() -> None:
    desk = Desk()
    desk.hands.wrong = ["incoming"]
    desk.dispatcher.watch()
    assert desk.open(KNOCKS[0])["code"] == "rules_changed"
    assert desk.ask(Peer.GUARD, type="check", id="c") == {"type": "refused", "code": "rules_changed", "id": "c"}
    assert desk.hands.done == []
    desk.hands.wrong = []
    desk.dispatcher.watch()
    assert desk.open(KNOCKS[0])["code"] == "rules_changed"
    desk.now += 5
    desk.dispatcher.watch()
    assert desk.open(KNOCKS[0])["type"] == "done"


def test_rules_that_cannot_be_looked_at_are_not_ours() -> None:
    desk = Desk()
    desk.hands.chains_error = KernelError(errno.EIO, "testing")
    assert desk.ask(Peer.GUARD, type="check")["code"] == "rules_changed"
    assert desk.ask(Peer.CONTROL, type="revoke", mark=3)["type"] == "done"


def test_a_nonce_is_shed_at_a_bounded_rate_beside_openings() -> None:
    desk = Desk()
    answers = [desk.ask(Peer.GUARD, type="shed", knock_id=KNOCKS[0])["type"] for _ in range(50)]
    assert answers.count("done") == 40
    assert desk.hands.done[0] == ("shed", bytes.fromhex(KNOCKS[0]))
    assert desk.open(KNOCKS[1])["type"] == "done"


def test_marks_that_the_kernel_does_not_know_are_revoked_again() -> None:
    desk = Desk()
    assert desk.ask(Peer.CONTROL, type="restate", marks=[4, 5, 6])["type"] == "done"
    assert desk.hands.done == [("revoke", 5), ("revoke", 6)]


def test_the_status_tells_counters_and_who_holds_which_window() -> None:
    desk = Desk()
    desk.open(KNOCKS[0], seconds=8)
    desk.open(KNOCKS[1], seconds=20)
    status = desk.ask(Peer.CONTROL, type="status")
    window = {"door": 1, "address": str(ADDRESS), "port": 443, "milliseconds_left": 5_000}
    assert status["windows"] == [{**window, "knock_ids": [KNOCKS[1], KNOCKS[0]]}]
    assert status["egress"] == [{"address": str(ADDRESS), "port": 22, "milliseconds_left": 9_000}]
    assert (status["rules"], status["counters"], status["revoked_total"]) == ("whole", {"shed_nonce": 3}, 1)


def test_a_full_status_fits_into_one_message() -> None:
    desk = Desk()
    desk.hands.windows = 65_536
    for number in range(90):
        desk.open(f"{number:024x}")
    status = desk.ask(Peer.CONTROL, type="status")
    assert status["windows_total"] == 65_536
    assert len(encode(status)) <= MAX_MESSAGE_BYTES
