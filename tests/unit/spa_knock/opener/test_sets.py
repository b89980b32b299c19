"""Set elements as bytes, compared with the documented layout."""

import struct
from ipaddress import ip_address

from spa_knock.opener import sets
from spa_knock.opener.netlink import ACK, REQUEST, Message, parse_attributes


def element(message: Message) -> tuple[bytes, bytes, bytes, dict[int, bytes]]:
    outer = parse_attributes(message.payload[4:])
    inner = parse_attributes(parse_attributes(outer[3])[1])
    return outer[1], outer[2], parse_attributes(inner[1])[1], inner


def test_keys_have_the_kernels_layout() -> None:
    assert sets.address_port_key(ip_address("198.51.100.7"), 443).hex() == "c6336407" + "01bb0000"
    assert sets.address_port_key(ip_address("2001:db8::7"), 22).hex() == "20010db8" + "0" * 22 + "07" + "00160000"
    assert sets.mark_key(7) == struct.pack("=I", 7)


def test_an_element_names_table_set_key_and_time() -> None:
    message = sets.add("sallyport", "open4", b"12345678", 8_000)
    table, name, key, inner = element(message)
    assert (message.type, table, name, key) == (0xA0C, b"sallyport\0", b"open4\0", b"12345678")
    assert inner[4] == (8_000).to_bytes(8, "big")
    assert message.payload[:4] == b"\x01\0\0\0"
    assert message.flags == REQUEST | 0x400


def test_an_element_without_time_stays_for_ever() -> None:
    assert 4 not in element(sets.add("t", "revoked", b"1234"))[3]


def test_renewing_adds_deletes_and_adds_and_discarding_adds_and_deletes() -> None:
    assert [message.type for message in sets.renew("t", "s", b"k", 1)] == [0xA0C, 0xA0E, 0xA0C]
    assert [message.type for message in sets.discard("t", "s", b"k", 1)] == [0xA0C, 0xA0E]


def test_a_batch_is_framed_as_one_transaction_of_nftables() -> None:
    framed = sets.batch([sets.delete("t", "s", b"k")])
    assert [message.type for message in framed] == [0x10, 0xA0E, 0x11]
    assert framed[0].payload == framed[-1].payload == b"\0\0\0\x0a"


def test_one_acknowledgement_answers_for_a_whole_batch() -> None:
    framed = sets.batch(sets.renew("t", "s", b"k", 1))
    assert [bool(message.flags & ACK) for message in framed] == [False, False, False, True, False]


def test_look_ups_ask_for_one_element_or_one_set() -> None:
    assert sets.get("t", "s", b"k").type == 0xA0D
    asked = sets.get_set("t", "s")
    assert (asked.type, parse_attributes(asked.payload[4:])) == (0xA0A, {1: b"t\0", 2: b"s\0"})
