"""Somebody at the plant watches a live session: the same server-sent events that the console's page is drawn from."""

from __future__ import annotations

import base64
import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, cast

from deploy.demo import wires
from deploy.demo.plant_api import PlantSession

_SECONDS = 30.0


class Watch:
    """A watch from the session's beginning; a context manager that ends it."""

    def __init__(self, session: PlantSession, session_id: str) -> None:
        self._answer = session.stream(f"/sessions/{session_id}/watch?after=0")
        self._connection = socket.socket(fileno=os.dup(self._answer.fileno()))
        self._seen = bytearray()
        self._numbers: list[int] = []
        self._is_live = threading.Event()
        self.end_reason = ""
        self._thread = threading.Thread(target=self._read, name="watch", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        # A reader that waits for more holds the answer: only the end of its connection wakes it.
        with suppress(OSError), self._connection:
            self._connection.shutdown(socket.SHUT_RDWR)
        self._answer.close()
        self._thread.join(_SECONDS)

    @property
    def screen(self) -> str:
        """Everything the session has shown, and what the gateway has said in it."""
        return self._seen.decode("utf-8", "replace")

    @property
    def is_ordered(self) -> bool:
        """Whether every frame came once, in order."""
        return self._numbers == sorted(set(self._numbers))

    def shows(self, text: str) -> bool:
        """Whether the viewer sees this text within half a minute."""
        return wires.await_true(lambda: text in self.screen, bool, _SECONDS)

    def reaches_live_edge(self) -> bool:
        """Whether the history was complete within half a minute."""
        return self._is_live.wait(_SECONDS)

    def _read(self) -> None:
        try:
            for name, data in self._events():
                match name:
                    case "frames":
                        for item in cast("list[dict[str, Any]]", data["frames"]):
                            self._numbers.append(item["n"])
                            self._seen += base64.b64decode(item.get("data_b64", ""))
                            self._seen += str(item.get("note", {}).get("text", "")).encode()
                    case "live":
                        self._is_live.set()
                    case "end":
                        self.end_reason = str(data["reason"])
        except (OSError, ValueError, AttributeError):  # closed under our hands: the watch is over
            return

    def _events(self) -> Iterator[tuple[str, dict[str, object]]]:
        name = ""
        for line in self._answer:
            field, _, value = line.decode().rstrip("\r\n").partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                yield name, json.loads(value)
