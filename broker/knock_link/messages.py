"""The messages of the guard's socket: rosters built from facts, knocks and status read from what came in. No I/O."""

import base64
import binascii
import ipaddress
import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from broker.devices.model import RosterDevice
from broker.kernel.clock import from_milliseconds, milliseconds
from broker.kernel.ids import is_id
from broker.knock_link.model import GuardStatus, KnockFact, LastRefusal, RosterFacts, RosterGrant

MOST_PART_BYTES: Final = 60 * 1024
MOST_GRANTS_OF_A_DEVICE: Final = 200
_ENVELOPE_BYTES: Final = 200
_KNOCK_ID: Final = re.compile(r"[0-9a-f]{24}")
_SIGNED_KNOCK_BYTES: Final = 176
_MOST_COUNTERS: Final = 100
_MOST_PORTS: Final = 16
_MOST_REFUSALS: Final = 64
_MOST_OFF_MS: Final = 1 << 52
_REASON: Final = re.compile(r"[a-z_]{1,40}")
_MOST_FAULTS: Final = 16
_WORD: Final = re.compile(r"[a-z_]{0,32}")

Message = dict[str, object]


class MessageError(Exception):
    """The guard sent something that is no message of this link."""


def roster_messages(facts: RosterFacts, version: int, expires_at: datetime) -> list[Message]:
    """The roster as messages of at most 60 KiB each: a full replacement, good until `expires_at`.

    There is always at least one part, so that an empty roster shuts everybody out. Of a device with more than 200 live
    grants, those that end first are told.
    """
    common: Message = {
        "v": 1,
        "type": "roster",
        "version": version,
        "expires_at_ms": milliseconds(expires_at),
        "audience_hex": facts.audience_hex,
        "site_keys_b64": [_b64(key) for key in facts.site_keys],
    }
    by_device: dict[str, list[RosterGrant]] = {}
    for grant in facts.grants:
        by_device.setdefault(grant.device_id, []).append(grant)
    room = MOST_PART_BYTES - len(_json(common)) - _ENVELOPE_BYTES
    parts: list[list[Message]] = [[]]
    used = 0
    for device in facts.devices:
        entry = device_entry(device, by_device.get(device.device_id, ()))
        size = len(_json(entry)) + 1
        if used + size > room and parts[-1]:
            parts.append([])
            used = 0
        parts[-1].append(entry)
        used += size
    return [
        {**common, "part": number, "parts": len(parts), "devices": devices}
        for number, devices in enumerate(parts, start=1)
    ]


def device_entry(device: RosterDevice, grants: Sequence[RosterGrant]) -> Message:
    """One device of a roster, with those of these grants that are its own."""
    own = sorted((grant for grant in grants if grant.device_id == device.device_id), key=lambda one: one.not_after)
    return {
        "device_id": device.device_id,
        "knock_key_b64": _b64(device.knock_key),
        "public_key_b64": _b64(device.public_key),
        "mark": device.mark,
        "allow_header_address": device.allow_header_address,
        "doors": list(device.doors),
        "not_after_ms": milliseconds(device.not_after),
        "grants": [
            {
                "grant_id": grant.grant_id,
                "door": grant.door,
                "not_before_ms": milliseconds(grant.not_before),
                "not_after_ms": milliseconds(grant.not_after),
            }
            for grant in own[:MOST_GRANTS_OF_A_DEVICE]
        ],
        "binds_hex": [],
        **({"next_knock_key_b64": _b64(device.next_knock_key)} if device.next_knock_key is not None else {}),
        **({"loose_clock": True} if device.loose_clock else {}),
    }


def revoke_message(device_id: str) -> Message:
    """The order to forget a device at once."""
    return {"v": 1, "type": "revoke", "device_id": device_id}


def read_knock(message: Mapping[str, object]) -> KnockFact:
    """An accepted knock. Raises MessageError when a field is absent or not what it must be."""
    grant_id = message.get("grant_id")
    return KnockFact(
        knock_id=_matching(message, "knock_id", _KNOCK_ID),
        device_id=_identifier(message, "device_id", "dev", "inv"),
        door=_number(message, "door", 1, 0xFFFF),
        grant_id=None if grant_id is None else _identifier(message, "grant_id", "grt"),
        address=_address(message, "address"),
        window_seconds=_number(message, "window_seconds", 0, 0xFFFF),
        at=from_milliseconds(_number(message, "at_ms", 0, 1 << 42)),
        signed_knock=_bytes(message, "signed_knock_b64", _SIGNED_KNOCK_BYTES),
    )


def read_status(message: Mapping[str, object], received_at: datetime) -> GuardStatus:
    """The guard's status. Raises MessageError when a field is absent or not what it must be."""
    state = message.get("state")
    if state not in ("armed", "degraded", "starting"):
        raise MessageError("state is unknown")
    counters, ports, refusals = message.get("counters"), message.get("ports"), message.get("refusals", [])
    if not isinstance(counters, Mapping) or len(counters) > _MOST_COUNTERS:
        raise MessageError("counters is no object of reasonable size")
    if not isinstance(ports, list) or len(ports) > _MOST_PORTS:
        raise MessageError("ports is no list of reasonable size")
    if not isinstance(refusals, list) or len(refusals) > _MOST_REFUSALS:
        raise MessageError("refusals is no list of reasonable size")
    faults = message.get("faults", [])
    if not isinstance(faults, list) or len(faults) > _MOST_FAULTS:
        raise MessageError("faults is no list of reasonable size")
    return GuardStatus(
        state=str(state),
        roster_version=_number(message, "roster_version", 0, 1 << 62),
        counters={str(name)[:64]: _number(counters, name, 0, 1 << 62) for name in counters},
        ports=tuple(_whole(port, "ports", 1, 0xFFFF) for port in ports),
        received_at=received_at,
        refusals=tuple(_refusal(item) for item in refusals),
        faults=tuple(_word(fault, "faults") for fault in faults),
        gate=_word(message.get("gate", ""), "gate"),
    )


def _refusal(item: object) -> LastRefusal:
    if not isinstance(item, Mapping):
        raise MessageError("refusals has an item that is no object")
    named, off = item.get("named"), item.get("clock_off_ms")
    return LastRefusal(
        device_id=_identifier(item, "device_id", "dev", "inv"),
        reason=_matching(item, "reason", _REASON),
        count=_number(item, "count", 1, 1 << 62),
        at=from_milliseconds(_number(item, "at_ms", 0, 1 << 42)),
        source=_address(item, "source"),
        named=None if named is None else _address(item, "named"),
        clock_off_seconds=None if off is None else _whole(off, "clock_off_ms", -_MOST_OFF_MS, _MOST_OFF_MS) / 1000,
    )


def _word(value: object, field: str) -> str:
    if not isinstance(value, str) or _WORD.fullmatch(value) is None:
        raise MessageError(f"{field} has something that is no word")
    return value


def _matching(message: Mapping[str, object], field: str, pattern: re.Pattern[str]) -> str:
    value = message.get(field)
    if not isinstance(value, str) or pattern.fullmatch(value) is None:
        raise MessageError(f"{field} is malformed")
    return value


def _identifier(message: Mapping[str, object], field: str, *prefixes: str) -> str:
    value = message.get(field)
    if not isinstance(value, str) or not any(is_id(prefix, value) for prefix in prefixes):
        raise MessageError(f"{field} is malformed")
    return value


def _number(message: Mapping[str, object], field: str, least: int, most: int) -> int:
    return _whole(message.get(field), field, least, most)


def _whole(value: object, field: str, least: int, most: int) -> int:
    if type(value) is not int or not least <= value <= most:
        raise MessageError(f"{field} is no number between {least} and {most}")
    return value


def _address(message: Mapping[str, object], field: str) -> str:
    value = message.get(field)
    try:
        return str(ipaddress.ip_address(value if isinstance(value, str) else ""))
    except ValueError:
        raise MessageError(f"{field} is no address") from None


def _bytes(message: Mapping[str, object], field: str, length: int) -> bytes:
    value = message.get(field)
    try:
        decoded = base64.b64decode(value if isinstance(value, str) else "", validate=True)
    except (binascii.Error, ValueError):
        raise MessageError(f"{field} is no base64") from None
    if len(decoded) != length:
        raise MessageError(f"{field} has not {length} bytes")
    return decoded


def _b64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
