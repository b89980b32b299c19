"""The store of objects as this site uses it: control's way to the archive, and what the doctor says of both."""

import socket
import stat
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from broker.adapters.db.database import Database
from broker.adapters.object_store.client import ArchiveClient
from broker.app import keys
from broker.app.finding import Finding, State
from broker.app.layout import Layout
from broker.app.settings import ObjectStoreSection, Settings
from broker.kernel.clock import Clock
from broker.recordings.copying import Copying, CopyTerms
from broker.recordings.places import Places
from broker.sessions.authority import AuthorityServer
from broker.sessions.reports import GatewayReports
from recorder.errors import StoreError

_NAME: Final = "object store"
_TODO: Final = {
    "unreachable": "Start sallyport-archive; check endpoint, address and ca_file of [object_store], and the network",
    "refused": "Check access_key_id and secret_file, and what this key may do in the bucket",
    "no_bucket": "Make the bucket with Object Lock, or correct object_store.bucket",
    "no_lock": "Make a new bucket with Object Lock: a bucket gets it when it is made",
}


def client_of(settings: Settings, layout: Layout) -> ArchiveClient | None:
    """The way to the archive, None when the site has no store of objects."""
    return ArchiveClient(layout.socket("archive")) if settings.object_store.is_used else None


def copying_of(
    settings: Settings,
    database: Database,
    clock: Clock,
    archive: ArchiveClient | None,
    keep: timedelta,
    authority: AuthorityServer,
    reports: GatewayReports,
) -> Copying | None:
    """What copies recordings and lets a gateway's files go, None when the site has no store of objects."""
    if archive is None:
        return None
    layout, section = Layout.of(settings), settings.object_store
    terms = CopyTerms(
        bucket=section.bucket,
        part_bytes=section.part_bytes(settings.recordings.most_mib),
        keep=keep,
        keep_local=timedelta(days=section.keep_local_days),
        evidence_public=keys.evidence_public(layout),
        receipts_public=lambda: keys.receipts_public(layout),
    )
    copying = Copying(database, clock, archive=archive, places=Places(layout.recordings), terms=terms)
    copying.connect(workers=lambda: authority.workers, send=authority.order_release)
    reports.on_release(copying.released_within)
    return copying


def examine(settings: Settings, layout: Layout) -> list[Finding]:
    """What the doctor finds: nothing when the site has no store of objects."""
    archive = client_of(settings, layout)
    if archive is None:
        return []
    section = settings.object_store
    findings = [
        judge_secret(Path(section.secret_file), settings.users.archive),
        judge_name(section, lambda name: {str(one[4][0]) for one in socket.getaddrinfo(name, None)}),
    ]
    try:
        archive.check()
    except StoreError as error:
        do = _TODO.get(error.code, "See: journalctl -u sallyport-archive")
        return [*(one for one in findings if one is not None), Finding(_NAME, State.FAILED, str(error), do)]
    words = f"bucket {section.bucket} answers, under Object Lock ({section.lock_mode}, {section.lock_days} days)"
    return [*(one for one in findings if one is not None), Finding(_NAME, State.OK, words)]


def judge_secret(path: Path, uid: int) -> Finding | None:
    """What is wrong with the secret's file; None when nothing is."""
    try:
        found = path.stat()
    except OSError as error:
        words = f"{path}: {error.strerror}"
        return Finding(_NAME, State.FAILED, words, f"Write the secret access key into {path}")
    if found.st_uid == uid and not stat.S_IMODE(found.st_mode) & 0o077:
        return None
    words = f"{path} is of user {found.st_uid} with mode {stat.S_IMODE(found.st_mode):04o}"
    return Finding(_NAME, State.FAILED, words, f"chown {uid}:{uid} {path} && chmod 0600 {path}")


def judge_name(section: ObjectStoreSection, resolved: Callable[[str], set[str]]) -> Finding | None:
    """Whether the endpoint's name leads to the one address that the firewall lets through; None when it does."""
    name = urlsplit(section.endpoint).hostname or ""
    address, _ = section.target
    if name == address:
        return None
    try:
        found = resolved(name)
    except OSError:
        found = set()
    if found == {address}:
        return None
    words = f"{name} leads to {', '.join(sorted(found)) or 'nothing'}, the settings say {address}"
    return Finding(_NAME, State.FAILED, words, f"Put it into /etc/hosts: {address} {name}")
