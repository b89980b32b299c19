"""Debian's PostgreSQL: a cluster of its own in a folder of its own, on a Unix socket, as an unprivileged user."""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine

_OWNER = "sallyport"
_CONFIGURATION = """
listen_addresses = ''
max_connections = 60
shared_buffers = 16MB
logging_collector = off
autovacuum_naptime = 1h
"""


@dataclass(frozen=True)
class Postgres:
    """A running server; `stop` and `start` do what a restart of it does to its clients."""

    folder: Path
    programs: Path
    user: str | None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://{_OWNER}@/{database}?host={self.folder}"

    def new_database(self) -> str:
        """The address of a fresh, empty database."""
        name = f"t{uuid.uuid4().hex}"
        engine = create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C'")
        engine.dispose()
        return self.url(name)

    def start(self) -> None:
        self.run("pg_ctl", "-D", str(self.data), "-w", "-t", "60", "-l", str(self.folder / "log"), "start")

    def stop(self, mode: str = "fast") -> None:
        """`fast` ends every client in order; `immediate` is a crash."""
        self.run("pg_ctl", "-D", str(self.data), "-w", "-t", "60", "-m", mode, "stop")

    def run(self, program: str, *arguments: str) -> None:
        options: dict[str, Any] = {}
        if self.user is not None:
            account = pwd.getpwnam(self.user)
            options = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        # pg_ctl's server would keep a captured pipe open for as long as it lives: its output goes to a file.
        with (self.folder / f"{program}.out").open("wb") as output:
            done = subprocess.run(
                [str(self.programs / program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
                check=False,
                timeout=120,
                **options,
            )
        if done.returncode != 0:
            raise RuntimeError(f"{program}: {(self.folder / f'{program}.out').read_text(errors='replace')}")


def programs() -> Path:
    """Where the newest installed server's programs are. Raises RuntimeError when there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise RuntimeError("PostgreSQL is not installed: apt-get install postgresql")
    return found[-1].parent


@contextlib.contextmanager
def running() -> Iterator[Postgres]:
    """A server that is gone, folder and all, at the end of the block."""
    user = _unprivileged() if os.geteuid() == 0 else None
    # Folders of runs are closed to other users or long, and a socket's path may have about a hundred characters.
    folder = Path(tempfile.mkdtemp(prefix="sallyport-pg-", dir="/tmp"))
    if user is not None:
        shutil.chown(folder, user)
    server = Postgres(folder, programs(), user)
    try:
        server.run("initdb", "-D", str(server.data), "-U", _OWNER, "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        with (server.data / "postgresql.conf").open("a") as configuration:
            configuration.write(_CONFIGURATION + f"unix_socket_directories = '{folder}'\n")
        server.start()
        try:
            yield server
        finally:
            with contextlib.suppress(RuntimeError):
                server.stop("immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unprivileged() -> str:
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise RuntimeError("there is no unprivileged user to run PostgreSQL as")
