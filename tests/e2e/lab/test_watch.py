import http.client
import http.server
import threading
from collections.abc import Iterator
from typing import cast

import pytest

from deploy.demo.plant_api import PlantSession
from deploy.demo.watch import Watch

_EVENTS = """retry: 1000
event: start
data: {"session_id": "ses_1", "recording_id": "rec_1", "after_frame": 0}

event: frames
id: 2
data: {"frames": [{"n": 1, "kind": "output", "data_b64": "aGVs"}, {"n": 2, "kind": "output", "data_b64": "bG8="}]}

event: live
data: {"last_frame": 2}

event: frames
id: 3
data: {"frames": [{"n": 3, "kind": "note", "note": {"kind": "message", "text": "Mind the door"}}]}

event: end
data: {"reason": "over"}

"""


class _Session:
    """A plant's session whose watch is served by this machine."""

    def __init__(self, port: int) -> None:
        self._port = port

    def stream(self, path: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self._port)
        connection.request("GET", path)
        return connection.getresponse()


class _Handler(http.server.BaseHTTPRequestHandler):
    events = _EVENTS

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.events.encode())

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def session() -> Iterator[PlantSession]:
    with http.server.HTTPServer(("127.0.0.1", 0), _Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield cast("PlantSession", _Session(server.server_port))
        server.shutdown()


def test_a_viewer_sees_output_and_what_the_gateway_said(session: PlantSession) -> None:
    with Watch(session, "ses_1") as watch:
        assert watch.shows("hello")
        assert watch.shows("Mind the door")
        assert watch.reaches_live_edge()
        assert watch.is_ordered
    assert watch.end_reason == "over"


def test_a_frame_that_comes_twice_is_noticed(session: PlantSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Handler, "events", _EVENTS.replace('"n": 3', '"n": 2'))
    with Watch(session, "ses_1") as watch:
        assert watch.shows("Mind the door")
        assert not watch.is_ordered


def test_a_viewer_who_goes_while_nothing_comes_is_gone(session: PlantSession, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = threading.Event()

    def wait_for_the_end(handler: _Handler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(_EVENTS.partition("event: end")[0].encode())
        if handler.connection.recv(1) == b"":
            gone.set()

    monkeypatch.setattr(_Handler, "do_GET", wait_for_the_end)
    with Watch(session, "ses_1") as watch:
        assert watch.reaches_live_edge()
    assert gone.wait(30)
    assert watch.end_reason == ""
