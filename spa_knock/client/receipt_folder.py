"""The receipts that this computer keeps: `receipts/` in the client home, one file of one line for each session.

Beside them `watched.json`: which grants somebody here knocked for, and what the plant told of sessions so far. Nothing
here deletes a receipt; a full folder takes no more.
"""

import base64
import binascii
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from spa_knock.client.errors import ClientError
from spa_knock.client.fields import FieldError, as_object, get_int, get_object, get_text
from spa_knock.client.home import private_folder, read_private, write_private
from spa_knock.client.language import tr
from spa_knock.client.receipts import Watched, watched_from_object
from spa_knock.wire.errors import ReceiptError
from spa_knock.wire.receipt import Signed, read

SUFFIX: Final = ".receipt"
MOST_RECEIPTS: Final = 5000
MOST_NOTED: Final = 300
"""Grants, and sessions, of which `watched.json` tells."""

_NOTES: Final = "watched.json"
_MOST_DEVICES: Final = 20


@dataclass(frozen=True, slots=True)
class Asked:
    """A grant that somebody here knocked for."""

    target: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Notes:
    """`watched.json`: grants asked for, sessions told of, and the public keys (DER) this computer's devices had."""

    asked: Mapping[str, Asked] = field(default_factory=dict)
    sessions: Mapping[str, Watched] = field(default_factory=dict)
    devices: Mapping[str, bytes] = field(default_factory=dict)

    def asking(self, grant_id: str, target: str, now_ms: int) -> "Notes":
        """With this grant as the newest; the oldest gives way when there are too many."""
        newest = sorted(self.asked.items(), key=lambda one: one[1].at_ms)[-(MOST_NOTED - 1) :]
        return replace(self, asked={**dict(newest), grant_id: Asked(target, now_ms)})

    def watching(self, session_id: str, watched: Watched) -> "Notes":
        """With what is known of this session now.

        Only what the plant has answered gives way, oldest first: it cannot push out what is still watched by telling of
        more sessions. When nothing can go, the session is not noted.
        """
        others = {one: told for one, told in self.sessions.items() if one != session_id}
        answered = sorted((told.told_at_ms, one) for one, told in others.items() if told.answer)
        for _, one in answered[: max(0, len(others) + 1 - MOST_NOTED)]:
            del others[one]
        if len(others) >= MOST_NOTED:
            return self
        return replace(self, sessions={**others, session_id: watched})

    def owning(self, device_id: str, public_key: bytes) -> "Notes":
        """With the public key of the device that this computer is now."""
        others = [one for one in self.devices.items() if one[0] != device_id][-(_MOST_DEVICES - 1) :]
        return replace(self, devices={**dict(others), device_id: public_key})


class ReceiptFolder:
    """One client home's receipts. Safe to use from several threads of the one agent; commands only read."""

    def __init__(self, home: Path) -> None:
        self.path: Final = home / "receipts"
        self._lock = threading.Lock()
        self._asked_here = Notes()

    def keep(self, signed: Signed) -> None:
        """Stores a receipt. Raises ClientError when the folder is full, OSError when the disk refuses."""
        private_folder(self.path)
        if sum(1 for _ in self.path.glob(f"*{SUFFIX}")) >= MOST_RECEIPTS:
            raise ClientError(
                "receipts_full",
                tr("No more receipts can be kept"),
                tr("{path} holds {most} of them", path=self.path, most=MOST_RECEIPTS),
                tr("Move old ones to another place"),
            )
        write_private(self._file(signed.receipt.session_id), signed.line + b"\n")

    def kept(self, session_id: str) -> bytes | None:
        """The line that was signed for this session, or None.

        Raises ClientError when the file is not ours alone, or was altered since.
        """
        path = self._file(session_id)
        try:
            return read(read_private(path)).line
        except FileNotFoundError:
            return None
        except ReceiptError:
            raise ClientError(
                "home_damaged",
                tr("The client's file {path} cannot be used", path=path),
                tr("it is not a receipt"),
                tr("Move it to another place; the session is then confirmed anew"),
            ) from None

    def files(self) -> Iterator[Path]:
        """The files of all receipts, by session, oldest first."""
        yield from sorted(self.path.glob(f"*{SUFFIX}"))

    def notes(self) -> Notes:
        """What was noted. Raises ClientError when the file cannot be used."""
        try:
            document = as_object(json.loads(read_private(self.path / _NOTES)))
            return _notes_of(document)
        except FileNotFoundError:
            return Notes()
        except (ValueError, RecursionError) as error:
            why = str(error) if isinstance(error, FieldError) else tr("it is not JSON")
            raise ClientError(
                "home_damaged",
                tr("The client's file {path} cannot be used", path=self.path / _NOTES),
                why,
                tr("Delete it; receipts for sessions that run now will then be refused"),
            ) from None

    def ask(self, grant_id: str, target: str, now_ms: int) -> None:
        """Notes that somebody here knocks for this grant; in memory too, should the disk refuse.

        Raises ClientError, OSError; it is remembered until this process ends all the same.
        """
        with self._lock:
            self._asked_here = self._asked_here.asking(grant_id, target, now_ms)
        self.note(lambda notes: notes.asking(grant_id, target, now_ms))

    def asked(self, grant_id: str) -> Asked | None:
        """What somebody here knocked for under this grant. Raises ClientError when the notes cannot be used."""
        return self.notes().asked.get(grant_id) or self._asked_here.asked.get(grant_id)

    def note(self, change: Callable[[Notes], Notes]) -> None:
        """Stores the notes as `change` makes them, when it changes them. Raises ClientError, OSError."""
        with self._lock:
            before = self.notes()
            after = change(before)
            if after != before:
                private_folder(self.path)
                write_private(self.path / _NOTES, _json_of(after))

    def _file(self, session_id: str) -> Path:
        return self.path / f"{session_id}{SUFFIX}"


def _notes_of(document: Mapping[str, object]) -> Notes:
    asked = {
        grant_id: Asked(get_text(as_object(one), "target", most=200), get_int(as_object(one), "at_ms"))
        for grant_id, one in get_object(document, "asked").items()
    }
    sessions = {
        session_id: watched_from_object(as_object(one)) for session_id, one in get_object(document, "sessions").items()
    }
    keys = get_object(document, "devices")
    try:
        devices = {device_id: base64.b64decode(get_text(keys, device_id), validate=True) for device_id in keys}
    except binascii.Error:
        raise FieldError(tr("{name} is not base64", name="devices")) from None
    return Notes(asked, sessions, devices)


def _json_of(notes: Notes) -> bytes:
    document = {
        "v": 1,
        "asked": {grant_id: {"target": one.target, "at_ms": one.at_ms} for grant_id, one in notes.asked.items()},
        "sessions": {session_id: one.to_object() for session_id, one in notes.sessions.items()},
        "devices": {device_id: base64.b64encode(key).decode() for device_id, key in notes.devices.items()},
    }
    return json.dumps(document, indent=1).encode() + b"\n"
