"""Makes the index of a recording, in a process of its own when that takes long, and keeps it sealed. I/O.

    python -m recorder.indexing FILE      32 bytes of unseal key on standard input, the sealed index on standard output

An index shows what was on the screen: it is kept under a key that only who can open the recording can derive, bound to
exactly the batches it was made of, and can be made again at any time.
"""

import os
import sys
import zlib
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from recorder.errors import DamagedRecordingError
from recorder.keyframes import Index, Indexer
from recorder.replay import Recording, open_recording
from recorder.seal import KEY_BYTES

_INFO: Final = b"sallyport/replay-index/v1"
_NONCE_BYTES: Final = 12


def make_index(recording: Recording) -> Index:
    """Reads every good batch once. Damage further on ends the index before it."""
    indexer = Indexer(recording.header)
    try:
        for frame, place in recording.placed_frames():
            indexer.take(frame, place)
    except DamagedRecordingError:
        pass  # `report` says where; what stands before it can be seen
    return indexer.index()


def seal_index(index: Index, unseal_private: bytes, recording: Recording) -> bytes:
    """The index as it may lie on disk."""
    nonce = os.urandom(_NONCE_BYTES)
    packed = zlib.compress(index.to_bytes(), 6)
    return nonce + _aead(unseal_private, recording).encrypt(nonce, packed, _bound(recording))


def open_index(data: bytes, unseal_private: bytes, recording: Recording) -> Index | None:
    """The index, None when it is another recording's, another state's, or altered: then it is made again."""
    nonce, sealed = data[:_NONCE_BYTES], data[_NONCE_BYTES:]
    try:
        packed = _aead(unseal_private, recording).decrypt(nonce, sealed, _bound(recording))
        return Index.from_bytes(zlib.decompress(packed))
    except (InvalidTag, ValueError, TypeError, KeyError, zlib.error):
        return None


def _aead(unseal_private: bytes, recording: Recording) -> AESGCM:
    salt = recording.header.recording_id.encode()
    return AESGCM(HKDF(SHA256(), length=KEY_BYTES, salt=salt, info=_INFO).derive(unseal_private))


def _bound(recording: Recording) -> bytes:
    return recording.report.chain_sha256 + recording.report.bytes.to_bytes(8, "big")


def main() -> int:
    """The command line of the process that makes one index."""
    os.nice(10)
    unseal_private = sys.stdin.buffer.read(KEY_BYTES)
    try:
        recording = open_recording(Path(sys.argv[1]), unseal_private)
    except (DamagedRecordingError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.buffer.write(seal_index(make_index(recording), unseal_private, recording))
    return 0


if __name__ == "__main__":
    sys.exit(main())
