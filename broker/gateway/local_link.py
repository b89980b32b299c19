"""A client of one local Unix socket that speaks framed messages: connects, reconnects, pairs answers with requests."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

from spa_knock.link.framing import Decoder, FramingError, encode

_FIRST_DELAY_SECONDS: Final = 0.05
_LAST_DELAY_SECONDS: Final = 1.0
_READ_BYTES: Final = 65_536
_MAX_WAITING: Final = 1_024

Message = dict[str, object]


class PeerSilent(Exception):
    """The peer is not there, or did not answer in time."""


class PeerRefused(Exception):
    """The peer answered `failed` or `refused`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message or code)
        self.code = code
        self.message = message


class LocalLink:
    """One link. `run` keeps it up until it is cancelled; `ask` may be called at any time and fails while it is down."""

    def __init__(
        self,
        path: Path,
        *,
        greeting: Callable[[], Mapping[str, object] | None] = lambda: None,
        on_message: Callable[[Message], None] = lambda message: None,
        on_change: Callable[[bool], None] = lambda up: None,
    ) -> None:
        """`greeting` is sent first on every connection, and the link is up once a `welcome` answered it: a listening
        socket may outlive its process, and the kernel connects to it all the same. Without a greeting a connection
        is a link. `on_message` gets what answers no request.
        """
        self._path = path
        self._greeting = greeting
        self._on_message = on_message
        self._on_change = on_change
        self._writer: asyncio.StreamWriter | None = None
        self._waiting: dict[int, asyncio.Future[Message]] = {}
        self._next_id = 0
        self.up = asyncio.Event()

    async def run(self) -> None:
        """Connects and reads until cancelled; a lost link is made again with growing pauses up to one second."""
        delay = _FIRST_DELAY_SECONDS
        while True:
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_unix_connection(self._path, limit=_READ_BYTES)
                delay = _FIRST_DELAY_SECONDS
                await self._serve(reader, writer)
            await asyncio.sleep(delay)
            delay = min(delay * 2, _LAST_DELAY_SECONDS)

    async def ask(self, message: Mapping[str, object], timeout_seconds: float) -> Message:
        """Sends a request and returns its answer.

        Raises PeerSilent when the link is down, breaks or stays silent for too long, PeerRefused for a refusal.
        """
        writer = self._writer
        if writer is None or len(self._waiting) >= _MAX_WAITING:
            raise PeerSilent(f"{self._path.name} is not reachable")
        self._next_id += 1
        request = self._next_id
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[request] = future
        try:
            writer.write(encode({**message, "id": request}))
            async with asyncio.timeout(timeout_seconds):  # not wait_for: in 3.11 it can swallow a cancellation
                answer = await future
        except FramingError as error:
            raise PeerRefused("too_large", str(error)) from error
        except (TimeoutError, OSError) as error:
            raise PeerSilent(f"{self._path.name} did not answer within {timeout_seconds:g} s") from error
        finally:
            self._waiting.pop(request, None)
        if answer.get("type") in ("failed", "refused"):
            raise PeerRefused(str(answer.get("code", "refused")), str(answer.get("message", "")))
        return answer

    def drop(self) -> None:
        """Gives the present connection up; `run` makes a new one. For a peer that holds the line but is silent."""
        if self._writer is not None:
            self._writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        decoder = Decoder()
        try:
            greeting = self._greeting()
            if greeting is None:
                self._came_up(writer)
            else:
                writer.write(encode(greeting))
            while data := await reader.read(_READ_BYTES):
                for message in decoder.feed(data):
                    if self._writer is not None:
                        self._received(message)
                    elif message.get("type") == "welcome":
                        self._came_up(writer)
                    else:
                        return
        except (FramingError, OSError):
            pass
        finally:
            writer.transport.abort()
            if self._writer is not None:
                self._went_down()

    def _came_up(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self.up.set()
        self._on_change(True)

    def _went_down(self) -> None:
        self._writer = None
        self.up.clear()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(PeerSilent(f"{self._path.name} closed the link"))
        self._on_change(False)

    def _received(self, message: Message) -> None:
        request = message.get("id")
        if isinstance(request, int) and message.get("type") != "order":
            future = self._waiting.get(request)
            if future is not None and not future.done():
                future.set_result(message)
            return
        self._on_message(message)


async def tell(call: Awaitable[Message]) -> bool:
    """Whether a request was answered well; for notices whose refusal changes nothing."""
    try:
        await call
    except (PeerSilent, PeerRefused):
        return False
    return True
