"""An HTTP response that is written to for as long as its client listens, and whose end is certain."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

WRITE_SECONDS: Final = 15.0

Write = Callable[[bytes], Awaitable[None]]
"""Sends some bytes. Raises TimeoutError when the client takes nothing for too long, OSError when it is gone."""


class EventStream(Response):
    """Server-sent events. `produce` gets the way to write and is cancelled when the client leaves.

    Not Starlette's streaming response: that leaves the end of a generator to the garbage collector, and somebody who
    watches no longer must be known at once.
    """

    media_type = "text/event-stream"

    def __init__(self, produce: Callable[[Write], Awaitable[None]]) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._produce = produce

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write until the producer is done or the client is gone."""

        async def write(data: bytes) -> None:
            async with asyncio.timeout(WRITE_SECONDS):
                await send({"type": "http.response.body", "body": data, "more_body": True})

        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        producing = asyncio.ensure_future(self._produce(write))
        leaving = asyncio.ensure_future(_left(receive))
        try:
            await asyncio.wait((producing, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            producing.cancel()
            leaving.cancel()
            results = await asyncio.gather(producing, leaving, return_exceptions=True)
        if isinstance(results[0], Exception):
            raise results[0]
        if not leaving.cancelled():
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
