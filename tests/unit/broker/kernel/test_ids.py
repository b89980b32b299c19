from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.kernel import ids

_AT = datetime(2026, 11, 20, 9, tzinfo=UTC)


@given(st.binary(min_size=16, max_size=16))
def test_raw_bytes_and_text_are_the_same_id(raw_bytes: bytes) -> None:
    assert ids.raw(ids.from_raw("grt", raw_bytes)) == raw_bytes


def test_ids_sort_by_their_moment() -> None:
    earlier = ids.new_id("grt", _AT, b"\xff" * 10)
    later = ids.new_id("grt", _AT + timedelta(milliseconds=1), b"\x00" * 10)
    assert earlier < later


def test_ids_of_one_millisecond_sort_by_the_order_of_their_making() -> None:
    made = [ids.new_id("ses", _AT) for _ in range(1000)]
    assert made == sorted(set(made))


def test_an_id_is_a_version_7_uuid() -> None:
    raw_bytes = ids.raw(ids.new_id("ses", _AT))
    assert raw_bytes[6] >> 4 == 7
    assert raw_bytes[8] >> 6 == 2
    assert int.from_bytes(raw_bytes[:6], "big") == int(_AT.timestamp() * 1000)


@pytest.mark.parametrize("text", ["", "grt", "grt_", "grt_short", "grt_" + "u" * 26, "grt_" + "z" * 26, "x" * 300])
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an id"):
        ids.raw(text)


def test_the_prefix_belongs_to_the_id() -> None:
    identifier = ids.new_id("grt", _AT)
    assert ids.is_id("grt", identifier)
    assert not ids.is_id("ses", identifier)
    assert not ids.is_id("grt", "grt_../../etc/passwd")


def test_a_wrong_number_of_bytes_is_refused() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        ids.from_raw("grt", b"short")
