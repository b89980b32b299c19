"""Flows of the connection table as bytes."""

import socket
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spa_knock.opener.conntrack import Flow, get_flow, list_flows_with_mark, read_flow, read_mark, set_mark
from spa_knock.opener.netlink import ACK, DUMP, REQUEST, attribute, nested, nfgenmsg, parse_attributes

ports = st.integers(0, 0xFFFF)
ipv4, ipv6 = st.integers(0, (1 << 32) - 1).map(IPv4Address), st.integers(0, (1 << 128) - 1).map(IPv6Address)
flows = st.builds(Flow, ipv4, ports, ipv4, ports) | st.builds(Flow, ipv6, ports, ipv6, ports)


@given(flows, st.integers(0, (1 << 32) - 1))
def test_what_is_written_of_a_flow_is_read_back(flow: Flow, mark: int) -> None:
    message = set_mark(flow, mark)
    assert read_flow(message.payload) == flow
    assert read_mark(message.payload) == mark
    assert read_flow(get_flow(flow).payload) == flow
    assert read_mark(get_flow(flow).payload) == 0


def test_a_mark_is_changed_without_creating_a_flow() -> None:
    flow = Flow(IPv4Address("198.51.100.1"), 443, IPv4Address("198.51.100.7"), 5)
    message = set_mark(flow, 9)
    assert (message.type, message.flags) == (0x100, REQUEST | ACK)
    assert message.payload[0] == socket.AF_INET


def test_listing_filters_by_the_whole_mark_in_both_families() -> None:
    message = list_flows_with_mark(9)
    assert (message.type, message.flags, message.payload[0]) == (0x101, REQUEST | DUMP, socket.AF_UNSPEC)
    assert parse_attributes(message.payload[4:]) == {8: b"\0\0\0\x09", 21: b"\xff\xff\xff\xff"}


@pytest.mark.parametrize("protocol", [socket.IPPROTO_UDP, socket.IPPROTO_ICMP])
def test_other_protocols_are_no_flow_of_ours(protocol: int) -> None:
    tuple_ = nested(
        2, nested(1, attribute(1, bytes(4)), attribute(2, bytes(4))), nested(2, attribute(1, bytes([protocol])))
    )
    assert read_flow(nfgenmsg(socket.AF_INET) + tuple_) is None


@given(st.binary(max_size=120))
def test_arbitrary_bytes_are_read_without_an_exception(data: bytes) -> None:
    read_mark(data)
    read_flow(data)
