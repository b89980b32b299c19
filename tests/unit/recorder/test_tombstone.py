from dataclasses import asdict, replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from recorder.errors import DamagedRecordingError
from recorder.testing import NOW_MS
from recorder.tombstone import LEAST_KEPT_MS, Tombstone, line_of, of_fields, read_line

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
STONE = Tombstone(
    site="hefei-2",
    recording_id="rec_06ew000000000000000000000g",
    session_id="ses_06ew000000000000000000000g",
    grant_id="grt_06ew000000000000000000000g",
    state="sealed",
    opened_at_ms=NOW_MS,
    closed_at_ms=NOW_MS + 1000,
    frames=9,
    batches=7,
    bytes=2000,
    signing_key="11" * 32,
    header_sha256="22" * 32,
    head_sha256="33" * 32,
    head_signature="44" * 64,
    purge_id="prg_06ew000000000000000000000g",
    asked_by="psn_system",
    confirmed_by="psn_auditor",
    reason="去年的磁盘满了",
    purged_at_ms=NOW_MS + 1000 + LEAST_KEPT_MS,
)
LINE = line_of(STONE, STONE.signature(KEY.sign))


def test_a_signed_line_is_read_back_as_it_was() -> None:
    assert read_line(LINE, PUBLIC) == STONE
    assert read_line(LINE + b"\n", PUBLIC) == STONE
    assert of_fields(asdict(STONE)) == STONE
    assert b"\n" not in LINE


@pytest.mark.exhaustive
def test_every_flipped_byte_of_a_line_is_noticed() -> None:
    for at in range(len(LINE)):
        for flip in (1, 0x20, 0x80):
            changed = bytearray(LINE)
            changed[at] ^= flip
            with pytest.raises(DamagedRecordingError):
                read_line(bytes(changed), PUBLIC)


def test_another_key_or_no_signature_is_forged() -> None:
    other = Ed25519PrivateKey.from_private_bytes(bytes(32))
    for signature in (STONE.signature(other.sign), bytes(64), KEY.sign(STONE.canonical())):
        with pytest.raises(DamagedRecordingError) as refused:
            read_line(line_of(STONE, signature), PUBLIC)
        assert refused.value.code == "forged_head"
    assert read_line(line_of(STONE, bytes(64)), None) == STONE


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"purged_at_ms": STONE.purged_at_ms - 1}, "180 days"),
        ({"opened_at_ms": STONE.closed_at_ms + 1}, "180 days"),
        ({"confirmed_by": "psn_system"}, "alone"),
        ({"reason": ""}, "reason"),
        ({"reason": "x" * 1001}, "reason"),
        ({"state": "open"}, "sealed or broken"),
        ({"bytes": -1}, "not negative"),
        ({"frames": 2**63}, "not negative"),
        ({"signing_key": "11"}, "32 bytes"),
        ({"signing_key": "ZZ" * 32}, "32 bytes"),
        ({"head_sha256": ""}, "32 bytes"),
        ({"head_signature": "44" * 32}, "64 bytes"),
        ({"grant_id": ""}, "grant_id"),
        ({"session_id": "s" * 81}, "session_id"),
    ],
)
def test_what_no_lawful_purge_leaves_is_no_tombstone(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        replace(STONE, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b"[1]",
        b"\xff",
        b"[" * 5000,
        LINE + b" " * 8192,
        LINE.replace(b'"v":1', b'"v":2'),
        LINE.replace(b'"v":1', b'"v":1,"more":1'),
        LINE.replace(b'"frames":9', b'"frames":true'),
        LINE.replace(b'"frames":9', b'"frames":"9"'),
        LINE.replace(b'"frames":9,', b""),
        LINE.replace(b'"state":"sealed"', b'"state":null'),
        LINE.replace(b'{"signature_b64"', b'{ "signature_b64"'),
    ],
)
def test_what_is_spelled_otherwise_is_no_tombstone(line: bytes) -> None:
    with pytest.raises(DamagedRecordingError) as refused:
        read_line(line, PUBLIC)
    assert refused.value.code == "not_a_tombstone"


def test_a_recording_that_broke_off_has_no_head() -> None:
    broken = replace(STONE, state="broken", head_sha256=None, head_signature=None)
    assert read_line(line_of(broken, broken.signature(KEY.sign)), PUBLIC) == broken
