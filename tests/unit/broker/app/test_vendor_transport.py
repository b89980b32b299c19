import asyncio
import base64
import contextlib
import os
import socket
from datetime import UTC, datetime

import pytest
from fastapi import FastAPI, Request
from hypothesis import given
from hypothesis import strategies as st
from uvicorn import Config
from uvicorn.server import ServerState

from broker.app import vendor_transport
from broker.app.vendor_proof import KnockProofs
from broker.kernel.clock import SystemClock
from spa_knock.link.framing import encode
from tests.unit.broker.app.vendor_laptop import AUDIENCE, Laptop, preamble

_PREAMBLE = {
    "type": "vendor",
    "device_id": "dev_1",
    "knock_id": "00" * 12,
    "source": "198.51.100.10",
    "source_port": 40000,
    "certificate_b64": base64.b64encode(b"der").decode(),
    "signed_knock_b64": base64.b64encode(b"knock").decode(),
}


def test_the_preamble_becomes_the_facts_of_the_connection() -> None:
    connection = vendor_transport.connection_of(_PREAMBLE)
    assert connection.device_id == "dev_1"
    assert connection.certificate_der == b"der"


@pytest.mark.parametrize("key", [key for key in _PREAMBLE if key != "type"])
def test_a_preamble_without_one_of_its_fields_is_refused(key: str) -> None:
    with pytest.raises(vendor_transport.PreambleError, match="missing"):
        vendor_transport.connection_of({name: value for name, value in _PREAMBLE.items() if name != key})


@given(st.dictionaries(st.sampled_from([*_PREAMBLE, "other"]), st.none() | st.booleans() | st.text() | st.integers()))
def test_hostile_preambles_raise_only_their_own_error(message: dict[str, object]) -> None:
    with contextlib.suppress(vendor_transport.PreambleError):
        vendor_transport.connection_of({"type": "vendor", **message})


class _Transport:
    """The part of asyncio's transport that the protocol touches, keeping what is written."""

    def __init__(self) -> None:
        self.socket, self._other_end = socket.socketpair()
        self.written = b""
        self.aborted = False

    def get_extra_info(self, name: str, default: object = None) -> object:
        return self.socket if name == "socket" else default

    def write(self, data: bytes) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        self.aborted = True

    def close(self) -> None:
        self.aborted = True

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def end(self) -> None:
        self.socket.close()
        self._other_end.close()


@pytest.fixture
async def protocol():
    app = FastAPI()

    @app.get("/who")
    async def _who(request: Request) -> dict[str, str]:
        return {"device": request.state.vendor.device_id, "client": request.client.host}

    kind = vendor_transport.vendor_protocol(os.getuid(), KnockProofs(AUDIENCE, SystemClock()))
    made = kind(config=Config(app, log_config=None), server_state=ServerState(), app_state={})
    transport = _Transport()
    made.connection_made(transport)
    yield made
    transport.end()


async def _answer(protocol) -> bytes:
    for _ in range(100):
        await asyncio.sleep(0.01)
        if b"\r\n\r\n" in protocol.transport.written:
            break
    return protocol.transport.written


@pytest.mark.parametrize("step", [1, 7, 10_000])
async def test_requests_after_the_preamble_know_their_connection(protocol, step: int) -> None:
    laptop = Laptop()
    forwarded = preamble(laptop.connection(laptop.signed_knock(datetime.now(UTC))))
    stream = encode(forwarded) + b"GET /who HTTP/1.1\r\nHost: x\r\n\r\n"
    for start in range(0, len(stream), step):
        protocol.data_received(stream[start : start + step])
    assert b'{"device":"dev_1","client":"198.51.100.10"}' in await _answer(protocol)


@pytest.mark.parametrize(
    "stream",
    [
        encode(_PREAMBLE),
        b"GET /who HTTP/1.1\r\n\r\n",
        b"\x00\x00\x00\x02{}",
        b"\x00\x00\x00\x05hello",
        encode({"type": "other"}),
    ],
)
async def test_a_connection_that_does_not_begin_with_a_preamble_is_cut(protocol, stream: bytes) -> None:
    protocol.data_received(stream)
    assert protocol.transport.aborted
    assert protocol.transport.written == b""
