"""Socket diagnosis: bytes, and one real destruction on the loopback interface of this process's own namespace."""

import os
import socket
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spa_knock.opener.conntrack import Flow
from spa_knock.opener.netlink import NETLINK_SOCK_DIAG, Netlink
from spa_knock.opener.sockets import Connection, destroy, list_connections, read_connection


def listed(family: int, server: socket.socket, client: socket.socket) -> list[Connection]:
    link = Netlink(NETLINK_SOCK_DIAG)
    replies = link.dump(list_connections(family, server.getsockname()[1], client.getsockname()[1]), "listing")
    link.close()
    return [connection for reply in replies if (connection := read_connection(reply.payload)) is not None]


def test_an_ipv4_connection_is_found_with_its_addresses() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        (found,) = listed(socket.AF_INET, server, client)
        loopback = ip_address("127.0.0.1")
        assert found.flow == Flow(loopback, server.getsockname()[1], loopback, client.getsockname()[1])
        assert found.uid == os.getuid()


def test_an_ipv4_peer_of_a_dual_stack_listener_has_an_ipv4_flow() -> None:
    with (
        socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server,
        socket.create_connection(("127.0.0.1", server.getsockname()[1])) as client,
        server.accept()[0],
    ):
        # The client's own end is an IPv4 socket with the ports the other way round.
        assert listed(socket.AF_INET, server, client) == []
        (found,) = listed(socket.AF_INET6, server, client)
        assert found.flow.remote == ip_address("127.0.0.1")


def test_a_request_names_the_listed_socket_by_its_cookie() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        (found,) = listed(socket.AF_INET, server, client)
        assert destroy(found).payload[8:] == found.identity
        assert found.identity[-8:] != b"\xff" * 8


@pytest.mark.skipif(os.geteuid() != 0, reason="destroying a socket needs CAP_NET_ADMIN")
def test_destroying_one_connection_leaves_its_neighbour_and_the_listener() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        first, second = (socket.create_connection(server.getsockname()) for _ in range(2))
        with first, second:
            (ours, _), (ours_too, _) = server.accept(), server.accept()
            with ours, ours_too:
                (found,) = listed(socket.AF_INET, server, first)
                link = Netlink(NETLINK_SOCK_DIAG)
                link.transact([destroy(found)], "destroying")
                link.close()
                first.settimeout(2)
                with pytest.raises(ConnectionResetError):
                    first.recv(1)
                second.sendall(b"x")
                assert ours_too.recv(1) == b"x"
                socket.create_connection(server.getsockname()).close()


@given(st.binary(max_size=120))
def test_arbitrary_bytes_are_read_without_an_exception(data: bytes) -> None:
    read_connection(data)
