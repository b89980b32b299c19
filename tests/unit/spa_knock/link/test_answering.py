"""Whom it answers, in which order, and when it hangs up."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from spa_knock.link.answering import Answering, Question
from spa_knock.link.framing import Decoder, encode


async def _echo(question: Question) -> Question:
    await asyncio.sleep(0.01 if question.get("slow") else 0)
    return {"type": "echo", "of": question["type"]}


class Peer:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer, self.decoder = reader, writer, Decoder()

    async def answers(self, count: int) -> list[object]:
        found = list[object]()
        async with asyncio.timeout(5):
            while len(found) < count and (data := await self.reader.read(4096)):
                found += [one["of"] for one in self.decoder.feed(data)]
        return found

    async def is_sent_away(self) -> bool:
        try:
            async with asyncio.timeout(5):
                return await self.reader.read(4096) == b""
        except ConnectionError:
            return True


@asynccontextmanager
async def served(
    folder: Path, *, uid: int | None, idle_seconds: float | None = None
) -> AsyncIterator[tuple[Peer, list[str]]]:
    problems = list[str]()
    answering = Answering(_echo, uid=uid, problem=lambda what, _seen: problems.append(what), idle_seconds=idle_seconds)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(folder / "s"))
        sock.listen()
        task = asyncio.create_task(answering.serve(sock))
        peer = Peer(*await asyncio.open_unix_connection(folder / "s"))
        try:
            yield peer, problems
        finally:
            peer.writer.transport.abort()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("uid", [os.getuid(), None])
async def test_each_message_has_its_answer_in_order(tmp_path: Path, uid: int | None) -> None:
    async with served(tmp_path, uid=uid) as (peer, problems):
        peer.writer.write(encode({"type": "a", "slow": True}) + encode({"type": "b"}))
        assert await peer.answers(2) == ["a", "b"]
        peer.writer.write(encode({"type": "c"}))
        assert await peer.answers(1) == ["c"]
    assert problems == []


async def test_another_user_id_is_sent_away_unheard(tmp_path: Path) -> None:
    async with served(tmp_path, uid=os.getuid() + 1) as (peer, problems):
        peer.writer.write(encode({"type": "a"}))
        assert await peer.is_sent_away()
    assert problems == ["wrong_peer"]


async def test_what_is_no_message_ends_the_link(tmp_path: Path) -> None:
    async with served(tmp_path, uid=None) as (peer, problems):
        peer.writer.write(b"\xff" * 64)
        assert await peer.is_sent_away()
    assert problems == ["link_broken"]


async def test_a_silent_peer_is_sent_away(tmp_path: Path) -> None:
    async with served(tmp_path, uid=None, idle_seconds=0.01) as (peer, problems):
        assert await peer.is_sent_away()
    assert problems == ["link_broken"]
