"""The archive's end of its socket: one question a connection, each in a thread of a bounded number."""

import os
import socket
import threading
from collections.abc import Callable, Collection, Mapping
from typing import Final

import structlog

from broker.adapters.object_store.archive import Archive, facts_of
from broker.adapters.object_store.wire import MOST_BYTES, Heard, WireError, receive, send
from recorder.errors import RecordingFaultError, StoreError
from recorder.stores.port import Stored
from spa_knock.link.process import peer_uid

_MOST_AT_ONCE: Final = 16
_PEER_SECONDS: Final = 30
_MOST_WANTED: Final = 1000
_log = structlog.get_logger("archive")
Answer = tuple[Mapping[str, object], bytes]


class ArchiveServer:
    """Serves `archive` to the users in `peers`."""

    def __init__(self, archive: Archive, listener: socket.socket, peers: Collection[int]) -> None:
        self._archive = archive
        self._listener = listener
        self._peers = peers
        self._places = threading.Semaphore(_MOST_AT_ONCE)
        self._verbs: Mapping[str, Callable[[Heard], Answer]] = {
            "check": self._check,
            "advance": self._advance,
            "verify": self._verify,
            "hold": self._hold,
            "remove": self._remove,
            "read": self._read,
            "find": self._find,
            "sweep": self._sweep,
        }

    def serve(self) -> None:
        """Take questions until the listener is closed."""
        while True:
            self._places.acquire()
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve_one, args=(sock,), name="archive-question", daemon=True).start()

    def _serve_one(self, sock: socket.socket) -> None:
        try:
            with sock:
                if peer_uid(sock) not in self._peers:
                    _log.warning("archive_peer_refused", uid=peer_uid(sock))
                    return
                sock.settimeout(_PEER_SECONDS)
                heard = receive(sock)
                try:
                    message, payload = self._answered(heard)
                finally:
                    if heard.descriptor is not None:
                        os.close(heard.descriptor)
                send(sock, message, payload)
        except (WireError, OSError) as error:
            _log.warning("archive_question_lost", error=str(error))
        finally:
            self._places.release()

    def _answered(self, heard: Heard) -> Answer:
        kind = str(heard.message.get("type"))
        try:
            verb = self._verbs.get(kind)
            if verb is None:
                raise WireError(f"there is no verb {kind[:40]!r}")
            return verb(heard)
        except StoreError as error:
            return _refused(error.code, str(error))
        except RecordingFaultError as error:
            return _refused("altered", str(error))
        except (WireError, ValueError) as error:
            return _refused("failed", str(error))

    def _check(self, _heard: Heard) -> Answer:
        self._archive.store.check()
        return {"type": "done"}, b""

    def _advance(self, heard: Heard) -> Answer:
        if heard.descriptor is None:
            raise WireError("no file came with the question")
        size = None if heard.message.get("size") is None else heard.number("size")
        done = self._archive.advance(heard.text("recording_id"), heard.descriptor, size, heard.number("attempt"))
        stored = done.stored
        answer = {"type": "done", "uploaded": done.uploaded}
        return answer if stored is None else {**answer, "version": stored.version, "size": stored.size}, b""

    def _verify(self, heard: Heard) -> Answer:
        return {"type": "done"}, self._archive.verify(_stored(heard), facts_of(heard.message))

    def _hold(self, heard: Heard) -> Answer:
        self._archive.store.hold(_stored(heard), is_held=heard.message.get("is_held") is True)
        return {"type": "done"}, b""

    def _remove(self, heard: Heard) -> Answer:
        return {"type": "done", "removed": self._archive.remove(heard.text("tombstone").encode())}, b""

    def _read(self, heard: Heard) -> Answer:
        count = min(heard.number("count"), MOST_BYTES)
        return {"type": "done"}, self._archive.store.read(_stored(heard), heard.number("start"), count)

    def _find(self, heard: Heard) -> Answer:
        found = self._archive.store.find(heard.text("recording_id"))
        return {"type": "done", "version": found.version, "size": found.size}, b""

    def _sweep(self, heard: Heard) -> Answer:
        wanted = heard.message.get("wanted")
        if not isinstance(wanted, list) or len(wanted) > _MOST_WANTED:
            raise WireError("a list of at most 1000 recordings is needed")
        names = {str(one) for one in wanted}
        return {"type": "done", "aborted": self._archive.abandoned(lambda name: name in names)}, b""


def _stored(heard: Heard) -> Stored:
    return Stored(heard.text("recording_id"), heard.number("size"), heard.text("version"))


def _refused(code: str, message: str) -> Answer:
    _log.warning("archive_refused", code=code, error=message[:300])
    return {"type": "refused", "code": code[:40], "message": message[:1000]}, b""
