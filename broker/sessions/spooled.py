"""Pure: what a signed entry of a gateway's spool tells."""

import json
from dataclasses import dataclass

from broker.sessions import messages
from broker.sessions.messages import BadMessage, Message
from broker.sessions.model import Ended, Report
from recorder.sequence import Boot, Entry, read_boot, read_entry


@dataclass(frozen=True)
class Started:
    """The first entry of a start."""


@dataclass(frozen=True)
class Adopted:
    """A message that an earlier release had kept unsigned, with its number there."""

    boot_id: str
    seq: int
    told: Ended | Report


Told = Started | Adopted | Ended | Report


@dataclass(frozen=True)
class Signed:
    """A signed entry, its signatures not yet checked, and what it tells."""

    boot: Boot
    entry: Entry
    told: Told


def signed(message: Message) -> Signed:
    """The entry of a `spooled` message. Raises BadMessage."""
    try:
        boot, entry = read_boot(message.get("boot")), read_entry(message.get("entry"))
        payload = json.loads(entry.payload)
    except (ValueError, RecursionError) as error:
        raise BadMessage(f"this is no signed entry: {error}") from error
    if not isinstance(payload, dict):
        raise BadMessage("the payload of an entry is an object")
    return Signed(boot, entry, _told(payload, entry))


def _told(payload: Message, entry: Entry) -> Told:
    match payload:
        case {"type": "started"}:
            return Started()
        case {"type": "adopted", "boot_id": str(boot_id), "seq": int(seq), "message": dict(message)}:
            told = _of_session({**message, "boot_id": boot_id, "seq": seq})
            return Adopted(boot_id, seq, told)
        case _:
            return _of_session({**payload, "boot_id": entry.boot_id, "seq": entry.seq})


def _of_session(message: Message) -> Ended | Report:
    match message.get("type"):
        case "ended":
            return messages.ended(message)[2]
        case "report":
            return messages.report(message)
        case _:
            raise BadMessage("this type of entry is not known")
