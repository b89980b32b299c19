"""A small lab of network namespaces for the opener's contract: broker, vendor and plant, one cable each.

Names carry the test process's id and are removed at the end; the host's own firewall is never touched.
"""

import ctypes
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from spa_knock.link.framing import Decoder, encode

ROOT = Path(__file__).parents[2]
UIDS = {"opener": 61_184, "guard": 61_185, "gateway": 61_186, "control": 61_187}
ARCHIVE_UID, STORE_PORT = 61_188, 24_490
DOORS = {1: 4430, 2: 2200}
KNOCK_PORT = 62_201
MANAGEMENT_PORT = 8443
TARGET_PORT = 2222
BROKER4, VENDOR4, NEIGHBOUR4 = "198.51.100.1", "198.51.100.7", "198.51.100.8"
BROKER6, VENDOR6, NEIGHBOUR6 = "2001:db8:1::1", "2001:db8:1::7", "2001:db8:1::8"
PLANT_BROKER4, PLANT4 = "10.7.0.1", "10.7.0.2"
OUTSIDE_MANAGEMENT4 = "172.31.7.2"

Result = TypeVar("Result")
_CLONE_NEWNET = 0x40000000

_LAUNCH = """
import fcntl, os, sys
fds = [fcntl.fcntl(int(text), fcntl.F_DUPFD, 50) for text in sys.argv[1].split(",")]
for number, fd in enumerate(fds, start=3):
    os.dup2(fd, number)
os.environ["LISTEN_PID"] = str(os.getpid())
os.environ["LISTEN_FDS"] = str(len(fds))
os.execv(sys.argv[2], sys.argv[2:])
"""

_CONNECT = """
import socket, sys
sock = socket.socket(socket.AF_UNIX)
sock.connect(sys.argv[2])
socket.send_fds(socket.socket(fileno=int(sys.argv[1])), [b"x"], [sock.fileno()])
"""

_DIAL = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=1.5)
except ConnectionRefusedError:
    print("refused")
except TimeoutError:
    print("silence")
else:
    print("connected")
"""


def run(*command: str, text: str | None = None) -> str:
    """Run a tool; its failure fails the test with its own words."""
    finished = subprocess.run(command, input=text, text=True, capture_output=True, timeout=30, check=False)
    assert finished.returncode == 0, f"{command}: {finished.stderr}"
    return finished.stdout


class Peer:
    """A connection to the opener, made under one user id."""

    def __init__(self, path: Path, uid: int) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            subprocess.run(
                [sys.executable, "-c", _CONNECT, str(theirs.fileno()), str(path)],
                user=uid,
                group=uid,
                extra_groups=[],
                pass_fds=[theirs.fileno()],
                check=True,
                timeout=10,
            )
            _data, fds, _flags, _address = socket.recv_fds(ours, 1, 1)
        self.socket = socket.socket(fileno=fds[0])
        self.socket.settimeout(5)
        self._decoder = Decoder()

    def ask(self, **message: object) -> dict[str, object]:
        """The opener's answer to one request. Raises ConnectionError when it closes instead."""
        self.tell(**message)
        return self.hear()

    def tell(self, **message: object) -> None:
        """Send one request and do not wait."""
        self.socket.sendall(encode(message))

    def hear(self) -> dict[str, object]:
        """The next answer."""
        while True:
            data = self.socket.recv(65_536)
            if not data:
                raise ConnectionError("the opener closed the connection")
            for answer in self._decoder.feed(data):
                return answer


class Lab:
    """The namespaces, the loaded rule set and a running opener; a context manager."""

    def __init__(self) -> None:
        self.broker, self.vendor, self.plant = (f"spt-{os.getpid()}-{name}" for name in ("b", "v", "p"))
        self.folder = Path(tempfile.mkdtemp(prefix="spt-"))
        self.folder.chmod(0o755)
        self.config = self.folder / "opener.json"
        self._listeners: dict[str, socket.socket] = {}
        self._sockets: list[socket.socket] = []
        self.opener: subprocess.Popen[str] | None = None

    def __enter__(self) -> "Lab":
        try:
            self._build()
            self.config.write_text(json.dumps(_configuration()))
            for name in ("guard", "control", "gateway"):
                listener = socket.socket(socket.AF_UNIX)
                listener.bind(str(self.path(name)))
                self.path(name).chmod(0o777)
                listener.listen(8)
                self._listeners[name] = listener
            self.load()
            self.start_opener()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.opener is not None:
            self.stop_opener()
        for sock in (*self._listeners.values(), *self._sockets):
            sock.close()
        for namespace in (self.broker, self.vendor, self.plant):
            subprocess.run(["ip", "netns", "del", namespace], check=False, capture_output=True)
        shutil.rmtree(self.folder)

    def path(self, name: str) -> Path:
        """Where one of the opener's sockets lies."""
        return self.folder / f"{name}.sock"

    def peer(self, name: str, uid: int | None = None) -> Peer:
        """A connection to the opener's socket `name`, as the user id that belongs there unless another is given."""
        peer = Peer(self.path(name), UIDS[name] if uid is None else uid)
        self._sockets.append(peer.socket)
        return peer

    def load(self) -> None:
        """Load the base rule set, as root would."""
        run(
            "ip",
            "netns",
            "exec",
            self.broker,
            sys.executable,
            "-m",
            "spa_knock.opener",
            "load",
            "--config",
            str(self.config),
        )

    def start_opener(self) -> None:
        """Start the opener as in production: its own user id and one capability."""
        self.opener = self.spawn(
            "opener",
            list(self._listeners.items()),
            *("-m", "spa_knock.opener", "serve", "--config", str(self.config)),
            capabilities="-all,+net_admin",
        )

    def stop_opener(self, *, kill: bool = False) -> str:
        """Stop the opener, cleanly or not. Returns what it logged."""
        assert self.opener is not None
        self.opener.kill() if kill else self.opener.terminate()
        _output, log = self.opener.communicate(timeout=10)
        self.opener = None
        return log

    def spawn(
        self, name: str, sockets: list[tuple[str, socket.socket]], *arguments: str, capabilities: str = "-all"
    ) -> "subprocess.Popen[str]":
        """A daemon in the broker's namespace under its own user id; returns when it is ready."""
        ready_path = self.folder / f"{name}.notify"
        ready_path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
            ready.bind(str(ready_path))
            ready_path.chmod(0o777)
            ready.settimeout(15)
            fds = [sock.fileno() for _name, sock in sockets]
            uid = str(UIDS[name])
            process = subprocess.Popen(
                [
                    *("ip", "netns", "exec", self.broker, "setpriv", "--reuid", uid, "--regid", uid, "--clear-groups"),
                    *(f"--inh-caps={capabilities}", f"--ambient-caps={capabilities}"),
                    *(f"--bounding-set={capabilities}", "--no-new-privs"),
                    *(sys.executable, "-c", _LAUNCH, ",".join(map(str, fds)), sys.executable, *arguments),
                ],
                cwd=ROOT,
                pass_fds=fds,
                env={
                    **os.environ,
                    "LISTEN_FDNAMES": ":".join(passed for passed, _sock in sockets),
                    "NOTIFY_SOCKET": str(ready_path),
                    "PYTHONDONTWRITEBYTECODE": "1",
                },
                stderr=subprocess.PIPE,
                text=True,
            )
            try:
                assert ready.recv(100) == b"READY=1"
            except TimeoutError:
                process.kill()
                raise AssertionError(process.communicate()[1]) from None
        return process

    def inside(self, namespace: str, function: Callable[[], Result]) -> Result:
        """Run `function` in a thread that lives in `namespace`; its sockets stay there when it is over."""
        results: list[Result] = []
        errors: list[BaseException] = []

        def enter() -> None:
            libc = ctypes.CDLL(None, use_errno=True)
            fd = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
            try:
                assert libc.setns(fd, _CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
                results.append(function())
            except BaseException as error:  # noqa: BLE001  handed to the caller's thread
                errors.append(error)
            finally:
                os.close(fd)

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        if errors:
            raise errors[0]
        return results[0]

    def listen(self, namespace: str, port: int) -> socket.socket:
        """A dual-stack listener."""

        def make() -> socket.socket:
            sock = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            sock.bind(("::", port))
            sock.listen(16)
            sock.settimeout(3)
            return sock

        return self.keep(self.inside(namespace, make))

    def keep(self, sock: socket.socket) -> socket.socket:
        """Close this socket at the end."""
        self._sockets.append(sock)
        return sock

    def dial(self, source: str, address: str, port: int, seconds: float = 0.5) -> socket.socket:
        """A connection from one of the vendor's addresses; TimeoutError when nothing answers."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET

        def make() -> socket.socket:
            sock = socket.socket(family, socket.SOCK_STREAM)
            try:
                sock.bind((source, 0))
                sock.settimeout(seconds)
                sock.connect((address, port))
            except BaseException:
                sock.close()
                raise
            return sock

        return self.keep(self.inside(self.vendor, make))

    def dial_as(self, uid: int, address: str, port: int) -> str:
        """How a connection from the broker under this user id goes: connected, refused or silence."""
        return run(
            *(
                "ip",
                "netns",
                "exec",
                self.broker,
                "setpriv",
                "--reuid",
                str(uid),
                "--regid",
                str(uid),
                "--clear-groups",
            ),
            *(sys.executable, "-W", "ignore", "-c", _DIAL, address, str(port)),
        ).strip()

    def sniff(self, namespace: str, interface: str) -> socket.socket:
        """A socket that sees every packet on an interface."""

        def make() -> socket.socket:
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
            sock.bind((interface, 0))
            sock.settimeout(0.3)
            return sock

        return self.keep(self.inside(namespace, make))

    def _build(self) -> None:
        for namespace in (self.broker, self.vendor, self.plant):
            run("ip", "netns", "add", namespace)
            run("ip", "-n", namespace, "link", "set", "lo", "up")
        self._cable(
            self.vendor, "far0", [f"{VENDOR4}/24", f"{NEIGHBOUR4}/24", f"{VENDOR6}/64", f"{NEIGHBOUR6}/64"], "out0"
        )
        self._address(self.broker, "out0", [f"{BROKER4}/24", f"{BROKER6}/64"])
        self._cable(self.plant, "far0", [f"{PLANT4}/24", f"{OUTSIDE_MANAGEMENT4}/24"], "mgmt0")
        self._address(self.broker, "mgmt0", [f"{PLANT_BROKER4}/24", "172.31.7.1/24"])

    def _cable(self, namespace: str, far: str, addresses: list[str], near: str) -> None:
        run("ip", "-n", namespace, "link", "add", far, "type", "veth", "peer", "name", near, "netns", self.broker)
        self._address(namespace, far, addresses)

    def _address(self, namespace: str, interface: str, addresses: list[str]) -> None:
        run("ip", "-n", namespace, "link", "set", interface, "up")
        for address in addresses:
            without_detection = ["nodad"] if ":" in address else []
            run("ip", "-n", namespace, "addr", "add", address, "dev", interface, *without_detection)


def drain(sock: socket.socket) -> list[bytes]:
    """All frames that a sniffer has seen."""
    frames: list[bytes] = []
    while True:
        try:
            frames.append(sock.recv(2_048))
        except TimeoutError:
            return frames


def ip_packets_from(frames: list[bytes], address: str) -> list[bytes]:
    """The IP packets among Ethernet frames that have this source, neighbour discovery left out."""
    packed = socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
    kind, start = (b"\x86\xdd", 22) if ":" in address else (b"\x08\x00", 26)
    found = [frame for frame in frames if frame[12:14] == kind and frame[start : start + len(packed)] == packed]
    return [frame for frame in found if not (kind == b"\x86\xdd" and frame[20] == 58 and frame[54] in (135, 136))]


def _configuration() -> Mapping[str, object]:
    return {
        "table": "sallyport",
        "vendor_interfaces": ["out0"],
        "doors": {str(door): port for door, port in DOORS.items()},
        "knock_ports": [KNOCK_PORT],
        "management": [{"interface": "mgmt0", "prefixes": ["10.7.0.0/24"], "tcp_ports": [MANAGEMENT_PORT]}],
        "uids": UIDS,
        "max_open_seconds": 30,
        "archive": {"uid": ARCHIVE_UID, "address": PLANT4, "port": STORE_PORT},
    }
