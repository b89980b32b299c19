"""The guard as a process beside the real opener: a knock opens a real door, and nothing makes it open twice."""

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from spa_knock.link.framing import Decoder, encode
from tests.contract.namespaces import (
    BROKER4,
    BROKER6,
    DOORS,
    KNOCK_PORT,
    NEIGHBOUR4,
    UIDS,
    VENDOR4,
    VENDOR6,
    Lab,
    drain,
    ip_packets_from,
    run,
)
from tests.unit.spa_knock.guard.testing import Workstation, roster_message

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0 or shutil.which("nft") is None, reason="needs root, iproute2 and nftables"),
]
DEVICE = Workstation(1)


class Neighbour:
    """Control or gateway: greets each connection, answers `expect`, keeps what it hears."""

    def __init__(self, path: Path, *, is_control: bool) -> None:
        self.path = path
        self.heard: list[dict[str, object]] = []
        self._is_control = is_control
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        path.chmod(0o777)
        self._listener.listen(4)
        threading.Thread(target=self._serve, daemon=True).start()

    def wait_for(self, kind: str, count: int = 1, seconds: float = 5.0) -> list[dict[str, object]]:
        end = time.monotonic() + seconds
        while len(found := [message for message in self.heard if message["type"] == kind]) < count:
            assert time.monotonic() < end, f"{count} messages of type {kind} did not come: {self.heard[-2:]}"
            time.sleep(0.02)
        return found

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _address = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        decoder = Decoder()
        with connection:
            if self._is_control:
                soon = now_ms() + 600_000
                connection.sendall(encode(roster_message(DEVICE.entry(not_after_ms=soon), expires_at_ms=soon)))
            while data := connection.recv(65_536):
                for message in decoder.feed(data):
                    self.heard.append(message)
                    if message["type"] == "expect":
                        connection.sendall(encode({"type": "expecting", "knock_id": message["knock_id"]}))


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Site:
    """A lab with opener, guard and two neighbours."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.state = lab.folder / "guard-state"
        self.state.mkdir()
        os.chown(self.state, UIDS["guard"], UIDS["guard"])
        self.control = Neighbour(lab.folder / "knock_link.sock", is_control=True)
        self.gateway = Neighbour(lab.folder / "knocks.sock", is_control=False)
        self.doors = lab.listen(lab.broker, DOORS[1])
        self.knock_sockets = [lab.keep(lab.inside(lab.broker, make)) for make in (_knock4, _knock6)]
        self.guard: subprocess.Popen[str] | None = None

    def initialise(self) -> None:
        uid = str(UIDS["guard"])
        run(
            *("setpriv", "--reuid", uid, "--regid", uid, "--clear-groups", sys.executable, "-m", "spa_knock.guard"),
            *("--state-dir", str(self.state), "--init"),
        )

    def start_guard(self) -> None:
        heard = len(self.control.heard)
        self.guard = self.lab.spawn(
            "guard",
            [("knock", sock) for sock in self.knock_sockets],
            *("-m", "spa_knock.guard", "--state-dir", str(self.state), "--doors", "1,2"),
            *("--opener-socket", str(self.lab.path("guard")), "--control-socket", str(self.control.path)),
            *("--gateway-socket", str(self.gateway.path)),
        )
        end = time.monotonic() + 5
        while not any(message.get("state") == "armed" for message in self.control.heard[heard:]):
            assert time.monotonic() < end, "the guard did not become armed"
            time.sleep(0.02)

    def stop_guard(self, *, kill: bool = False) -> str:
        assert self.guard is not None
        self.guard.kill() if kill else self.guard.terminate()
        _output, log = self.guard.communicate(timeout=10)
        assert kill or self.guard.returncode == 0, log
        self.guard = None
        return log

    def send(self, packet: bytes, source: str = VENDOR4, broker: str = BROKER4) -> None:
        def knock() -> None:
            family = socket.AF_INET6 if ":" in source else socket.AF_INET
            with socket.socket(family, socket.SOCK_DGRAM) as sock:
                sock.bind((source, 0))
                sock.sendto(packet, (broker, KNOCK_PORT))

        self.lab.inside(self.lab.vendor, knock)

    def facts(self) -> int:
        return len([message for message in self.control.heard if message["type"] == "knock"])

    def close(self) -> None:
        if self.guard is not None:
            self.stop_guard()
        self.control.close()
        self.gateway.close()


def _knock4() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((BROKER4, KNOCK_PORT))
    return sock


def _knock6() -> socket.socket:
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    sock.bind((BROKER6, KNOCK_PORT))
    return sock


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Lab() as lab:
        site = Site(lab)
        try:
            site.initialise()
            site.start_guard()
            yield site
        finally:
            site.close()


@pytest.mark.parametrize(("vendor", "broker"), [(VENDOR4, BROKER4), (VENDOR6, BROKER6)], ids=["ipv4", "ipv6"])
def test_a_knock_opens_its_door_for_its_address_and_is_never_answered(site: Site, vendor: str, broker: str) -> None:
    sniffer = site.lab.sniff(site.lab.vendor, "far0")
    with pytest.raises(TimeoutError):
        site.lab.dial(vendor, broker, DOORS[1], seconds=0.3)
    before = site.facts()
    site.send(DEVICE.knock(stamp_ms=now_ms(), address=ip_address(vendor), ttl_seconds=1), vendor, broker)
    fact = site.control.wait_for("knock", before + 1)[-1]
    assert (fact["address"], fact["window_seconds"]) == (vendor, 1)
    assert ip_packets_from(drain(sniffer), broker) == []
    site.lab.dial(vendor, broker, DOORS[1])
    time.sleep(1.1)
    with pytest.raises(TimeoutError):
        site.lab.dial(vendor, broker, DOORS[1], seconds=0.3)


@pytest.mark.parametrize("kill", [False, True], ids=["stopped", "killed"])
def test_a_replay_opens_nothing_live_or_after_a_restart(site: Site, *, kill: bool) -> None:
    before = site.facts()
    packet = DEVICE.knock(stamp_ms=now_ms(), ttl_seconds=1)
    # The same body and stamp under another nonce gets past the kernel's set of used nonces.
    twin = DEVICE.knock(stamp_ms=now_ms() - 5, ttl_seconds=1)
    site.send(packet)
    site.control.wait_for("knock", before + 1)
    site.send(packet)
    site.send(twin)
    site.stop_guard(kill=kill)
    site.start_guard()
    site.send(packet, NEIGHBOUR4)
    site.send(twin, NEIGHBOUR4)
    site.send(DEVICE.knock(stamp_ms=now_ms(), ttl_seconds=1), NEIGHBOUR4)
    facts = site.control.wait_for("knock", before + 2)
    assert [fact["address"] for fact in facts[before:]] == [VENDOR4, NEIGHBOUR4]


def test_a_guard_without_history_lets_nobody_in_for_one_window(site: Site) -> None:
    site.stop_guard()
    (site.state / "stamps").unlink()
    site.start_guard()
    before = site.facts()
    site.send(DEVICE.knock(stamp_ms=now_ms()))
    time.sleep(0.5)
    assert site.facts() == before
    site.stop_guard()
    (site.state / "stamps").unlink()
    site.initialise()
    site.start_guard()
    site.send(DEVICE.knock(stamp_ms=now_ms(), ttl_seconds=1))
    site.control.wait_for("knock", before + 1)


def test_a_dead_guard_answers_nothing_and_its_window_closes(site: Site) -> None:
    before = site.facts()
    site.send(DEVICE.knock(stamp_ms=now_ms(), ttl_seconds=1), NEIGHBOUR4)
    site.control.wait_for("knock", before + 1)
    site.stop_guard(kill=True)
    sniffer = site.lab.sniff(site.lab.vendor, "far0")
    time.sleep(1.1)
    with pytest.raises(TimeoutError):
        site.lab.dial(NEIGHBOUR4, BROKER4, DOORS[1], seconds=0.3)
    site.send(DEVICE.knock(stamp_ms=now_ms()), NEIGHBOUR4)
    assert ip_packets_from(drain(sniffer), BROKER4) == []
    site.start_guard()
