import asyncio
import os
import socket
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.app import control_main
from broker.app.house import House
from broker.app.layout import Layout
from broker.app.settings import Settings
from spa_knock.link.framing import encode
from tests.unit.broker.app.vendor_laptop import Laptop, preamble


async def _ask(path: Path, sent: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(sent)
    try:
        return await asyncio.wait_for(reader.read(65_536), 5)
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


def _listener(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.bind(str(path))
    sock.listen()
    return sock


async def test_the_vendor_face_serves_only_the_gateways_user(house: House, tmp_path: Path) -> None:
    laptop, audience = Laptop(), bytes.fromhex(house.devices.facts.audience_hex)
    for uid, expected in ((os.getuid(), b"HTTP/1.1 401"), (os.getuid() + 1, b"")):
        path = tmp_path / f"{uid}.sock"
        forwarded = preamble(laptop.connection(laptop.signed_knock(datetime.now(UTC), audience=audience)))
        request = encode(forwarded) + b"GET /vendor/v1/grants HTTP/1.1\r\nHost: x\r\n\r\n"
        server = control_main.vendor_server(house, uid)
        with _listener(path) as listener:
            serving = asyncio.ensure_future(server.serve(sockets=[listener]))
            while not server.started:
                await asyncio.sleep(0.01)
            assert (await _ask(path, request))[: len(b"HTTP/1.1 401")] == expected
            server.should_exit = True
            await serving


async def test_the_plant_face_speaks_tls_signed_by_the_site_root(house: House, settings: Settings) -> None:
    layout = Layout.of(settings)
    server = control_main.plant_server(house, layout)
    context = ssl.create_default_context(cafile=str(layout.site_root))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.ensure_future(server.serve(sockets=[listener]))
        while not server.started:
            await asyncio.sleep(0.01)
        port = listener.getsockname()[1]
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=context, server_hostname=settings.plant_face.host
        )
        writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        server.should_exit = True
        await serving
    assert answer.startswith(b"HTTP/1.1 204")
    assert b"server:" not in answer.lower()


@pytest.mark.parametrize("arguments", [[], ["--config"]])
def test_a_wrong_call_says_how_it_is_called(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["control", *arguments])
    monkeypatch.setattr(control_main, "harden", lambda: None)
    with pytest.raises(SystemExit, match="2"):
        control_main.main()
