"""What a zone, a target and an account may be: pure checks that give back the normal form."""

import base64
import binascii
import hashlib
import ipaddress
import re
from typing import Final

from broker.targets.errors import unfit

_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_ACCOUNT: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@\\-]{0,63}")
_HOST_KEY_TYPES: Final = frozenset(
    {
        "ssh-ed25519",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "ssh-rsa",
    }
)
_LONGEST_HOST_KEY: Final = 4096
_LONGEST_DESCRIPTION: Final = 500
_LONGEST_ZONE_NAME: Final = 80


def checked_label(text: str) -> str:
    """A target's name: one lower-case DNS label, so that `<name>.plant` works.

    Raises Invalid `targets.unfit`.
    """
    if _LABEL.fullmatch(text) is None:
        raise unfit("name", "A target's name is 1 to 63 of a-z, 0-9 and dash, and neither begins nor ends with a dash.")
    return text


def checked_zone_name(text: str) -> str:
    """A zone's name, without spaces around it.

    Raises Invalid `targets.unfit`.
    """
    return _checked_text("name", text, _LONGEST_ZONE_NAME, may_be_empty=False)


def checked_description(text: str) -> str:
    """A target's description, without spaces around it.

    Raises Invalid `targets.unfit`.
    """
    return _checked_text("description", text, _LONGEST_DESCRIPTION, may_be_empty=True)


def checked_address(text: str) -> str:
    """An IP address in its shortest form: no name, so that nobody can move a target by moving a name.

    Raises Invalid `targets.unfit`, also for addresses that are no single other machine (loopback, multicast,
    link-local, unspecified, mapped).
    """
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise unfit("address", "The address must be an IPv4 or IPv6 address, not a name.") from None
    mapped = isinstance(address, ipaddress.IPv6Address) and (
        address.ipv4_mapped is not None or address.scope_id is not None
    )
    if mapped or address.is_loopback or address.is_multicast or address.is_unspecified or address.is_link_local:
        raise unfit("address", "The address must be that of one other machine.")
    return str(address)


def checked_port(port: int) -> int:
    """A TCP port.

    Raises Invalid `targets.unfit`.
    """
    if not 1 <= port <= 65535:
        raise unfit("port", "The port must be between 1 and 65535.")
    return port


def checked_account(text: str) -> str:
    """A user name on a target.

    Raises Invalid `targets.unfit`.
    """
    if _ACCOUNT.fullmatch(text) is None:
        raise unfit("accounts", "An account is 1 to 64 letters, digits and . _ @ \\ -, and does not begin with a dash.")
    return text


def checked_host_key(text: str) -> str:
    """The normal form of an OpenSSH public key line (RFC 4253 section 6.6): type and base64, without its comment.

    Raises Invalid `targets.unfit` for a certificate, a private key, an unknown type, or a line whose type differs from
    the one inside the key.
    """
    fault = unfit(
        "host_key", "The host key must be one OpenSSH public key line, as in /etc/ssh/ssh_host_ed25519_key.pub."
    )
    parts = text.split()
    if len(text) > _LONGEST_HOST_KEY or len(parts) < 2 or "\n" in text.strip() or parts[0] not in _HOST_KEY_TYPES:
        raise fault
    try:
        blob = base64.b64decode(parts[1], validate=True)
    except (binascii.Error, ValueError):
        raise fault from None
    fields = _ssh_fields(blob)
    if fields is None or fields[0] != parts[0].encode() or not _fits(parts[0], fields):
        raise fault
    return f"{parts[0]} {base64.b64encode(blob).decode()}"


def fingerprint(host_key: str) -> str:
    """The fingerprint of a host key line as OpenSSH shows it: `SHA256:…`."""
    digest = hashlib.sha256(base64.b64decode(host_key.split()[1])).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def _ssh_fields(blob: bytes) -> list[bytes] | None:
    fields: list[bytes] = []
    position = 0
    while position < len(blob):
        length = int.from_bytes(blob[position : position + 4], "big")
        position += 4
        if position + length > len(blob) or len(fields) == 3:
            return None
        fields.append(blob[position : position + length])
        position += length
    return fields or None


def _fits(key_type: str, fields: list[bytes]) -> bool:
    match key_type:
        case "ssh-ed25519":
            return len(fields) == 2 and len(fields[1]) == 32
        case "ssh-rsa":
            return len(fields) == 3 and len(fields[2]) >= 256
        case _:
            return len(fields) == 3 and fields[1] == key_type.rpartition("-")[2].encode() and len(fields[2]) > 32


def _checked_text(field: str, text: str, longest: int, *, may_be_empty: bool) -> str:
    stripped = text.strip()
    if (not stripped and not may_be_empty) or len(stripped) > longest:
        raise unfit(field, f"The {field} must have {0 if may_be_empty else 1} to {longest} characters.")
    if any(not character.isprintable() for character in stripped):
        raise unfit(field, f"The {field} must not hold control characters.")
    return stripped
