"""The two daemons under test behind one face: ours (opener and guard) and Debian's fwknopd, each started as shipped."""

import base64
import hashlib
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import rmtree

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.network import Network, Outside
from broker.devices.certificates import spki
from broker.devices.model import RosterDevice
from broker.kernel.ids import new_id
from broker.knock_link.messages import roster_messages
from broker.knock_link.model import RosterFacts
from spa_knock.guard.guard import KNOCKS_AT_ONCE, KNOCKS_PER_SECOND
from spa_knock.link.framing import Decoder, encode
from spa_knock.opener.config import Peer
from spa_knock.opener.dispatch import RATES
from spa_knock.wire.keys import DeviceKeys, day_key, day_of_epoch, epoch_at, gate_key
from spa_knock.wire.packet import NO_GRANT, Body, seal
from spa_knock.wire.signature import signer
from tests.contract.namespaces import BROKER4, DOORS, KNOCK_PORT, UIDS, Lab, run

WINDOW_SECONDS = 4
BELOW_THE_LIMIT = 0.9
"""So near do the trials come to what a device may knock and the guard may open a second: what is over it is refused."""
AUDIENCE = b"bench-01"
_PROCESSES = multiprocessing.get_context("fork")
SITE_KEY = hashlib.sha256(b"bench site key").digest()


class Pace:
    """How fast a broker takes valid knocks by its own limits: so many a second, and so many at once. 0: any number."""

    def __init__(self, per_second: float = 0.0, at_once: float = 0.0) -> None:
        self._per_second = per_second
        self._at_once = self._left = at_once
        self._filled_at = time.monotonic()

    def wait_for(self, count: int) -> None:
        """Return when `count` knocks may come without a pause."""
        if not self._per_second:
            return
        now = time.monotonic()
        self._left = min(self._at_once, self._left + (now - self._filled_at) * self._per_second)
        self._filled_at = now
        if self._left < count:
            time.sleep((count - self._left) / self._per_second)
            self.wait_for(count)

    def take(self) -> None:
        """Wait for one, and use it."""
        self.wait_for(1)
        self._left -= 1


class Knocked(ABC):
    """A broker that is hidden until somebody knocks."""

    name: str
    outside: Outside
    pace: Pace

    @abstractmethod
    def mint(self, addresses: list[str]) -> list[bytes]:
        """A fresh, valid knock for each address."""

    @abstractmethod
    def processes(self) -> dict[str, int]:
        """The daemon's process ids by name."""

    @abstractmethod
    def stop(self, how: signal.Signals) -> None:
        """Send the signal to every process and wait until they are gone."""

    @abstractmethod
    def start(self) -> None:
        """Start again after a stop; returns when knocks are taken."""


class _Stub:
    """Control or gateway: pushes a roster, answers `expect` at once."""

    def __init__(self, path: Path, greeting: list[bytes]) -> None:
        self.path = path
        self.greeting = greeting
        self.armed = _PROCESSES.Event()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        path.chmod(0o777)
        self._listener.listen(8)
        # A process of its own: in this one its answers would wait for the loop that measures.
        self._process = _PROCESSES.Process(target=self._serve, daemon=True)
        self._process.start()

    def close(self) -> None:
        self._process.terminate()
        self._process.join(5)
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
        try:
            with connection:
                for message in self.greeting:
                    connection.sendall(message)
                while data := connection.recv(65_536):
                    for heard in decoder.feed(data):
                        if heard["type"] == "expect":
                            connection.sendall(encode({"type": "expecting", "knock_id": heard["knock_id"]}))
                        elif heard.get("state") == "armed":
                            self.armed.set()
        except OSError:
            return


class Ours(Knocked):
    """Opener and guard as in production: their own user ids, the loaded rule set, the keyed gate."""

    def __init__(self, lab: Network, devices: int) -> None:
        self.name = f"sallyport, {devices:,} device{'s' if devices > 1 else ''}"
        self.lab = lab
        self.outside = lab.ours()
        openings, openings_at_once = RATES[Peer.GUARD]
        self.pace = Pace(
            BELOW_THE_LIMIT * min(KNOCKS_PER_SECOND * devices, openings),
            BELOW_THE_LIMIT * min(KNOCKS_AT_ONCE * devices, openings_at_once),
        )
        self._key = Ed25519PrivateKey.generate()
        self._sign = signer(self._key)
        now = datetime.now(UTC)
        public = spki(self._key.public_key())
        self._devices = [
            RosterDevice(
                device_id=new_id("dev", now),
                knock_key=hashlib.sha256(number.to_bytes(8, "big")).digest(),
                public_key=public,
                mark=number + 1,
                allow_header_address=True,
                doors=(1, 2),
                not_after=now + timedelta(days=1),
            )
            for number in range(devices)
        ]
        facts = RosterFacts(AUDIENCE.hex(), (SITE_KEY,), tuple(self._devices), ())
        roster = [encode(one) for one in roster_messages(facts, 1, now + timedelta(hours=1))]
        self.folder = Path(tempfile.mkdtemp(prefix="spt-bench-"))
        self.folder.chmod(0o755)
        self._state = self.folder / "guard"
        self._state.mkdir()
        os.chown(self._state, UIDS["guard"], UIDS["guard"])
        self._control = _Stub(self.folder / "control.sock", roster)
        self._gateway = _Stub(self.folder / "gateway.sock", [])
        self._turn = 0
        self._guard: subprocess.Popen[str] | None = None
        self._sock = lab.keep(lab.inside(lab.broker, _bound))
        uid = str(UIDS["guard"])
        run(
            *("setpriv", "--reuid", uid, "--regid", uid, "--clear-groups"),
            *(sys.executable, "-m", "spa_knock.guard", "--state-dir", str(self._state), "--init"),
        )
        self._start_guard()

    def close(self) -> None:
        self.stop_guard(signal.SIGTERM)
        self._control.close()
        self._gateway.close()
        self._sock.close()
        rmtree(self.folder)

    def mint(self, addresses: list[str]) -> list[bytes]:
        return [self._mint(address) for address in addresses]

    def _mint(self, address: str) -> bytes:
        device = self._devices[self._turn % len(self._devices)]
        self._turn += 1
        stamp_ms = time.time_ns() // 1_000_000 + self._turn // len(self._devices)
        epoch = epoch_at(stamp_ms // 1000)
        body = Body(
            service=1,
            stamp_ms=stamp_ms,
            address=None,
            ttl_seconds=WINDOW_SECONDS,
            audience=AUDIENCE,
            bind=bytes(32),
            grant=NO_GRANT,
        )
        gate = gate_key(day_key(SITE_KEY, day_of_epoch(epoch)), epoch)
        return seal(body, DeviceKeys.derive(device.knock_key, AUDIENCE), self._sign, gate, os.urandom(12), epoch)

    def processes(self) -> dict[str, int]:
        assert self._guard is not None
        assert self.lab.opener is not None
        return {"guard": self._guard.pid, "opener": self.lab.opener.pid}

    def stop(self, how: signal.Signals) -> None:
        self.stop_guard(how)
        self.lab.stop_opener(kill=how is signal.SIGKILL)

    def start(self) -> None:
        self.lab.start_opener()
        self._start_guard()

    def stop_guard(self, how: signal.Signals) -> None:
        if self._guard is not None:
            self._guard.send_signal(how)
            self._guard.communicate(timeout=10)
            self._guard = None

    def _start_guard(self) -> None:
        self._control.armed.clear()
        self._guard = self.lab.spawn(
            "guard",
            [("knock", self._sock)],
            *("-m", "spa_knock.guard", "--state-dir", str(self._state), "--doors", "1,2"),
            *("--opener-socket", str(self.lab.path("guard")), "--control-socket", str(self._control.path)),
            *("--gateway-socket", str(self._gateway.path)),
        )
        _read_on(self._guard)
        if not self._control.armed.wait(60):
            raise TimeoutError("the guard did not become armed")


class Fwknop(Knocked):
    """fwknopd with Debian's configuration (libpcap, iptables) and one key, behind a default-drop firewall."""

    def __init__(self, lab: Network) -> None:
        self.name = "fwknopd 2.6.10"
        self.pace = Pace()
        self.lab = lab
        self.outside = lab.fwknops()
        self.folder = Path(tempfile.mkdtemp(prefix="spt-fwknop-"))
        self._key, self._mac = (base64.b64encode(os.urandom(32)).decode() for _ in range(2))
        self._process: subprocess.Popen[str] | None = None
        self._write(
            "access.conf",
            ("SOURCE", "ANY"),
            ("KEY_BASE64", self._key),
            ("HMAC_KEY_BASE64", self._mac),
            ("FW_ACCESS_TIMEOUT", str(WINDOW_SECONDS)),
        )
        self._write("fwknopd.conf", ("PCAP_INTF", "out0;"), ("PCAP_FILTER", f"udp port {KNOCK_PORT};"))
        self._write("fwknoprc", ("[default]", ""))
        for rule in (
            "-P INPUT DROP",
            "-P FORWARD DROP",
            "-A INPUT -i lo -j ACCEPT",
            "-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT",
        ):
            run("ip", "netns", "exec", lab.other, "iptables", *rule.split())
        self.start()

    def close(self) -> None:
        self.stop(signal.SIGTERM)
        rmtree(self.folder)

    def mint(self, addresses: list[str]) -> list[bytes]:
        minted = []
        for address in addresses:
            saved = self.folder / "packet"
            saved.unlink(missing_ok=True)
            run(
                *("fwknop", "-A", f"tcp/{DOORS[1]}", "-a", address, "-D", self.outside.broker, "--test"),
                *("--key-base64-rijndael", self._key, "--key-base64-hmac", self._mac, "--use-hmac"),
                *("-B", str(saved), "--no-home-dir", "--no-rc-file", "-E", str(self.folder / "args")),
            )
            minted.append(saved.read_bytes().strip())
        return minted

    def processes(self) -> dict[str, int]:
        assert self._process is not None
        return {"fwknopd": self._process.pid}

    def stop(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.communicate(timeout=20)
            self._process = None

    def start(self) -> None:
        (self.folder / "run").mkdir(exist_ok=True)
        self._process = subprocess.Popen(
            [
                *("ip", "netns", "exec", self.lab.other, "fwknopd", "-f", "-c", str(self.folder / "fwknopd.conf")),
                *("-a", str(self.folder / "access.conf"), "-r", str(self.folder / "run")),
                *("-d", str(self.folder / "digests")),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if "Starting fwknopd main event loop" in line:
                break
        _read_on(self._process)

    def _write(self, name: str, *settings: tuple[str, str]) -> None:
        path = self.folder / name
        path.write_text("".join(f"{key:<24}{value}\n" for key, value in settings))
        path.chmod(0o600)


def _bound() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((BROKER4, KNOCK_PORT))
    return sock


def _read_on(process: "subprocess.Popen[str]") -> None:
    """Keep a daemon's words from filling its pipe."""
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            threading.Thread(target=lambda stream=stream: [None for _ in stream], daemon=True).start()


__all__ = ["WINDOW_SECONDS", "Fwknop", "Knocked", "Lab", "Ours"]
