"""The control socket from its user's side: refusals as errors, long answers whole, an absent or odd agent in words."""

import base64
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from spa_knock.client.control import ControlLink
from spa_knock.client.errors import ClientError, Exit
from spa_knock.link.framing import encode

Serve = Callable[[bytes], None]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Call it with the bytes that an agent shall answer to the first question; then it hangs up."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "control.sock"))
        listener.listen()

        def start(data: bytes) -> None:
            threading.Thread(target=answer, args=(data,), daemon=True).start()

        def answer(data: bytes) -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(data)

        yield start


def link(tmp_path: Path) -> ControlLink:
    return ControlLink(tmp_path / "control.sock")


def test_without_an_agent_nobody_is_signed_in(tmp_path: Path) -> None:
    with pytest.raises(ClientError) as refused, link(tmp_path):
        pass
    assert refused.value.exit_code is Exit.NOT_SIGNED_IN


def test_a_refusal_arrives_as_the_error_it_was(serve: Serve, tmp_path: Path) -> None:
    error = ClientError("odd", "What", "why", "Do this", exit_code=Exit.DENIED)
    serve(encode(error.to_message()))
    with link(tmp_path) as agent, pytest.raises(ClientError) as refused:
        agent.ask("status")
    found = refused.value
    assert (found.code, found.what, found.why, found.do) == ("odd", "What", "why", "Do this")
    assert found.exit_code is Exit.DENIED
    assert found.one_line() == "What: why. Do this."


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xff\xff\xff", encode({"type": "x"})[:-2], encode({"type": "failed", "exit_code": 99})]
)
def test_an_odd_agent_is_an_error(serve: Serve, tmp_path: Path, data: bytes) -> None:
    serve(data)
    with link(tmp_path) as agent, pytest.raises(ClientError) as refused:
        agent.ask("status")
    assert refused.value.exit_code is Exit.FAILED


def test_a_call_puts_the_parts_of_its_answer_together(serve: Serve, tmp_path: Path) -> None:
    def part(data: bytes, *, last: bool) -> bytes:
        body = base64.b64encode(data).decode()
        return encode({"type": "answer", "status": 200, "body_part_b64": body, "last": last})

    serve(part(b'{"items"', last=False) + part(b": [1]}", last=True))
    with link(tmp_path) as agent:
        assert agent.call("GET", "/targets") == (200, {"items": [1]})


@pytest.mark.parametrize("body", ["!", base64.b64encode(b"[1]").decode(), base64.b64encode(b"{").decode()])
def test_a_call_with_an_odd_answer_is_an_error(serve: Serve, tmp_path: Path, body: str) -> None:
    serve(encode({"type": "answer", "status": 200, "body_part_b64": body, "last": True}))
    with link(tmp_path) as agent, pytest.raises(ClientError):
        agent.call("GET", "/targets")
