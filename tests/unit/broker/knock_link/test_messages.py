import base64
import json
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from hypothesis import given
from hypothesis import strategies as st

from broker.devices.certificates import spki
from broker.devices.model import RosterDevice
from broker.identities.testing import NOON
from broker.kernel.clock import milliseconds
from broker.kernel.ids import new_id
from broker.knock_link.messages import (
    MOST_GRANTS_OF_A_DEVICE,
    MOST_PART_BYTES,
    MessageError,
    read_knock,
    read_status,
    revoke_message,
    roster_messages,
)
from broker.knock_link.model import RosterFacts, RosterGrant
from spa_knock.guard.refusals import RefusalBook
from spa_knock.guard.roster import Assembly
from spa_knock.guard.rules import Reason, Refused
from spa_knock.link.framing import Decoder, encode
from tests.examples import examples

PUBLIC_KEY = spki(ed25519.Ed25519PrivateKey.generate().public_key())
EMPTY = RosterFacts("00" * 8, (bytes(32),), (), ())


def a_roster_device(mark: int = 1) -> RosterDevice:
    return RosterDevice(
        device_id=new_id("dev", NOON),
        knock_key=mark.to_bytes(32, "big"),
        public_key=PUBLIC_KEY,
        mark=mark,
        allow_header_address=True,
        doors=(1, 2),
        not_after=NOON + timedelta(days=1),
    )


def a_roster_grant(device_id: str, door: int = 2) -> RosterGrant:
    return RosterGrant(new_id("grt", NOON), device_id, door, NOON, NOON + timedelta(hours=1))


def test_an_empty_roster_is_one_part_that_shuts_everybody_out() -> None:
    (message,) = roster_messages(EMPTY, 7, NOON)
    assert (message["part"], message["parts"], message["devices"]) == (1, 1, [])
    assert (message["version"], message["expires_at_ms"]) == (7, milliseconds(NOON))


@examples(10)
@given(count=st.integers(min_value=0, max_value=400), grants_each=st.integers(min_value=0, max_value=5))
def test_however_many_devices_the_guard_understands_every_part_and_gets_all_of_them(
    count: int, grants_each: int
) -> None:
    devices = tuple(a_roster_device(number + 1) for number in range(count))
    grants = tuple(a_roster_grant(device.device_id) for device in devices for _ in range(grants_each))
    messages = roster_messages(replace(EMPTY, devices=devices, grants=grants), 7, NOON)
    assembly, decoder, roster = Assembly(), Decoder(), None
    for message in messages:
        framed = encode(message)
        assert len(framed) <= MOST_PART_BYTES
        (received,) = decoder.feed(framed)
        roster = assembly.add(received)
    assert roster is not None
    assert set(roster.devices) == {device.device_id for device in devices}
    assert all(len(entry.grants) == grants_each for entry in roster.devices.values())


def test_a_device_gets_its_own_grants_only_and_at_most_two_hundred() -> None:
    first, second = a_roster_device(1), a_roster_device(2)
    grants = tuple(a_roster_grant(first.device_id) for _ in range(MOST_GRANTS_OF_A_DEVICE + 5))
    (message,) = roster_messages(replace(EMPTY, devices=(first, second), grants=grants), 7, NOON)
    devices = message["devices"]
    assert isinstance(devices, list)
    assert [len(device["grants"]) for device in devices] == [MOST_GRANTS_OF_A_DEVICE, 0]
    assert len(json.dumps(message)) < MOST_PART_BYTES


def test_a_revocation_names_its_device() -> None:
    assert revoke_message("dev_1") == {"v": 1, "type": "revoke", "device_id": "dev_1"}


def a_knock_message(**changes: object) -> dict[str, object]:
    fields: dict[str, object] = {
        "v": 1,
        "type": "knock",
        "knock_id": "00" * 12,
        "device_id": new_id("dev", NOON),
        "door": 2,
        "grant_id": new_id("grt", NOON),
        "address": "203.0.113.7",
        "window_seconds": 8,
        "at_ms": milliseconds(NOON),
        "signed_knock_b64": base64.b64encode(bytes(176)).decode(),
    }
    return fields | changes


def test_a_knock_is_read() -> None:
    fact = read_knock(a_knock_message())
    assert (fact.door, fact.address, fact.at) == (2, "203.0.113.7", NOON)
    assert read_knock(a_knock_message(grant_id=None, device_id=new_id("inv", NOON))).grant_id is None


@pytest.mark.parametrize(
    "change",
    [
        {"knock_id": "00"},
        {"knock_id": None},
        {"device_id": "psn_" + "0" * 26},
        {"device_id": "dev_" + "u" * 26},
        {"grant_id": "dev_" + "0" * 26},
        {"door": True},
        {"door": 0},
        {"door": "2"},
        {"address": "press-4"},
        {"address": 7},
        {"window_seconds": -1},
        {"at_ms": 1 << 60},
        {"at_ms": 1.5},
        {"signed_knock_b64": "!"},
        {"signed_knock_b64": base64.b64encode(bytes(175)).decode()},
    ],
)
def test_a_malformed_knock_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(MessageError):
        read_knock(a_knock_message(**change))


def a_status_message(**changes: object) -> dict[str, object]:
    fields: dict[str, object] = {
        "v": 1,
        "type": "status",
        "state": "armed",
        "roster_version": 7,
        "counters": {"accepted": 3, "refused_replay": 1},
        "ports": [62201],
    }
    return fields | changes


def test_a_status_is_read() -> None:
    status = read_status(a_status_message(), NOON)
    assert (status.state, status.counters["refused_replay"], status.ports) == ("armed", 1, (62201,))
    assert status.received_at == NOON
    assert (status.faults, status.gate) == ((), "")
    told = read_status(a_status_message(state="degraded", faults=["clock"], gate="keyed"), NOON)
    assert (told.faults, told.gate) == (("clock",), "keyed")


@pytest.mark.parametrize(
    "change",
    [
        {"state": "happy"},
        {"state": None},
        {"counters": []},
        {"counters": {"accepted": -1}},
        {"counters": {str(number): 1 for number in range(101)}},
        {"ports": "62201"},
        {"ports": [0]},
        {"faults": "clock"},
        {"faults": ["Clock!"]},
        {"faults": ["clock"] * 17},
        {"gate": 1},
        {"roster_version": None},
        {"refusals": {}},
        {"refusals": [7]},
        {"refusals": [{"device_id": "x"}]},
        {"refusals": [{}] * 65},
    ],
)
def test_a_malformed_status_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(MessageError):
        read_status(a_status_message(**change), NOON)


def a_told_refusal(**changes: object) -> dict[str, object]:
    return {
        "device_id": new_id("dev", NOON),
        "reason": "clock",
        "count": 2,
        "at_ms": milliseconds(NOON),
        "source": "203.0.113.7",
        "door": 1,
        "named": None,
        "clock_off_ms": -45_000,
    } | changes


def test_a_devices_last_refusal_is_read() -> None:
    status = read_status(a_status_message(refusals=[a_told_refusal()]), NOON)
    (refusal,) = status.refusals
    assert (refusal.reason, refusal.count, refusal.clock_off_seconds, refusal.named) == ("clock", 2, -45.0, None)


@pytest.mark.parametrize(
    "change",
    [{"reason": "<b>"}, {"count": 0}, {"source": "x"}, {"named": "x"}, {"clock_off_ms": 1.5}, {"device_id": None}],
)
def test_a_malformed_refusal_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(MessageError):
        read_status(a_status_message(refusals=[a_told_refusal(**change)]), NOON)


def test_what_the_guard_tells_of_refusals_is_what_is_read() -> None:
    book = RefusalBook()
    device = new_id("dev", NOON)
    book.note(Refused(Reason.CLOCK, device), ip_address("203.0.113.7"), milliseconds(NOON))
    (refusal,) = read_status(a_status_message(refusals=list(book.told())), NOON).refusals
    assert (refusal.device_id, refusal.reason) == (device, "clock")
