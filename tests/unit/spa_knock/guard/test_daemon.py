"""The guard's loop with real sockets: datagrams in, three daemons beside it, nothing back to the network."""

import socket
import time
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from spa_knock.guard.daemon import Daemon, boot_id, source_address, wall_ms
from spa_knock.guard.handover import STEP_SECONDS, Receiver
from spa_knock.guard.stamps import StampStore
from spa_knock.link.framing import Decoder, encode
from tests.unit.spa_knock.guard.testing import Workstation, roster_message

DEVICE = Workstation(1)


class Neighbour:
    """Another daemon: a listener that keeps what it was sent and answers as told."""

    def __init__(self, path: Path, answer: str | None) -> None:
        self.path = path
        self.answer = answer
        self.received: list[dict[str, object]] = []
        self.sock: socket.socket | None = None
        self._decoder = Decoder()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(4)
        self._listener.setblocking(False)

    def turn(self) -> None:
        try:
            fresh, _address = self._listener.accept()
        except BlockingIOError:
            pass
        else:
            fresh.setblocking(False)
            self.hang_up()
            self.sock, self._decoder = fresh, Decoder()
        if self.sock is None:
            return
        try:
            data = self.sock.recv(65_536)
        except BlockingIOError:
            return
        for message in self._decoder.feed(data):
            self.received.append(message)
            if self.answer is not None:
                self.sock.sendall(encode({"type": self.answer, "knock_id": message.get("knock_id")}))

    def hang_up(self) -> None:
        if self.sock is not None:
            self.sock.close()
            self.sock = None

    def close(self) -> None:
        self.hang_up()
        self._listener.close()


class Scene:
    """A daemon with its neighbours, driven turn by turn. Packets come from an address that is not the loopback's."""

    def __init__(self, folder: Path) -> None:
        self.control = Neighbour(folder / "control", None)
        self.gateway = Neighbour(folder / "gateway", "expecting")
        self.opener = Neighbour(folder / "opener", "done")
        StampStore.create_for_new_site(folder / "stamps", capacity=64)
        self.store = StampStore(folder / "stamps", boot_id=boot_id(), started_ms=wall_ms(), capacity=64)
        self.knocks = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.knocks.bind(("127.0.0.1", 0))
        self.vendor = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.vendor.bind(("127.0.0.1", 0))
        self.vendor.setblocking(False)
        links = {Receiver.CONTROL: self.control, Receiver.GATEWAY: self.gateway, Receiver.OPENER: self.opener}
        self.daemon = Daemon(
            knock_sockets=[self.knocks],
            links={receiver: neighbour.path for receiver, neighbour in links.items()},
            doors=[1],
            store=self.store,
        )

    def turns(self, seconds: float = 0.4) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.daemon.turn()
            for neighbour in (self.control, self.gateway, self.opener):
                neighbour.turn()

    def send_roster(self) -> None:
        assert self.control.sock is not None
        soon = wall_ms() + 60_000
        entry = DEVICE.entry(not_after_ms=soon)
        self.control.sock.sendall(encode(roster_message(entry, expires_at_ms=soon)))
        self.turns(0.2)

    def knock(self, packet: bytes) -> None:
        self.vendor.sendto(packet, self.knocks.getsockname())
        self.turns()

    def close(self) -> None:
        self.daemon.close()
        self.store.close()
        for thing in (self.control, self.gateway, self.opener, self.knocks, self.vendor):
            thing.close()


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setattr("spa_knock.guard.daemon.source_address", lambda _text: ip_address("198.51.100.7"))
    scene = Scene(tmp_path)
    scene.turns(0.2)
    yield scene
    scene.close()


def told(neighbour: Neighbour, kind: str) -> list[dict[str, object]]:
    return [message for message in neighbour.received if message["type"] == kind]


def test_a_knock_goes_all_the_way_and_the_network_hears_nothing(scene: Scene) -> None:
    scene.send_roster()
    scene.knock(DEVICE.knock(stamp_ms=wall_ms()))
    scene.knock(bytes(192))
    assert (
        len(told(scene.gateway, "expect")) == len(told(scene.opener, "open")) == len(told(scene.control, "knock")) == 1
    )
    status = told(scene.control, "status")[-1]
    assert status["ports"] == [scene.knocks.getsockname()[1]]
    with pytest.raises(BlockingIOError):
        scene.vendor.recv(1)


def test_a_flood_of_junk_does_not_hold_up_a_knock(scene: Scene) -> None:
    scene.send_roster()
    for _ in range(300):
        scene.vendor.sendto(bytes(192), scene.knocks.getsockname())
    scene.knock(DEVICE.knock(stamp_ms=wall_ms()))
    assert len(told(scene.control, "knock")) == 1


def test_an_answer_that_is_there_counts_though_the_guard_itself_was_held_up(scene: Scene) -> None:
    """A busy machine may not run it for longer than a step lasts."""
    scene.send_roster()
    scene.vendor.sendto(DEVICE.knock(stamp_ms=wall_ms()), scene.knocks.getsockname())
    for neighbour, kind in ((scene.gateway, "expect"), (scene.opener, "open"), (scene.control, "knock")):
        end = time.monotonic() + 3
        while not told(neighbour, kind):
            assert time.monotonic() < end, f"no {kind} came"
            scene.daemon.turn()
            neighbour.turn()
        time.sleep(STEP_SECONDS * 1.2)


def test_a_neighbour_that_comes_back_is_found_again(scene: Scene) -> None:
    scene.send_roster()
    for neighbour in (scene.gateway, scene.control, scene.opener):
        neighbour.hang_up()
    scene.turns(0.6)
    scene.knock(DEVICE.knock(stamp_ms=wall_ms()))
    assert len(told(scene.control, "knock")) == 1


def test_control_that_talks_nonsense_is_hung_up_on_and_the_roster_stays(scene: Scene) -> None:
    scene.send_roster()
    assert scene.control.sock is not None
    scene.control.sock.sendall(encode({"type": "nonsense"}))
    scene.turns(0.6)
    scene.knock(DEVICE.knock(stamp_ms=wall_ms()))
    assert len(told(scene.control, "knock")) == 1


def test_a_silent_gateway_costs_one_knock_and_holds_up_nothing(scene: Scene) -> None:
    scene.send_roster()
    scene.gateway.answer = None
    scene.knock(DEVICE.knock(stamp_ms=wall_ms()))
    assert told(scene.opener, "open") == []
    scene.gateway.answer = "expecting"
    scene.knock(DEVICE.knock(stamp_ms=wall_ms()))
    assert len(told(scene.opener, "open")) == 1


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("2001:db8::7", "2001:db8::7"),
        ("fe80::1%out0", "fe80::1"),
    ],
)
def test_the_source_reads_the_same_on_any_socket(text: str, address: str) -> None:
    assert source_address(text) == ip_address(address)


def test_the_boot_id_has_16_bytes() -> None:
    assert len(boot_id()) == 16
