import ipaddress
import json
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import DNSName, IPAddress

from broker.app import console_client, keys


class _Console(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if body["password"] != "right":
            self._answer(401, {"detail": "Name, password or code is wrong.", "code": "not_signed_in"})
            return
        self._answer(
            200,
            {"person": {"display_name": "Wu"}, "csrf_token": "t"},
            ("Set-Cookie", "__Host-sallyport=abc; Secure; Path=/"),
        )

    def do_GET(self) -> None:
        self._answer(200, {"cookie": self.headers["Cookie"], "path": self.path})

    def do_DELETE(self) -> None:
        self._answer(200, {"csrf": self.headers["X-CSRF-Token"]})

    def _answer(self, status: int, document: object, *headers: tuple[str, str]) -> None:
        content = json.dumps(document).encode()
        self.send_response(status)
        for name, value in (*headers, ("Content-Length", str(len(content)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[str, str]]:
    now = datetime.now(UTC)
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = keys._authority("test root", root_key, now)
    names = [IPAddress(ipaddress.ip_address("127.0.0.1")), DNSName("localhost")]
    leaf = keys._leaf(root, root_key, key, names, now)
    pem = tmp_path / "leaf.pem"
    pem.write_bytes(keys._pem(key) + keys._certificate(leaf))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    with HTTPServer(("127.0.0.1", 0), _Console) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield f"https://127.0.0.1:{server.server_port}", keys._certificate(root).decode()
        server.shutdown()
        thread.join()


def test_a_session_is_kept_for_this_user_alone_and_used(site: tuple[str, str], tmp_path: Path) -> None:
    session = console_client.sign_in(*site, "wu", "right", "123456")
    path = tmp_path / "sub" / "session.json"
    console_client.save(session, path)
    assert path.stat().st_mode & 0o077 == 0
    answer = json.loads(console_client.get(console_client.load(path), "/audit/events?limit=1"))
    assert answer == {"cookie": "__Host-sallyport=abc", "path": "/api/v1/audit/events?limit=1"}
    console_client.sign_out(session)


def test_a_refusal_keeps_the_consoles_words(site: tuple[str, str]) -> None:
    with pytest.raises(console_client.ConsoleError, match="Name, password or code is wrong") as caught:
        console_client.sign_in(*site, "wu", "wrong", "123456")
    assert caught.value.code == "not_signed_in"


def test_a_console_with_another_root_is_not_talked_to(site: tuple[str, str]) -> None:
    other = keys._authority("other root", ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC))
    with pytest.raises(console_client.ConsoleError, match="not signed by the given site root"):
        console_client.sign_in(site[0], keys._certificate(other).decode(), "wu", "right", "123456")


def test_nobody_signed_in_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(console_client.ConsoleError, match="sallyport sign-in"):
        console_client.load(tmp_path / "absent")


def test_an_address_without_https_is_refused() -> None:
    with pytest.raises(console_client.ConsoleError, match="looks like https"):
        console_client.sign_in("http://10.20.0.10", "", "wu", "x", "1")
