"""A lab with the real opener and the real guard, and honest stand-ins for control and the gateway."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from spa_knock.link.framing import Decoder, encode
from tests.contract.namespaces import BROKER4, BROKER6, DOORS, KNOCK_PORT, UIDS, VENDOR4, Lab, run
from tests.unit.spa_knock.guard.testing import Workstation, roster_message

DEVICE = Workstation(1)


class Neighbour:
    """Control or gateway: greets each connection, answers `expect`, keeps what it hears."""

    def __init__(self, path: Path, *, is_control: bool) -> None:
        self.path = path
        self.heard: list[dict[str, object]] = []
        self.has_roster = True
        self.roster: dict[str, object] | None = None  # Nothing: the one device.
        self._is_control = is_control
        self._connections: list[socket.socket] = []
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

    def wait_for_state(self, state: str, heard: int, seconds: float = 5.0) -> None:
        """Wait until the guard tells this state, in what came after the first `heard` messages."""
        end = time.monotonic() + seconds
        while not any(message.get("state") == state for message in self.heard[heard:]):
            assert time.monotonic() < end, f"the guard did not become {state}: {self.heard[-1:]}"
            time.sleep(0.02)

    def push(self) -> None:
        """Send the roster again."""
        self.tell(self.roster or a_roster())

    def tell(self, message: dict[str, object]) -> None:
        """Say something on the newest connection."""
        self._connections[-1].sendall(encode(message))

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
        # A guard that is stopped or killed may leave in the middle of a message.
        with connection, contextlib.suppress(ConnectionError):
            self._connections.append(connection)
            if self._is_control and self.has_roster:
                connection.sendall(encode(self.roster or a_roster()))
            while data := connection.recv(65_536):
                for message in decoder.feed(data):
                    self.heard.append(message)
                    if message["type"] == "expect":
                        connection.sendall(encode({"type": "expecting", "knock_id": message["knock_id"]}))


def a_roster() -> dict[str, object]:
    """The one device, for ten minutes."""
    soon = now_ms() + 600_000
    return roster_message(DEVICE.entry(not_after_ms=soon), expires_at_ms=soon)


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
        self.bind()
        self.guard: subprocess.Popen[str] | None = None

    def bind(self) -> None:
        """What the supervisor binds before anything starts: the door and the knock ports."""
        self.doors = self.lab.listen(self.lab.broker, DOORS[1])
        self.knock_sockets = [self.lab.keep(self.lab.inside(self.lab.broker, make)) for make in (_knock4, _knock6)]

    def unbind(self) -> None:
        """Let the ports go, as when the whole product is stopped."""
        for sock in (self.doors, *self.knock_sockets):
            sock.close()

    def initialise(self) -> None:
        uid = str(UIDS["guard"])
        run(
            *("setpriv", "--reuid", uid, "--regid", uid, "--clear-groups", sys.executable, "-m", "spa_knock.guard"),
            *("--state-dir", str(self.state), "--init"),
        )

    def arguments(self) -> tuple[str, ...]:
        """The guard's command line after the interpreter."""
        return (
            *("-m", "spa_knock.guard", "--state-dir", str(self.state), "--doors", "1,2"),
            *("--opener-socket", str(self.lab.path("guard")), "--control-socket", str(self.control.path)),
            *("--gateway-socket", str(self.gateway.path)),
        )

    def start_guard(self, state: str = "armed") -> None:
        heard = len(self.control.heard)
        self.guard = self.lab.spawn(
            "guard",
            [("knock", sock) for sock in self.knock_sockets],
            *self.arguments(),
        )
        self.control.wait_for_state(state, heard, seconds=15)

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
