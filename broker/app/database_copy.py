"""A consistent copy of the whole database while control goes on writing, and the way back. Runs as control's user."""

import argparse
import hashlib
import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO, Final

from sqlalchemy.engine import URL, make_url

from broker.adapters.db.database import Database
from broker.app import migrations
from broker.app.errors import CommandError
from broker.app.events import BackupMade
from broker.audit import store
from broker.audit.store import EventAppender
from broker.kernel.clock import SystemClock

_PAGES: Final = 500


@dataclass(frozen=True)
class Copied:
    """What a copy holds: its kind (`sqlite` or `postgresql`), its schema's revision and the end of its trail."""

    kind: str
    revision: str
    last_seq: int
    head: str


def kind_of(url: str) -> str:
    """`sqlite` or `postgresql`."""
    return make_url(url).get_backend_name()


def copy(url: str, site: str, recovery_public: bytes, target: Path) -> Copied:
    """Enter the copy into the trail, then make it. Raises CommandError."""
    revision = migrations.current_revision(url)
    if revision is None:
        raise CommandError("the database is empty: there is nothing to copy")
    database = Database(url, EventAppender(SystemClock()))
    try:
        with database.unit_of_work() as unit:
            key_hash = hashlib.sha256(recovery_public).hexdigest()
            unit.emit(BackupMade(actor="system:backup", subject=site, recovery_key_sha256=key_hash))
        if kind_of(url) == "postgresql":
            last_seq, head = _dump(database, make_url(url), target)
        else:
            last_seq, head = _copy_file(make_url(url), target)
    finally:
        database.close()
    return Copied(kind_of(url), revision, last_seq, head.hex())


def load(url: str, source: BinaryIO, user: int | None) -> None:
    """Load a dump into an empty PostgreSQL database, as this user id. Raises CommandError and leaves it empty."""
    arguments = [
        "--exit-on-error",
        "--single-transaction",
        "--no-owner",
        "--no-privileges",
        "-d",
        _libpq(make_url(url)),
    ]
    _run("pg_restore", arguments, source=source, user=user)


def _copy_file(location: URL, target: Path) -> tuple[int, bytes]:
    with (
        closing(sqlite3.connect(f"file:{location.database}?mode=ro", uri=True)) as source,
        closing(sqlite3.connect(target)) as copied,
    ):
        source.backup(copied, pages=_PAGES)
        # One file, without a journal beside it.
        copied.execute("PRAGMA journal_mode=DELETE")
        if copied.execute("PRAGMA quick_check").fetchone() != ("ok",):
            raise CommandError("the copy of the database is damaged")
        seq, head = copied.execute("SELECT seq, hash FROM audit_events ORDER BY seq DESC LIMIT 1").fetchone()
    return int(seq), bytes(head)


def _dump(database: Database, location: URL, target: Path) -> tuple[int, bytes]:
    # The reading's snapshot is the dump's: the head is exactly that of the copy.
    with database.reading() as session:
        snapshot = session.connection().exec_driver_sql("SELECT pg_export_snapshot()").scalar_one()
        found = store.head(session)
        arguments = ["-Fc", "--no-owner", "--no-privileges", f"--snapshot={snapshot}", "-f", str(target)]
        session.connection().exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        _run("pg_dump", [*arguments, "-d", _libpq(location)])
    return found


def _libpq(location: URL) -> str:
    # Settings refuse addresses with passwords, so nothing secret shows in the list of processes.
    return location.set(drivername="postgresql").render_as_string(hide_password=False)


def _run(program: str, arguments: list[str], source: BinaryIO | None = None, user: int | None = None) -> None:
    path = shutil.which(program)
    if path is None:
        raise CommandError(f"{program} is not installed: apt-get install postgresql-client")
    done = subprocess.run(
        [path, *arguments],
        stdin=source or subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
        cwd="/",
        user=user,
        group=user,
        extra_groups=[] if user is not None else None,
    )
    if done.returncode != 0:
        raise CommandError(f"{program}: {done.stderr.decode(errors='replace').strip()}")


def main() -> None:
    """Entry point of the process that `sallyport backup` starts as control's user; prints what it copied as JSON."""
    parser = argparse.ArgumentParser(prog="python -m broker.app.database_copy", description=__doc__)
    for name in ("--url", "--site", "--recovery-public-hex"):
        parser.add_argument(name, required=True)
    parser.add_argument("--target", type=Path, required=True)
    options = parser.parse_args()
    try:
        copied = copy(options.url, options.site, bytes.fromhex(options.recovery_public_hex), options.target)
    except CommandError as error:
        sys.exit(str(error))
    sys.stdout.write(json.dumps(asdict(copied)))


if __name__ == "__main__":
    main()
