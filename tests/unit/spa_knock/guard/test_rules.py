"""The judgement of a knock: every reason to refuse, and nothing that passes by accident."""

import base64
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from spa_knock.guard.rules import Accepted, Judgement, Reason, Refused, Stand, judge
from spa_knock.wire.keys import epoch_at
from spa_knock.wire.packet import verify_signed
from spa_knock.wire.proof import proof_key
from tests.unit.spa_knock.guard.testing import AUDIENCE, BIND, GRANT_ID, NOW_MS, SITE_KEY, Workstation, a_table

SOURCE = ip_address("198.51.100.7")
ELSEWHERE = ip_address("203.0.113.9")
DEVICE = Workstation(1)


def a_stand(table_changes: dict[str, Any] | None = None, last_ms: int = 0, **device: Any) -> Stand:
    return Stand(
        table=a_table(DEVICE.entry(**device), Workstation(2).entry(), **(table_changes or {})),
        doors={1, 2},
        last_stamp_ms=lambda device_id: last_ms if device_id == DEVICE.device_id else 0,
        fence_ms=0,
        now_ms=NOW_MS,
    )


def accepted(judgement: Judgement) -> Accepted:
    assert isinstance(judgement, Accepted), judgement
    return judgement


def refusal(judgement: Judgement) -> Reason:
    assert isinstance(judgement, Refused), judgement
    return judgement.reason


def test_a_knock_for_the_vendor_face_opens_for_its_source() -> None:
    packet = DEVICE.knock()
    knock = accepted(judge(packet, SOURCE, a_stand()))
    assert (knock.device.device_id, knock.body.service, knock.grant_id) == (DEVICE.device_id, 1, None)
    assert (knock.address, knock.window_seconds, knock.knock_id) == (SOURCE, 8, packet[8:20].hex())
    assert knock.proof_key == proof_key(DEVICE.knock_key, AUDIENCE, packet[8:20])
    assert verify_signed(knock.signed_knock, DEVICE.private_key.public_key()) == knock.body


def test_a_knock_for_ssh_opens_under_its_grant() -> None:
    knock = accepted(judge(DEVICE.knock(door=2, grant_id=GRANT_ID, address=SOURCE), SOURCE, a_stand()))
    assert (knock.grant_id, knock.body.service) == (GRANT_ID, 2)


@pytest.mark.parametrize(("wanted", "given_"), [(0, 8), (5, 5), (30, 30), (31, 30), (65_535, 30)])
def test_the_window_has_a_default_and_a_ceiling(wanted: int, given_: int) -> None:
    assert accepted(judge(DEVICE.knock(ttl_seconds=wanted), SOURCE, a_stand())).window_seconds == given_


@given(st.binary(max_size=300))
def test_arbitrary_datagrams_are_junk(data: bytes) -> None:
    assert refusal(judge(data, SOURCE, STAND)) in {Reason.LENGTH, Reason.KEY_ID}


STAND = a_stand()
PACKET = DEVICE.knock()


@given(st.integers(0, 191), st.integers(1, 255))
def test_a_packet_with_any_byte_changed_is_refused_before_the_signature(position: int, change: int) -> None:
    packet = bytearray(PACKET)
    packet[position] ^= change
    assert refusal(judge(bytes(packet), SOURCE, STAND)) in {Reason.KEY_ID, Reason.GATE, Reason.SEAL}


@given(st.integers(0, 400).filter(lambda length: length != 192))
def test_another_length_is_refused_first(length: int) -> None:
    assert judge((PACKET * 3)[:length], SOURCE, STAND) == Refused(Reason.LENGTH)


def test_a_knock_for_another_gate_is_refused_without_decryption() -> None:
    assert judge(DEVICE.knock(site_key=bytes(32)), SOURCE, a_stand()) == Refused(Reason.GATE)


def test_while_the_site_key_changes_both_gates_are_open() -> None:
    keys = [base64.b64encode(key).decode() for key in (bytes(32), SITE_KEY)]
    stand = a_stand({"site_keys_b64": keys})
    accepted(judge(DEVICE.knock(), SOURCE, stand))
    accepted(judge(DEVICE.knock(site_key=bytes(32)), SOURCE, stand))


def test_a_knock_for_another_audience_is_refused() -> None:
    assert refusal(judge(DEVICE.knock(audience=b"plant-02"), SOURCE, a_stand())) is Reason.AUDIENCE


@pytest.mark.parametrize("offset", [-30_001, 30_001, -500_000, 500_000])
def test_a_knock_from_another_time_is_refused(offset: int) -> None:
    packet = DEVICE.knock(stamp_ms=NOW_MS + offset, epoch=epoch_at(NOW_MS // 1000))
    assert refusal(judge(packet, SOURCE, a_stand())) is Reason.CLOCK


@pytest.mark.parametrize("offset", [-30_000, 0, 30_000])
def test_a_clock_within_half_a_minute_is_good_enough(offset: int) -> None:
    accepted(judge(DEVICE.knock(stamp_ms=NOW_MS + offset), SOURCE, a_stand()))


def test_a_knock_across_the_change_of_an_epoch_is_accepted() -> None:
    border_ms = epoch_at(NOW_MS // 1000) * 600_000
    for stamp_ms, now_ms in ((border_ms - 1, border_ms + 5), (border_ms + 5, border_ms - 1)):
        table = a_table(DEVICE.entry(), now_ms=now_ms)
        accepted(judge(DEVICE.knock(stamp_ms=stamp_ms), SOURCE, replace(a_stand(), table=table, now_ms=now_ms)))


def test_a_stamp_that_is_not_newer_is_a_replay() -> None:
    assert refusal(judge(DEVICE.knock(), SOURCE, a_stand(last_ms=NOW_MS))) is Reason.REPLAYED
    accepted(judge(DEVICE.knock(), SOURCE, a_stand(last_ms=NOW_MS - 1)))


def test_a_stamp_before_the_start_fence_is_refused() -> None:
    assert refusal(judge(DEVICE.knock(), SOURCE, replace(a_stand(), fence_ms=NOW_MS))) is Reason.FENCED


def test_a_signature_of_another_key_is_refused() -> None:
    packet = DEVICE.knock(signing_key=Ed25519PrivateKey.generate())
    assert judge(packet, SOURCE, a_stand()) == Refused(Reason.SIGNATURE, DEVICE.device_id)


def test_a_device_whose_time_is_over_is_refused() -> None:
    assert refusal(judge(DEVICE.knock(), SOURCE, a_stand(not_after_ms=NOW_MS))) is Reason.DEVICE_EXPIRED


def test_an_expired_roster_accepts_nobody() -> None:
    assert refusal(judge(DEVICE.knock(), SOURCE, a_stand({"expires_at_ms": NOW_MS}))) is Reason.ROSTER_EXPIRED


def test_a_door_must_be_the_devices_and_the_sites() -> None:
    assert refusal(judge(DEVICE.knock(), SOURCE, a_stand(doors=[2]))) is Reason.DOOR
    assert refusal(judge(DEVICE.knock(), SOURCE, replace(a_stand(), doors={2}))) is Reason.DOOR
    assert refusal(judge(DEVICE.knock(door=3, grant_id=GRANT_ID), SOURCE, a_stand(doors=[1, 2, 3]))) is Reason.DOOR


def window(begin: int, end: int, door: int = 2) -> dict[str, Any]:
    grant = {"grant_id": GRANT_ID, "door": door, "not_before_ms": NOW_MS + begin, "not_after_ms": NOW_MS + end}
    return {"grants": [grant]}


@pytest.mark.parametrize(
    ("device", "door", "grant_id"),
    [
        ({}, 2, None),
        ({}, 2, "grt_" + "0" * 26),
        ({}, 2, "grt_" + "1" * 26),
        ({"grants": []}, 2, GRANT_ID),
        (window(1, 1_000), 2, GRANT_ID),
        (window(-1_000, 0), 2, GRANT_ID),
        (window(-1_000, 1_000, door=3), 2, GRANT_ID),
        ({}, 1, GRANT_ID),
    ],
    ids=str,
)
def test_a_grant_must_be_there_in_time_and_for_this_door(
    device: dict[str, Any], door: int, grant_id: str | None
) -> None:
    assert refusal(judge(DEVICE.knock(door=door, grant_id=grant_id), SOURCE, a_stand(**device))) is Reason.NO_GRANT


def test_a_listed_bind_must_be_named() -> None:
    accepted(judge(DEVICE.knock(), SOURCE, a_stand(binds_hex=[BIND.hex()])))
    assert refusal(judge(DEVICE.knock(bind=bytes(32)), SOURCE, a_stand(binds_hex=[BIND.hex()]))) is Reason.BIND


def test_a_stolen_knock_that_names_its_address_is_useless_elsewhere() -> None:
    packet = DEVICE.knock(address=SOURCE)
    assert refusal(judge(packet, ELSEWHERE, a_stand())) is Reason.ADDRESS
    assert accepted(judge(packet, SOURCE, a_stand())).address == SOURCE


def test_the_packets_own_source_counts_only_for_devices_that_may() -> None:
    assert refusal(judge(DEVICE.knock(), SOURCE, a_stand(allow_header_address=False))) is Reason.ADDRESS
    accepted(judge(DEVICE.knock(address=SOURCE), SOURCE, a_stand(allow_header_address=False)))


@pytest.mark.parametrize("source", ["0.0.0.0", "::", "127.0.0.1", "::1", "224.0.0.1", "ff02::1"])  # noqa: S104
def test_a_source_that_is_nobody_is_refused(source: str) -> None:
    assert refusal(judge(DEVICE.knock(), ip_address(source), a_stand())) is Reason.ADDRESS


def test_an_ipv6_source_opens_for_exactly_itself() -> None:
    source = ip_address("2001:db8::7")
    assert accepted(judge(DEVICE.knock(address=source), source, a_stand())).address == source


@pytest.mark.parametrize(("left_ms", "seconds"), [(60_000, 8), (8_000, 8), (7_999, 8), (3_000, 3), (2_001, 3), (1, 1)])
def test_a_window_does_not_outlast_the_second_in_which_its_grant_ends(left_ms: int, seconds: int) -> None:
    packet = DEVICE.knock(door=2, grant_id=GRANT_ID)
    assert accepted(judge(packet, SOURCE, a_stand(**window(-1, left_ms)))).window_seconds == seconds


AHEAD_MS = 9 * 60_000


def loose(**changes: Any) -> bytes:
    fields = {"stamp_ms": NOW_MS + AHEAD_MS, "address": SOURCE, "loose_clock": True, **changes}
    return DEVICE.knock(**fields)


def test_a_device_known_for_its_clock_may_be_off_when_it_names_its_address_and_key() -> None:
    accepted(judge(loose(), SOURCE, a_stand(loose_clock=True)))


@pytest.mark.parametrize(
    ("changes", "device"),
    [
        ({}, {}),
        ({"loose_clock": False}, {"loose_clock": True}),
        ({"address": None}, {"loose_clock": True}),
        ({"bind": bytes(32)}, {"loose_clock": True}),
        ({"stamp_ms": NOW_MS + 600_001, "epoch": epoch_at(NOW_MS // 1000)}, {"loose_clock": True}),
    ],
    ids=str,
)
def test_a_wrong_clock_is_forgiven_to_nobody_else(changes: dict[str, Any], device: dict[str, Any]) -> None:
    assert refusal(judge(loose(**changes), SOURCE, a_stand(**device))) is Reason.CLOCK


def test_a_loose_clock_replays_nothing_and_is_useless_elsewhere() -> None:
    stand = a_stand(last_ms=NOW_MS + AHEAD_MS, loose_clock=True)
    assert refusal(judge(loose(), SOURCE, stand)) is Reason.REPLAYED
    assert refusal(judge(loose(), ELSEWHERE, a_stand(loose_clock=True))) is Reason.ADDRESS
