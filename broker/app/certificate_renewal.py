"""`sallyport renew-certificates`: new keys and certificates for the three servers, signed by the offline site root.

Vendor face, console and SSH door get them; clients pin the root and the SSH host authority, so none of them notices.
The running processes go on with what they have read and take the new at their next start.
"""

import ipaddress
import os
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from broker.app import keys
from broker.app.errors import CommandError
from broker.app.layout import Layout
from broker.app.settings import Settings


@dataclass(frozen=True)
class Renewed:
    """A server whose key and certificate were replaced."""

    name: str
    not_after: datetime


def renew(settings: Settings, root_key_path: Path, now: datetime, *, give_away: bool = True) -> list[Renewed]:
    """Make and put in place all three pairs; with `give_away` each belongs to its process's user (needs root).

    Everything is made before anything is replaced. Raises CommandError when the file is not the site root's key, or the
    root itself has run out.
    """
    layout = Layout.of(settings)
    root, root_key = _root(layout, root_key_path, now)
    gateway, control = (settings.users.gateway, settings.users.control) if give_away else (None, None)
    name = settings.site.name
    plant_names = [x509.IPAddress(ipaddress.ip_address(settings.plant_face.host)), x509.DNSName(f"{name}.sallyport")]
    front = keys.server_pair(root, root_key, [x509.DNSName(keys.vendor_face_name(name))], now)
    plant = keys.server_pair(root, root_key, plant_names, now)
    ssh = keys.ssh_door_pair(layout, name, now)
    placed = [
        (layout.gateway / "front.key", front.key, gateway),
        (layout.gateway / "front.pem", front.certificate, gateway),
        (layout.control / "plant-face.key", plant.key, control),
        (layout.control / "plant-face.pem", plant.certificate, control),
        (layout.gateway / "ssh_host_key", ssh.key, gateway),
        (layout.gateway / "ssh_host_key-cert.pub", ssh.certificate, gateway),
    ]
    with tempfile.TemporaryDirectory(dir=layout.state, prefix=".renewing-") as folder:
        waiting = [(_written(Path(folder) / path.name, content, uid), path) for path, content, uid in placed]
        for made, path in waiting:
            made.replace(path)
    return [
        Renewed("vendor face", front.not_after),
        Renewed("console", plant.not_after),
        Renewed("SSH door", ssh.not_after),
    ]


def _root(layout: Layout, path: Path, now: datetime) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    root = x509.load_pem_x509_certificate(layout.site_root.read_bytes())
    if root.not_valid_after_utc <= now:
        raise CommandError(f"the site root itself ran out on {root.not_valid_after_utc:%Y-%m-%d}: make a new site")
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise CommandError(f"{path}: cannot be read ({error.strerror}); fetch it from offline storage") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise CommandError(f"{path}: this is not a private key in PEM") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != root.public_key():
        raise CommandError(f"{path}: this is not the key of this site's root ({layout.site_root})")
    return root, key


def _written(path: Path, content: bytes, uid: int | None) -> Path:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    if uid is not None:
        os.chown(path, uid, uid)
    return path
