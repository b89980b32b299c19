"""One request in, one answer out: parses, limits the rate, keeps the window book, lets the firewall act."""

import logging
from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Protocol, assert_never

from spa_knock.link.rate import TokenBucket
from spa_knock.opener.config import Config, Peer
from spa_knock.opener.errors import KernelError, OpenerError, Refusal
from spa_knock.opener.firewall import Contents, Held
from spa_knock.opener.ruleset import BaseChain, base_chains
from spa_knock.opener.verbs import (
    PEER_OF_TYPE,
    AllowEgress,
    Check,
    Close,
    EndEgress,
    MarkFlow,
    Open,
    Reset,
    ResetEgress,
    Restate,
    Revoke,
    Shed,
    Shut,
    Status,
    Unrevoke,
    Verb,
    parse,
)
from spa_knock.opener.windows import TooMany, Windows

Address = IPv4Address | IPv6Address

_log = logging.getLogger(__name__)
RATES: Mapping[Peer, tuple[float, float]] = {
    Peer.GUARD: (50.0, 100.0),
    Peer.GATEWAY: (200.0, 400.0),
    Peer.CONTROL: (500.0, 2_000.0),
}
"""Requests a second, and at once. The guard's are sized so that the set of used nonces (65,536 for 660 s) cannot fill
up: with 20 sheds a second, 46,340 at most."""
_RATES_OF_VERBS: Mapping[str, tuple[float, float]] = {
    "shed": (20.0, 40.0),
    "check": (2.0, 10.0),
    # These list whole sets.
    "status": (2.0, 10.0),
    "restate": (2.0, 20.0),
}
_MAX_ID_CHARACTERS = 64
_MAX_LISTED = 128
_MAX_KNOCKS_LISTED = 4
WATCH_SECONDS = 5.0
"""How often the rule set in the kernel is compared with the one that belongs there."""


class Hands(Protocol):
    """What is needed of the firewall (`firewall.Firewall`)."""

    def open_window(self, port: int, address: Address, seconds: float, nonce: bytes) -> None: ...
    def close_window(self, port: int, address: Address) -> None: ...
    def allow_egress(self, address: Address, port: int, seconds: int) -> None: ...
    def end_egress(self, address: Address, port: int) -> None: ...
    def mark_flow(self, port: int, address: Address, remote_port: int, mark: int) -> None: ...
    def revoke(self, mark: int) -> int: ...
    def unrevoke(self, mark: int) -> None: ...
    def reset_flow(self, port: int, address: Address, remote_port: int) -> int: ...
    def reset_egress(self, address: Address, port: int, uid: int) -> int: ...
    def shed_nonce(self, nonce: bytes) -> None: ...
    def revoked_marks(self) -> set[int]: ...
    def wrong_chains(self, wanted: Sequence[BaseChain]) -> list[str]: ...
    def contents(self) -> Contents: ...


class Dispatcher:
    """Answers every request with `done` or `refused`; never raises for what a peer sends.

    clock: seconds of a monotonic clock that goes on while the machine sleeps.
    """

    def __init__(self, config: Config, hands: Hands, clock: Callable[[], float]) -> None:
        self._config = config
        self._hands = hands
        self._clock = clock
        self._windows = Windows()
        self._buckets = {peer: TokenBucket(*rate) for peer, rate in RATES.items()}
        self._buckets_of_verbs = {verb: TokenBucket(*rate) for verb, rate in _RATES_OF_VERBS.items()}
        self._wanted_chains = base_chains(config)
        self._wrong_chains: tuple[str, ...] = ()
        self._next_watch = 0.0

    def watch(self) -> None:
        """Compare the kernel's rule set with ours when it is time; what is not ours opens no door. Call it often."""
        now = self._clock()
        if now >= self._next_watch:
            self._next_watch = now + WATCH_SECONDS
            self._look()

    def answer(self, peer: Peer, message: Mapping[str, object]) -> dict[str, object]:
        """The reply to one message of `peer`; repeats its `id` and `knock_id`."""
        reply = _echo(message)
        try:
            self._limit(peer, message.get("type"))
            verb = parse(peer, message, self._config)
            told = self._carry_out(verb)
        except Refusal as refusal:
            _log.warning("refused %s of %s: %s", _shown(message.get("type")), peer, refusal.code)
            return {**reply, "type": "refused", "code": refusal.code}
        except TooMany:
            _log.warning("refused a window: the book is full")
            return {**reply, "type": "refused", "code": "full"}
        except KernelError as error:
            _log.error("the kernel refused %s of %s: %s", _shown(message.get("type")), peer, error)
            return {**reply, "type": "refused", "code": "kernel_refused"}
        return {**reply, "type": "done", **told}

    def _limit(self, peer: Peer, kind: object) -> None:
        now = self._clock()
        special = self._buckets_of_verbs.get(kind) if isinstance(kind, str) and PEER_OF_TYPE.get(kind) is peer else None
        if not (special or self._buckets[peer]).admits(now):
            raise Refusal("too_many")

    def _look(self) -> None:
        try:
            wrong = tuple(self._hands.wrong_chains(self._wanted_chains))
        except KernelError as error:
            _log.error("the rule set cannot be looked at: %s", error)
            wrong = ("all",)
        if wrong != self._wrong_chains:
            self._wrong_chains = wrong
            if wrong:
                _log.error("the rule set in the kernel is not ours in %s: nothing is opened", ", ".join(wrong))
            else:
                _log.warning("the rule set in the kernel is whole again")

    def _require_whole(self) -> None:
        if self._wrong_chains:
            raise Refusal("rules_changed")

    def _status(self) -> dict[str, object]:
        now = self._clock()
        contents = self._hands.contents()
        door_of_port = {port: door for door, port in self._config.doors.items()}
        windows = [(door_of_port.get(held.port, 0), held) for held in contents.windows]
        return {
            "rules": "changed" if self._wrong_chains else "whole",
            "counters": contents.counters,
            "windows": [
                {
                    **_held(held),
                    "door": door,
                    "knock_ids": self._windows.knocks_of((door, held.address), now)[:_MAX_KNOCKS_LISTED],
                }
                for door, held in windows[:_MAX_LISTED]
            ],
            "windows_total": len(contents.windows),
            "egress": [_held(held) for held in contents.egress[:_MAX_LISTED]],
            "egress_total": len(contents.egress),
            "revoked_total": contents.revoked,
            "used_nonces_total": contents.used_nonces,
        }

    def _carry_out(self, verb: Verb) -> dict[str, object]:
        doors = self._config.doors
        match verb:
            case Open(door, address, seconds, knock_id):
                self._require_whole()
                now = self._clock()
                until = self._windows.hold((door, address), knock_id, now + seconds, now)
                try:
                    self._hands.open_window(doors[door], address, until - now, bytes.fromhex(knock_id))
                except OpenerError:
                    self._windows.let_go((door, address), knock_id, now)
                    raise
            case Shed(knock_id):
                self._hands.shed_nonce(bytes.fromhex(knock_id))
            case Check():
                self._look()
                self._require_whole()
            case Status():
                return self._status()
            case Restate(marks):
                for mark in sorted(set(marks) - self._hands.revoked_marks()):
                    destroyed = self._hands.revoke(mark)
                    _log.warning("revoked mark %d again, reset %d connections", mark, destroyed)
            case Shut(door, address, knock_id):
                if self._windows.let_go((door, address), knock_id, self._clock()):
                    self._hands.close_window(doors[door], address)
            case Close(door, address):
                self._windows.drop((door, address))
                self._hands.close_window(doors[door], address)
                _log.info("closed door %d for %s", door, address)
            case MarkFlow(door, address, port, mark):
                self._hands.mark_flow(doors[door], address, port, mark)
            case Revoke(mark):
                destroyed = self._hands.revoke(mark)
                _log.warning("revoked mark %d, reset %d connections", mark, destroyed)
            case Unrevoke(mark):
                self._hands.unrevoke(mark)
                _log.info("restored mark %d", mark)
            case AllowEgress(address, port, seconds):
                self._hands.allow_egress(address, port, seconds)
            case EndEgress(address, port):
                self._hands.end_egress(address, port)
            case Reset(door, address, port):
                destroyed = self._hands.reset_flow(doors[door], address, port)
                _log.warning("reset %d connections of %s port %d at door %d", destroyed, address, port, door)
            case ResetEgress(address, port):
                destroyed = self._hands.reset_egress(address, port, self._config.uids.gateway)
                _log.warning("reset %d connections of the gateway to %s port %d", destroyed, address, port)
            case _:
                assert_never(verb)
        return {}


def _held(held: Held) -> dict[str, object]:
    return {"address": str(held.address), "port": held.port, "milliseconds_left": held.milliseconds_left}


def _echo(message: Mapping[str, object]) -> dict[str, object]:
    """What the peer needs to match the answer; only short scalars are repeated."""
    reply: dict[str, object] = {}
    for name in ("id", "knock_id"):
        value = message.get(name)
        is_short_text = isinstance(value, str) and len(value) <= _MAX_ID_CHARACTERS
        if is_short_text or (type(value) is int and abs(value) < 1 << 63):
            reply[name] = value
    return reply


def _shown(kind: object) -> str:
    return ascii(kind)[:40]
