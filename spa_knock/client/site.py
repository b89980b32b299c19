"""The site a client belongs to: where its doors are and what proves them (pure)."""

import base64
import hashlib
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from spa_knock.client.fields import FieldError, get_hex, get_int, get_object, get_optional_text, get_text
from spa_knock.client.language import tr

_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})*", re.ASCII)
_ALIAS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}", re.ASCII)
_KEY_TYPES = frozenset(
    {"ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa"},
)


@dataclass(frozen=True)
class Endpoint:
    host: str
    ports: tuple[int, ...]

    def __post_init__(self) -> None:
        if not is_host(self.host):
            raise FieldError(tr("host is neither an address nor a host name"))
        if not self.ports or len(self.ports) > 16 or not all(1 <= port <= 65535 for port in self.ports):
            raise FieldError(tr("ports must be 1 to 16 numbers from 1 to 65535"))

    @property
    def port(self) -> int:
        return self.ports[0]


@dataclass(frozen=True)
class Site:
    """What the invite pins; `host_ca` and `host_key_alias` come with the first login."""

    name: str
    audience: bytes
    root_pem: str
    vendor_face: Endpoint
    vendor_name: str
    ssh: Endpoint
    knock: Endpoint
    ssh_domain: str
    host_ca: str | None = None
    host_key_alias: str | None = None

    def __post_init__(self) -> None:
        if not self.name.isprintable() or len(self.name) > 100:
            raise FieldError(tr("site name is not printable"))
        if not _HOST.fullmatch(self.vendor_name):
            raise FieldError(tr("vendor_face name is not a host name"))
        if not _HOST.fullmatch(self.ssh_domain) or self.ssh_domain != self.ssh_domain.lower():
            raise FieldError(tr("ssh_domain is not a lower-case domain name"))
        if self.audience != audience_of(self.root_pem):
            raise FieldError(tr("audience is not the one of the site's root certificate"))
        if self.host_ca is not None and self.host_ca != key_line(self.host_ca):
            raise FieldError(tr("host_ca is not a public key line"))
        if self.host_key_alias is not None and not _ALIAS.fullmatch(self.host_key_alias):
            raise FieldError(tr("host_key_alias is not a host name"))

    def after_login(self, answer: Mapping[str, object]) -> "Site":
        """This site with what a login's `site` object adds: SSH domain, host authority and host key alias."""
        return replace(
            self,
            ssh_domain=get_text(answer, "ssh_domain", most=200),
            host_ca=key_line(get_text(answer, "host_ca")),
            host_key_alias=get_text(answer, "host_key_alias", most=200),
        )

    def to_object(self) -> dict[str, object]:
        return {
            "name": self.name,
            "audience_hex": self.audience.hex(),
            "root_pem": self.root_pem,
            "vendor_face": {"host": self.vendor_face.host, "port": self.vendor_face.port, "name": self.vendor_name},
            "ssh": {"host": self.ssh.host, "port": self.ssh.port},
            "knock": {"host": self.knock.host, "ports": list(self.knock.ports)},
            "ssh_domain": self.ssh_domain,
            "host_ca": self.host_ca,
            "host_key_alias": self.host_key_alias,
        }


def site_from_object(source: Mapping[str, object]) -> Site:
    """Reads a site as invites and `site.json` hold it. Raises FieldError."""
    face = get_object(source, "vendor_face")
    knock = get_object(source, "knock")
    ports = knock.get("ports")
    if not isinstance(ports, list) or not all(isinstance(port, int) and not isinstance(port, bool) for port in ports):
        raise FieldError(tr("knock ports are not numbers"))
    return Site(
        name=get_text(source, "name", most=100),
        audience=get_hex(source, "audience_hex", length=8),
        root_pem=get_text(source, "root_pem", most=16384),
        vendor_face=_endpoint(face),
        vendor_name=get_text(face, "name", most=253),
        ssh=_endpoint(get_object(source, "ssh")),
        knock=Endpoint(get_text(knock, "host", most=253), tuple(ports)),
        ssh_domain=get_text(source, "ssh_domain", most=200),
        host_ca=get_optional_text(source, "host_ca"),
        host_key_alias=get_optional_text(source, "host_key_alias", most=200),
    )


def _endpoint(source: Mapping[str, object]) -> Endpoint:
    return Endpoint(get_text(source, "host", most=253), (get_int(source, "port", least=1, most=65535),))


def is_host(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return len(text) <= 253 and _HOST.fullmatch(text) is not None
    return "%" not in text


def audience_of(root_pem: str) -> bytes:
    """The first 8 bytes of SHA-256 over the root's DER SubjectPublicKeyInfo. Raises FieldError."""
    if root_pem.count("-----BEGIN") != 1:
        raise FieldError(tr("root_pem is not exactly one certificate"))
    try:
        root = x509.load_pem_x509_certificate(root_pem.encode())
        spki = root.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, UnsupportedAlgorithm):
        raise FieldError(tr("root_pem is not a certificate")) from None
    return hashlib.sha256(spki).digest()[:8]


def key_line(text: str) -> str:
    """An OpenSSH public key line without its comment, safe to write into a `known_hosts` file. Raises FieldError."""
    parts = text.split()
    if len(parts) < 2 or parts[0] not in _KEY_TYPES or "\n" in text.strip():
        raise FieldError(tr("not an OpenSSH public key line"))
    try:
        blob = base64.b64decode(parts[1], validate=True)
    except ValueError:
        raise FieldError(tr("not an OpenSSH public key line")) from None
    name = parts[0].encode()
    if not blob.startswith(len(name).to_bytes(4, "big") + name):
        raise FieldError(tr("the key's type differs from its line"))
    return f"{parts[0]} {parts[1]}"
