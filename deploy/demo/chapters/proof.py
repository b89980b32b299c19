"""The site proves its evidence; on a copy, single changed bytes are found and named."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

from deploy.demo.plant_api import Json
from deploy.demo.stage import Stage

_WHOLE, _BAD = 0, 1


def proven(stage: Stage) -> None:
    """'sallyport verify' finds everything whole; on a copy it names a flipped byte and a missing end."""
    own = stage.site.sallyport("verify", "--json")
    findings = json.loads(own.stdout or "{}")
    counts = f"{findings['trail']['records']} records, {len(findings['recordings'])} recordings" if findings else ""
    stage.prove(
        f"'sallyport verify': trail, witness and recordings are whole ({counts})",
        holds=own.returncode == _WHOLE,
        found=own.stdout[-2000:] + own.stderr,
    )
    witness = stage.site.state_dir / "witness" / "checkpoints.jsonl"
    lines = witness.read_text(encoding="ascii").splitlines()
    stage.prove(
        f"the witness file, outside the database, holds {len(lines)} signed checkpoints",
        holds=len(lines) == findings["witness"]["checkpoints"] > 0,
        found=findings["witness"],
    )
    recordings = sorted(stage.site.state_dir.glob("recordings/*.sallyrec"), key=lambda path: path.stat().st_size)
    middle = int(findings["trail"]["records"]) // 2
    copy = _Copy(stage)
    recording, database = copy.state / "recordings" / recordings[-1].name, copy.state / "control" / "sallyport.db"
    copy.finds("one flipped byte in a recording", recording, _flip, _tells("recording", recording.stem))
    copy.finds("a recording without its last bytes", recording, _shorten, _tells("recording", recording.stem))
    copy.finds(
        f"one flipped byte in record {middle} of the audit table",
        database,
        lambda path: _alter_record(path, middle),
        _tells("trail", f"record {middle}"),
    )


def _tells(part: str, name: str) -> Callable[[Json], bool]:
    return lambda bad: bad.get("part") == part and name in json.dumps(bad)


class _Copy:
    """A copy of the site's whole state, with settings of its own, to be spoilt."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        site, self.state = stage.site, stage.lab.dir / "copy"
        shutil.copytree(
            site.state_dir, self.state, copy_function=copy_owned, ignore=shutil.ignore_patterns("sallyport.db*")
        )
        _own_like(site.state_dir, self.state)
        _copy_database(site.state_dir / "control" / "sallyport.db", self.state / "control" / "sallyport.db")
        self._config = stage.lab.dir / "copy.toml"
        settings = site.config.read_text(encoding="utf-8")
        self._config.write_text(settings.replace(f'"{site.state_dir}"', f'"{self.state}"'), encoding="utf-8")
        status, found = self._verify()
        stage.prove("a copy of it is whole too, and now gets spoilt", holds=status == _WHOLE, found=found)

    def finds(self, what: str, path: Path, spoil: Callable[[Path], None], is_told: Callable[[Json], bool]) -> None:
        """Spoil one file, prove that `verify` names it, and put the file back."""
        before = path.read_bytes()
        spoil(path)
        status, found = self._verify()
        bad = found.get("first_bad")
        first: Json = bad if isinstance(bad, dict) else {}
        self._stage.prove(f"{what} is found and named", holds=status == _BAD and is_told(first), found=found)
        self._stage.say(f"verify says: {first['part']}: {first['kind']} at {first['place']}: {first['message']}")
        path.write_bytes(before)

    def _verify(self) -> tuple[int, Json]:
        done = self._stage.site.sallyport("verify", "--json", config=self._config)
        return done.returncode, json.loads(done.stdout or "{}") or {"said": done.stderr}


def copy_owned(source: str, target: str) -> None:
    """Copy a file with its owner, for `shutil.copytree`."""
    shutil.copy2(source, target)
    found = Path(source).stat()
    shutil.chown(target, found.st_uid, found.st_gid)


def _own_like(source: Path, target: Path) -> None:
    for folder in (source, *(path for path in source.rglob("*") if path.is_dir())):
        found = folder.stat()
        same = target / folder.relative_to(source)
        shutil.chown(same, found.st_uid, found.st_gid)
        same.chmod(found.st_mode & 0o7777)


def _copy_database(source: Path, target: Path) -> None:
    """As a running database is copied: through SQLite itself, so that what is not yet in the file comes too."""
    with sqlite3.connect(f"file:{source}?mode=ro", uri=True) as read, sqlite3.connect(target) as write:
        read.backup(write)
    read.close()
    write.close()
    owner = source.stat()
    shutil.chown(target, owner.st_uid, owner.st_gid)


def _flip(recording: Path) -> None:
    data = bytearray(recording.read_bytes())
    data[len(data) // 2] ^= 1
    recording.write_bytes(data)


def _shorten(recording: Path) -> None:
    data = recording.read_bytes()
    recording.write_bytes(data[:-40])


def _alter_record(database: Path, seq: int) -> None:
    """Change one character of what a record tells, past every check of the product."""
    connection = sqlite3.connect(database)
    (actor,) = connection.execute("SELECT actor FROM audit_events WHERE seq = ?", (seq,)).fetchone()
    changed = actor[:-1] + chr(ord(actor[-1]) ^ 1)
    connection.execute("UPDATE audit_events SET actor = ? WHERE seq = ?", (changed, seq))
    connection.commit()
    connection.close()
