"""The agent's control socket seen from its user: `sally` and the ssh helper. Standard library only and light."""

import base64
import binascii
import json
import socket
from collections.abc import Mapping
from pathlib import Path

from spa_knock.client.errors import ClientError
from spa_knock.client.language import spoken, tr
from spa_knock.client.system import connect_local
from spa_knock.link.framing import Decoder, FramingError, encode

_ANSWER_SECONDS = 60.0
_MOST_BODY_BYTES = 4 * 1024 * 1024


class ControlLink:
    """One connection to the agent, one question at a time. A context manager."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket: socket.socket | None = None
        self._decoder = Decoder()
        self._answers: list[dict[str, object]] = []

    def __enter__(self) -> "ControlLink":
        try:
            self._socket = connect_local(self._path)
        except OSError:
            raise ClientError(
                "not_signed_in", tr("Not signed in"), tr("the agent is not running"), tr("Run: sally login")
            ) from None
        self._socket.settimeout(_ANSWER_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        if self._socket is not None:
            self._socket.close()

    def ask(self, kind: str, **fields: object) -> dict[str, object]:
        """The agent's answer to one question. Raises ClientError: its refusal, or that it did not answer."""
        if self._socket is None:
            raise _silent()
        try:
            self._socket.sendall(encode({"type": kind, "language": spoken().value, **fields}))
        except (OSError, FramingError):
            raise _silent() from None
        return self._next()

    def call(self, method: str, path: str, body: Mapping[str, object] | None = None) -> tuple[int, dict[str, object]]:
        """HTTP status and JSON body of a call that the agent makes to the site. Raises ClientError."""
        part = self.ask("call", method=method, path=path, body=dict(body) if body is not None else None)
        data = bytearray()
        while True:
            try:
                data += base64.b64decode(str(part.get("body_part_b64")), validate=True)
            except binascii.Error:
                raise _silent() from None
            if part.get("last") is True:
                break
            if len(data) > _MOST_BODY_BYTES:
                raise _silent()
            part = self._next()
        status = part.get("status")
        try:
            found = json.loads(data)
        except (ValueError, RecursionError):
            raise _silent() from None
        if not isinstance(status, int) or not isinstance(found, dict):
            raise _silent()
        return status, found

    def _next(self) -> dict[str, object]:
        if self._socket is None:
            raise _silent()
        try:
            while not self._answers:
                data = self._socket.recv(65_536)
                if not data:
                    raise _silent()
                self._answers = self._decoder.feed(data)
        except (OSError, FramingError):
            raise _silent() from None
        answer = self._answers.pop(0)
        if answer["type"] == "failed":
            raise ClientError.from_message(answer)
        return answer


def _silent() -> ClientError:
    return ClientError(
        "failed", tr("The agent does not answer"), tr("it ended or is of another version"), tr("Run: sally login")
    )
