"""Receipts for tests: a recording's key, its heads, and what a device makes of them."""

from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from recorder.manifest import Counts, sign_head, sign_sealed
from spa_knock.wire.receipt import Receipt, Signed, make
from spa_knock.wire.signature import DevicePrivateKey, signer

RECORDING_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
DEVICE_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(2, 34)))
HEADER_SHA256 = b"\x11" * 32
COUNTS = Counts(batches=7, frames=40, offset=9_000, at_us=61_000_000, chain_sha256=b"\x22" * 32)


def running_head(counts: Counts = COUNTS) -> tuple[str, str]:
    """The signed part of a running head, and its signature, in hexadecimal."""
    head, record = sign_head(counts, HEADER_SHA256, RECORDING_KEY.sign)
    return record[: -len(head.signature)].hex(), head.signature.hex()


def sealed_head(counts: Counts = COUNTS) -> tuple[str, str]:
    """The same of a sealed trailer."""
    head, record = sign_sealed(counts, "client_left", 1_700_000_000_000, HEADER_SHA256, RECORDING_KEY.sign)
    return record[: record.index(head.signature)].hex(), head.signature.hex()


def a_receipt(**changes: object) -> Receipt:
    """A good receipt of a sealed recording, with changes."""
    head, signature = sealed_head()
    good = Receipt(
        site="ab" * 8,
        session_id="ses_1",
        grant_id="grt_1",
        device_id="dev_1",
        target="press-01",
        recording_id="rec_1",
        signing_key=RECORDING_KEY.public_key().public_bytes_raw().hex(),
        header_sha256=HEADER_SHA256.hex(),
        head=head,
        head_signature=signature,
        end="sealed",
        began_ms=1_700_000_000_000,
        ended_ms=1_700_000_061_000,
        heads_seen=2,
        signed_at_ms=1_700_000_062_000,
    )
    return replace(good, **changes)  # type: ignore[arg-type]


def signed(receipt: Receipt, key: DevicePrivateKey = DEVICE_KEY) -> Signed:
    """As this device signs it."""
    return make(receipt, spki(key), signer(key))


def spki(key: DevicePrivateKey) -> bytes:
    """The public half, DER."""
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
