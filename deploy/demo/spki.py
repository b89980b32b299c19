"""The hash by which Chromium is told which key it may trust without a known authority."""

from __future__ import annotations

import base64
import hashlib

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def spki_sha256_b64(certificate_der: bytes) -> str:
    """Base64 of the SHA-256 of a certificate's public key (SubjectPublicKeyInfo, RFC 5280)."""
    key = x509.load_der_x509_certificate(certificate_der).public_key()
    return base64.b64encode(
        hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
    ).decode()
