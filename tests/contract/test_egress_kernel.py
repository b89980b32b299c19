"""Hostile code under the gateway's user id: it reaches the leased targets while they are leased, and nothing else."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from tests.contract.namespaces import (
    ARCHIVE_UID,
    PLANT4,
    STORE_PORT,
    TARGET_PORT,
    UIDS,
    VENDOR4,
    VENDOR6,
    Lab,
    Peer,
    run,
)

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0 or shutil.which("nft") is None, reason="needs root, iproute2 and nftables"),
]
PLANT6, PLANT_BROKER6 = "fd07::2", "fd07::1"
LEASED, OTHER = TARGET_PORT + 50, TARGET_PORT + 51

_HOSTILE = """
import json, socket, sys
target4, target6, vendor4, vendor6, leased, other = sys.argv[1:5] + [int(port) for port in sys.argv[5:7]]
V4, V6, STREAM, DGRAM = socket.AF_INET, socket.AF_INET6, socket.SOCK_STREAM, socket.SOCK_DGRAM
said = {}
def attempt(name, act):
    try:
        act()
        said[name] = "sent"
    except OSError as error:
        said[name] = type(error).__name__
def tcp(family, address, port, **how):
    def act():
        with socket.socket(family, STREAM) as sock:
            sock.settimeout(1)
            if how.get("mark"):
                sock.setsockopt(socket.SOL_SOCKET, 36, (1 << 31).to_bytes(4, sys.byteorder))
            if how.get("fast"):
                sock.sendto(b"early", 0x20000000, (address, port))
            else:
                sock.connect((address, port))
    return act
def send(family, kind, protocol, address, data=b"x" * 16):
    def act():
        with socket.socket(family, kind, protocol) as sock:
            sock.settimeout(1)
            sock.sendto(data, address)
    return act
attempt("leased", tcp(V4, target4, leased))
attempt("leased fast open", tcp(V4, target4, leased, fast=True))
attempt("other port", tcp(V4, target4, other))
attempt("other port fast open", tcp(V4, target4, other, fast=True))
attempt("leased port on ipv6", tcp(V6, target6, leased))
attempt("own mark", tcp(V4, target4, other, mark=True))
attempt("a vendor", tcp(V4, vendor4, 9))
attempt("a vendor on ipv6", tcp(V6, vendor6, 9))
attempt("udp to leased", send(V4, DGRAM, 0, (target4, leased)))
attempt("udp on ipv6", send(V6, DGRAM, 0, (target6, leased)))
attempt("dns", send(V4, DGRAM, 0, (target4, 53), b"\\x00\\x01\\x01\\x00\\x00\\x01" + bytes(10)))
attempt("dns of this host", send(V4, DGRAM, 0, ("127.0.0.53", 53)))
attempt("a service of this host", tcp(V4, "127.0.0.1", 631))
attempt("a service of this host on ipv6", tcp(V6, "::1", 631))
attempt("ping", send(V4, DGRAM, socket.IPPROTO_ICMP, (target4, 0), b"\\x08" + bytes(7)))
attempt("ping on ipv6", send(V6, DGRAM, socket.IPPROTO_ICMPV6, (target6, 0), b"\\x80" + bytes(7)))
attempt("udplite", send(V4, DGRAM, 136, (target4, leased)))
attempt("raw", send(V4, socket.SOCK_RAW, socket.IPPROTO_RAW, (target4, 0)))
attempt("raw tcp", send(V4, socket.SOCK_RAW, socket.IPPROTO_TCP, (target4, 0)))
attempt("packet", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0x0300).close())
attempt("netlink change", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12).close())
print(json.dumps(said))
"""

_TALKER = """
import socket, sys, time
sock = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=5)
sock.settimeout(None)
print("connected", flush=True)
if sys.argv[3] == "orphan":
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    sock.setblocking(False)
    try:
        while True:
            sock.send(b"x" * 65536)
    except BlockingIOError:
        pass
    sock.close()
    print("closed", flush=True)
    sys.exit()
try:
    while True:
        sock.send(b"x")
        time.sleep(0.05)
except OSError as error:
    print(type(error).__name__, flush=True)
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab() as lab:
        run("ip", "-n", lab.plant, "addr", "add", f"{PLANT6}/64", "dev", "far0", "nodad")
        run("ip", "-n", lab.broker, "addr", "add", f"{PLANT_BROKER6}/64", "dev", "mgmt0", "nodad")
        # As some distributions have it: everybody may ping.
        run("ip", "netns", "exec", lab.broker, "sysctl", "-q", "-w", "net.ipv4.ping_group_range=0 2147483647")
        lab.listen(lab.plant, LEASED)
        lab.listen(lab.plant, OTHER)
        lab.listen(lab.plant, STORE_PORT)
        lab.listen(lab.broker, 631)
        yield lab


@pytest.fixture
def control(lab: Lab) -> Iterator[Peer]:
    peer = lab.peer("control")
    yield peer
    peer.socket.close()


def as_gateway(lab: Lab, *arguments: str) -> list[str]:
    return as_user(lab, UIDS["gateway"], *arguments)


def as_user(lab: Lab, uid: int, *arguments: str) -> list[str]:
    who = ("--reuid", str(uid), "--regid", str(uid), "--clear-groups")
    command = ("ip", "netns", "exec", lab.broker, "setpriv", *who)
    return [*command, "--no-new-privs", "--bounding-set=-all", sys.executable, "-W", "ignore", "-c", *arguments]


def hostile(lab: Lab, uid: int = UIDS["gateway"], leased: int = LEASED) -> dict[str, str]:
    told = run(*as_user(lab, uid, _HOSTILE, PLANT4, PLANT6, VENDOR4, VENDOR6, str(leased), str(OTHER)))
    said = json.loads(told)
    assert isinstance(said, dict)
    return said


@contextlib.contextmanager
def talking(command: list[str]) -> Iterator["subprocess.Popen[str]"]:
    """A process that is gone at the end, also when nothing cut it off."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as talker:
        try:
            yield talker
        finally:
            talker.kill()


def heard_from_broker(wire: socket.socket, seconds: float) -> list[bytes]:
    """TCP data and everything that is not TCP from the broker at the plant's end of the cable, for so long."""
    found: list[bytes] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            frame, where = wire.recvfrom(4_096)
        except TimeoutError:
            continue
        if where[2] == socket.PACKET_OUTGOING:
            continue
        if frame[12:14] == b"\x08\x00":
            header = (frame[14] & 15) * 4
            length = int.from_bytes(frame[16:18], "big")
            if frame[23] != 6 or length > header + (frame[14 + header + 12] >> 4) * 4:
                found.append(frame)
        elif frame[12:14] == b"\x86\xdd" and not is_the_kernels_own(frame):
            found.append(frame)
    return found


def is_the_kernels_own(frame: bytes) -> bool:
    """Neighbour discovery and group reports, which no process asked for."""
    is_discovery = frame[20] == 58 and frame[54] in (133, 135, 136)
    return is_discovery or (frame[20] == 0 and frame[54] == 58 and frame[62] == 143)


def reached(lab: Lab) -> tuple[set[str], list[bytes]]:
    """What the hostile code thinks it reached by connection, and what came of it at the plant's and vendors' ends."""
    wires = [lab.sniff(lab.plant, "far0"), lab.sniff(lab.vendor, "far0")]
    said = hostile(lab)
    frames = [frame for wire in wires for frame in heard_from_broker(wire, 0.5)]
    return sent(said), frames


def sent(said: dict[str, str]) -> set[str]:
    # An ICMPv6 datagram is dropped without a word to its sender: there the wire tells. The last one changes nothing.
    silent = {"ping on ipv6", "netlink change"}
    return {name for name, outcome in said.items() if outcome == "sent"} - silent


def assert_cut(ours: socket.socket) -> None:
    """The target's end, whose peer was cut off: nothing comes any more, and what it says is answered by a reset."""
    ours.settimeout(1)
    with pytest.raises(ConnectionResetError):
        with contextlib.suppress(TimeoutError):
            while ours.recv(1 << 16):
                pass
        ours.sendall(b"are you there?")
        ours.settimeout(5)
        ours.recv(100)


def test_hostile_code_reaches_nothing_before_a_lease_and_the_leased_target_alone_with_one(
    lab: Lab, control: Peer
) -> None:
    assert reached(lab) == (set(), [])
    assert control.ask(type="egress", address=PLANT4, port=LEASED, seconds=60)["type"] == "done"
    names, frames = reached(lab)
    # What fast open sends with its first packet shows on the wire only.
    assert names == {"leased"}
    assert {(frame[30:34], int.from_bytes(frame[36:38], "big")) for frame in frames} <= {
        (socket.inet_aton(PLANT4), LEASED)
    }
    assert control.ask(type="egress_close", address=PLANT4, port=LEASED)["type"] == "done"
    assert reached(lab) == (set(), [])


def test_what_is_refused_is_refused_by_the_rules_and_not_by_chance(lab: Lab) -> None:
    """Root on the same host does reach all of it, so that the test above can fail."""
    for address, port in ((PLANT4, OTHER), (PLANT6, LEASED), ("127.0.0.1", 631), ("::1", 631)):
        assert lab.dial_as(0, address, port) == "connected"
    assert lab.dial_as(UIDS["control"], "127.0.0.1", 631) == "connected"


@pytest.mark.parametrize("address", [PLANT4, PLANT6])
def test_a_running_flow_dies_in_the_kernel_when_its_lease_ends_and_nobody_tells_it(
    lab: Lab, control: Peer, address: str
) -> None:
    port = LEASED + (10 if address == PLANT4 else 11)
    target = lab.listen(lab.plant, port)
    assert control.ask(type="egress", address=address, port=port, seconds=2)["type"] == "done"
    control.socket.close()
    lab.stop_opener(kill=True)
    try:
        command = as_gateway(lab, _TALKER, address, str(port), "talk")
        with talking(command) as talker:
            ours = lab.keep(target.accept()[0])
            said, _ = talker.communicate(timeout=30)
        assert_cut(ours)
        assert said.split()[0] == "connected"
        assert said.split()[1] in ("ConnectionResetError", "BrokenPipeError", "ConnectionRefusedError")
    finally:
        lab.start_opener()


def test_bytes_left_in_the_socket_of_a_process_that_is_gone_do_not_leave_after_the_lease(
    lab: Lab, control: Peer
) -> None:
    """A socket without a process has no user id any more, so the flow's own mark must hold it."""
    target = lab.listen(lab.plant, LEASED + 20)
    assert control.ask(type="egress", address=PLANT4, port=LEASED + 20, seconds=2)["type"] == "done"
    wire = lab.sniff(lab.plant, "far0")
    command = as_gateway(lab, _TALKER, PLANT4, str(LEASED + 20), "orphan")
    started = threading.Thread(target=lambda: run(*command))
    started.start()
    ours = lab.keep(target.accept()[0])
    started.join(20)
    time.sleep(3)
    heard_from_broker(wire, 0.5)
    # The target begins to read: without the rule, everything that waits would now come.
    taken = 0
    ours.settimeout(2)
    try:
        while data := ours.recv(1 << 20):
            taken += len(data)
    except OSError:
        pass
    assert heard_from_broker(wire, 2) == []
    assert taken < 8 << 20


def test_a_longer_lease_keeps_what_runs_and_a_shorter_one_ends_it_sooner(lab: Lab, control: Peer) -> None:
    target = lab.listen(lab.plant, LEASED + 30)
    for seconds in (1, 60):
        assert control.ask(type="egress", address=PLANT4, port=LEASED + 30, seconds=seconds)["type"] == "done"
    command = as_gateway(lab, _TALKER, PLANT4, str(LEASED + 30), "talk")
    with talking(command) as talker:
        ours = lab.keep(target.accept()[0])
        ours.settimeout(15)
        end = time.monotonic() + 2
        while time.monotonic() < end:
            assert ours.recv(100)
        assert control.ask(type="egress_close", address=PLANT4, port=LEASED + 30)["type"] == "done"
        talker.communicate(timeout=30)
    assert_cut(ours)


def test_the_archive_reaches_its_store_and_nothing_else_and_nobody_else_reaches_the_store(lab: Lab) -> None:
    # With the store's port in the place of a leased one.
    found = sent(hostile(lab, ARCHIVE_UID, STORE_PORT))
    assert "leased" in found
    assert found <= {"leased", "leased fast open"}
    for uid in UIDS.values():
        assert "leased" not in sent(hostile(lab, uid, STORE_PORT))
