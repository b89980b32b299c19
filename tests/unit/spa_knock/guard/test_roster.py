"""The roster: whole or not at all, and found by key id."""

import base64
from ipaddress import ip_address
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from spa_knock.guard.errors import RosterError
from spa_knock.guard.roster import Assembly, KeyTable
from spa_knock.guard.rules import Accepted, Reason, Refused, Stand, judge
from spa_knock.wire.ids import raw_id
from spa_knock.wire.keys import DeviceKeys, day_key, day_of_epoch, epoch_at, gate_key
from tests.unit.spa_knock.guard.testing import (
    AUDIENCE,
    GRANT_ID,
    NOW_MS,
    SITE_KEY,
    Workstation,
    a_roster,
    a_table,
    roster_message,
)

ONE, TWO = Workstation(1), Workstation(2)
EPOCH = epoch_at(NOW_MS // 1000)


def test_a_roster_of_one_part_is_taken_as_sent() -> None:
    roster = a_roster(ONE.entry(), TWO.entry(doors=[1], grants=[], binds_hex=["ab" * 32]))
    first, second = roster.devices[ONE.device_id], roster.devices[TWO.device_id]
    assert (roster.version, roster.audience, roster.site_keys) == (1, AUDIENCE, (SITE_KEY,))
    assert first.keys == DeviceKeys.derive(ONE.knock_key, AUDIENCE)
    assert (first.mark, first.doors, first.allow_header_address) == (1, frozenset({1, 2}), True)
    assert first.grants[raw_id(GRANT_ID)].grant_id == GRANT_ID
    assert not second.grants
    assert (second.doors, second.binds) == (frozenset({1}), (bytes.fromhex("ab" * 32),))


def test_secrets_do_not_show_in_text() -> None:
    text = repr(a_roster(ONE.entry()))
    assert repr(SITE_KEY) not in text
    assert repr(ONE.knock_key) not in text


def test_a_roster_in_parts_counts_when_the_last_part_is_in() -> None:
    assembly = Assembly()
    assert assembly.add(roster_message(ONE.entry(), part=1, parts=3)) is None
    assert assembly.add(roster_message(part=2, parts=3)) is None
    roster = assembly.add(roster_message(TWO.entry(), part=3, parts=3))
    assert roster is not None
    assert roster.devices.keys() == {ONE.device_id, TWO.device_id}


@pytest.mark.parametrize(
    "second",
    [
        roster_message(part=3, parts=3),
        roster_message(part=2, parts=2),
        roster_message(part=2, parts=3, version=2),
        roster_message(part=2, parts=3, expires_at_ms=1),
        roster_message(part=2, parts=3, audience_hex="00" * 8),
        roster_message(ONE.entry(), part=2, parts=3),
    ],
)
def test_a_part_that_does_not_follow_spoils_the_roster(second: dict[str, Any]) -> None:
    assembly = Assembly()
    assembly.add(roster_message(ONE.entry(), part=1, parts=3))
    with pytest.raises(RosterError):
        assembly.add(second)
    with pytest.raises(RosterError):
        assembly.add(roster_message(part=2, parts=3))


def test_a_new_first_part_starts_over() -> None:
    assembly = Assembly()
    assembly.add(roster_message(ONE.entry(), part=1, parts=2))
    roster = assembly.add(roster_message(TWO.entry(), version=2))
    assert roster is not None
    assert roster.devices.keys() == {TWO.device_id}


def test_a_device_revoked_between_parts_is_left_out() -> None:
    assembly = Assembly()
    assembly.add(roster_message(ONE.entry(), TWO.entry(), part=1, parts=2))
    assembly.revoke(ONE.device_id)
    roster = assembly.add(roster_message(part=2, parts=2))
    assert roster is not None
    assert roster.devices.keys() == {TWO.device_id}
    again = assembly.add(roster_message(ONE.entry(), version=2))
    assert again is not None
    assert ONE.device_id in again.devices


def spki_of_another_kind() -> str:
    key = X25519PrivateKey.from_private_bytes(bytes(range(32))).public_key()
    return base64.b64encode(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


GRANT = {"grant_id": GRANT_ID, "door": 2, "not_before_ms": 0, "not_after_ms": 1}


@pytest.mark.parametrize(
    "changes",
    [
        {"device_id": "dev_1"},
        {"device_id": 1},
        {"knock_key_b64": "AAAA"},
        {"knock_key_b64": "not base64"},
        {"public_key_b64": "AAAA"},
        {"public_key_b64": spki_of_another_kind()},
        {"mark": 0},
        {"mark": 1 << 31},
        {"mark": True},
        {"allow_header_address": 1},
        {"doors": [0]},
        {"doors": "1"},
        {"doors": list(range(1, 30))},
        {"not_after_ms": -1},
        {"not_after_ms": 1.5},
        {"grants": [{**GRANT, "grant_id": "grt_1"}]},
        {"grants": [{**GRANT, "door": 0}]},
        {"grants": ["grt"]},
        {"binds_hex": ["AB" * 32]},
        {"binds_hex": ["ab" * 31]},
        {"binds_hex": [1]},
    ],
    ids=str,
)
def test_a_device_that_is_not_whole_spoils_the_roster(changes: dict[str, Any]) -> None:
    with pytest.raises(RosterError):
        a_roster(ONE.entry(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"version": -1},
        {"audience_hex": "00" * 7},
        {"audience_hex": None},
        {"site_keys_b64": []},
        {"site_keys_b64": ["AAAA"]},
        {"site_keys_b64": ["A" * 43 + "="] * 5},
        {"part": 2},
        {"part": 0},
        {"parts": 5_000},
        {"devices": {}},
        {"devices": [1]},
    ],
    ids=str,
)
def test_a_roster_that_is_not_whole_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(RosterError):
        a_roster(ONE.entry(), **changes)


values = st.none() | st.booleans() | st.integers() | st.text(max_size=12) | st.lists(st.text(max_size=3), max_size=2)


@given(st.sampled_from(sorted(ONE.entry())), values, st.sampled_from(sorted(roster_message())), values)
def test_any_value_in_any_field_gives_a_roster_or_a_roster_error(
    field: str, value: object, outer: str, outer_value: object
) -> None:
    for message in (roster_message(ONE.entry(**{field: value})), {**roster_message(ONE.entry()), outer: outer_value}):
        try:
            Assembly().add(message)
        except RosterError:
            continue


def test_a_key_id_is_found_in_three_epochs_and_no_other() -> None:
    table = a_table(ONE.entry(), TWO.entry())
    keys = DeviceKeys.derive(ONE.knock_key, AUDIENCE)
    for epoch in (EPOCH - 1, EPOCH, EPOCH + 1):
        found = table.find(keys.key_id(epoch))
        assert found is not None
        assert (found[0].device_id, found[1]) == (ONE.device_id, epoch)
        assert table.gate_keys(epoch) == (gate_key(day_key(SITE_KEY, day_of_epoch(epoch)), epoch),)
    assert table.find(keys.key_id(EPOCH + 2)) is None
    assert table.find(bytes(8)) is None
    assert table.gate_keys(EPOCH + 2) == ()


def test_moving_on_by_an_epoch_gives_what_a_new_table_gives() -> None:
    table = KeyTable(a_roster(ONE.entry(), TWO.entry()))
    table.cover(EPOCH)
    table.cover(EPOCH + 1)
    keys = DeviceKeys.derive(TWO.knock_key, AUDIENCE)
    assert table.find(keys.key_id(EPOCH + 2)) is not None
    assert table.find(keys.key_id(EPOCH - 1)) is None


def test_a_forgotten_device_is_found_no_more() -> None:
    table = a_table(ONE.entry(), TWO.entry())
    table.forget(ONE.device_id)
    for epoch in (EPOCH - 1, EPOCH, EPOCH + 1):
        assert table.find(DeviceKeys.derive(ONE.knock_key, AUDIENCE).key_id(epoch)) is None
        assert table.find(DeviceKeys.derive(TWO.knock_key, AUDIENCE).key_id(epoch)) is not None
    table.cover(EPOCH + 1)
    assert table.find(DeviceKeys.derive(ONE.knock_key, AUDIENCE).key_id(EPOCH + 2)) is None


def test_both_site_keys_are_in_force_while_one_is_replaced() -> None:
    keys = [base64.b64encode(key).decode() for key in (SITE_KEY, bytes(32))]
    assert len(a_table(ONE.entry(), site_keys_b64=keys).gate_keys(EPOCH)) == 2


def test_a_device_that_renews_itself_is_found_by_both_keys_and_each_opens_what_it_sealed() -> None:
    device = Workstation(1)
    renewed = Workstation(1)
    renewed.knock_key = b"n" * 32
    entry = device.entry(next_knock_key_b64=base64.b64encode(renewed.knock_key).decode())
    stand = Stand(a_table(entry), {1, 2}, lambda _device_id: 0, 0, NOW_MS)
    for knocking in (device, renewed):
        judgement = judge(knocking.knock(), ip_address("198.51.100.7"), stand)
        assert isinstance(judgement, Accepted), judgement
        assert judgement.device.device_id == device.device_id
    stand.table.forget(device.device_id)
    for knocking in (device, renewed):
        assert judge(knocking.knock(), ip_address("198.51.100.7"), stand) == Refused(Reason.KEY_ID)


def test_a_next_key_of_another_shape_is_refused() -> None:
    with pytest.raises(RosterError):
        a_table(Workstation(1).entry(next_knock_key_b64="!"))


def test_a_device_that_the_next_roster_tells_of_in_the_same_words_is_not_worked_out_again() -> None:
    before = _table(None)
    assembly = Assembly(before)
    roster = assembly.add(roster_message(ONE.entry(), TWO.entry(mark=7), version=2))
    assert roster is not None
    assert roster.devices[ONE.device_id] is before.roster.devices[ONE.device_id]
    assert roster.devices[TWO.device_id].mark == 7


def test_a_table_after_an_unchanged_roster_finds_the_same_devices_and_a_changed_one_does_not() -> None:
    before = _table(None)
    before.cover(EPOCH)
    same = _table(before)
    same.cover(EPOCH)
    assert same.find(ONE.knock(stamp_ms=NOW_MS)[:8]) == before.find(ONE.knock(stamp_ms=NOW_MS)[:8])
    assembly = Assembly(same)
    roster = assembly.add(roster_message(TWO.entry()))
    assert roster is not None
    changed = KeyTable(roster, assembly.known, same)
    changed.cover(EPOCH)
    assert changed.find(ONE.knock(stamp_ms=NOW_MS)[:8]) is None
    assert changed.find(TWO.knock(stamp_ms=NOW_MS)[:8]) is not None


def test_a_site_key_that_changes_changes_the_gates_of_an_unchanged_roster() -> None:
    before = _table(None)
    before.cover(EPOCH)
    after = _table(before, site_keys_b64=[base64.b64encode(bytes(32)).decode()])
    after.cover(EPOCH)
    assert set(before.gate_keys(EPOCH)).isdisjoint(after.gate_keys(EPOCH))


def test_a_forgotten_device_does_not_come_back_with_the_words_of_before() -> None:
    table = _table(None)
    table.forget(ONE.device_id)
    assert ONE.device_id not in table.known


@pytest.mark.parametrize(("second", "gates"), [(300, 1), (34, 2), (36, 1), (564, 1), (566, 2)])
def test_the_gate_takes_a_neighbouring_epoch_only_close_to_its_border(second: int, gates: int) -> None:
    table = _table(None)
    now_ms = (EPOCH * 600 + second) * 1000
    table.cover(EPOCH)
    assert len(table.gate_keys_around(now_ms)) == gates


def test_the_gate_takes_all_three_epochs_while_a_loose_clock_may_knock() -> None:
    assembly = Assembly()
    roster = assembly.add(roster_message(ONE.entry(loose_clock=True)))
    assert roster is not None
    table = KeyTable(roster)
    table.cover(EPOCH)
    assert len(table.gate_keys_around(EPOCH * 600_000 + 300_000)) == 3
    with pytest.raises(RosterError):
        Assembly().add(roster_message(ONE.entry(loose_clock=1)))


def _table(before: KeyTable | None, **changes: Any) -> KeyTable:
    assembly = Assembly(before)
    roster = assembly.add(roster_message(ONE.entry(), TWO.entry(), **changes))
    assert roster is not None
    return KeyTable(roster, assembly.known, before)


def test_a_forgotten_device_is_found_in_no_epoch_and_the_others_still_are() -> None:
    table = KeyTable(a_roster(ONE.entry(), TWO.entry()))
    table.cover(7)
    epochs = (6, 7, 8)
    gone, other = (DeviceKeys.derive(one.knock_key, AUDIENCE) for one in (ONE, TWO))
    assert all(table.find(gone.key_id(epoch)) for epoch in epochs)
    table.forget(ONE.device_id)
    table.cover(8)
    assert not any(table.find(gone.key_id(epoch)) for epoch in (*epochs, 9))
    found = [table.find(other.key_id(epoch)) for epoch in (7, 8, 9)]
    assert [(one[0].device_id, one[1]) for one in found if one] == [(TWO.device_id, epoch) for epoch in (7, 8, 9)]
    assert table.find(b"\xff" * 8) is None
    assert table.find(bytes(8)) is None
