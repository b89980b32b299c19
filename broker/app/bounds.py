"""Bounds on what an HTTP client may send, before any of our code sees it."""

import json
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_BYTES: Final = 1024 * 1024


class BodyTooLarge(Exception):
    """More came than the bound allows."""


class BoundedBody:
    """ASGI middleware: a request body over the bound is refused with 413 and read no further."""

    def __init__(self, app: ASGIApp, limit_bytes: int = BODY_BYTES) -> None:
        self._app = app
        self._limit_bytes = limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting what it sends."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        received, started = 0, False

        async def bounded_receive() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._limit_bytes:
                raise BodyTooLarge
            return message

        async def watched_send(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        announced = dict(scope["headers"]).get(b"content-length", b"0")
        try:
            if not announced.isdigit() or int(announced) > self._limit_bytes:
                raise BodyTooLarge
            await self._app(scope, bounded_receive, watched_send)
        except BodyTooLarge:
            if not started:
                await self._refuse(scope, send)

    async def _refuse(self, scope: Scope, send: Send) -> None:
        body = json.dumps(
            {
                "type": "urn:sallyport:problem:too_large",
                "title": "Content Too Large",
                "status": 413,
                "detail": f"A request may carry at most {self._limit_bytes} bytes.",
                "instance": scope["path"],
                "code": "too_large",
                "params": {"limit_bytes": self._limit_bytes},
            }
        ).encode()
        headers = [
            (b"content-type", b"application/problem+json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        await send({"type": "http.response.start", "status": 413, "headers": headers})
        await send({"type": "http.response.body", "body": body})
