"""A vendor's laptop for tests: a key, a certificate and knocks of its own."""

import base64
import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.x509.oid import NameOID

from broker.identities.model import VendorConnection
from spa_knock.wire.keys import DeviceKeys
from spa_knock.wire.packet import Body, open_, seal
from spa_knock.wire.signature import signer

AUDIENCE = bytes(range(8))


@dataclass
class Laptop:
    """Makes connections as the gateway would forward them."""

    key: ed25519.Ed25519PrivateKey = field(default_factory=ed25519.Ed25519PrivateKey.generate)

    @property
    def spki(self) -> bytes:
        return self.key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def certificate(self) -> bytes:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "laptop")])
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(name, name, self.key.public_key(), x509.random_serial_number())
        made = builder.not_valid_before(now).not_valid_after(now + timedelta(days=1)).sign(self.key, None)
        return made.public_bytes(serialization.Encoding.DER)

    def signed_knock(
        self, at: datetime, *, service: int = 1, audience: bytes = AUDIENCE, bind: bytes | None = None
    ) -> bytes:
        body = Body(
            service=service,
            stamp_ms=int(at.timestamp() * 1000),
            address=None,
            ttl_seconds=8,
            audience=audience,
            bind=hashlib.sha256(self.spki).digest() if bind is None else bind,
        )
        keys = DeviceKeys.derive(bytes(32), audience)
        nonce = secrets.token_bytes(12)
        packet = seal(body, keys, signer(self.key), bytes(8), nonce, int(at.timestamp()) // 600)
        return open_(packet, keys).signed_knock

    def connection(self, signed_knock: bytes, knock_id: str | None = None) -> VendorConnection:
        return VendorConnection(
            device_id="dev_1",
            knock_id=signed_knock[8:20].hex() if knock_id is None else knock_id,
            source="198.51.100.10",
            source_port=40_000,
            certificate_der=self.certificate(),
            signed_knock=signed_knock,
        )


def preamble(connection: VendorConnection) -> dict[str, object]:
    """What a gateway says of this connection."""
    return {
        "type": "vendor",
        "device_id": connection.device_id,
        "knock_id": connection.knock_id,
        "source": connection.source,
        "source_port": connection.source_port,
        "certificate_b64": base64.b64encode(connection.certificate_der).decode(),
        "signed_knock_b64": base64.b64encode(connection.signed_knock).decode(),
    }
