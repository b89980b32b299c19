"""Whether a connection that the gateway forwards was really begun by its device: a fresh knock, signed, used once.

The gateway could claim any device; it cannot make the device's signature. So each forwarded connection must bring a
knock at the vendor face that the certificate's own key signed, for this site, a moment ago, never seen before.
"""

import hashlib
import threading
from datetime import timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from broker.identities.model import VendorConnection
from broker.kernel.clock import Clock, milliseconds
from spa_knock.wire.errors import WireError
from spa_knock.wire.packet import nonce_of_signed, verify_signed
from spa_knock.wire.signature import load_public_key

VENDOR_DOOR: Final = 1
_LONGEST_AGE: Final = timedelta(seconds=60)
_MOST_REMEMBERED: Final = 100_000


class UnprovenConnection(Exception):
    """The gateway forwarded a connection that no device proved."""


class KnockProofs:
    """The knocks that began vendors' connections. One instance for the process; safe to use from any thread."""

    def __init__(self, audience: bytes, clock: Clock) -> None:
        self._audience = audience
        self._clock = clock
        self._lock = threading.Lock()
        self._used: dict[str, int] = {}

    def check(self, connection: VendorConnection) -> None:
        """Take the connection's knock.

        Raises UnprovenConnection when the certificate's key did not sign it, it belongs to another site, door, key or
        connection, it is older than a minute, or it began a connection before.
        """
        spki = _spki_of(connection.certificate_der)
        try:
            body = verify_signed(connection.signed_knock, load_public_key(spki))
            nonce = nonce_of_signed(connection.signed_knock)
        except WireError:
            raise UnprovenConnection("the certificate's key did not sign the knock") from None
        if nonce.hex() != connection.knock_id:
            raise UnprovenConnection("the knock is another connection's")
        if body.audience != self._audience or body.service != VENDOR_DOOR:
            raise UnprovenConnection("the knock is for another site or door")
        if body.bind != hashlib.sha256(spki).digest():
            raise UnprovenConnection("the knock names another key")
        now_ms, longest_ms = milliseconds(self._clock.now()), int(_LONGEST_AGE.total_seconds() * 1000)
        if abs(now_ms - body.stamp_ms) > longest_ms:
            raise UnprovenConnection("the knock is not fresh")
        self._use(connection.knock_id, now_ms, longest_ms)

    def _use(self, knock_id: str, now_ms: int, longest_ms: int) -> None:
        with self._lock:
            if len(self._used) >= _MOST_REMEMBERED:
                # A knock may be stamped up to one age ahead, so it is remembered for two.
                self._used = {known: at for known, at in self._used.items() if now_ms - at <= 2 * longest_ms}
            if len(self._used) >= _MOST_REMEMBERED:
                raise UnprovenConnection("too many connections at once")
            if knock_id in self._used:
                raise UnprovenConnection("the knock began a connection before")
            self._used[knock_id] = now_ms


def _spki_of(certificate_der: bytes) -> bytes:
    try:
        key = x509.load_der_x509_certificate(certificate_der).public_key()
        return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, TypeError):
        raise UnprovenConnection("the certificate cannot be read") from None
