"""Restore: a site from a backup, on a machine that has none. Nothing is in place before everything was checked."""

import json
import os
import re
import shutil
import tarfile
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from sqlalchemy.engine import make_url

from broker.adapters.db.database import Database
from broker.adapters.sealed_stream import OpeningReader, StreamBroken
from broker.adapters.sealing import SealBroken
from broker.app import database_copy, keys, migrations
from broker.app.backup import DATABASE, MANIFEST, SETTINGS, VERSION, Manifest
from broker.app.database_copy import Copied
from broker.app.errors import CommandError
from broker.app.events import BackupRestored
from broker.app.layout import Layout
from broker.app.settings import Settings, SettingsError, load, parse
from broker.audit import store
from broker.audit.store import EventAppender
from broker.kernel.clock import SystemClock

_MEMBER: Final = re.compile(r"(public|control|gateway)/[A-Za-z0-9][A-Za-z0-9._-]{0,80}")
_SMALL_BYTES: Final = 1024 * 1024
_DAMAGED: Final = "the backup is damaged, cut, or sealed to another key"


@dataclass(frozen=True)
class Restored:
    """A site that is in place again, but for what control's user must do (`conclude`)."""

    settings: Settings
    manifest: Manifest


def restore(archive: Path, recovery_key: Path, kek: Path, config: Path, *, give_away: bool = True) -> Restored:
    """Put the site of a backup in place; with `give_away`, every file belongs to its user (needs root).

    The settings are those of `config` if it exists, and else those of the backup, which are then written there. Raises
    CommandError when the state folder is not empty or anything does not fit; then nothing is in place.
    """
    private, key_encryption_key = _private_key(recovery_key), _read(kek)
    try:
        with archive.open("rb") as file:
            reader = OpeningReader(file, private)
            # tarfile's stubs want methods that a stream which is only read does not need.
            with tarfile.open(fileobj=reader, mode="r|") as opened:  # type: ignore[call-overload]
                return _from(opened, reader, key_encryption_key, config, give_away=give_away)
    except StreamBroken as error:
        raise CommandError(f"{archive}: {_DAMAGED} ({error})") from None
    except tarfile.TarError:
        raise CommandError(f"{archive}: {_DAMAGED}") from None
    except OSError as error:
        raise CommandError(f"{error.filename or archive}: {error.strerror or error}") from None


def conclude(restored: Restored) -> None:
    """Bring the database to this release, check its trail's end and enter the restore. As control's user."""
    url = Layout.of(restored.settings).database_url(restored.settings)
    copied = restored.manifest.database
    database = Database(url, EventAppender(SystemClock()))
    try:
        with database.reading() as session:
            if store.head(session) != (copied.last_seq, bytes.fromhex(copied.head)):
                raise CommandError("the restored database is not the one that the backup's manifest describes")
        migrations.upgrade(url)
        with database.unit_of_work() as unit:
            made_at = restored.manifest.made_at
            unit.emit(
                BackupRestored(
                    actor="system:restore",
                    subject=restored.settings.site.name,
                    made_at=made_at,
                    last_seq=copied.last_seq,
                )
            )
    finally:
        database.close()


def _from(
    opened: tarfile.TarFile, reader: OpeningReader, key_encryption_key: bytes, config: Path, *, give_away: bool
) -> Restored:
    manifest = _manifest(_small(opened, MANIFEST))
    settings_text = _small(opened, SETTINGS)
    settings = _settings(settings_text, config, manifest)
    layout = Layout.of(settings)
    if layout.state.exists() and any(layout.state.iterdir()):
        raise CommandError(f"{layout.state} is not empty: a site is restored only where there is none")
    with _staged(layout) as staged:
        _unpack(opened, staged.state)
        reader.finish()
        (staged.control / keys.KEY_ENCRYPTION_KEY).write_bytes(key_encryption_key)
        _check_keys(staged)
        url, copied = layout.database_url(settings), staged.state / DATABASE
        if database_copy.kind_of(url) == "sqlite":
            _place_file(url, copied, layout, staged)
        _give(settings, staged, give_away=give_away)
        if database_copy.kind_of(url) == "postgresql":
            with copied.open("rb") as dump:
                database_copy.load(url, dump, settings.users.control if give_away else None)
            copied.unlink()
        staged.state.rename(layout.state)
    if not config.exists():
        config.parent.mkdir(parents=True, exist_ok=True)
        config.write_bytes(settings_text)
    return Restored(settings, manifest)


def _manifest(content: bytes) -> Manifest:
    try:
        document = json.loads(content)
        manifest = Manifest(document["version"], document["site"], document["made_at"], Copied(**document["database"]))
    except (ValueError, KeyError, TypeError):
        raise CommandError("the backup's manifest cannot be read") from None
    if manifest.version != VERSION:
        raise CommandError(f"the backup is of version {manifest.version}; this release reads {VERSION}")
    return manifest


def _settings(text: bytes, config: Path, manifest: Manifest) -> Settings:
    try:
        settings = load(config) if config.exists() else parse(tomllib.loads(text.decode()))
    except (ValueError, SettingsError) as error:
        raise CommandError(f"the settings cannot be used: {error}") from None
    if settings.site.name != manifest.site:
        raise CommandError(f"{config} is of site {settings.site.name!r}, the backup of {manifest.site!r}")
    kind = database_copy.kind_of(Layout.of(settings).database_url(settings))
    if kind != manifest.database.kind:
        raise CommandError(f"the backup's database is {manifest.database.kind}, the settings say {kind}")
    return settings


@contextmanager
def _staged(layout: Layout) -> Iterator[Layout]:
    layout.state.parent.mkdir(parents=True, exist_ok=True)
    # Beside its place, so that one rename puts it there; closed to everybody until then.
    state = Path(tempfile.mkdtemp(prefix=f".{layout.state.name}-", dir=layout.state.parent))
    try:
        yield Layout(state, layout.run)
    finally:
        shutil.rmtree(state, ignore_errors=True)


def _small(opened: tarfile.TarFile, name: str) -> bytes:
    member = opened.next()
    file = opened.extractfile(member) if member is not None and member.isreg() else None
    if member is None or file is None or member.name != name or member.size > _SMALL_BYTES:
        raise CommandError(f"{_DAMAGED}: {name} is not where it should be")
    return file.read()


def _unpack(opened: tarfile.TarFile, state: Path) -> None:
    while (member := opened.next()) is not None:
        file = opened.extractfile(member) if member.isreg() else None
        if file is None or not (member.name == DATABASE or _MEMBER.fullmatch(member.name)):
            raise CommandError(f"the backup holds {member.name!r}, which no backup of ours does")
        path = state / member.name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        with path.open("xb") as target:
            shutil.copyfileobj(file, target)
            os.fsync(target.fileno())


def _check_keys(staged: Layout) -> None:
    try:
        keys.open_control_keys(staged)
    except SealBroken:
        raise CommandError("the key-encryption key is not that of this backup") from None
    except (ValueError, TypeError, OSError) as error:
        raise CommandError(f"the backup's keys cannot be used: {error}") from None


def _place_file(url: str, copied: Path, layout: Layout, staged: Layout) -> None:
    place = Path(make_url(url).database or "")
    if not place.is_relative_to(layout.state):
        raise CommandError(f"{place} lies outside {layout.state}: leave site.database_url empty to restore")
    target = staged.state / place.relative_to(layout.state)
    target.parent.mkdir(mode=0o700, exist_ok=True)
    copied.rename(target)


def _give(settings: Settings, staged: Layout, *, give_away: bool) -> None:
    for folder in staged.folders(settings):
        if folder.path == staged.run:
            continue
        folder.path.mkdir(exist_ok=True)
        for path in folder.path.iterdir() if folder.path != staged.state else ():
            if path.is_file():
                path.chmod(0o644 if folder.path == staged.public else 0o600)
                if give_away:
                    os.chown(path, folder.uid, folder.gid)
        if give_away:
            os.chown(folder.path, folder.uid, folder.gid)
    # Modes last, from the innermost: until then only this process looks inside.
    for folder in reversed(staged.folders(settings)):
        if folder.path != staged.run:
            folder.path.chmod(folder.mode)


def _private_key(path: Path) -> X25519PrivateKey:
    try:
        key = load_pem_private_key(_read(path), None)
    except (ValueError, TypeError):
        raise CommandError(f"{path}: holds no private key") from None
    if not isinstance(key, X25519PrivateKey):
        raise CommandError(f"{path}: is not a recovery key (X25519)")
    return key


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CommandError(f"{path}: cannot be read ({error.strerror})") from None
