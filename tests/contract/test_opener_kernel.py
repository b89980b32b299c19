"""The opener against the real kernel: what its rule set and verbs do to packets, in network namespaces of their own."""

import os
import shutil
import socket
import time
from collections.abc import Iterator

import pytest

from tests.contract.namespaces import (
    BROKER4,
    BROKER6,
    DOORS,
    KNOCK_PORT,
    MANAGEMENT_PORT,
    NEIGHBOUR4,
    NEIGHBOUR6,
    OUTSIDE_MANAGEMENT4,
    PLANT4,
    PLANT_BROKER4,
    TARGET_PORT,
    UIDS,
    VENDOR4,
    VENDOR6,
    Lab,
    Peer,
    drain,
    ip_packets_from,
    run,
)

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0 or shutil.which("nft") is None, reason="needs root, iproute2 and nftables"),
]
FAMILIES = pytest.mark.parametrize(
    ("broker", "vendor", "neighbour"),
    [(BROKER4, VENDOR4, NEIGHBOUR4), (BROKER6, VENDOR6, NEIGHBOUR6)],
    ids=["ipv4", "ipv6"],
)
DONE = "done"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab() as lab:
        yield lab


@pytest.fixture(scope="module")
def door_server(lab: Lab) -> socket.socket:
    return lab.listen(lab.broker, DOORS[1])


@pytest.fixture(autouse=True)
def shut(lab: Lab) -> Iterator[None]:
    """No test finds a window of the one before, in whatever order they run."""
    yield
    control = lab.peer("control")
    for door in DOORS:
        for address in (VENDOR4, NEIGHBOUR4, VENDOR6, NEIGHBOUR6):
            assert control.ask(type="close", door=door, address=address)["type"] == DONE
    control.socket.close()


@pytest.fixture
def guard(lab: Lab) -> Iterator[Peer]:
    peer = lab.peer("guard")
    yield peer
    peer.socket.close()


@pytest.fixture
def gateway(lab: Lab) -> Iterator[Peer]:
    peer = lab.peer("gateway")
    yield peer
    peer.socket.close()


@pytest.fixture
def control(lab: Lab) -> Iterator[Peer]:
    peer = lab.peer("control")
    yield peer
    peer.socket.close()


def knock_id() -> str:
    return os.urandom(12).hex()


def open_door(guard: Peer, address: str, seconds: int = 2, door: int = 1) -> None:
    answer = guard.ask(type="open", door=door, address=address, seconds=seconds, knock_id=knock_id())
    assert answer["type"] == DONE, answer


def connected(lab: Lab, server: socket.socket, source: str, broker: str) -> tuple[socket.socket, socket.socket]:
    """Both ends of a connection through an open door."""
    client = lab.dial(source, broker, DOORS[1])
    ours, _address = server.accept()
    return client, lab.keep(ours)


def talk(client: socket.socket, ours: socket.socket) -> None:
    ours.settimeout(2)
    client.settimeout(2)
    client.sendall(b"to the broker")
    assert ours.recv(100) == b"to the broker"
    ours.sendall(b"to the vendor")
    assert client.recv(100) == b"to the vendor"


def flow_mark(lab: Lab, client: socket.socket) -> int:
    port = client.getsockname()[1]
    table = run("ip", "netns", "exec", lab.broker, "conntrack", "-L", "-p", "tcp", "--orig-port-src", str(port))
    return int(table.split("mark=")[1].split()[0])


@FAMILIES
def test_a_closed_door_sends_nothing_at_all(
    lab: Lab, door_server: socket.socket, broker: str, vendor: str, neighbour: str
) -> None:
    sniffer = lab.sniff(lab.vendor, "far0")
    with pytest.raises(TimeoutError):
        lab.dial(vendor, broker, DOORS[1])
    with pytest.raises(TimeoutError):
        lab.dial(vendor, broker, 9)

    def stray_datagrams() -> None:
        family = socket.AF_INET6 if ":" in broker else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"x", (broker, 9))
            sock.sendto(bytes(192), (broker, KNOCK_PORT))
            sock.sendto(bytes(100), (broker, KNOCK_PORT))

    lab.inside(lab.vendor, stray_datagrams)
    assert ip_packets_from(drain(sniffer), broker) == []


@FAMILIES
def test_a_window_admits_one_address_and_ends_by_itself_while_its_connection_lives_on(
    lab: Lab, door_server: socket.socket, guard: Peer, broker: str, vendor: str, neighbour: str
) -> None:
    open_door(guard, vendor, seconds=1)
    client, ours = connected(lab, door_server, vendor, broker)
    with pytest.raises(TimeoutError):
        lab.dial(neighbour, broker, DOORS[1], seconds=0.3)
    with pytest.raises(TimeoutError):
        lab.dial(vendor, broker, DOORS[2], seconds=0.3)
    time.sleep(0.7)
    with pytest.raises(TimeoutError):
        lab.dial(vendor, broker, DOORS[1])
    talk(client, ours)


def test_opening_again_renews_the_time(lab: Lab, door_server: socket.socket, guard: Peer) -> None:
    open_door(guard, VENDOR4, seconds=1)
    open_door(guard, VENDOR4, seconds=3)
    time.sleep(1.3)
    client, ours = connected(lab, door_server, VENDOR4, BROKER4)
    talk(client, ours)
    # A later, shorter window does not cut the longer one short.
    open_door(guard, VENDOR4, seconds=1)
    time.sleep(1.2)
    connected(lab, door_server, VENDOR4, BROKER4)


def test_one_knocks_shut_leaves_the_window_of_another_behind_the_same_address(
    lab: Lab, door_server: socket.socket, guard: Peer, gateway: Peer
) -> None:
    first, second = knock_id(), knock_id()
    for knock in (first, second):
        guard.ask(type="open", door=1, address=NEIGHBOUR4, seconds=5, knock_id=knock)
    assert gateway.ask(type="shut", door=1, address=NEIGHBOUR4, knock_id=first)["type"] == DONE
    connected(lab, door_server, NEIGHBOUR4, BROKER4)
    assert gateway.ask(type="shut", door=1, address=NEIGHBOUR4)["type"] == DONE
    with pytest.raises(TimeoutError):
        lab.dial(NEIGHBOUR4, BROKER4, DOORS[1])


def test_control_closes_a_window_at_once(lab: Lab, door_server: socket.socket, guard: Peer, control: Peer) -> None:
    open_door(guard, NEIGHBOUR4, seconds=20)
    assert control.ask(type="close", door=1, address=NEIGHBOUR4, id=7) == {"v": 1, "type": DONE, "id": 7}
    with pytest.raises(TimeoutError):
        lab.dial(NEIGHBOUR4, BROKER4, DOORS[1])


@FAMILIES
def test_revoking_a_mark_resets_its_flow_and_no_other(
    lab: Lab, door_server: socket.socket, broker: str, vendor: str, neighbour: str
) -> None:
    guard, gateway, control = lab.peer("guard"), lab.peer("gateway"), lab.peer("control")
    open_door(guard, vendor)
    # Two devices behind one address.
    revoked_client, revoked_ours = connected(lab, door_server, vendor, broker)
    other_client, other_ours = connected(lab, door_server, vendor, broker)
    for client, mark in ((revoked_client, 41), (other_client, 42)):
        port = client.getsockname()[1]
        assert gateway.ask(type="mark", door=1, address=vendor, port=port, mark=mark)["type"] == DONE
        assert flow_mark(lab, client) == mark
    talk(revoked_client, revoked_ours)

    assert control.ask(type="revoke", mark=41)["type"] == DONE
    revoked_client.settimeout(1)
    with pytest.raises(ConnectionResetError):
        revoked_client.recv(1)
    # The broker's own end is gone too: a server that talks first revives nothing.
    with pytest.raises(ConnectionError):
        revoked_ours.sendall(b"anything")
    talk(other_client, other_ours)

    third_client, third_ours = connected(lab, door_server, vendor, broker)
    port = third_client.getsockname()[1]
    refusal = gateway.ask(type="mark", door=1, address=vendor, port=port, mark=41)
    assert refusal["code"] == "mark_revoked"
    assert control.ask(type="unrevoke", mark=41)["type"] == DONE
    assert gateway.ask(type="mark", door=1, address=vendor, port=port, mark=41)["type"] == DONE
    talk(third_client, third_ours)


def test_a_new_opener_resets_what_another_one_marked(lab: Lab, door_server: socket.socket) -> None:
    """It finds the flows in the kernel's own table."""
    open_door(lab.peer("guard"), VENDOR4)
    client, ours = connected(lab, door_server, VENDOR4, BROKER4)
    port = client.getsockname()[1]
    assert lab.peer("gateway").ask(type="mark", door=1, address=VENDOR4, port=port, mark=44)["type"] == DONE
    lab.stop_opener(kill=True)
    lab.start_opener()
    assert lab.peer("control").ask(type="revoke", mark=44)["type"] == DONE
    client.settimeout(2)
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    with pytest.raises(ConnectionError):
        ours.sendall(b"anything")


def test_revoking_a_mark_whose_connections_are_over_leaves_the_door_itself_alone(
    lab: Lab, door_server: socket.socket, guard: Peer, gateway: Peer, control: Peer
) -> None:
    """By addresses alone, SOCK_DESTROY would fall back to the listener of that port."""
    open_door(guard, VENDOR4)
    client, ours = connected(lab, door_server, VENDOR4, BROKER4)
    port = client.getsockname()[1]
    assert gateway.ask(type="mark", door=1, address=VENDOR4, port=port, mark=43)["type"] == DONE
    client.close()
    ours.close()
    assert control.ask(type="revoke", mark=43)["type"] == DONE
    assert control.ask(type="revoke", mark=43)["type"] == DONE
    connected(lab, door_server, VENDOR4, BROKER4)


def test_a_flow_cannot_be_re_marked_out_of_its_revocation(
    lab: Lab, door_server: socket.socket, guard: Peer, gateway: Peer
) -> None:
    open_door(guard, VENDOR4)
    client, _ours = connected(lab, door_server, VENDOR4, BROKER4)
    port = client.getsockname()[1]
    assert gateway.ask(type="mark", door=1, address=VENDOR4, port=port, mark=50)["type"] == DONE
    assert gateway.ask(type="mark", door=1, address=VENDOR4, port=port, mark=51)["code"] == "mark_taken"
    assert gateway.ask(type="mark", door=1, address=VENDOR4, port=port, mark=50)["type"] == DONE
    assert flow_mark(lab, client) == 50


def test_a_flow_that_does_not_exist_cannot_be_marked(lab: Lab, gateway: Peer) -> None:
    assert gateway.ask(type="mark", door=1, address=VENDOR4, port=1, mark=60)["code"] == "flow_unknown"


def test_the_rule_alone_resets_a_revoked_flow(lab: Lab, door_server: socket.socket, guard: Peer, gateway: Peer) -> None:
    """The belt beside SOCK_DESTROY: the mark is revoked by hand, so that no socket is destroyed."""
    open_door(guard, VENDOR4)
    client, _ours = connected(lab, door_server, VENDOR4, BROKER4)
    port = client.getsockname()[1]
    assert gateway.ask(type="mark", door=1, address=VENDOR4, port=port, mark=70)["type"] == DONE
    run("ip", "netns", "exec", lab.broker, "nft", "add", "element", "inet", "sallyport", "revoked", "{ 70 }")
    client.settimeout(1)
    client.sendall(b"x")
    with pytest.raises(ConnectionResetError):
        client.recv(1)


def test_the_gateway_reaches_a_target_only_while_control_allows_it(lab: Lab, control: Peer) -> None:
    lab.listen(lab.plant, TARGET_PORT)
    gateway = UIDS["gateway"]
    assert lab.dial_as(gateway, PLANT4, TARGET_PORT) == "refused"
    assert control.ask(type="egress", address=PLANT4, port=TARGET_PORT, seconds=60)["type"] == DONE
    assert lab.dial_as(gateway, PLANT4, TARGET_PORT) == "connected"
    assert lab.dial_as(gateway, PLANT4, TARGET_PORT + 1) == "refused"
    for name in ("guard", "control", "opener"):
        assert lab.dial_as(UIDS[name], PLANT4, TARGET_PORT) == "refused"
    assert lab.dial_as(0, PLANT4, TARGET_PORT) == "connected"
    assert control.ask(type="egress_close", address=PLANT4, port=TARGET_PORT)["type"] == DONE
    assert lab.dial_as(gateway, PLANT4, TARGET_PORT) == "refused"


def test_a_reset_ends_one_connection_and_leaves_its_neighbour(
    lab: Lab, door_server: socket.socket, guard: Peer, control: Peer
) -> None:
    open_door(guard, VENDOR4)
    first, ours_first = connected(lab, door_server, VENDOR4, BROKER4)
    second, ours_second = connected(lab, door_server, VENDOR4, BROKER4)
    answer = control.ask(type="reset", door=1, address=VENDOR4, port=first.getsockname()[1])
    assert answer["type"] == DONE
    for end in (first, ours_first):
        end.settimeout(2)
        with pytest.raises(ConnectionError):
            end.recv(1)
    talk(second, ours_second)
    assert control.ask(type="reset", door=1, address=VENDOR4, port=9)["type"] == DONE


def test_an_egress_reset_ends_the_gateways_connections_to_one_target_only(lab: Lab, control: Peer) -> None:
    targets = {port: lab.listen(lab.plant, port) for port in (TARGET_PORT + 10, TARGET_PORT + 11)}
    for port in targets:
        assert control.ask(type="egress", address=PLANT4, port=port, seconds=60)["type"] == DONE

    def dial(port: int, uid: int) -> socket.socket:
        def make() -> socket.socket:
            sock = socket.socket()
            os.fchown(sock.fileno(), uid, uid)
            sock.settimeout(2)
            sock.connect((PLANT4, port))
            return sock

        return lab.keep(lab.inside(lab.broker, make))

    cut, other = (dial(port, UIDS["gateway"]) for port in targets)
    administrators = dial(TARGET_PORT + 10, 0)
    assert control.ask(type="egress_reset", address=PLANT4, port=TARGET_PORT + 10)["type"] == DONE
    with pytest.raises(ConnectionError):
        cut.recv(1)
    for sock in (other, administrators):
        with pytest.raises(TimeoutError):
            sock.recv(1)
    assert lab.dial_as(UIDS["gateway"], PLANT4, TARGET_PORT + 10) == "refused"


def test_management_is_reached_from_its_prefix_and_interface_only(lab: Lab) -> None:
    lab.listen(lab.broker, MANAGEMENT_PORT)

    def reach(source: str, address: str) -> None:
        with socket.create_connection((address, MANAGEMENT_PORT), timeout=0.5, source_address=(source, 0)):
            pass

    lab.inside(lab.plant, lambda: reach(PLANT4, PLANT_BROKER4))
    with pytest.raises(TimeoutError):
        lab.inside(lab.plant, lambda: reach(OUTSIDE_MANAGEMENT4, "172.31.7.1"))
    with pytest.raises(TimeoutError):
        lab.inside(lab.vendor, lambda: reach(VENDOR4, BROKER4))


@pytest.mark.parametrize("name", ["guard", "control", "gateway"])
@pytest.mark.parametrize("uid", [0, 65_534, *UIDS.values()])
def test_a_socket_serves_only_the_user_id_it_is_for(lab: Lab, name: str, uid: int) -> None:
    peer = lab.peer(name, uid)
    if uid == UIDS[name]:
        assert peer.ask(type="nonsense")["code"] == "unknown_verb"
    else:
        with pytest.raises(ConnectionError):
            peer.ask(type="nonsense")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("guard", {"type": "egress", "address": PLANT4, "port": 22, "seconds": 10}),
        ("guard", {"type": "revoke", "mark": 1}),
        ("gateway", {"type": "open", "door": 1, "address": VENDOR4, "seconds": 5, "knock_id": "00" * 12}),
        ("gateway", {"type": "egress", "address": PLANT4, "port": 22, "seconds": 10}),
        ("gateway", {"type": "unrevoke", "mark": 1}),
        ("control", {"type": "open", "door": 1, "address": VENDOR4, "seconds": 5, "knock_id": "00" * 12}),
        ("control", {"type": "mark", "door": 1, "address": VENDOR4, "port": 9, "mark": 1}),
    ],
)
def test_no_peer_has_anothers_verbs(lab: Lab, name: str, message: dict[str, object]) -> None:
    assert lab.peer(name).ask(**message)["code"] == "not_yours"


def test_the_knock_filter_sheds_junk_and_repeats_and_tracks_nothing(lab: Lab, guard: Peer) -> None:
    def listen() -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((BROKER4, KNOCK_PORT))
        sock.settimeout(0.3)
        return sock

    receiver = lab.keep(lab.inside(lab.broker, listen))

    def send(*packets: bytes) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((VENDOR4, 40_000))
            for packet in packets:
                sock.sendto(packet, (BROKER4, KNOCK_PORT))

    packet = os.urandom(192)
    # Too short, too long, and in pieces on the way (more than one 1,500-byte frame).
    lab.inside(lab.vendor, lambda: send(packet[:191], packet + b"x", bytes(4_000), packet))
    assert receiver.recv(300) == packet
    with pytest.raises(TimeoutError):
        receiver.recv(300)
    answer = guard.ask(type="open", door=1, address=NEIGHBOUR4, seconds=1, knock_id=packet[8:20].hex())
    assert answer["type"] == DONE
    fresh = os.urandom(192)
    lab.inside(lab.vendor, lambda: send(packet, fresh))
    assert receiver.recv(300) == fresh
    table = run("ip", "netns", "exec", lab.broker, "conntrack", "-L", "-p", "udp")
    assert str(KNOCK_PORT) not in table


def test_loading_again_replaces_the_table_and_leaves_running_connections(
    lab: Lab, door_server: socket.socket, guard: Peer
) -> None:
    open_door(guard, VENDOR4, seconds=20)
    client, ours = connected(lab, door_server, VENDOR4, BROKER4)
    lab.load()
    talk(client, ours)
    with pytest.raises(TimeoutError):
        lab.dial(VENDOR4, BROKER4, DOORS[1])
    open_door(guard, VENDOR4, seconds=1)
    connected(lab, door_server, VENDOR4, BROKER4)


def test_a_killed_opener_leaves_doors_that_close(lab: Lab, door_server: socket.socket, guard: Peer) -> None:
    open_door(guard, NEIGHBOUR4, seconds=1)
    lab.stop_opener(kill=True)
    connected(lab, door_server, NEIGHBOUR4, BROKER4)
    time.sleep(1.1)
    with pytest.raises(TimeoutError):
        lab.dial(NEIGHBOUR4, BROKER4, DOORS[1])
    lab.start_opener()
    open_door(lab.peer("guard"), NEIGHBOUR4, seconds=1)
    connected(lab, door_server, NEIGHBOUR4, BROKER4)
