from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.audit.checkpoint import Checkpoint
from broker.audit.witness import Witness
from broker.recordings.model import Finding
from broker.recordings.service import RecordingService
from broker.recordings.trail import Standing, read_trail
from tests.unit.broker.recordings.files import Recorded, open_recording_of, seal
from tests.unit.broker.sessions.plant import Plant

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


@pytest.fixture
def witness(plant: Plant, tmp_path: Path) -> Witness:
    return Witness(plant.world.database, plant.world.clock, site="north", path=tmp_path / "witness.jsonl", key=KEY)


def _standing(plant: Plant, recorded: Recorded, covering: Callable[[int], Checkpoint | None]) -> Standing:
    with plant.world.database.reading() as session:
        return read_trail(session, recorded.recording_id, covering).standing


def test_a_recording_is_witnessed_once_a_checkpoint_stands_behind_its_last_record(
    plant: Plant, witness: Witness
) -> None:
    recorded = open_recording_of(plant)
    witness.conclude()
    seal(plant, recorded)
    assert _standing(plant, recorded, witness.covering) is Standing.NOT_WITNESSED
    witness.conclude()
    assert _standing(plant, recorded, witness.covering) is Standing.WITNESSED


def test_a_recording_that_the_trail_does_not_know_has_no_facts(plant: Plant, witness: Witness) -> None:
    with plant.world.database.reading() as session:
        found = read_trail(session, "rec_00000000000000000000000000", witness.covering)
    assert (found.audited, found.standing) == (None, Standing.NOT_WITNESSED)


@pytest.mark.parametrize("code", ["recordings.recording.opened", "sessions.session.started", "sessions.session.ended"])
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit_events SET actor = 'system:other' WHERE code = '{code}'",
        "DELETE FROM audit_events WHERE code = '{code}'",
    ],
)
def test_a_record_altered_or_taken_out_before_the_checkpoint_is_found(
    plant: Plant, witness: Witness, code: str, change: str
) -> None:
    recorded = open_recording_of(plant)
    seal(plant, recorded)
    witness.conclude()
    with plant.world.database.engine.begin() as connection:
        connection.exec_driver_sql(change.format(code=code))
    assert _standing(plant, recorded, witness.covering) is Standing.ALTERED


def test_another_head_than_the_witnessed_is_found(plant: Plant, witness: Witness) -> None:
    recorded = open_recording_of(plant)
    seal(plant, recorded)
    witness.conclude()
    genuine = witness.covering(1)
    assert genuine is not None
    other = Checkpoint("north", genuine.seq, bytes(32), genuine.at)
    assert _standing(plant, recorded, lambda _: genuine) is Standing.WITNESSED
    assert _standing(plant, recorded, lambda _: other) is Standing.ALTERED
    beyond = Checkpoint("north", genuine.seq + 5, genuine.head, genuine.at)
    assert _standing(plant, recorded, lambda _: beyond) is Standing.ALTERED


def test_the_console_finds_a_file_cut_before_a_head_that_was_told_while_it_ran(plant: Plant, witness: Witness) -> None:
    """What only the anchors show: without them a file cut in mid-session looks like one that a crash left."""
    recorded = open_recording_of(plant)
    size = recorded.path.stat().st_size
    recorded.writer.tick(60_000_000)
    head = recorded.writer.anchor
    assert head is not None
    with plant.world.database.unit_of_work() as unit:
        plant.recordings.anchored_within(unit, recorded.recording_id, head)
    witness.conclude()
    service = RecordingService(
        plant.world.database,
        plant.world.clock,
        recordings_dir=plant.recordings_dir,
        unseal_private=bytes(32),
        covering=witness.covering,
    )
    found = service.details(recorded.recording_id).verification
    assert (found.finding, found.heads, found.trail) == (Finding.UNFINISHED, 1, "witnessed")
    content = recorded.path.read_bytes()
    recorded.path.write_bytes(content[: size - 40])
    found = service.details(recorded.recording_id).verification
    assert (found.finding, found.kind, found.heads) == (Finding.ALTERED, "truncated", 0)
