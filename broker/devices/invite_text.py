"""The one line that carries an invite to a laptop: `sallyport-invite-1.` and base64url of compressed JSON."""

import base64
import json
import zlib
from collections.abc import Sequence
from typing import Final

from broker.devices.model import DayKey, SiteFacts

PREFIX: Final = "sallyport-invite-1."


def invite_text(
    facts: SiteFacts,
    *,
    invite_id: str,
    knock_key: bytes,
    day_keys: Sequence[DayKey],
    certificate_pem: str,
    private_key_pem: str,
    code: str,
    expires_at_ms: int,
) -> str:
    """Everything a client needs to knock once and enrol.

    It holds a private key: whoever has it can enrol a pending device.
    """
    document = {
        "v": 1,
        "site": site_document(facts),
        "knock": {
            "device_id": invite_id,
            "knock_key_b64": _b64(knock_key),
            "day_keys": day_key_documents(day_keys),
        },
        "certificate_pem": certificate_pem,
        "private_key_pem": private_key_pem,
        "code": code,
        "expires_at_ms": expires_at_ms,
    }
    packed = zlib.compress(json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode(), 9)
    return PREFIX + base64.urlsafe_b64encode(packed).decode().rstrip("=")


def site_document(facts: SiteFacts) -> dict[str, object]:
    """The site as an invite tells it."""
    return {
        "name": facts.name,
        "audience_hex": facts.audience_hex,
        "root_pem": facts.root_pem,
        "vendor_face": {
            "host": facts.vendor_face.host,
            "port": facts.vendor_face.port,
            "name": facts.vendor_face_name,
        },
        "ssh": {"host": facts.ssh.host, "port": facts.ssh.port},
        "knock": {"host": facts.knock_host, "ports": list(facts.knock_ports)},
        "ssh_domain": facts.ssh_domain,
    }


def day_key_documents(day_keys: Sequence[DayKey]) -> list[dict[str, object]]:
    """Day keys as JSON gives them to a client."""
    return [{"day": one.day, "key_b64": _b64(one.key)} for one in day_keys]


def _b64(value: bytes) -> str:
    return base64.b64encode(value).decode()
