"""One request in, one answer out: parses, limits the rate, keeps the window book, lets the firewall act."""

import logging
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address, IPv6Address
from typing import Protocol, assert_never

from spa_knock.link.rate import TokenBucket
from spa_knock.opener.config import Config, Peer
from spa_knock.opener.errors import KernelError, OpenerError, Refusal
from spa_knock.opener.verbs import (
    AllowEgress,
    Close,
    EndEgress,
    MarkFlow,
    Open,
    Reset,
    ResetEgress,
    Revoke,
    Shut,
    Unrevoke,
    Verb,
    parse,
)
from spa_knock.opener.windows import TooMany, Windows

Address = IPv4Address | IPv6Address

_log = logging.getLogger(__name__)
# Sized so that the set of used nonces (65,536 for 660 s) cannot fill up.
_RATES = {Peer.GUARD: (50.0, 100.0), Peer.GATEWAY: (200.0, 400.0), Peer.CONTROL: (500.0, 2_000.0)}
_MAX_ID_CHARACTERS = 64


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


class Dispatcher:
    """Answers every request with `done` or `refused`; never raises for what a peer sends.

    clock: seconds of a monotonic clock that goes on while the machine sleeps.
    """

    def __init__(self, config: Config, hands: Hands, clock: Callable[[], float]) -> None:
        self._config = config
        self._hands = hands
        self._clock = clock
        self._windows = Windows()
        self._buckets = {peer: TokenBucket(*rate) for peer, rate in _RATES.items()}

    def answer(self, peer: Peer, message: Mapping[str, object]) -> dict[str, object]:
        """The reply to one message of `peer`; repeats its `id` and `knock_id`."""
        reply = _echo(message)
        try:
            if not self._buckets[peer].admits(self._clock()):
                raise Refusal("too_many")
            verb = parse(peer, message, self._config)
            self._carry_out(verb)
        except Refusal as refusal:
            _log.warning("refused %s of %s: %s", _shown(message.get("type")), peer, refusal.code)
            return {**reply, "type": "refused", "code": refusal.code}
        except TooMany:
            _log.warning("refused a window: the book is full")
            return {**reply, "type": "refused", "code": "full"}
        except KernelError as error:
            _log.error("the kernel refused %s of %s: %s", _shown(message.get("type")), peer, error)
            return {**reply, "type": "refused", "code": "kernel_refused"}
        return {**reply, "type": "done"}

    def _carry_out(self, verb: Verb) -> None:
        doors = self._config.doors
        match verb:
            case Open(door, address, seconds, knock_id):
                now = self._clock()
                until = self._windows.hold((door, address), knock_id, now + seconds, now)
                try:
                    self._hands.open_window(doors[door], address, until - now, bytes.fromhex(knock_id))
                except OpenerError:
                    self._windows.let_go((door, address), knock_id, now)
                    raise
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
