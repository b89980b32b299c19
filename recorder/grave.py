"""What the stand-alone verifier says where a recording is gone: its tombstone, and what that is worth. I/O."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from recorder.errors import DamagedRecordingError
from recorder.purged import read_tombstone, tombstone_path
from recorder.tombstone import SUFFIX, Tombstone


@dataclass(frozen=True, slots=True)
class Grave:
    """What lies in a destroyed recording's place. `tombstone` None: it is none of this site's.

    `is_checked`: the site's checkpoint key has signed it; without that key anybody could have written it.
    """

    path: Path
    tombstone: Tombstone | None
    is_checked: bool
    message: str


def grave_at(recording: Path, public: bytes | None) -> Grave | None:
    """The tombstone that this path is, or that lies where this recording should be; None when there is neither."""
    path = recording if recording.suffix == SUFFIX else tombstone_path(recording)
    if path is not recording and recording.exists():
        return None
    try:
        tombstone = read_tombstone(path, public)
    except FileNotFoundError:
        return None
    except DamagedRecordingError as error:
        return Grave(path, None, is_checked=False, message=str(error))
    message = f"destroyed by {tombstone.asked_by} and {tombstone.confirmed_by}: {tombstone.reason}"
    return Grave(path, tombstone, public is not None, message)


def public_key(text: str) -> bytes:
    """An Ed25519 public key from a PEM file of this name, or from 64 hexadecimal digits. Raises ValueError."""
    path = Path(text)
    try:
        key = load_pem_public_key(path.read_bytes()) if path.is_file() else None
    except OSError as error:
        raise ValueError(f"{text}: {error.strerror}") from None
    raw = key.public_bytes_raw() if isinstance(key, Ed25519PublicKey) else b"" if key else bytes.fromhex(text)
    if len(raw) != 32:
        raise ValueError(f"{text} is no Ed25519 public key")
    return raw


def word_of(grave: Grave) -> str:
    """`purged`, `unchecked` (nobody gave the key) or `damaged`."""
    return ("purged" if grave.is_checked else "unchecked") if grave.tombstone is not None else "damaged"


def as_line(file: Path, grave: Grave) -> str:
    """One JSON object."""
    told = asdict(grave.tombstone) if grave.tombstone is not None else None
    found = {"file": str(file), "state": word_of(grave), "message": grave.message, "tombstone": told}
    return json.dumps(found, ensure_ascii=False, separators=(",", ":")) + "\n"


def as_text(file: Path, grave: Grave) -> str:
    """Words for people."""
    lines = [f"{file}: {word_of(grave).upper()}: {grave.message}"]
    if grave.tombstone is not None:
        lines.append(
            f"  was: {grave.tombstone.frames} frames, {grave.tombstone.bytes} bytes, purge {grave.tombstone.purge_id}"
        )
        if not grave.is_checked:
            lines.append("  note: its signature was not checked; give --checkpoint-key of the site")
        lines.append("  note: lawful only when the audit trail holds it too (recordings.recording.purged)")
    return "\n".join(lines) + "\n"
