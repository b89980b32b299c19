"""The link: pairs answers, reconnects, and fails requests while it is down."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from broker.gateway.local_link import LocalLink, Message, PeerRefused, PeerSilent, tell
from spa_knock.link.framing import Decoder, encode
from tests.unit.broker.gateway.folders import short_folder

Handler = Callable[[Message], Message | None]


@asynccontextmanager
async def peer(path: Path, handler: Handler) -> AsyncIterator[list[asyncio.StreamWriter]]:
    writers: list[asyncio.StreamWriter] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        decoder = Decoder()
        while data := await reader.read(4096):
            for message in decoder.feed(data):
                answer = handler(message)
                if answer is not None:
                    writer.write(encode(answer))
        writer.close()

    server = await asyncio.start_unix_server(connected, path)
    try:
        yield writers
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        path.unlink(missing_ok=True)


@asynccontextmanager
async def running(link: LocalLink) -> AsyncIterator[None]:
    task = asyncio.create_task(link.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_answers_find_their_requests_in_any_order() -> None:
    held: list[Message] = []

    def handler(message: Message) -> Message | None:
        if message["type"] == "first":
            held.append(message)
            return None
        return {"type": "done", "id": message["id"], "n": 2}

    with short_folder() as folder:
        link = LocalLink(folder / "s")
        async with peer(folder / "s", handler) as writers, running(link):
            await link.up.wait()
            first = asyncio.create_task(link.ask({"type": "first"}, 5))
            assert (await link.ask({"type": "second"}, 5))["n"] == 2
            writers[0].write(encode({"type": "done", "id": held[0]["id"], "n": 1}))
            assert (await first)["n"] == 1


async def test_a_refusal_has_its_code() -> None:
    with short_folder() as folder:
        link = LocalLink(folder / "s")
        handler: Handler = lambda m: {"type": "refused", "id": m["id"], "code": "no"}  # noqa: E731
        async with peer(folder / "s", handler), running(link):
            await link.up.wait()
            with pytest.raises(PeerRefused) as caught:
                await link.ask({"type": "x"}, 5)
            assert caught.value.code == "no"
            assert not await tell(link.ask({"type": "x"}, 5))


async def test_silence_is_told_and_a_late_answer_harms_nobody() -> None:
    with short_folder() as folder:
        link = LocalLink(folder / "s")
        async with peer(folder / "s", lambda m: None) as writers, running(link):
            await link.up.wait()
            with pytest.raises(PeerSilent):
                await link.ask({"type": "x"}, 0.05)
            writers[0].write(encode({"type": "done", "id": 1}))
            await asyncio.sleep(0.05)
            assert link.up.is_set()


async def test_the_link_comes_back_greets_again_and_tells_both() -> None:
    changes: list[bool] = []
    greeted: list[Message] = []
    with short_folder() as folder:
        link = LocalLink(folder / "s", greeting=lambda: {"type": "hello"}, on_change=changes.append)

        def handler(message: Message) -> Message | None:
            greeted.append(message)
            return {"type": "welcome"} if message["type"] == "hello" else None

        async with running(link):
            with pytest.raises(PeerSilent):
                await link.ask({"type": "x"}, 1)
            for _ in range(2):
                async with peer(folder / "s", handler):
                    await asyncio.wait_for(link.up.wait(), 5)
                    waiting = asyncio.create_task(link.ask({"type": "x"}, 30))
                    await asyncio.sleep(0.05)
                with pytest.raises(PeerSilent):
                    await waiting
    assert changes == [True, False, True, False]
    assert sum(m["type"] == "hello" for m in greeted) == 2


async def test_a_socket_that_outlived_its_process_is_no_link() -> None:
    changes: list[bool] = []
    with short_folder() as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "s"))
        listener.listen()
        link = LocalLink(folder / "s", greeting=lambda: {"type": "hello"}, on_change=changes.append)
        async with running(link):
            await asyncio.sleep(0.3)
            assert not link.up.is_set()
            with pytest.raises(PeerSilent):
                await link.ask({"type": "x"}, 1)
            process, _ = await asyncio.get_running_loop().run_in_executor(None, listener.accept)
            with process:
                process.sendall(encode({"type": "welcome"}))
                await asyncio.wait_for(link.up.wait(), 5)
                assert changes == [True]


async def test_a_peer_that_does_not_welcome_is_no_link() -> None:
    changes: list[bool] = []
    with short_folder() as folder:
        link = LocalLink(folder / "s", greeting=lambda: {"type": "hello"}, on_change=changes.append)
        async with peer(folder / "s", lambda m: {"type": "order", "order": "thaw"}) as writers, running(link):
            async with asyncio.timeout(5):
                while len(writers) < 2:
                    await asyncio.sleep(0.02)
    assert changes == []


async def test_what_answers_nothing_is_handed_on() -> None:
    seen: list[Message] = []
    with short_folder() as folder:
        link = LocalLink(folder / "s", on_message=seen.append)
        async with peer(folder / "s", lambda m: None) as writers, running(link):
            await link.up.wait()
            await asyncio.sleep(0.02)
            writers[0].write(encode({"type": "order", "order": "end"}))
            await asyncio.sleep(0.05)
    assert [m["type"] for m in seen] == ["order"]


async def test_a_peer_that_breaks_the_framing_is_dropped() -> None:
    with short_folder() as folder:
        link = LocalLink(folder / "s")
        async with peer(folder / "s", lambda m: None) as writers, running(link):
            await link.up.wait()
            await asyncio.sleep(0.02)
            writers[0].write(b"\xff" * 8)
            async with asyncio.timeout(5):
                while len(writers) < 2:
                    await asyncio.sleep(0.02)


async def test_a_message_too_large_is_refused_here() -> None:
    with short_folder() as folder:
        link = LocalLink(folder / "s")
        async with peer(folder / "s", lambda m: None), running(link):
            await link.up.wait()
            with pytest.raises(PeerRefused, match="allowed"):
                await link.ask({"type": "x", "text": "x" * 70_000}, 1)
