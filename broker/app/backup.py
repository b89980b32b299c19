"""Backup: everything a site needs to come up elsewhere, sealed to the offline recovery key.

In it: the database, the sealed authorities, the keys of the two faces and the SSH door, the public folder and the
settings. Not in it: the key-encryption key (kept apart, so that a backup and the recovery key alone open no
credential), the site root's key, recordings (sealed files, copied as they are) and the witness file.

Inside the sealed stream lies a tar archive: `manifest.json`, `sallyport.toml`, `database`, then the files of `public/`,
`control/` and `gateway/`.
"""

import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from broker.adapters.sealed_stream import SealingWriter
from broker.app import database_copy
from broker.app.database_copy import Copied
from broker.app.errors import CommandError
from broker.app.keys import KEY_ENCRYPTION_KEY
from broker.app.layout import Layout
from broker.app.settings import Settings

VERSION: Final = 1
MANIFEST: Final = "manifest.json"
SETTINGS: Final = "sallyport.toml"
DATABASE: Final = "database"
_OF_GATEWAY: Final = ("front.key", "front.pem", "ssh_host_key", "ssh_host_key-cert.pub", "evidence.key")
_OF_CONTROL: Final = ("plant-face.key", "plant-face.pem", "recording-unseal.pub")


@dataclass(frozen=True)
class Manifest:
    """What a backup holds."""

    version: int
    site: str
    made_at: str
    database: Copied


def make(
    settings: Settings, config: Path, target: Path, recovery_public: Path, now: datetime, *, as_user: int | None
) -> Manifest:
    """Write a backup of the running site into a new file.

    `as_user` is the user id that may open the database (needs root); None means this process's own. Raises
    CommandError; then no file is left.
    """
    recipient = _recipient(recovery_public)
    layout = Layout.of(settings)
    # In root's own folder: in one of control's, control could put something else in its place before it is given away.
    with _new_file(target) as file, tempfile.TemporaryDirectory(prefix=".backup-", dir=layout.state) as folder:
        if as_user is not None:
            os.chown(folder, as_user, as_user)
        copy = Path(folder) / DATABASE
        copied = _copy_database(layout.database_url(settings), settings.site.name, recipient, copy, as_user)
        manifest = Manifest(VERSION, settings.site.name, now.isoformat(), copied)
        sealing = SealingWriter(file, recipient)
        # tarfile's stubs want methods that a stream which is only written does not need.
        with tarfile.open(fileobj=sealing, mode="w|", format=tarfile.PAX_FORMAT) as archive:  # type: ignore[call-overload]
            _add(archive, MANIFEST, json.dumps(asdict(manifest), sort_keys=True).encode())
            _add(archive, SETTINGS, config.read_bytes())
            _add_file(archive, DATABASE, copy)
            for path in _files(layout):
                _add_file(archive, str(path.relative_to(layout.state)), path)
        sealing.close()
        file.flush()
        os.fsync(file.fileno())
    return manifest


def _files(layout: Layout) -> Iterator[Path]:
    yield from sorted(path for path in layout.public.iterdir() if path.is_file())
    yield from sorted(layout.control.glob("*.sealed"))
    for folder, names in ((layout.control, _OF_CONTROL), (layout.gateway, _OF_GATEWAY)):
        for name in names:
            assert name != KEY_ENCRYPTION_KEY  # noqa: S101 - the one file that must never be in a backup
            yield folder / name


def _copy_database(url: str, site: str, recipient: X25519PublicKey, target: Path, as_user: int | None) -> Copied:
    public = recipient.public_bytes_raw()
    if as_user is None:
        return database_copy.copy(url, site, public, target)
    command = [sys.executable, "-P", "-m", "broker.app.database_copy", "--url", url, "--site", site]
    command += ["--recovery-public-hex", public.hex(), "--target", str(target)]
    done = subprocess.run(
        command, check=False, capture_output=True, cwd="/", user=as_user, group=as_user, extra_groups=[]
    )
    if done.returncode != 0:
        raise CommandError(f"the database could not be copied: {done.stderr.decode(errors='replace').strip()}")
    return Copied(**json.loads(done.stdout))


def _recipient(path: Path) -> X25519PublicKey:
    try:
        key = load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise CommandError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError:
        raise CommandError(f"{path}: holds no public key") from None
    if not isinstance(key, X25519PublicKey):
        raise CommandError(f"{path}: is not a recovery key (X25519)")
    return key


@contextmanager
def _new_file(path: Path) -> Iterator[BinaryIO]:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise CommandError(f"{path}: cannot be made ({error.strerror})") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
    except BaseException:
        path.unlink()
        raise


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), 0o600
    archive.addfile(member, io.BytesIO(content))


def _add_file(archive: tarfile.TarFile, name: str, path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        member = tarfile.TarInfo(name)
        member.size, member.mode = os.fstat(file.fileno()).st_size, 0o600
        archive.addfile(member, file)
