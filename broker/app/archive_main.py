"""The archive process: the only one that speaks to the store of objects, and the only one with its secret.

It has no folder of recordings, no database and no key that opens a recording: control hands it each file open. Without
the store it serves all the same and says so.
"""

import argparse
import signal
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from broker.adapters.object_store.archive import Archive, Site
from broker.adapters.object_store.server import ArchiveServer
from broker.app import logs
from broker.app.keys import RECEIPT_KEY
from broker.app.layout import Layout
from broker.app.settings import Settings, SettingsError, load
from recorder.stores.s3 import S3Store, connect
from spa_knock.link.process import harden, listen_sockets, notify_ready

_LONGEST_SECRET: Final = 1024
_log = structlog.get_logger("archive")


def archive_of(settings: Settings, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Archive:
    """The archive of this site. Raises SettingsError when secret or keys cannot be read; the store is not asked."""
    layout, section = Layout.of(settings), settings.object_store
    try:
        secret = Path(section.secret_file).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"object_store.secret_file: {section.secret_file} cannot be read: {error}") from None
    if not 0 < len(secret) <= _LONGEST_SECRET or not secret.isprintable():
        raise SettingsError(f"object_store.secret_file: {section.secret_file} does not hold one line with a secret")
    store = S3Store(
        connect(section.endpoint, section.region, section.access_key_id, secret, section.ca_file),
        section.bucket,
        section.prefix,
        part_bytes=section.part_bytes(settings.recordings.most_mib),
    )
    site = Site(settings.site.name, section.bucket, section.lock_mode, section.lock_days)
    return Archive(store, site, _receipt_key(layout).sign, _checkpoint_public(layout), now)


def _receipt_key(layout: Layout) -> Ed25519PrivateKey:
    do = "make one with: sallyport evidence receipt-key"
    try:
        key = load_pem_private_key((layout.archive / RECEIPT_KEY).read_bytes(), None)
        public = load_pem_public_key(layout.receipts_public.read_bytes())
    except (OSError, ValueError) as error:
        raise SettingsError(f"the archive's key for receipts cannot be read ({error}); {do}") from None
    if not isinstance(key, Ed25519PrivateKey) or not isinstance(public, Ed25519PublicKey):
        raise SettingsError(f"the archive's key for receipts is no Ed25519 key; {do}")
    if key.public_key().public_bytes_raw() != public.public_bytes_raw():
        raise SettingsError(f"{layout.receipts_public} is not the half of the archive's key; {do}")
    return key


def _checkpoint_public(layout: Layout) -> bytes:
    key = load_pem_public_key(layout.checkpoint_public.read_bytes())
    if not isinstance(key, Ed25519PublicKey):
        raise SettingsError(f"{layout.checkpoint_public} holds no Ed25519 key")
    return key.public_bytes_raw()


def main() -> None:
    """Entry point of the archive process."""
    harden()
    parser = argparse.ArgumentParser(prog="sallyport archive", description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    arguments = parser.parse_args()
    logs.configure("archive")
    settings = load(arguments.config)
    if not settings.object_store.is_used:
        raise SystemExit("this site has no object store: set object_store.endpoint")
    (listener,) = listen_sockets()["archive"]
    server = ArchiveServer(archive_of(settings), listener, {settings.users.control, 0})
    signal.signal(signal.SIGTERM, lambda *_: exit_now(listener))
    notify_ready()
    server.serve()


def exit_now(listener: socket.socket) -> None:
    """Leave at once: whatever is being sent is sent again by the next process."""
    listener.close()
    raise SystemExit(0)


if __name__ == "__main__":
    main()
