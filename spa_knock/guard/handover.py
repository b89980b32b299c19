"""What happens to an accepted knock: the gateway expects it, then the opener opens, then control hears of it. Pure.

Each step has a short limit; when it passes, the knock fails closed and the client knocks again. Several knocks may be
under way at once, so that one slow answer holds up nobody else.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from spa_knock.guard.rules import Accepted, Reason

STEP_SECONDS = 0.2
OPENING_SECONDS = 2.5
"""How long the opener's answer is waited for: longer than it waits for the kernel, as what it opens must be told."""
HELD_UP_SECONDS = 1.0
"""So long after its limit the gateway's answer still counts when it is only read then: the guard itself was held up."""
MAX_UNDER_WAY = 256

Message = dict[str, object]


class Receiver(Enum):
    """Whom a message is for."""

    GATEWAY = auto()
    OPENER = auto()
    CONTROL = auto()


@dataclass(frozen=True, slots=True)
class Send:
    """A message to be sent."""

    to: Receiver
    message: Message


@dataclass(frozen=True, slots=True)
class Failed:
    """A knock that opens nothing after all."""

    knock_id: str
    device_id: str
    reason: Reason
    code: str = "silent"
    """What the other side answered; `silent` when it did not in time."""


@dataclass(slots=True)
class _Step:
    knock: Accepted
    at_ms: int
    waits_for: Receiver
    until: float


class Handover:
    """The accepted knocks that are not done yet. `now` is in seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._steps: dict[str, _Step] = {}

    @property
    def has_room(self) -> bool:
        """Whether another knock can be taken on."""
        return len(self._steps) < MAX_UNDER_WAY

    def is_under_way(self, knock_id: str) -> bool:
        """Whether a knock with this id is being handed over; another with the same nonce must not take its place."""
        return knock_id in self._steps

    def begin(self, knock: Accepted, *, at_ms: int, now: float) -> Send:
        """Take on a knock whose stamp is stored. at_ms: the wall clock, for the expectation and the fact."""
        self._steps[knock.knock_id] = _Step(knock, at_ms, Receiver.GATEWAY, now + STEP_SECONDS)
        return Send(Receiver.GATEWAY, _expect(knock, at_ms))

    def answered(self, sender: Receiver, message: Mapping[str, object], now: float) -> Send | Failed | None:
        """An answer of the gateway or the opener. None when it concerns no knock that waits for it."""
        knock_id = message.get("knock_id")
        step = self._steps.get(knock_id) if isinstance(knock_id, str) else None
        if step is None or step.waits_for is not sender:
            return None
        knock = step.knock
        match sender, message.get("type"):
            case Receiver.GATEWAY, "expecting" if now >= step.until + HELD_UP_SECONDS:
                return self._fail(step)
            case Receiver.GATEWAY, "expecting":
                step.waits_for, step.until = Receiver.OPENER, now + OPENING_SECONDS
                return Send(Receiver.OPENER, _open(knock))
            case Receiver.OPENER, "done":
                del self._steps[knock.knock_id]
                return Send(Receiver.CONTROL, _fact(knock, step.at_ms))
            case _:
                code = message.get("code")
                return self._fail(step, code[:40] if isinstance(code, str) else "unknown")

    def expire(self, now: float) -> list[Failed]:
        """The knocks whose step took too long; they are given up."""
        return [self._fail(step) for step in list(self._steps.values()) if step.until <= now]

    def give_up(self, device_id: str) -> None:
        """Drop what a revoked device has under way."""
        self._steps = {name: step for name, step in self._steps.items() if step.knock.device.device_id != device_id}

    def next_limit(self) -> float | None:
        """When `expire` has something to do; None while nothing is under way."""
        return min((step.until for step in self._steps.values()), default=None)

    def _fail(self, step: _Step, code: str = "silent") -> Failed:
        del self._steps[step.knock.knock_id]
        reason = Reason.GATEWAY if step.waits_for is Receiver.GATEWAY else Reason.OPENER
        return Failed(step.knock.knock_id, step.knock.device.device_id, reason, code)


def _expect(knock: Accepted, at_ms: int) -> Message:
    return {
        "type": "expect",
        "knock_id": knock.knock_id,
        "device_id": knock.device.device_id,
        "door": knock.body.service,
        "grant_id": knock.grant_id,
        "address": str(knock.address),
        "bind_hex": knock.body.bind.hex(),
        "proof_key_b64": _base64(knock.proof_key),
        "signed_knock_b64": _base64(knock.signed_knock),
        "mark": knock.device.mark,
        "expires_at_ms": at_ms + knock.window_seconds * 1000,
    }


def _open(knock: Accepted) -> Message:
    return {
        "type": "open",
        "door": knock.body.service,
        "address": str(knock.address),
        "seconds": knock.window_seconds,
        "knock_id": knock.knock_id,
    }


def _fact(knock: Accepted, at_ms: int) -> Message:
    return {
        "type": "knock",
        "knock_id": knock.knock_id,
        "device_id": knock.device.device_id,
        "door": knock.body.service,
        "grant_id": knock.grant_id,
        "address": str(knock.address),
        "window_seconds": knock.window_seconds,
        "at_ms": at_ms,
        "signed_knock_b64": _base64(knock.signed_knock),
    }


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
