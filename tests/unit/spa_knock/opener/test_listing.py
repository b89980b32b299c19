"""What the kernel lists, read from bytes; the real kernel is in tests/contract."""

import struct
from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from spa_knock.opener import listing, sets
from spa_knock.opener.listing import Element, FoundChain
from spa_knock.opener.netlink import attribute, nested, nfgenmsg, text


def a_chain(table: str = "sallyport", *, is_base: bool = True) -> bytes:
    hook = nested(4, attribute(1, struct.pack(">I", 1)), attribute(2, struct.pack(">i", -450))) if is_base else b""
    return (
        nfgenmsg(1)
        + attribute(1, text(table))
        + attribute(3, text("incoming"))
        + hook
        + attribute(5, struct.pack(">I", 0))
        + attribute(6, struct.pack(">I", 12))
    )


def test_a_base_chain_of_our_table_is_read_and_nothing_else() -> None:
    assert listing.read_chain(a_chain(), "sallyport") == FoundChain("incoming", "input", -450, True, 12)
    assert listing.read_chain(a_chain("sally"), "sallyport") is None
    assert listing.read_chain(a_chain(is_base=False), "sallyport") is None


def test_a_counter_is_read_by_name() -> None:
    data = nested(4, attribute(1, struct.pack(">Q", 900)), attribute(2, struct.pack(">Q", 7)))
    payload = nfgenmsg(1) + attribute(1, text("sallyport")) + attribute(2, text("shed_nonce")) + data
    assert listing.read_counter(payload) == ("shed_nonce", 7)
    assert listing.read_counter(nfgenmsg(1)) is None


def test_every_element_of_an_answer_is_read_with_the_time_it_has_left() -> None:
    keys = [sets.address_port_key(ip_address(text_), 443) for text_ in ("198.51.100.7", "2001:db8::7")]
    elements = [
        nested(1, nested(1, attribute(1, keys[0])), attribute(5, struct.pack(">Q", 4_000))),
        nested(1, nested(1, attribute(1, keys[1]))),
    ]
    found = list(listing.read_elements(nfgenmsg(1) + nested(3, *elements)))
    assert found == [Element(keys[0], 4_000), Element(keys[1], None)]
    assert [listing.address_and_port(element.key)[1] for element in found] == [443, 443]
    assert listing.address_and_port(keys[1])[0] == ip_address("2001:db8::7")


@given(st.binary(max_size=300))
def test_bytes_that_mean_nothing_are_read_as_nothing(payload: bytes) -> None:
    listing.read_chain(payload, "sallyport")
    listing.read_counter(payload)
    list(listing.read_elements(payload))
