import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from broker.audit.chain import GENESIS, canonical, link
from broker.audit.checkpoint import Checkpoint, Difference, NotAuthentic, Torn, first_difference, read_line
from broker.audit.model import AuditRecord

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
CHECKPOINT = Checkpoint("north", 7, bytes(range(32)), NOON)
LINE = CHECKPOINT.signed(KEY)


def a_trail(length: int, story: str = "as it was", changed_from: int = 1) -> list[AuditRecord]:
    """A trail that holds; `story` stands in every record from `changed_from` on."""
    records, previous = [], GENESIS
    for seq in range(1, length + 1):
        params = {"text": story if seq >= changed_from else "as it was"}
        linked = link(previous, canonical(seq, NOON, "test.happened", "psn_1", "x", params))
        records.append(AuditRecord(seq, NOON, "test.happened", "psn_1", "x", params, previous, linked))
        previous = linked
    return records


def witnessed_at(trail: list[AuditRecord], *numbers: int) -> list[Checkpoint]:
    return [Checkpoint("north", seq, trail[seq - 1].hash if seq else GENESIS, NOON) for seq in numbers]


def test_a_line_says_what_was_signed() -> None:
    assert read_line(LINE, KEY.public_key(), "north") == CHECKPOINT
    assert json.loads(LINE)["checkpoint"] == {
        "at": "2026-11-20T12:00:00.000000+00:00",
        "head": bytes(range(32)).hex(),
        "seq": 7,
        "site": "north",
    }


def test_the_form_does_not_depend_on_the_time_zone() -> None:
    beijing = replace(CHECKPOINT, at=NOON.astimezone(timezone(timedelta(hours=8))))
    assert beijing.canonical() == CHECKPOINT.canonical()


@given(position=st.integers(0, len(LINE) - 1), flip=st.integers(1, 255))
def test_no_byte_of_a_line_can_be_changed(position: int, flip: int) -> None:
    changed = bytearray(LINE)
    changed[position] ^= flip
    with pytest.raises((NotAuthentic, Torn)) as refusal:
        read_line(bytes(changed), KEY.public_key(), "north")
    if position != len(LINE) - 1:
        assert refusal.type is NotAuthentic


def test_the_bits_that_base64_leaves_free_are_not_free() -> None:
    at = LINE.index(b'=="') - 1
    changed = LINE[:at] + bytes([LINE[at] ^ 2]) + LINE[at + 1 :]
    assert base64.b64decode(json.loads(changed)["signature_b64"]) == base64.b64decode(json.loads(LINE)["signature_b64"])
    with pytest.raises(NotAuthentic, match="form"):
        read_line(changed, KEY.public_key(), "north")


@given(st.integers(0, len(LINE) - 1))
def test_the_beginning_of_a_line_is_what_a_crash_leaves(length: int) -> None:
    # One beginning ends with a brace: it reads as JSON that is cut, which a crash would have to hit by chance.
    if LINE[:length].endswith(b"}"):
        return
    with pytest.raises(Torn):
        read_line(LINE[:length], KEY.public_key(), "north")


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_noise_is_no_checkpoint(noise: bytes) -> None:
    with pytest.raises((NotAuthentic, Torn)):
        read_line(noise, KEY.public_key(), "north")


@pytest.mark.parametrize("noise", [b"[" * 900, b"{" + b" " * 2000 + b"}", b"null", b"[]", b'{"checkpoint":3}'])
def test_hostile_lines_are_refused_and_nothing_more(noise: bytes) -> None:
    with pytest.raises((NotAuthentic, Torn)):
        read_line(noise, KEY.public_key(), "north")


def test_another_key_or_another_site_is_not_this_sites() -> None:
    other = Ed25519PrivateKey.generate()
    with pytest.raises(NotAuthentic, match="signature"):
        read_line(LINE, other.public_key(), "north")
    with pytest.raises(NotAuthentic, match="another site"):
        read_line(LINE, KEY.public_key(), "south")


@pytest.mark.parametrize("wrong", [{"seq": -1}, {"head": b"short"}, {"at": datetime(2026, 11, 20)}])  # noqa: DTZ001
def test_a_checkpoint_that_says_nothing_cannot_be_made(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="a checkpoint has"):
        replace(CHECKPOINT, **wrong)  # type: ignore[arg-type]


def test_the_trail_that_was_witnessed_does_not_differ() -> None:
    trail = a_trail(9)
    assert first_difference(trail, witnessed_at(trail, 0, 3, 3, 9)) is None
    assert first_difference(trail, []) is None


def test_a_trail_rewritten_in_itself_differs_at_the_first_witness_of_the_change() -> None:
    genuine = a_trail(12)
    witnessed = witnessed_at(genuine, 2, 5, 8, 12)
    forged = a_trail(12, "as they wish it had been", changed_from=7)
    assert first_difference(forged, witnessed) == Difference("rewritten", 8, 5, witnessed[2])


def test_a_trail_that_lost_its_end_is_truncated() -> None:
    genuine = a_trail(12)
    witnessed = witnessed_at(genuine, 5, 11)
    assert first_difference(genuine[:8], witnessed) == Difference("truncated", 11, 5, witnessed[1])
    assert first_difference([], witnessed) == Difference("truncated", 5, 0, witnessed[0])


def test_a_missing_record_that_was_witnessed_shows_at_its_number() -> None:
    genuine = a_trail(6)
    witnessed = witnessed_at(genuine, 2, 4)
    assert first_difference([*genuine[:3], *genuine[4:]], witnessed) == Difference("rewritten", 4, 2, witnessed[1])


def test_a_beginning_that_was_witnessed_as_something_else_differs() -> None:
    strange = Checkpoint("north", 0, b"x" * 32, NOON)
    assert first_difference(a_trail(1), [strange]) == Difference("rewritten", 0, 0, strange)


@given(
    length=st.integers(1, 30), changed=st.integers(1, 30), numbers=st.lists(st.integers(1, 30), min_size=1, max_size=8)
)
def test_a_rewritten_record_lies_between_the_last_agreement_and_the_difference(
    length: int, changed: int, numbers: list[int]
) -> None:
    numbers = [number for number in numbers if number <= length]
    witnessed = witnessed_at(a_trail(length), *numbers)
    found = first_difference(a_trail(length, "another story", changed_from=changed), witnessed)
    covering = [number for number in numbers if number >= changed]
    if changed > length or not covering:
        assert found is None
    else:
        assert found is not None
        assert found.seq == min(covering)
        assert found.agrees_until < changed <= found.seq
