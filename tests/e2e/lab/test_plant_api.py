import base64
import datetime as dt
import hashlib
import ipaddress
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from deploy.demo.lab import BROKER, BROKER_CONSOLE_ADDRESS, CONSOLE_PORT, Lab
from deploy.demo.plant_api import Console, PlantApiError
from deploy.demo.spki import spki_sha256_b64

pytestmark = pytest.mark.netns

_SERVER = """
import http.server, json, ssl, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, status, body, *headers):
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/api/v1/session" and body["totp"] == "111111":
            cookie = ("Set-Cookie", "__Host-sallyport=abc; Secure; HttpOnly; Path=/")
            return self.answer(200, {"csrf_token": "tok"}, ("Set-Cookie", "other=1"), cookie)
        if self.headers["Cookie"] == "__Host-sallyport=abc" and self.headers["X-CSRF-Token"] == "tok":
            return self.answer(201, {"id": "zon_1", "peer": self.client_address[0]})
        self.answer(403, {"code": "forbidden", "detail": "not you"})

    def do_GET(self):
        self.answer(200, {"items": [{"name": "a"}, {"name": "b"}]})

    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[3])
server.socket = context.wrap_socket(server.socket, server_side=True)
print("listening", flush=True)
server.serve_forever()
"""


def _certificate(path: Path) -> x509.Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "console")])
    now = dt.datetime.now(dt.UTC)
    address = x509.IPAddress(ipaddress.ip_address(BROKER_CONSOLE_ADDRESS))
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - dt.timedelta(1), now + dt.timedelta(1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return certificate


@pytest.fixture(scope="module")
def own_lab() -> Iterator[Lab]:
    """A laboratory in which the console's port is free."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    with Lab() as running:
        yield running


@pytest.fixture(scope="module")
def console(own_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Console:
    folder = tmp_path_factory.mktemp("console")
    certificate = _certificate(folder / "server.pem")
    root = folder / "root.pem"
    root.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    argv = [sys.executable, "-c", _SERVER, BROKER_CONSOLE_ADDRESS, str(CONSOLE_PORT), str(folder / "server.pem")]
    server = own_lab.popen(BROKER, argv, stdout=subprocess.PIPE)
    assert server.stdout is not None
    assert server.stdout.readline() == "listening\n"
    return Console(own_lab, root)


def test_a_signed_in_person_acts_from_the_office(console: Console) -> None:
    session = console.sign_in("sun", "secret", "111111")
    assert session.post("/zones", {"name": "Press shop"}) == {"id": "zon_1", "peer": "10.30.0.10"}
    assert [item["name"] for item in session.items("/zones")] == ["a", "b"]


def test_a_refusal_carries_its_code_and_words(console: Console) -> None:
    with pytest.raises(PlantApiError, match="403 forbidden: not you") as caught:
        console.sign_in("sun", "secret", "222222")
    assert (caught.value.code, caught.value.status) == ("forbidden", 403)


def test_a_console_of_another_root_is_not_talked_to(console: Console, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    _certificate(other)
    with pytest.raises(ssl.SSLCertVerificationError):
        Console(console.lab, other).ask("GET", "/api/v1/session")


def test_the_browsers_pin_is_the_hash_of_the_public_key_shown(console: Console) -> None:
    shown = x509.load_der_x509_certificate(console.leaf_certificate()).public_key()
    spki = shown.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert base64.b64decode(spki_sha256_b64(console.leaf_certificate())) == hashlib.sha256(spki).digest()
