"""The raw bytes of ids."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spa_knock.wire.errors import PacketError
from spa_knock.wire.ids import raw_id

DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"


@given(st.binary(min_size=16, max_size=16))
def test_the_bytes_are_the_number_that_26_digits_write(raw: bytes) -> None:
    number = int.from_bytes(raw, "big")
    digits = "".join(DIGITS[number >> 5 * place & 31] for place in reversed(range(26)))
    assert raw_id(f"grt_{digits}") == raw


@given(st.text(max_size=40))
def test_other_texts_raise_a_packet_error_or_give_16_bytes(text: str) -> None:
    with contextlib.suppress(PacketError):
        assert len(raw_id(text)) == 16


@pytest.mark.parametrize(
    "text",
    [
        "",
        "grt_",
        "grt" + "0" * 26,
        "grt_" + "0" * 25,
        "grt_" + "0" * 27,
        "grt_" + "u" * 26,
        "grt_" + "z" * 26,
        "GRT_" + "0" * 26,
        "grt_" + "0" * 25 + "O",
        "gr_" + "0" * 26,
    ],
)
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(PacketError):
        raw_id(text)
