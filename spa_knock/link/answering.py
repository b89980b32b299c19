"""Answers one local user id's questions on a Unix socket: one message in, one message out, in their order. asyncio."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Final

from spa_knock.link.framing import Decoder, FramingError, encode
from spa_knock.link.process import peer_uid

_READ_BYTES: Final = 65_536

Question = dict[str, object]
Answer = Callable[[Question], Awaitable[dict[str, object]]]
Problem = Callable[[str, str], None]
"""Told of `wrong_peer` and `link_broken`, each with what was seen."""


class Answering:
    """Serves the sockets until cancelled. Whoever comes with another user id is sent away unheard."""

    def __init__(self, answer: Answer, *, uid: int | None, problem: Problem, idle_seconds: float | None = None) -> None:
        """`uid` None takes any local peer: for tests only. A peer that says nothing for `idle_seconds` is sent away."""
        self._answer = answer
        self._uid = uid
        self._problem = problem
        self._idle_seconds = idle_seconds

    async def serve(self, *sockets: socket.socket) -> None:
        """Serves until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for sock in sockets:
                tasks.create_task(self._serve(sock))

    async def _serve(self, sock: socket.socket) -> None:
        server = await asyncio.start_unix_server(self._connected, sock=sock)
        async with server:
            await server.serve_forever()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            peer = peer_uid(writer.get_extra_info("socket"))
            if self._uid is not None and peer != self._uid:
                self._problem("wrong_peer", f"user id {peer}")
                return
            decoder = Decoder()
            while data := await self._read(reader):
                for message in decoder.feed(data):
                    writer.write(encode(await self._answer(message)))
                await writer.drain()
        except (FramingError, OSError, TimeoutError) as error:
            self._problem("link_broken", str(error) or type(error).__name__)
        finally:
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> bytes:
        async with asyncio.timeout(self._idle_seconds):
            return await reader.read(_READ_BYTES)
