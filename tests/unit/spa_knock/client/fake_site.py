"""A whole site for the client's tests, in threads: real knocks, real proofs, real TLS, a small HTTP API, an SSH door.

What it leaves out is the firewall: its TCP doors listen all the time and hang up on connections without a proof.
"""

import base64
import contextlib
import datetime as dt
import http.server
import json
import secrets
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    SSHCertificateBuilder,
    SSHCertificateType,
    load_ssh_public_key,
)
from cryptography.x509.oid import NameOID

from broker.kernel.ids import new_id
from spa_knock.client.keys import bind_of
from spa_knock.wire.errors import WireError
from spa_knock.wire.gate import gate_matches
from spa_knock.wire.keys import DeviceKeys, audience_of, day_at, day_key, epoch_at, gate_key
from spa_knock.wire.packet import Body, open_, verify_signed
from spa_knock.wire.proof import PROOF_BYTES, check_proof, derive_proof_key, proof_nonce
from spa_knock.wire.replay import StampVerdict, judge_stamp

VENDOR_NAME = "vendor.test.sallyport"
SSH_DOMAIN = "plant"
HOST_ALIAS = "gate.test.sallyport"


@dataclass
class Device:
    device_id: str
    knock_key: bytes
    public_key: Ed25519PublicKey
    last_stamp_ms: int = 0


@dataclass
class Expected:
    door: int
    device: Device
    body: Body
    key: bytes


@dataclass
class Heard:
    """One accepted knock."""

    device_id: str
    body: Body


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def text(at: dt.datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def pem(key: Ed25519PrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def certify(
    name: str, key: Any, issuer: tuple[str, Ed25519PrivateKey], *, authority: bool = False, dns: str | None = None
) -> x509.Certificate:
    def named(common: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])

    usage = x509.KeyUsage(not authority, False, False, False, False, authority, False, False, False)
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(issuer[0]))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now() - dt.timedelta(hours=1))
        .not_valid_after(now() + dt.timedelta(days=90))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer[1].public_key()),
            critical=False,
        )
    )
    if dns:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(dns)]), critical=False)
    return builder.sign(issuer[1], None)


def cert_pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


@dataclass
class FakeSite:
    """`with FakeSite(folder) as site:`; then `site.invite()`, and the attributes below to steer and to look."""

    folder: Path
    clock_ahead_ms: int = 0
    deaf: int = 0
    """So many valid knocks from now on are lost."""
    login_status: int = 200
    requests: list[dict[str, Any]] = field(default_factory=list)
    grants: list[dict[str, Any]] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    connections: int = 0
    tokens: set[str] = field(default_factory=set)
    close_after_answer: bool = False
    targets: int = 1
    ssh_backend: tuple[str, int] | None = None
    due: list[dict[str, Any]] | None = field(default_factory=list)
    """What waits for this device's word; None: a site that knows no receipts."""
    receipts: list[str] = field(default_factory=list)
    receipt_refusal: tuple[int, str] | None = None

    def __post_init__(self) -> None:
        self.root = Ed25519PrivateKey.generate()
        self.root_pem = cert_pem(certify("root", self.root.public_key(), ("root", self.root), authority=True))
        spki = self.root.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.audience = audience_of(spki)
        self.device_ca = Ed25519PrivateKey.generate()
        self.device_ca_pem = cert_pem(
            certify("devices", self.device_ca.public_key(), ("root", self.root), authority=True)
        )
        self.user_ca = Ed25519PrivateKey.generate()
        self.host_ca = Ed25519PrivateKey.generate()
        self.site_key = secrets.token_bytes(32)
        self.devices: dict[str, Device] = {}
        self.expected: dict[bytes, Expected] = {}
        self.nonces: set[bytes] = set()
        self.invite_code = "code-1"
        self.lock = threading.Lock()

    def __enter__(self) -> "FakeSite":
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind(("127.0.0.1", 0))
        self._doors = {door: socket.create_server(("127.0.0.1", 0)) for door in (1, 2)}
        self._tls = self._server_context()
        self._open = True
        threading.Thread(target=self._guard, daemon=True).start()
        for door, serve in ((1, self._vendor_face), (2, self._ssh_door)):
            threading.Thread(target=self._accept, args=(door, serve), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._open = False
        for sock in (self._udp, *self._doors.values()):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    @property
    def knock_port(self) -> int:
        return int(self._udp.getsockname()[1])

    def port(self, door: int) -> int:
        return int(self._doors[door].getsockname()[1])

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self.clock_ahead_ms

    def day_keys(self) -> list[dict[str, object]]:
        today = day_at(self.now_ms() // 1000)
        return [
            {"day": day, "key_b64": base64.b64encode(day_key(self.site_key, day)).decode()}
            for day in range(today - 1, today + 31)
        ]

    def site_object(self) -> dict[str, Any]:
        return {
            "name": "Test Plant",
            "audience_hex": self.audience.hex(),
            "root_pem": self.root_pem,
            "vendor_face": {"host": "127.0.0.1", "port": self.port(1), "name": VENDOR_NAME},
            "ssh": {"host": "127.0.0.1", "port": self.port(2)},
            "knock": {"host": "127.0.0.1", "ports": [self.knock_port]},
            "ssh_domain": SSH_DOMAIN,
        }

    def invite_object(self) -> dict[str, Any]:
        key = Ed25519PrivateKey.generate()
        knock_key = secrets.token_bytes(32)
        invite_id = new_id("inv", now())
        self.devices[invite_id] = Device(invite_id, knock_key, key.public_key())
        certificate = certify("invite", key.public_key(), ("devices", self.device_ca))
        return {
            "v": 1,
            "site": self.site_object(),
            "knock": {
                "device_id": invite_id,
                "knock_key_b64": base64.b64encode(knock_key).decode(),
                "day_keys": self.day_keys(),
            },
            "certificate_pem": cert_pem(certificate) + self.device_ca_pem,
            "private_key_pem": pem(key),
            "code": self.invite_code,
            "expires_at_ms": self.now_ms() + 900_000,
        }

    def invite(self) -> str:
        return invite_text(self.invite_object())

    def approve(
        self,
        target: str = "plc3",
        *,
        begins: float = -60,
        ends: float = 3600,
        state: str = "active",
        account: str = "root",
    ) -> str:
        """Adds a grant whose window is given in seconds from now; returns its id."""
        grant_id = new_id("grt", now())
        self.grants.append(
            {
                "id": grant_id,
                "target": target,
                "account": account,
                "protocol": "ssh",
                "not_before": text(now() + dt.timedelta(seconds=begins)),
                "not_after": text(now() + dt.timedelta(seconds=ends)),
                "state": state,
            }
        )
        return grant_id

    def host_ca_line(self) -> str:
        return self.host_ca.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()

    def newest_knock(self, door: int) -> Body:
        """The newest knock for this door; waits for the guard's thread."""
        until = time.monotonic() + 5
        while time.monotonic() < until:
            for one in reversed(self.heard):
                if one.body.service == door:
                    return one.body
            time.sleep(0.005)
        raise AssertionError(f"no knock for door {door}: {self.refused}")

    # the guard

    def _guard(self) -> None:
        while self._open:
            try:
                packet, _ = self._udp.recvfrom(2048)
            except OSError:
                return
            with self.lock:
                try:
                    self._judge(packet)
                except WireError as error:
                    self.refused.append(type(error).__name__)

    def _judge(self, packet: bytes) -> None:
        # Copies of a knock are shed by their nonce, as the site's kernel does.
        if packet[8:20] in self.nonces:
            return
        self.nonces.add(packet[8:20])
        epoch = epoch_at(self.now_ms() // 1000)
        key = gate_key(day_key(self.site_key, epoch * 600 // 86400), epoch)
        if not gate_matches(key, packet):
            self.refused.append("gate")
            return
        for device in self.devices.values():
            keys = DeviceKeys.derive(device.knock_key, self.audience)
            if packet[:8] != keys.key_id(epoch):
                continue
            opened = open_(packet, keys)
            body = verify_signed(opened.signed_knock, device.public_key)
            verdict = judge_stamp(body.stamp_ms, last_ms=device.last_stamp_ms, now_ms=self.now_ms(), fence_ms=0)
            if verdict is not StampVerdict.FRESH or body.audience != self.audience:
                self.refused.append(verdict.name)
                return
            device.last_stamp_ms = body.stamp_ms
            if self.deaf:
                self.deaf -= 1
                self.refused.append("deaf")
                return
            nonce = opened.header.nonce
            self.heard.append(Heard(device.device_id, body))
            self.expected[nonce] = Expected(body.service, device, body, derive_proof_key(keys, nonce))
            return
        self.refused.append("unknown")

    # the doors

    def _accept(self, door: int, serve: Callable[[socket.socket, Expected], None]) -> None:
        listener = self._doors[door]
        while self._open:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._admit, args=(door, connection, serve), daemon=True).start()

    def _admit(self, door: int, connection: socket.socket, serve: Callable[[socket.socket, Expected], None]) -> None:
        with connection, contextlib.suppress(OSError, ssl.SSLError):
            connection.settimeout(20)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            proof = b""
            while len(proof) < PROOF_BYTES:
                data = connection.recv(PROOF_BYTES - len(proof))
                if not data:
                    return
                proof += data
            nonce = proof_nonce(proof)
            expected = self._take_expected(nonce)
            if expected is None:
                return
            check_proof(proof, expected.key, nonce, door)
            self.connections += 1
            serve(connection, expected)

    def _take_expected(self, nonce: bytes) -> Expected | None:
        """What this knock announced. A real door is shut until the knock is judged; this one waits for that instead."""
        until = time.monotonic() + 0.5
        while True:
            with self.lock:
                expected = self.expected.pop(nonce, None)
            if expected is not None or time.monotonic() > until:
                return expected
            time.sleep(0.005)

    def _server_context(self) -> ssl.SSLContext:
        key = Ed25519PrivateKey.generate()
        certificate = certify(VENDOR_NAME, key.public_key(), ("root", self.root), dns=VENDOR_NAME)
        path = self.folder / "front.pem"
        path.write_text(pem(key) + cert_pem(certificate))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(path)
        context.load_verify_locations(cadata=self.root_pem + self.device_ca_pem)
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _vendor_face(self, connection: socket.socket, expected: Expected) -> None:
        with self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False) as tls:
            try:
                tls.do_handshake()
            except ssl.SSLError:
                # Closing with unread bytes would send a reset that overtakes the alert.
                while socket.socket.recv(tls, 4096):
                    pass
                return
            der = tls.getpeercert(binary_form=True)
            assert der is not None
            key = x509.load_der_x509_certificate(der).public_key()
            if not isinstance(key, Ed25519PublicKey) or bind_of(key) != expected.body.bind:
                self.refused.append("bind")
                return
            handler = type("Bound", (_Api,), {"site": self, "device": expected.device, "tls_socket": tls})
            handler(tls, tls.getpeername(), None)

    def _ssh_door(self, connection: socket.socket, _expected: Expected) -> None:
        if self.ssh_backend is None:
            connection.sendall(b"SSH-2.0-fake\r\n")
            with contextlib.suppress(OSError):
                connection.recv(1)
            return
        with socket.create_connection(self.ssh_backend) as behind:
            other = threading.Thread(target=_pump, args=(behind, connection), daemon=True)
            other.start()
            _pump(connection, behind)
            other.join(5)

    def ssh_certificate(self, grant_id: str, public_line: str) -> str:
        public = load_ssh_public_key(public_line.encode())
        assert isinstance(public, Ed25519PublicKey)
        certificate = (
            SSHCertificateBuilder()
            .public_key(public)
            .serial(secrets.randbelow(2**63))
            .type(SSHCertificateType.USER)
            .key_id(grant_id.encode())
            .valid_principals([b"sallyport"])
            .valid_after(int(self.now_ms() / 1000) - 60)
            .valid_before(int(self.now_ms() / 1000) + 300)
            .add_extension(b"permit-pty", b"")
            .sign(self.user_ca)
        )
        return certificate.public_bytes().decode()


class _Api(http.server.BaseHTTPRequestHandler):
    """The vendor's routes, as far as the client uses them."""

    protocol_version = "HTTP/1.1"
    site: FakeSite
    device: Device
    tls_socket: ssl.SSLSocket

    def log_message(self, *_: object) -> None:
        """Keeps the test's output clean."""

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def _answer(self, method: str) -> None:
        path = self.path.removeprefix("/vendor/v1")
        self.site.calls.append(f"{method} {path}")
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else {}
        status, answer = self._route(method, path, body)
        data = json.dumps(answer).encode() if answer is not None else b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        if self.site.close_after_answer:
            self.close_connection = True

    def _route(self, method: str, path: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any] | None]:
        site = self.site
        open_routes = {"/enrol": self._enrol, "/activation": self._activate, "/login": self._login}
        if method == "POST" and path in open_routes:
            return open_routes[path](body)
        if path.startswith("/receipts") and site.due is not None:
            return self._receipts(method, body)
        if self.headers.get("Authorization", "").removeprefix("Bearer ") not in site.tokens:
            return problem(401, "not_signed_in", "You are not signed in. Sign in again.")
        match method, path.strip("/").split("/"):
            case "POST", ["device", "renewal"]:
                return 200, self._renew()
            case "POST", ["logout"]:
                site.tokens.clear()
                return 204, None
            case "GET", ["targets"]:
                item = {"name": "plc3", "protocol": "ssh", "description": "包装线 " + "x" * 500, "accounts": ["root"]}
                return 200, {"items": [item] * site.targets}
            case "GET", ["access-requests"]:
                return 200, {"items": list(reversed(site.requests)), "next_cursor": None}
            case "POST", ["access-requests"]:
                return self._ask(body)
            case "GET", ["access-requests", identity]:
                for request in site.requests:
                    if request["id"] == identity:
                        return 200, request
            case "GET", ["grants"]:
                return 200, {"items": site.grants}
            case "POST", ["grants", grant_id, "ssh-certificate"]:
                line = site.ssh_certificate(grant_id, body["public_key"])
                return 201, {"certificate": line, "serial": 1, "valid_before": text(now())}
        return problem(404, "not_found", "There is no such thing.")

    def _receipts(self, method: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        if method == "GET":
            return 200, {"items": self.site.due}
        self.site.receipts.append(body["receipt"])
        if self.site.receipt_refusal is not None:
            status, code = self.site.receipt_refusal
            return problem(status, code, "The receipt is not taken.")
        signed = json.loads(body["receipt"])["receipt"]
        return 201, {"session_id": signed["session_id"], "state": "refused" if signed["refusal"] else "received"}

    def _enrol(self, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        if body["code"] != self.site.invite_code:
            return problem(401, "devices.invite_refused", "The invite is used, expired or unknown.")
        self.site.devices.pop(self.device.device_id)
        public = x509.load_pem_x509_csr(body["csr_pem"].encode()).public_key()
        assert isinstance(public, Ed25519PublicKey)
        device = Device(new_id("dev", now()), secrets.token_bytes(32), public)
        self.site.devices[device.device_id] = device
        certificate = certify("device", public, ("devices", self.site.device_ca))
        return 201, {
            "device_id": device.device_id,
            "certificate_pem": cert_pem(certificate) + self.site.device_ca_pem,
            "knock_key_b64": base64.b64encode(device.knock_key).decode(),
            "day_keys": self.site.day_keys(),
            "short_code": "7K2M-Q9",
            "state": "pending",
        }

    def _renew(self) -> dict[str, Any]:
        """The same key certified anew; both knock keys are known until the new certificate is shown."""
        site, device = self.site, self.device
        renewed = Device(device.device_id, secrets.token_bytes(32), device.public_key, device.last_stamp_ms)
        site.devices[f"{device.device_id} renewed"] = renewed
        certificate = certify("renewed", device.public_key, ("devices", site.device_ca))
        return {
            "certificate_pem": cert_pem(certificate) + site.device_ca_pem,
            "knock_key_b64": base64.b64encode(renewed.knock_key).decode(),
            "day_keys": site.day_keys(),
        }

    def _activate(self, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        if body["token"] != "token-1":
            return problem(401, "identities.activation_refused", "The activation link is used, expired or unknown.")
        return 200, {"totp_secret": "JBSWY3DPEHPK3PXP", "totp_uri": "otpauth://totp/x?secret=JBSWY3DPEHPK3PXP"}

    def _login(self, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        if self.site.login_status != 200 or body["password"] != "correct horse":
            return problem(401, "not_signed_in", "The sign-in was refused. Check user name, password and code.")
        token = secrets.token_hex(16)
        self.site.tokens.add(token)
        return 200, {
            "token": token,
            "idle_seconds": 900,
            "person": {"id": "psn_1", "username": body["username"], "display_name": "Li Wei"},
            "source": "127.0.0.1",
            "server_time_ms": self.site.now_ms(),
            "day_keys": self.site.day_keys(),
            "site": {
                "name": "Test Plant",
                "ssh_domain": SSH_DOMAIN,
                "host_ca": self.site.host_ca_line(),
                "host_key_alias": HOST_ALIAS,
            },
        }

    def _ask(self, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        request = {
            "id": new_id("req", now()),
            "target": body["target"],
            "account": body.get("account", "root"),
            "protocol": "ssh",
            "reason": body["reason"],
            "work_order": body["work_order"],
            "starts_at": body.get("starts_at") or text(now()),
            "ends_at": text(now() + dt.timedelta(seconds=body["duration_seconds"])),
            "state": "submitted",
            "submitted_at": text(now()),
            "decided_at": None,
            "decided_by": None,
            "decision_reason": None,
            "grant_id": None,
        }
        self.site.requests.append(request)
        return 201, request


def problem(status: int, code: str, detail: str) -> tuple[int, dict[str, Any]]:
    return status, {"type": "about:blank", "title": "No", "status": status, "detail": detail, "code": code}


def invite_text(document: Mapping[str, Any], *, compressed: bool = True) -> str:
    data = json.dumps(document).encode()
    packed = zlib.compress(data) if compressed else data
    return "sallyport-invite-1." + base64.urlsafe_b64encode(packed).decode().rstrip("=")


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def unanswered_port() -> Iterator[int]:
    """A TCP port of this machine on which nothing listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield int(sock.getsockname()[1])
