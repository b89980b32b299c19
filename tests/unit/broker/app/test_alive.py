import json
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from broker.app import alive, keys
from broker.app.layout import Layout
from broker.app.settings import Settings, parse

_PARTS = {"database": True, "guard": False, "gateway": True}


@pytest.fixture
def console(settings: Settings) -> Iterator[HTTPServer]:
    """Something that speaks as the console does, with its certificate's key."""
    layout = Layout.of(settings)

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"ready": False, "parts": _PARTS}).encode()
            self.send_response(503)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(layout.control / "plant-face.pem", layout.control / "plant-face.key")
        server.socket = context.wrap_socket(server.socket, server_side=True)
        serving = threading.Thread(target=server.serve_forever, args=(0.05,))
        serving.start()
        yield server
        server.shutdown()
        serving.join()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    site = {"name": "demo", "state_dir": str(tmp_path / "state"), "run_dir": str(tmp_path / "run")}
    made = _at(site, 8443)
    keys.initialise(made, datetime.now(UTC), give_away=False)
    return made


def _at(site: dict[str, str], port: int) -> Settings:
    return parse(
        {
            "site": site,
            "vendor_face": {"host": "203.0.113.10", "interface": "out0"},
            "plant_face": {"host": "127.0.0.1", "port": port, "interface": "mgmt0", "networks": ["10.30.0.0/24"]},
        }
    )


def _asked(settings: Settings, server: HTTPServer) -> tuple[Settings, Layout]:
    site = {"name": "demo", "state_dir": settings.site.state_dir, "run_dir": settings.site.run_dir}
    return _at(site, server.server_address[1]), Layout.of(settings)


def test_a_part_that_is_ready_is_alive_though_another_is_not(settings: Settings, console: HTTPServer) -> None:
    alive.ask(*_asked(settings, console), "gateway")
    with pytest.raises(alive.NotAlive, match="not ready: guard"):
        alive.ask(*_asked(settings, console), "guard")
    with pytest.raises(alive.NotAlive, match="not ready: guard"):
        alive.ask(*_asked(settings, console))


def test_a_console_that_is_away_is_named(settings: Settings) -> None:
    with pytest.raises(alive.NotAlive, match=r"127.0.0.1 port 8443 does not answer"):
        alive.ask(settings, Layout.of(settings))
