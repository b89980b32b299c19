import asyncio

import pytest
from starlette.types import Message

from broker.sessions import event_stream
from broker.sessions.event_stream import EventStream, Write


class Client:
    """The server's side of one request, as an ASGI application sees it."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.leaves = asyncio.Event()
        self.blocked = False

    async def receive(self) -> Message:
        await self.leaves.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if self.blocked:
            await asyncio.Event().wait()
        self.sent.append(message)


async def test_what_is_produced_is_sent_as_it_comes_and_then_ends() -> None:
    client = Client()

    async def produce(write: Write) -> None:
        await write(b"one")
        await write(b"two")

    await EventStream(produce)({}, client.receive, client.send)
    start, *bodies = client.sent
    headers = dict(start["headers"])
    assert headers[b"content-type"].startswith(b"text/event-stream")
    assert headers[b"cache-control"] == b"no-store"
    assert b"content-length" not in headers
    assert [(body["body"], body["more_body"]) for body in bodies] == [(b"one", True), (b"two", True), (b"", False)]


async def test_a_client_that_leaves_ends_the_producer_before_the_response_is_over() -> None:
    client, ended = Client(), []

    async def produce(write: Write) -> None:
        try:
            await write(b"one")
            client.leaves.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append("ended")

    await EventStream(produce)({}, client.receive, client.send)
    assert ended == ["ended"]
    assert client.sent[-1]["more_body"] is True


async def test_a_client_that_takes_nothing_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "WRITE_SECONDS", 0.05)
    client, raised = Client(), []

    async def produce(write: Write) -> None:
        client.blocked = True
        try:
            await write(b"x")
        except TimeoutError as error:
            raised.append(error)
        client.blocked = False

    await EventStream(produce)({}, client.receive, client.send)
    assert len(raised) == 1


async def test_a_fault_of_the_producer_is_not_hidden() -> None:
    client = Client()

    async def produce(write: Write) -> None:
        raise RuntimeError("a fault")

    with pytest.raises(RuntimeError):
        await EventStream(produce)({}, client.receive, client.send)


async def test_a_request_that_is_cancelled_ends_the_producer() -> None:
    client, ended = Client(), []

    async def produce(write: Write) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("ended")

    task = asyncio.create_task(EventStream(produce)({}, client.receive, client.send))
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert ended == ["ended"]
