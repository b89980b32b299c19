"""A gateway's entries: what one key signed cannot be changed, moved, or said by another."""

import dataclasses
import os

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from recorder.errors import DamagedRecordingError
from recorder.sequence import ORIGIN, Boot, BootKey, Entry, read_boot, read_entry

EVIDENCE = Ed25519PrivateKey.generate()
PUBLIC = EVIDENCE.public_key().public_bytes_raw()
KEY = BootKey.make("w1", "b1", EVIDENCE.sign, os.urandom)


def test_what_was_signed_is_read_back_and_holds() -> None:
    entry = KEY.entry(7, ORIGIN, '{"type":"ended","text":"旧"}')
    boot, again = read_boot(KEY.boot.to_json()), read_entry(entry.to_json())
    assert (boot, again) == (KEY.boot, entry)
    boot.check(PUBLIC)
    again.check(boot)
    assert KEY.entry(8, entry.link, "{}").previous == again.link


@pytest.mark.parametrize(
    "change",
    [
        {"seq": 8},
        {"previous": bytes(31) + b"\1"},
        {"payload": '{"type":"started" }'},
        {"boot_id": "b2"},
        {"signature": bytes(64)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_an_entry_that_was_changed_does_not_hold(change: dict[str, object]) -> None:
    entry = KEY.entry(7, ORIGIN, '{"type":"started"}')
    with pytest.raises(DamagedRecordingError):
        dataclasses.replace(entry, **change).check(KEY.boot)  # type: ignore[arg-type]


def test_every_part_of_an_entry_changes_its_link() -> None:
    entry = KEY.entry(7, ORIGIN, "{}")
    others = [
        KEY.entry(8, ORIGIN, "{}"),
        KEY.entry(7, bytes(31) + b"\1", "{}"),
        KEY.entry(7, ORIGIN, "[]"),
        BootKey.make("w1", "b2", EVIDENCE.sign, os.urandom).entry(7, ORIGIN, "{}"),
    ]
    assert len({one.link for one in [entry, *others]}) == 5


def test_an_entry_of_another_boots_key_does_not_hold() -> None:
    other = BootKey.make("w1", "b1", EVIDENCE.sign, os.urandom)
    with pytest.raises(DamagedRecordingError):
        other.entry(1, ORIGIN, "{}").check(KEY.boot)


@pytest.mark.parametrize("change", [{"worker": "w2"}, {"boot_id": "b2"}, {"public": bytes(32)}])
def test_a_key_that_the_evidence_key_does_not_vouch_for_does_not_hold(change: dict[str, object]) -> None:
    with pytest.raises(DamagedRecordingError):
        dataclasses.replace(KEY.boot, **change).check(PUBLIC)  # type: ignore[arg-type]
    with pytest.raises(DamagedRecordingError):
        KEY.boot.check(Ed25519PrivateKey.generate().public_key().public_bytes_raw())


def test_names_cannot_be_moved_into_one_another() -> None:
    one = BootKey.make("w1b", "1", EVIDENCE.sign, os.urandom).boot
    with pytest.raises(DamagedRecordingError):
        Boot("w1", "b1", one.public, one.signature).check(PUBLIC)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seq", True),
        ("seq", "1"),
        ("seq", 0),
        ("seq", 2**63),
        ("boot_id", ""),
        ("boot_id", "x" * 65),
        ("previous_hex", "00"),
        ("previous_hex", "zz" * 32),
        ("payload", ""),
        ("payload", None),
        ("payload", "x" * 60_001),
        ("signature_b64", "!"),
        ("signature_b64", "AAAA"),
    ],
)
def test_what_is_no_entry_is_refused(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_entry({**KEY.entry(1, ORIGIN, "{}").to_json(), name: value})


@pytest.mark.parametrize("data", [None, [], "x", {}, {"worker": "w"}])
def test_what_is_no_object_of_these_fields_is_refused(data: object) -> None:
    for read in (read_boot, read_entry):
        with pytest.raises(ValueError, match=r"."):
            read(data)


def test_a_key_of_another_length_is_no_boot() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Boot("w", "b", bytes(31), bytes(64))
    with pytest.raises(ValueError, match="names"):
        Boot("", "b", bytes(32), bytes(64))
    with pytest.raises(ValueError, match="link"):
        Entry("b", 1, b"", "{}", bytes(64))
