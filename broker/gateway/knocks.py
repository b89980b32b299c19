"""Which connections are expected: the guard tells each accepted knock, and a connection claims it with its proof."""

import base64
import ipaddress
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from spa_knock.link.answering import Answering
from spa_knock.wire.errors import ProofError
from spa_knock.wire.proof import check_proof, proof_nonce

MAX_EXPECTED: Final = 4_096
MAX_VALID_MS: Final = 60_000
_MAX_WRONG_PROOFS: Final = 8

_log = structlog.get_logger("gateway.knocks")


class NotExpected(Exception):
    """A connection that no knock announced; `reason` is a stable word for the report."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Expectation:
    """One accepted knock: who may connect from where to which door, once, and the key that must then be shown."""

    knock_id: str
    device_id: str
    door: int
    grant_id: str | None
    address: str
    bind: bytes
    proof_key: bytes
    signed_knock: bytes
    mark: int
    expires_at_ms: int

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> "Expectation":
        """Raises ValueError for anything that is not complete."""
        grant_id = data.get("grant_id")
        if grant_id is not None and not isinstance(grant_id, str):
            raise ValueError("grant_id is a text or null")
        bind = bytes.fromhex(_text(data, "bind_hex"))
        proof_key = base64.b64decode(_text(data, "proof_key_b64"), validate=True)
        if len(bind) != 32 or len(proof_key) != 32 or len(bytes.fromhex(_text(data, "knock_id"))) != 12:
            raise ValueError("a key, bind or knock id of the wrong length")
        return cls(
            knock_id=_text(data, "knock_id"),
            device_id=_text(data, "device_id"),
            door=_number(data, "door"),
            grant_id=grant_id,
            address=plain_address(_text(data, "address")),
            bind=bind,
            proof_key=proof_key,
            signed_knock=base64.b64decode(_text(data, "signed_knock_b64"), validate=True),
            mark=_number(data, "mark"),
            expires_at_ms=_number(data, "expires_at_ms"),
        )


class Expectations:
    """The bounded table of knocks that wait for their connection."""

    def __init__(self, now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self._now_ms = now_ms
        self._waiting: dict[str, Expectation] = {}
        self._wrong: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def expect(self, expectation: Expectation) -> None:
        """Remembers a knock. Raises ValueError when it is over already, or too many wait."""
        now_ms = self._now_ms()
        for knock_id in [k for k, waiting in self._waiting.items() if waiting.expires_at_ms <= now_ms]:
            self._forget(knock_id)
        if expectation.expires_at_ms <= now_ms or expectation.expires_at_ms > now_ms + MAX_VALID_MS:
            raise ValueError("the knock's window is over, or longer than a knock may last")
        if len(self._waiting) >= MAX_EXPECTED:
            raise ValueError("too many knocks wait for their connection")
        self._waiting[expectation.knock_id] = expectation

    def claim(self, proof: bytes, door: int, source: str) -> Expectation:
        """The knock that these 48 bytes prove, taken away so that it serves once.

        Raises NotExpected. A wrong proof does not use the knock up: its owner still comes.
        """
        try:
            knock_id = proof_nonce(proof).hex()
        except ProofError as error:
            raise NotExpected("malformed") from error
        expectation = self._waiting.get(knock_id)
        if expectation is None:
            raise NotExpected("unknown_knock")
        if expectation.expires_at_ms <= self._now_ms():
            self._forget(knock_id)
            raise NotExpected("expired")
        try:
            check_proof(proof, expectation.proof_key, bytes.fromhex(knock_id), door)
        except ProofError as error:
            self._wrong[knock_id] = self._wrong.get(knock_id, 0) + 1
            if self._wrong[knock_id] >= _MAX_WRONG_PROOFS:
                self._forget(knock_id)
            raise NotExpected("wrong_proof") from error
        if expectation.door != door:
            raise NotExpected("wrong_door")
        if expectation.address != plain_address(source):
            raise NotExpected("wrong_address")
        self._forget(knock_id)
        return expectation

    def _forget(self, knock_id: str) -> None:
        self._waiting.pop(knock_id, None)
        self._wrong.pop(knock_id, None)


def listener(expectations: Expectations, guard_uid: int | None) -> Answering:
    """The guard's end: takes `expect`, answers `expecting` at once (the guard waits 200 ms and then fails closed).

    `guard_uid` None takes any local peer: for tests only.
    """

    async def answer(question: Mapping[str, object]) -> dict[str, object]:
        return _answer(expectations, question)

    return Answering(answer, uid=guard_uid, problem=lambda what, seen: _log.error(what, seen=seen))


def _answer(expectations: Expectations, message: Mapping[str, object]) -> dict[str, object]:
    knock_id = message.get("knock_id")
    answer: dict[str, object] = {"type": "expecting", "knock_id": knock_id}
    if "id" in message:
        answer["id"] = message["id"]
    try:
        if message.get("type") != "expect":
            raise ValueError(f"a message of type {message.get('type')!r} is not known here")
        expectations.expect(Expectation.from_json(message))
    except ValueError as error:
        _log.error("expectation_refused", error=str(error))
        return {**answer, "type": "refused", "code": "not_expected"}
    return answer


def plain_address(value: str) -> str:
    """One spelling of an address: an IPv4 address that came mapped into IPv6 reads as IPv4. Raises ValueError."""
    address = ipaddress.ip_address(value.split("%", 1)[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def _text(data: Mapping[str, object], name: str) -> str:
    value = data.get(name)
    if not isinstance(value, str):
        raise ValueError(f"`{name}` is missing")
    return value


def _number(data: Mapping[str, object], name: str) -> int:
    value = data.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"`{name}` is missing")
    return value
