"""What the host's operator sees of the knock: built from the guard's words, the opener's and the registry's.

Served to root alone on a Unix socket of its own, `knock-status.sock`: one `status` message in, one out, below the
framing's limit.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from broker.adapters.opener import Opener
from broker.app.house import House
from broker.devices.model import Device
from broker.kernel.errors import SallyportError, Unavailable
from broker.knock_link.explain import explain
from broker.knock_link.model import LastRefusal
from spa_knock.link.answering import Answering

MOST_SHOWN: Final = 25
_KNOCKS_SHOWN: Final = 2
_IDLE_SECONDS: Final = 60.0
_TEXT: Final = 40

_log = structlog.get_logger("control.knock_status")

Status = dict[str, object]


def built(house: House) -> Status:
    """Everything, now. What does not answer is told as such; nothing here opens or closes anything."""
    now = house.clock.now()
    health = house.knock_link.health()
    guard: Status = {"connected": health.is_connected, "state": None}
    refusals: Sequence[LastRefusal] = ()
    if health.status is not None:
        status = health.status
        refusals = status.refusals
        guard |= {
            "state": status.state,
            "said_seconds_ago": round((now - status.received_at).total_seconds(), 1),
            "roster_version": status.roster_version,
            "sent_version": health.sent_version,
            "ports": list(status.ports),
            "faults": list(status.faults),
            "gate": status.gate,
            "counters": dict(status.counters),
        }
    return {
        "type": "status",
        "guard": guard,
        "opener": opened(house.opener, lambda knock_id: _device_of(house, knock_id)),
        "refusals": [_refusal(house, one) for one in refusals[-MOST_SHOWN:]],
        "shared_sources": [
            {
                "address": one.address,
                "devices": one.devices,
                "strangers": one.strangers,
                "last_at": one.last_at.isoformat(timespec="seconds"),
            }
            for one in house.sources.shared(now)[-MOST_SHOWN:]
        ],
    }


def opened(opener: Opener, device_of: Callable[[str], Status]) -> Status:
    """What the opener counted and holds, each window with the devices that `device_of` finds for its knocks."""
    try:
        told = opener.status()
    except Unavailable as error:
        return {"answers": False, "problem": str(error)}
    return {
        "answers": True,
        "rules_are_whole": told.rules_are_whole,
        "counters": dict(told.counters),
        "windows_total": told.windows_total,
        "windows": [
            {
                "door": one.door,
                "address": one.address,
                "seconds_left": round(one.milliseconds_left / 1000, 1),
                "knocks": [device_of(knock_id) for knock_id in one.knock_ids[:_KNOCKS_SHOWN]],
            }
            for one in told.windows[:MOST_SHOWN]
        ],
        "ways_total": told.ways_total,
        "revoked_total": told.revoked_total,
        "used_nonces_total": told.used_nonces_total,
    }


def _device_of(house: House, knock_id: str) -> Status:
    fact = house.knocks.find(knock_id)
    return _labelled(house, fact.device_id) if fact is not None else {"device_id": None}


def _labelled(house: House, device_id: str) -> Status:
    try:
        device: Device = house.devices.get(device_id)
    except SallyportError:
        return {"device_id": device_id}
    owner = house.devices.owner_names([device]).get(device.person_id, "")
    return {"device_id": device_id, "device": device.name[:_TEXT], "owner": owner[:_TEXT]}


def _refusal(house: House, refusal: LastRefusal) -> Status:
    explained = explain(refusal)
    return {
        **_labelled(house, refusal.device_id),
        "reason": refusal.reason,
        "count": refusal.count,
        "at": refusal.at.isoformat(timespec="seconds"),
        "source": refusal.source,
        "found": explained.found,
        "do": explained.do,
    }


def listener(build: Callable[[], Status], uid: int) -> Answering:
    """Serves one user id, root's unless a test says otherwise."""

    async def answer(question: Status) -> Status:
        if question.get("type") != "status":
            return {"type": "refused", "code": "unknown_verb"}
        return await asyncio.to_thread(build)

    return Answering(
        answer, uid=uid, problem=lambda what, seen: _log.warning(what, seen=seen), idle_seconds=_IDLE_SECONDS
    )
