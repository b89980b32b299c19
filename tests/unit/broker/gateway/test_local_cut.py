"""Root's socket: what it shows, what it ends, and whom it does not serve."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from broker.gateway.local_cut import PAGE, LocalCut
from spa_knock.link.framing import Decoder, encode
from tests.unit.broker.gateway.folders import short_folder

Message = dict[str, object]


class Sessions:
    def __init__(self, count: int) -> None:
        self.ids = [f"ses_{number}" for number in range(count)]
        self.cut: list[tuple[list[str], str, str]] = []

    def shown(self) -> Sequence[Mapping[str, str | int]]:
        return [{"session_id": one, "person": "Wang Wei"} for one in self.ids]

    def cut_here(self, session_ids: Sequence[str], reason: str, operator: str) -> list[str]:
        there = [one for one in session_ids if one in self.ids]
        self.cut.append((there, reason, operator))
        return there


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer, self.decoder = reader, writer, Decoder()

    async def ask(self, **message: object) -> Message | None:
        self.writer.write(encode(message))
        async with asyncio.timeout(5):
            while data := await self.reader.read(65_536):
                for answer in self.decoder.feed(data):
                    return answer
        return None


@asynccontextmanager
async def serving(sessions: Sessions, uid: int | None = None) -> AsyncIterator[Client]:
    with short_folder() as folder, socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(folder / "cut"))
        sock.listen()
        task = asyncio.create_task(LocalCut(sessions).listener(os.getuid() if uid is None else uid).serve(sock))
        client = Client(*await asyncio.open_unix_connection(folder / "cut"))
        try:
            yield client
        finally:
            client.writer.transport.abort()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_every_session_is_listed_in_pages() -> None:
    async with serving(Sessions(PAGE + 1)) as client:
        first = await client.ask(type="list")
        assert first is not None
        assert isinstance(first["items"], list)
        assert (len(first["items"]), first["more"]) == (PAGE, True)
        second = await client.ask(type="list", after=first["items"][-1]["session_id"])
        assert second is not None
        assert second["items"] == [{"session_id": f"ses_{PAGE}", "person": "Wang Wei"}]
        assert second["more"] is False


async def test_one_session_or_all_are_cut_with_words() -> None:
    sessions = Sessions(2)
    with capture_logs():
        async with serving(sessions) as client:
            assert await client.ask(type="cut", session_id="ses_1", reason=" smoke in  hall 3 ", operator="li") == {
                "v": 1,
                "type": "done",
                "sessions": ["ses_1"],
            }
            done = await client.ask(type="cut", all=True, reason="all out")
    assert done is not None
    assert done["sessions"] == ["ses_0", "ses_1"]
    assert sessions.cut == [(["ses_1"], "smoke in hall 3", "li"), (["ses_0", "ses_1"], "all out", "")]


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"type": "cut", "session_id": "ses_0"}, "malformed"),
        ({"type": "cut", "session_id": "ses_0", "reason": "\x07"}, "reason_needed"),
        ({"type": "cut", "session_id": "ses_0", "reason": "x" * 201}, "reason_needed"),
        ({"type": "cut", "reason": "x"}, "malformed"),
        ({"type": "cut", "session_id": "ses_0", "all": True, "reason": "x"}, "malformed"),
        ({"type": "cut", "all": "yes", "reason": "x"}, "malformed"),
        ({"type": "cut", "session_id": "ses_9", "reason": "x"}, "unknown_session"),
        ({"type": "list", "after": 5}, "malformed"),
        ({"type": "open"}, "unknown_verb"),
    ],
)
async def test_what_is_not_clear_is_refused_and_ends_nothing(message: Message, code: str) -> None:
    sessions = Sessions(1)
    async with serving(sessions) as client:
        answer = await client.ask(**message)
    assert answer is not None
    assert (answer["type"], answer["code"]) == ("refused", code)
    assert not any(there for there, _, _ in sessions.cut)


async def test_another_user_is_not_served() -> None:
    with capture_logs() as logs:
        async with serving(Sessions(1), uid=os.getuid() + 1) as client:
            with pytest.raises(ConnectionError):
                assert await client.ask(type="list") is None
                raise ConnectionError
    assert logs[0]["event"] == "wrong_peer"
