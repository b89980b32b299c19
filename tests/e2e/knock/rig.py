"""The real opener and guard in namespaces, with the real client outside; control and gateway are honest stand-ins."""

import base64
import contextlib
import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from spa_knock.client.connecting import Trace, connect_within
from spa_knock.client.errors import ClientError
from spa_knock.client.home import KnockState
from spa_knock.client.knocking import VENDOR_FACE_DOOR, Knocker
from spa_knock.client.site import Endpoint, Site, audience_of
from spa_knock.link.framing import Decoder, encode
from spa_knock.wire.keys import day_at, day_key
from spa_knock.wire.proof import check_proof
from tests.contract.namespaces import BROKER4, BROKER6, DOORS, UIDS, Lab, run
from tests.unit.spa_knock.client.fake_site import cert_pem, certify
from tests.unit.spa_knock.guard.testing import SITE_KEY, Workstation, roster_message

KNOCK_PORTS = (62_201, 4_500, 443)
BIND = hashlib.sha256(b"device key").digest()
Result = TypeVar("Result")


class _Daemon:
    """Control or gateway: greets, answers `expect`, keeps what it hears."""

    def __init__(self, path: Path, greeting: Callable[[], dict[str, object]] | None) -> None:
        self.path = path
        self.heard: list[dict[str, object]] = []
        self._greeting = greeting
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        path.chmod(0o777)
        self._listener.listen(4)
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        decoder = Decoder()
        with connection, contextlib.suppress(ConnectionError):
            if self._greeting is not None:
                connection.sendall(encode(self._greeting()))
            while data := connection.recv(65_536):
                for message in decoder.feed(data):
                    self.heard.append(message)
                    if message["type"] == "expect":
                        connection.sendall(encode({"type": "expecting", "knock_id": message["knock_id"]}))


class KnockLab(Lab):
    """A lab whose guard listens on three ports, with two enrolled laptops outside."""

    def __enter__(self) -> "KnockLab":
        super().__enter__()
        self.stop_opener()
        self.config.write_text(json.dumps({**json.loads(self.config.read_text()), "knock_ports": list(KNOCK_PORTS)}))
        self.load()
        self.start_opener()
        root = Ed25519PrivateKey.generate()
        self.root_pem = cert_pem(certify("root", root.public_key(), ("root", root), authority=True))
        self.audience = audience_of(self.root_pem)
        self.laptops = Workstation(1), Workstation(2)
        state = self.folder / "guard-state"
        state.mkdir()
        os.chown(state, UIDS["guard"], UIDS["guard"])
        self.control = _Daemon(self.folder / "knock_link.sock", self._roster)
        self.gateway = _Daemon(self.folder / "knocks.sock", None)
        self.doors = self.listen(self.broker, DOORS[1])
        sockets = [
            self.keep(self.inside(self.broker, lambda a=address, p=port: _bound(a, p)))  # type: ignore[misc]
            for port in KNOCK_PORTS
            for address in (BROKER4, BROKER6)
        ]
        uid = str(UIDS["guard"])
        run(
            *("setpriv", "--reuid", uid, "--regid", uid, "--clear-groups", sys.executable, "-m", "spa_knock.guard"),
            *("--state-dir", str(state), "--init"),
        )
        self.guard = self.spawn(
            "guard",
            [("knock", sock) for sock in sockets],
            *("-m", "spa_knock.guard", "--state-dir", str(state), "--doors", "1,2"),
            *("--opener-socket", str(self.path("guard")), "--control-socket", str(self.control.path)),
            *("--gateway-socket", str(self.gateway.path)),
        )
        self.orders = self.peer("control")
        self.until(lambda: any(one.get("state") == "armed" for one in self.control.heard))
        return self

    def __exit__(self, *error: object) -> None:
        guard: subprocess.Popen[str] | None = getattr(self, "guard", None)
        if guard is not None:
            guard.terminate()
            guard.communicate(timeout=10)
            self.control.close()
            self.gateway.close()
        super().__exit__(None, None, None)

    def until(self, condition: Callable[[], bool], seconds: float = 10.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, (self.control.heard[-3:], self.gateway.heard[-2:])
            time.sleep(0.02)

    def shut(self, *addresses: str) -> None:
        """Close every window of these addresses, and drop connections that nobody took."""
        for address in addresses:
            assert self.orders.ask(type="close", door=VENDOR_FACE_DOOR, address=address)["type"] == "done"
        self.doors.settimeout(0.2)
        with contextlib.suppress(TimeoutError):
            while True:
                self.doors.accept()[0].close()
        self.doors.settimeout(3)

    def counters(self) -> dict[str, int]:
        """What the guard counted, once it has told it again."""
        before = len(self.control.heard)
        self.until(lambda: any(one["type"] == "status" for one in self.control.heard[before:]))
        status = [one for one in self.control.heard if one["type"] == "status"][-1]
        counters = status["counters"]
        assert isinstance(counters, dict)
        return {str(name): int(count) for name, count in counters.items()}

    def knocker(self, laptop: Workstation, broker: str, *, state: KnockState | None = None) -> tuple[Knocker, Site]:
        """The real client's knocker of a laptop, for the site at this address."""
        today = day_at(int(time.time()))
        site = Site(
            name="Test Plant",
            audience=self.audience,
            root_pem=self.root_pem,
            vendor_face=Endpoint(broker, (DOORS[1],)),
            vendor_name="vendor.test.sallyport",
            ssh=Endpoint(broker, (DOORS[2],)),
            knock=Endpoint(broker, KNOCK_PORTS),
            ssh_domain="plant",
        )
        held = [
            state
            or KnockState(laptop.knock_key, {day: day_key(SITE_KEY, day) for day in (today - 1, today, today + 1)})
        ]

        def store(new: KnockState) -> None:
            held[0] = new

        return Knocker(site, laptop.private_key.sign, lambda: held[0], store), site

    def connect(self, knocker: Knocker, site: Site, namespace: str | None = None) -> socket.socket:
        """What the client does: rounds of knocks, a connection, the proof. Raises its ClientError at silence."""
        return self.inside(namespace or self.vendor, lambda: self._connected(knocker, site))

    def admitted(self) -> tuple[str, socket.socket]:
        """The next connection that proves a knock, and its device; a client's spare attempts prove nothing."""
        while True:
            ours, _ = self.doors.accept()
            ours.settimeout(5)
            proof = b""
            while len(proof) < 48 and (more := _received(ours, 48 - len(proof))):
                proof += more
            if len(proof) == 48:
                return self._device_of(proof, ours), ours
            ours.close()

    def _device_of(self, proof: bytes, ours: socket.socket) -> str:
        (expected,) = [one for one in self.gateway.heard if one.get("knock_id") == proof[:12].hex()]
        key = base64.b64decode(str(expected["proof_key_b64"]))
        check_proof(proof, key, proof[:12], VENDOR_FACE_DOOR)
        assert ip_address(str(expected["address"])) == _plain(ours.getpeername()[0])
        return str(expected["device_id"])

    @staticmethod
    def _connected(knocker: Knocker, site: Site) -> socket.socket:
        errors: set[int] = set()
        for approach in knocker.approaches(site.vendor_face):
            knock, trace = knocker.knock(VENDOR_FACE_DOOR, approach, bind=BIND), Trace()
            connection = connect_within(approach.address, approach.port, approach.seconds, trace)
            errors |= trace.errors
            assert knock.copies is not None
            knock.copies.stop()
            if connection is not None:
                connection.sendall(knock.proof)
                knocker.came_through(knock, approach, trace)
                return connection
        raise knocker.nobody_answered(site.name, errors)

    def _roster(self) -> dict[str, object]:
        soon = time.time_ns() // 1_000_000 + 600_000
        entries = [laptop.entry(not_after_ms=soon, grants=[]) for laptop in self.laptops]
        return roster_message(*entries, expires_at_ms=soon, audience_hex=self.audience.hex())


def _received(sock: socket.socket, count: int) -> bytes:
    try:
        return sock.recv(count)
    except ConnectionError:
        return b""


def _plain(text: str) -> object:
    address = ip_address(text)
    return getattr(address, "ipv4_mapped", None) or address


def _bound(address: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, port))
    return sock


__all__ = ["KNOCK_PORTS", "ClientError", "KnockLab"]
