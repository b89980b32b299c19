import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlmodel import SQLModel

from broker.adapters.db.database import Database
from broker.audit import store
from broker.audit.checkpoint import Checkpoint
from broker.audit.model import AuditEvent
from broker.audit.witness import BadLine, Witness, WitnessContradicted, read
from broker.kernel.clock import StandingClock
from broker.kernel.sensitivity import Public

KEY = Ed25519PrivateKey.generate()


@dataclass(frozen=True, kw_only=True)
class Seen(AuditEvent):
    code: ClassVar[str] = "test_witness.seen"
    number: Public[int] = 0


@dataclass
class Site:
    database: Database
    clock: StandingClock
    path: Path

    def witness(self) -> Witness:
        return Witness(self.database, self.clock, site="north", path=self.path, key=KEY)

    def happen(self, times: int = 1) -> None:
        with self.database.unit_of_work() as unit:
            for _ in range(times):
                unit.emit(Seen(actor="system:test", subject="x"))

    def numbers(self) -> list[int]:
        with self.path.open("rb") as lines:
            return [one.seq for one in read(lines, KEY.public_key(), "north").checkpoints]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    clock = StandingClock(datetime(2026, 11, 20, 12, tzinfo=UTC))
    database = Database(f"sqlite:///{tmp_path / 'test.db'}", store.EventAppender(clock))
    for name in ("audit_events", "outbox"):
        SQLModel.metadata.tables[name].create(database.engine)
    (tmp_path / "witness").mkdir()
    yield Site(database, clock, tmp_path / "witness" / "checkpoints.jsonl")
    database.close()


def test_a_checkpoint_a_minute_while_the_trail_moves(site: Site) -> None:
    witness = site.witness()
    for _ in range(30):
        site.happen()
        witness.keep()
        site.clock.move(timedelta(seconds=5))
    assert site.numbers() == [1, 13, 25]


def test_a_trail_at_rest_is_witnessed_once_an_hour(site: Site) -> None:
    site.happen(3)
    witness = site.witness()
    for _ in range(125):
        witness.keep()
        site.clock.move(timedelta(minutes=1))
    assert site.numbers() == [3, 3, 3]


def test_the_stop_witnesses_what_came_last_and_says_nothing_twice(site: Site) -> None:
    witness = site.witness()
    witness.keep()
    site.happen()
    witness.conclude()
    witness.conclude()
    assert site.numbers() == [0, 1]


def test_a_new_process_goes_on_where_the_last_one_stopped(site: Site) -> None:
    site.happen()
    site.witness().keep()
    before = site.path.read_bytes()
    site.witness().keep()
    assert site.path.read_bytes() == before
    site.happen()
    site.witness().keep()
    assert site.path.read_bytes().startswith(before)
    assert site.numbers() == [1, 2]


def test_the_file_is_for_control_alone(site: Site) -> None:
    site.witness().keep()
    assert site.path.stat().st_mode & 0o777 == 0o600


def test_the_lag_is_the_records_after_the_last_checkpoint(site: Site) -> None:
    witness = site.witness()
    site.happen(2)
    assert witness.state().records_behind == 2
    assert witness.state().witnessed_at is None
    witness.keep()
    site.happen(3)
    state = witness.state()
    assert (state.witnessed_seq, state.witnessed_at, state.records_behind) == (2, site.clock.now(), 3)
    assert state.problem is None


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize(
    "forgery", ["UPDATE audit_events SET hash = zeroblob(32) WHERE seq = 3", "DELETE FROM audit_events WHERE seq = 3"]
)
def test_a_trail_that_was_rewritten_is_not_witnessed_again(site: Site, forgery: str, restarted: bool) -> None:
    witness = site.witness()
    site.happen(3)
    witness.keep()
    with site.database.engine.begin() as connection:
        connection.exec_driver_sql(forgery)
    site.clock.move(timedelta(minutes=2))
    if restarted:
        witness = site.witness()
    before = site.path.read_bytes()
    with pytest.raises(WitnessContradicted, match="record 3"):
        witness.keep()
    assert site.path.read_bytes() == before
    assert witness.state().problem == "contradicted"


def test_a_torn_line_stays_as_it_is_and_the_next_stands_on_its_own(site: Site) -> None:
    site.happen()
    site.witness().keep()
    whole = site.path.read_bytes()
    site.path.write_bytes(whole + whole[:60])
    site.happen()
    site.witness().keep()
    assert site.path.read_bytes().startswith(whole + whole[:60] + b"\n")
    with site.path.open("rb") as lines:
        found = read(lines, KEY.public_key(), "north")
    assert [one.seq for one in found.checkpoints] == [1, 2]
    assert (found.torn_lines, found.first_bad) == (1, None)


def test_a_file_of_somebody_else_is_not_added_to(site: Site) -> None:
    site.path.write_bytes(Checkpoint("south", 0, bytes(32), site.clock.now()).signed(KEY) + b"\n")
    with pytest.raises(WitnessContradicted, match="no checkpoint of this site"):
        site.witness().keep()


def test_a_file_that_cannot_be_written_shows_and_is_tried_again(site: Site) -> None:
    witness = site.witness()
    site.path.symlink_to(site.path.parent / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        witness.keep()
    assert witness.state().problem == "not_writable"
    site.path.unlink()
    site.clock.move(timedelta(minutes=1))
    witness.keep()
    assert witness.state().problem is None
    assert site.numbers() == [0]


def test_a_checkpoint_that_is_not_written_whole_does_not_count(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:40]))
    witness = site.witness()
    with pytest.raises(OSError, match="whole"):
        witness.keep()
    monkeypatch.undo()
    witness.conclude()
    assert site.numbers() == [0]


def test_the_first_bad_line_is_named_and_the_rest_is_read(site: Site) -> None:
    site.happen()
    site.witness().keep()
    good = site.path.read_bytes()
    bad = good.replace(b'"seq":1', b'"seq":2')
    found = read([good, bad, b"{}\n", good], KEY.public_key(), "north")
    assert [one.seq for one in found.checkpoints] == [1, 1]
    assert found.first_bad == BadLine(2, "the signature is not this site's")


def test_the_first_checkpoint_behind_a_record_is_found_in_a_long_file(site: Site) -> None:
    numbers = range(3, 3 * 1500, 3)
    lines = [Checkpoint("north", seq, bytes(32), site.clock.now()).signed(KEY) + b"\n" for seq in numbers]
    site.path.write_bytes(b"".join(lines))
    witness = site.witness()
    for seq, expected in ((0, 3), (3, 3), (4, 6), (2_200, 2_202), (4_496, 4_497), (4_497, 4_497)):
        found = witness.covering(seq)
        assert found is not None
        assert found.seq == expected, seq
    assert witness.covering(4_498) is None


def test_a_line_that_this_site_did_not_sign_covers_nothing(site: Site) -> None:
    other = Checkpoint("south", 5, bytes(32), site.clock.now()).signed(KEY)
    genuine = Checkpoint("north", 9, bytes(32), site.clock.now()).signed(KEY)
    site.path.write_bytes(b"\n".join([other, genuine[:40], b'{"checkpoint":{"seq":"7"}}', genuine, b""]))
    found = site.witness().covering(4)
    assert found is not None
    assert found.seq == 9
    site.path.unlink()
    assert site.witness().covering(4) is None
