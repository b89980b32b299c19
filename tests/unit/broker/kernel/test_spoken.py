import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.kernel.spoken import plain, same_spoken, spoken


def test_a_code_is_forty_bits_in_two_groups() -> None:
    assert spoken(bytes(5)) == "0000-0000"
    assert spoken(b"\xff" * 5) == "ZZZZ-ZZZZ"
    with pytest.raises(ValueError, match="5 bytes"):
        spoken(bytes(4))


@given(st.binary(min_size=5, max_size=5), st.binary(min_size=5, max_size=5))
def test_different_bytes_have_different_codes(first: bytes, second: bytes) -> None:
    assert same_spoken(spoken(first), spoken(second)) is (first == second)


@given(st.binary(min_size=5, max_size=5))
def test_how_it_is_typed_does_not_matter(five: bytes) -> None:
    code = spoken(five)
    assert same_spoken(code, f" {code.lower().replace('-', ' ')} ".replace("0", "o").replace("1", "l"))


def test_what_is_too_long_is_no_code() -> None:
    assert plain("0" * 41) == ""
    assert not same_spoken("0000-0000", "")
