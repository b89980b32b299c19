"""A site with a real object store: sessions through the gateway, parts while they run, copies, locks, holds, and kills.

The store is Ceph's gateway; the archive is its own process and is killed; the session is stock `ssh`.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from broker.app import verification
from broker.recordings import copy_store
from broker.recordings.copy_model import Copy, CopyState, Place
from broker.recordings.model import Finding
from recorder.stores.s3 import connect
from tests.contract.live_site import LiveSite, a_target_machine, live_site
from tests.contract.object_store import ACCESS_KEY, REGION, SECRET_KEY, ObjectServer, object_server

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="starts an sshd")
_NUMBERS = count(1)
_PART = 8 << 20
_START = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="archive")
os.execv(sys.executable, [sys.executable, "-m", "broker.app.archive_main", "--config", sys.argv[2]])
"""


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectServer]:
    with object_server() as running:
        yield running


@dataclass
class StoredSite:
    """A live site whose recordings go to a bucket of its own."""

    site: LiveSite
    server: ObjectServer
    client: Any
    bucket: str
    config: Path
    listener: socket.socket
    stop: threading.Event = field(default_factory=threading.Event)
    archive: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        command = [sys.executable, "-c", _START, str(self.listener.fileno()), str(self.config)]
        self.archive = subprocess.Popen(command, pass_fds=[self.listener.fileno()], cwd=Path(__file__).parents[2])

    def kill(self) -> None:
        assert self.archive is not None
        self.archive.send_signal(signal.SIGKILL)
        self.archive.wait()

    def copy(self, recording_id: str) -> Copy | None:
        with self.site.house.database.reading() as session:
            return copy_store.copies(session, [recording_id]).get(recording_id)

    def until_state(self, recording_id: str, state: CopyState, seconds: float = 180) -> Copy:
        self.site.until(lambda: (one := self.copy(recording_id)) is not None and one.state is state, seconds)
        found = self.copy(recording_id)
        assert found is not None
        return found

    def parts(self) -> int:
        """How many parts the unfinished uploads have."""
        uploads = self.client.list_multipart_uploads(Bucket=self.bucket).get("Uploads", ())
        named = {"Bucket": self.bucket}
        return sum(
            len(self.client.list_parts(**named, Key=one["Key"], UploadId=one["UploadId"]).get("Parts", ()))
            for one in uploads
        )

    def versions(self, recording_id: str) -> list[dict[str, Any]]:
        answer = self.client.list_object_versions(Bucket=self.bucket, Prefix=f"plant-1/{recording_id}")
        return list(answer.get("Versions", ()))


@contextmanager
def a_site(
    server: ObjectServer, folder: Path, *, locks: bool = True, keep_local_days: int = 0, copies: bool = True
) -> Iterator[StoredSite]:
    client = connect(server.endpoint, REGION, ACCESS_KEY, SECRET_KEY, str(server.authority))
    bucket = f"site-{next(_NUMBERS)}"
    client.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=locks)
    (folder / "secret").write_text(SECRET_KEY)
    section: dict[str, object] = {
        "endpoint": server.endpoint,
        "region": REGION,
        "bucket": bucket,
        "prefix": "plant-1/",
        "access_key_id": ACCESS_KEY,
        "secret_file": str(folder / "secret"),
        "ca_file": str(server.authority),
        "keep_local_days": keep_local_days,
    }
    with live_site(folder, object_store=section) as site:
        listener = site._unix("archive")
        config = folder / "site.toml"
        lines = ["[object_store]", *(f"{key} = {json.dumps(value)}" for key, value in section.items())]
        lines += ["[site]", 'name = "e2e"', f'state_dir = "{folder}/state"', f'run_dir = "{folder}/run"']
        lines += ["[vendor_face]", 'host = "203.0.113.10"', 'interface = "out0"']
        lines += ["[plant_face]", 'host = "10.20.0.10"', 'interface = "mgmt0"', 'networks = ["10.30.0.0/24"]']
        config.write_text("\n".join(lines))
        stored = StoredSite(site, server, client, bucket, config, listener)
        stored.start()
        copying = site.house.copying
        assert copying is not None
        thread = threading.Thread(target=copying.run, args=(stored.stop,), daemon=True)
        if copies:
            thread.start()
        try:
            yield stored
        finally:
            stored.stop.set()
            if copies:
                thread.join(30)
            stored.kill()


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="sos-") as made:
        yield Path(made)


def newest(site: LiveSite) -> str:
    with site.house.database.reading() as session:
        rows = copy_store.to_be_stored(session, datetime.now(UTC), 10)
    return rows[-1][0].id


def test_parts_go_up_while_a_session_runs_and_its_file_goes_when_the_copy_was_verified(
    server: ObjectServer, folder: Path
) -> None:
    with a_site(server, folder) as stored, a_target_machine(stored.site, folder) as (port, host_key, login_key):
        site = stored.site
        grant = site.grant(site.target("plc", port, host_key, login_key))
        with site.terminal(grant) as terminal:
            terminal.type(b"head -c 9000000 /dev/urandom | base64 -w 100; echo FIN''ISHED\n")
            terminal.see(b"FINISHED", 240)
            recording_id = newest(site)
            path = site.layout.recordings / f"{recording_id}.sallyrec"
            site.until(lambda: stored.parts() >= 1, 120)
            stored.kill()
            terminal.type(b"echo the store is a''way; head -c 9000000 /dev/urandom | base64 -w 100; echo AGA''IN\n")
            terminal.see(b"the store is away")
            terminal.see(b"AGAIN", 240)
            stored.start()
            site.until(lambda: stored.parts() >= 2, 120)
            terminal.type(b"exit\n")
            terminal.end()
        copy = stored.until_state(recording_id, CopyState.RELEASED)
        assert not path.exists()
        (version,) = stored.versions(recording_id)
        assert copy.stored is not None
        assert (version["VersionId"], version["Size"]) == (copy.stored.version, copy.stored.size)
        assert version["Size"] > 2 * _PART
        assert stored.parts() == 0
        kept = stored.client.get_object_retention(
            Bucket=stored.bucket, Key=version["Key"], VersionId=version["VersionId"]
        )["Retention"]
        assert kept["Mode"] == "COMPLIANCE"
        assert kept["RetainUntilDate"] >= datetime.now(UTC) + timedelta(days=180)
        _is_read_from_the_store(stored, recording_id)
        _is_held_there(stored, recording_id)
        _is_what_was_verified(stored, recording_id)


def _is_read_from_the_store(stored: StoredSite, recording_id: str) -> None:
    house = stored.site.house
    details = house.recordings.details(recording_id)
    assert (details.place, details.verification.finding) == (Place.OBJECT_STORE, Finding.VERIFIED)
    assert any("the store is away" in line for line in house.recordings.cast(stored.site.auditor.id, recording_id))
    stored.site.until(
        lambda: house.replaying.timeline(stored.site.auditor.id, recording_id).index is not None, seconds=120
    )
    archive = house.recordings._places._store
    assert archive is not None
    asked: list[int] = []
    real = archive.read

    def counted(one: Any, start: int, size: int) -> bytes:
        asked.append(size)
        return real(one, start, size)

    archive.read = counted  # type: ignore[method-assign]
    try:
        chunk = house.replaying.chunk(recording_id, 3)
    finally:
        archive.read = real  # type: ignore[method-assign]
    assert chunk.events
    size = details.recording.bytes_written
    assert 0 < sum(asked) < size / 3
    with verification.gathered(stored.site.settings) as scope:
        found = verification.verify(house.database, scope)
    assert [(one.recording_id, one.state) for one in found.recordings] == [(recording_id, "sealed")]


def _is_held_there(stored: StoredSite, recording_id: str) -> None:
    site = stored.site
    (version,) = stored.versions(recording_id)
    named = {"Bucket": stored.bucket, "Key": version["Key"], "VersionId": version["VersionId"]}

    def is_held() -> bool:
        answer = stored.client.head_object(**named)
        return bool(answer.get("ObjectLockLegalHoldStatus") == "ON")

    hold = site.house.holding.place_hold(site.auditor.id, recording_id, "accident of 3 May")
    site.until(is_held, 30)
    site.house.holding.lift_hold(site.security.id, hold.id, "the case is closed")
    site.until(lambda: not is_held(), 30)
    with pytest.raises(Exception, match="AccessDenied"):
        stored.client.delete_object(**named)


def _is_what_was_verified(stored: StoredSite, recording_id: str) -> None:
    """Who may write into the bucket puts another object over it: the one that was verified is still read."""
    (version,) = stored.versions(recording_id)
    stored.client.put_object(Bucket=stored.bucket, Key=version["Key"], Body=b"a forged recording")
    stored.client.delete_object(Bucket=stored.bucket, Key=version["Key"])
    details = stored.site.house.recordings.details(recording_id)
    assert (details.place, details.verification.finding) == (Place.OBJECT_STORE, Finding.VERIFIED)


def test_a_session_does_not_notice_that_the_store_is_away_and_is_copied_when_it_is_back(
    server: ObjectServer, folder: Path
) -> None:
    with a_site(server, folder, keep_local_days=7) as stored, a_target_machine(stored.site, folder) as made:
        site = stored.site
        grant = site.grant(site.target("plc", *made))
        server.kill()
        try:
            with site.terminal(grant) as terminal:
                terminal.type(b"head -c 9000000 /dev/urandom | base64 -w 100; echo FIN''ISHED\n")
                terminal.see(b"FINISHED", 240)
                recording_id = newest(site)
                terminal.type(b"exit\n")
                terminal.end()
            copying = site.house.copying
            assert copying is not None
            site.until(lambda: copying.state().problem == "unreachable", 90)
            assert site.house.recordings.details(recording_id).place is Place.LOCAL
        finally:
            server.start()
        stored.until_state(recording_id, CopyState.VERIFIED)
        details = site.house.recordings.details(recording_id)
        assert (details.place, details.verification.finding) == (Place.BOTH, Finding.VERIFIED)
        assert (site.layout.recordings / f"{recording_id}.sallyrec").exists()
        assert len(stored.versions(recording_id)) == 1


def test_what_the_store_alters_or_loses_behind_its_server_is_found_and_the_file_stays_until_a_copy_is_good(
    server: ObjectServer, folder: Path
) -> None:
    with a_site(server, folder, copies=False) as stored, a_target_machine(stored.site, folder) as made:
        site = stored.site
        with site.terminal(site.grant(site.target("plc", *made))) as terminal:
            terminal.type(b"echo HEL''LO\n")
            terminal.see(b"HELLO")
            recording_id = newest(site)
            terminal.type(b"exit\n")
            terminal.end()
        path = site.layout.recordings / f"{recording_id}.sallyrec"
        copying = site.house.copying
        assert copying is not None
        hours = count(1)

        def stored_at(now: datetime) -> datetime:
            site.until(lambda: not copying._grow(now) and _state(stored, recording_id) is CopyState.STORED, 30)
            return now

        for how, problem in (("alter", "altered"), ("lose", None)):
            now = stored_at(datetime.now(UTC) + timedelta(hours=next(hours)))
            server.spoil(recording_id, how)
            copying._verify(now)
            copy = stored.copy(recording_id)
            assert copy is not None
            assert (copy.state is CopyState.VERIFIED, copy.problem is None) == (False, False)
            assert problem is None or copy.problem == problem
            assert path.exists()
        copying._verify(stored_at(datetime.now(UTC) + timedelta(hours=next(hours))))
        assert _state(stored, recording_id) is CopyState.VERIFIED
        assert site.house.recordings.details(recording_id).place is Place.BOTH


def _state(stored: StoredSite, recording_id: str) -> CopyState | None:
    copy = stored.copy(recording_id)
    return copy.state if copy is not None else None


def test_a_bucket_without_lock_gets_nothing_and_the_file_stays(server: ObjectServer, folder: Path) -> None:
    with a_site(server, folder, locks=False) as stored, a_target_machine(stored.site, folder) as made:
        site = stored.site
        with site.terminal(site.grant(site.target("plc", *made))) as terminal:
            terminal.type(b"echo HEL''LO\n")
            terminal.see(b"HELLO")
            recording_id = newest(site)
            terminal.type(b"exit\n")
            terminal.end()
        copying = site.house.copying
        assert copying is not None
        site.until(lambda: copying.state().problem == "no_lock", 60)
        assert stored.versions(recording_id) == []
        assert (site.layout.recordings / f"{recording_id}.sallyrec").exists()
