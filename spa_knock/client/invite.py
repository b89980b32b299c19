"""The invite a plant administrator hands over: one line of text, good for one enrolment (pure).

`sallyport-invite-1.` + base64url of a JSON object, which may be deflated (zlib or raw). Everything in it is checked
here; an `Invite` that exists is consistent, but only the site can say whether it is still good.
"""

import base64
import binascii
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from spa_knock.client.fields import (
    FieldError,
    as_object,
    get_bytes,
    get_day_keys,
    get_int,
    get_object,
    get_text,
)
from spa_knock.client.language import tr
from spa_knock.client.site import Site, site_from_object

PREFIX = "sallyport-invite-1."
MOST_TEXT = 64 * 1024
MOST_JSON = 128 * 1024
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+={0,2}", re.ASCII)


class InviteError(ValueError):
    """The text is not an invite this client can use. The message says what is wrong with it, never what is in it."""


@dataclass(frozen=True)
class Invite:
    site: Site
    device_id: str
    knock_key: bytes = field(repr=False)
    day_keys: dict[int, bytes] = field(repr=False)
    certificate_pem: str
    private_key: Ed25519PrivateKey = field(repr=False)
    private_key_pem: str = field(repr=False)
    code: str = field(repr=False)
    expires_at_ms: int


def parse_invite(text: str) -> Invite:
    """Reads an invite as it was pasted: white space and line breaks anywhere in it do not matter.

    Raises InviteError for anything that is not a complete, consistent invite of version 1.
    """
    if len(text) > MOST_TEXT:
        raise InviteError(tr("it is longer than any invite"))
    line = "".join(text.split())
    if not line.startswith(PREFIX):
        raise InviteError(tr('it does not begin with "{prefix}"', prefix=PREFIX))
    body = line.removeprefix(PREFIX)
    if not _BASE64URL.fullmatch(body):
        raise InviteError(tr("it holds characters that no invite has"))
    try:
        data = base64.urlsafe_b64decode(body.rstrip("=") + "=" * (-len(body.rstrip("=")) % 4))
    except (binascii.Error, ValueError):
        raise InviteError(tr("it is cut off or damaged")) from None
    try:
        document = as_object(json.loads(data if data.startswith(b"{") else _inflate(data)))
        return _read(document)
    except FieldError as error:
        raise InviteError(tr("its content is not valid: {error}", error=error)) from None
    except (ValueError, RecursionError):
        raise InviteError(tr("it is cut off or damaged")) from None


def _read(source: Mapping[str, object]) -> Invite:
    if get_int(source, "v") != 1:
        raise InviteError(tr("it needs a newer client"))
    knock = get_object(source, "knock")
    certificate_pem = get_text(source, "certificate_pem", most=32768)
    private_key_pem = get_text(source, "private_key_pem", most=4096)
    key = _load_key(private_key_pem)
    try:
        certificate = x509.load_pem_x509_certificates(certificate_pem.encode())[0]
        same = certificate.public_key() == key.public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise FieldError(tr("certificate_pem is not a certificate")) from None
    if not same:
        raise FieldError(tr("the certificate is not the one of the key"))
    return Invite(
        site=site_from_object(get_object(source, "site")),
        device_id=get_text(knock, "device_id", most=64),
        knock_key=get_bytes(knock, "knock_key_b64", length=32),
        day_keys=get_day_keys(knock),
        certificate_pem=certificate_pem,
        private_key=key,
        private_key_pem=private_key_pem,
        code=get_text(source, "code", most=256),
        expires_at_ms=get_int(source, "expires_at_ms"),
    )


def _load_key(pem: str) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise FieldError(tr("private_key_pem is not a private key")) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise FieldError(tr("private_key_pem is not an Ed25519 key"))
    return key


def _inflate(data: bytes) -> bytes:
    """Zlib (RFC 1950) or raw deflate (RFC 1951), bounded. Raises ValueError."""
    for window_bits in (zlib.MAX_WBITS, -zlib.MAX_WBITS):
        inflater = zlib.decompressobj(window_bits)
        try:
            text = inflater.decompress(data, MOST_JSON)
        except zlib.error:
            continue
        if inflater.eof and not inflater.unused_data and not inflater.unconsumed_tail:
            return text
    raise ValueError("not deflate")
