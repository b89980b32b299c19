"""Pure: does a knock, a certificate, a signature really prove what a gateway says of a connection?

The signed data of SSH user authentication (RFC 4252 section 7): string session identifier | byte 50 | string user
name | string "ssh-connection" | string "publickey" | boolean TRUE | string algorithm | string public key (here a
certificate).
A signature is string algorithm | string blob (RFC 8709 for Ed25519, RFC 5656 section 3.1.2 for ECDSA).
"""

import base64
import hmac
import struct
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from broker.grants.certificates import CertificateRefused, SessionKey, SshUserAuthority, UserCertificate
from broker.grants.model import CertificateFacts
from broker.kernel.clock import from_milliseconds
from broker.kernel.ids import from_raw
from broker.policy.model import ClientProof, LiveKnock
from broker.sessions.model import SshProof
from spa_knock.wire.errors import WireError
from spa_knock.wire.packet import nonce_of_signed, verify_signed
from spa_knock.wire.signature import load_public_key

_USERAUTH_REQUEST: Final = 50
_SERVICE: Final = b"ssh-connection"
_METHOD: Final = b"publickey"
_CERTIFIED: Final = b"-cert-v01@openssh.com"
_SHORTEST_IDENTIFIER: Final = 32
_LONGEST_IDENTIFIER: Final = 64
_LONGEST_INTEGER: Final = 33


class ProofRefused(Exception):
    """A proof does not hold; `code` says which part of it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True)
class SignedRequest:
    """What a client signed to authenticate."""

    session_identifier: bytes
    username: str
    algorithm: bytes
    certificate: bytes


def verify_knock(
    signed_knock: bytes, *, knock_id: str, device_id: str, public_key_der: bytes, audience: bytes
) -> LiveKnock:
    """The knock, once the device's signature over it was checked.

    Raises ProofRefused when the key did not sign it, its nonce is not `knock_id`, or it was made for another site.
    Its age, door, address, grant and key are facts for the judge.
    """
    try:
        body = verify_signed(signed_knock, load_public_key(public_key_der))
        nonce = nonce_of_signed(signed_knock)
    except WireError as error:
        raise ProofRefused("sessions.knock_not_proven", "The knock does not carry the device's signature.") from error
    if nonce.hex() != knock_id:
        raise ProofRefused("sessions.knock_not_proven", "The connection belongs to another knock.")
    if not hmac.compare_digest(body.audience, audience):
        raise ProofRefused("sessions.knock_not_proven", "The knock was made for another site.")
    try:
        stamp_at = from_milliseconds(body.stamp_ms)
    except (ValueError, OverflowError, OSError) as error:
        raise ProofRefused("sessions.knock_not_proven", "The knock's time cannot be read.") from error
    return LiveKnock(
        device_id=device_id,
        grant_id=from_raw("grt", body.grant),
        door=body.service,
        stamp_at=stamp_at,
        address=str(body.address) if body.address is not None else None,
        bind=body.bind,
    )


def verify_userauth(proof: SshProof, username: str, authority: SshUserAuthority) -> UserCertificate:
    """The client's certificate, once our authority's signature on it and the client's own signature were checked.

    Raises ProofRefused when the certificate is not ours, the signed data is not a request to authenticate this user
    name with this certificate on this connection, or the certified key did not sign it.
    """
    signed = read_signed_data(proof.signed_data)
    if not _SHORTEST_IDENTIFIER <= len(signed.session_identifier) <= _LONGEST_IDENTIFIER:
        raise ProofRefused("sessions.proof_not_proven", "The session identifier has an impossible length.")
    if signed.session_identifier != proof.session_identifier or signed.username != username:
        raise ProofRefused("sessions.proof_not_proven", "The client signed for another connection or user name.")
    if signed.certificate != proof.certificate:
        raise ProofRefused("sessions.proof_not_proven", "The client signed with another certificate.")
    certificate_type, _ = _string(proof.certificate)
    if signed.algorithm != certificate_type or not certificate_type.endswith(_CERTIFIED):
        raise ProofRefused("sessions.proof_not_proven", "The client signed by another algorithm.")
    try:
        certificate = authority.read(certificate_type + b" " + base64.b64encode(proof.certificate))
    except CertificateRefused as error:
        raise ProofRefused("sessions.certificate_refused", f"The certificate is refused: {error}.") from error
    _verify_signature(certificate.key, certificate_type.removesuffix(_CERTIFIED), proof.signature, proof.signed_data)
    if username not in certificate.principals:
        raise ProofRefused("sessions.certificate_refused", "The certificate does not name this user.")
    return certificate


def check_issued(certificate: UserCertificate, issued: CertificateFacts | None) -> ClientProof:
    """The certificate as a proof, once it was found among those that were handed out and not revoked.

    Raises ProofRefused when the serial is unknown, was revoked, or was handed out for something else.
    """
    if issued is None:
        raise ProofRefused("sessions.certificate_refused", "The certificate was never handed out.")
    if issued.revoked_at is not None:
        raise ProofRefused("sessions.certificate_revoked", "The certificate was revoked.")
    told = (certificate.grant_id, certificate.device_id, certificate.source, certificate.key_sha256)
    if told != (issued.grant_id, issued.device_id, issued.source, issued.key_sha256):
        raise ProofRefused("sessions.certificate_refused", "The certificate is not as it was handed out.")
    return ClientProof(
        grant_id=certificate.grant_id,
        device_id=certificate.device_id,
        source=certificate.source,
        valid_after=max(certificate.valid_after, issued.valid_after),
        valid_before=min(certificate.valid_before, issued.valid_before),
        key_sha256=certificate.key_sha256,
    )


def read_signed_data(data: bytes) -> SignedRequest:
    """The fields of the signed data.

    Raises ProofRefused unless it is exactly a signed public-key request for the connection service.
    """
    identifier, rest = _string(data)
    if not rest or rest[0] != _USERAUTH_REQUEST:
        raise ProofRefused("sessions.proof_not_proven", "The signed data is no request to authenticate.")
    username, rest = _string(rest[1:])
    service, rest = _string(rest)
    method, rest = _string(rest)
    if service != _SERVICE or method != _METHOD or rest[:1] != b"\x01":
        raise ProofRefused("sessions.proof_not_proven", "The signed data is no signed public-key request.")
    algorithm, rest = _string(rest[1:])
    certificate, rest = _string(rest)
    if rest:
        raise ProofRefused("sessions.proof_not_proven", "The signed data is longer than a request.")
    try:
        return SignedRequest(identifier, username.decode(), algorithm, certificate)
    except UnicodeDecodeError as error:
        raise ProofRefused("sessions.proof_not_proven", "The signed user name is not text.") from error


def _verify_signature(key: SessionKey, key_type: bytes, signature: bytes, data: bytes) -> None:
    algorithm, rest = _string(signature)
    blob, rest = _string(rest)
    if algorithm != key_type or rest:
        raise ProofRefused("sessions.proof_not_proven", "The signature is of another kind than the key.")
    try:
        if isinstance(key, Ed25519PublicKey):
            key.verify(blob, data)
        else:
            r, rest = _integer(blob)
            s, rest = _integer(rest)
            if rest:
                raise InvalidSignature
            key.verify(encode_dss_signature(r, s), data, ECDSA(SHA256()))
    except InvalidSignature as error:
        raise ProofRefused("sessions.proof_not_proven", "The client's signature does not hold.") from error


def _integer(data: bytes) -> tuple[int, bytes]:
    encoded, rest = _string(data)
    if not encoded or len(encoded) > _LONGEST_INTEGER or encoded[0] & 0x80:
        raise InvalidSignature
    return int.from_bytes(encoded, "big"), rest


def _string(data: bytes) -> tuple[bytes, bytes]:
    if len(data) < 4:
        raise ProofRefused("sessions.proof_not_proven", "The proof is cut short.")
    (length,) = struct.unpack_from(">I", data)
    end = 4 + length
    if len(data) < end:
        raise ProofRefused("sessions.proof_not_proven", "The proof is cut short.")
    return data[4:end], data[end:]
