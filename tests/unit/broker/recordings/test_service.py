import json
from dataclasses import dataclass

import pytest

from broker.kernel.errors import Conflict, NotFound, Unavailable
from broker.recordings.files import file_name_of
from broker.recordings.model import Finding, RecordingState
from broker.recordings.service import RecordingService
from recorder.seal import generate_recipient
from tests.unit.broker.recordings.files import leave_broken, open_recording_of, seal
from tests.unit.broker.sessions.plant import Plant


@dataclass(frozen=True)
class Lines:
    header: dict[str, object]
    events: list[list[object]]


def cast(plant: Plant, recording_id: str, actor: str = "psn_auditor") -> Lines:
    lines = list(plant.recordings.cast(actor, recording_id))
    return Lines(json.loads(lines[0]), [json.loads(line) for line in lines[1:]])


def test_a_files_name_is_made_of_the_id_and_nothing_else(plant: Plant) -> None:
    admitted = plant.admitted()
    assert file_name_of(admitted.recording_id) == f"{admitted.recording_id}.sallyrec"
    for outside in ("../../etc/passwd", "rec_x", "", admitted.session_id):
        with pytest.raises(ValueError, match="id"):
            file_name_of(outside)


def test_a_sealed_recording_is_verified_against_the_index(plant: Plant) -> None:
    recorded = open_recording_of(plant)
    seal(plant, recorded)
    details = plant.recordings.details(recorded.recording_id)
    assert details.recording.state is RecordingState.SEALED
    assert details.recording.frames == 6
    assert details.verification.finding is Finding.VERIFIED
    assert details.verification.first_bad is None
    assert (details.width, details.height, details.duration_ms) == (100, 30, 6)


def test_an_open_recording_is_unfinished_and_a_broken_one_incomplete(plant: Plant) -> None:
    recorded = open_recording_of(plant)
    assert plant.recordings.details(recorded.recording_id).verification.finding is Finding.UNFINISHED
    leave_broken(plant, recorded)
    details = plant.recordings.details(recorded.recording_id)
    assert details.recording.state is RecordingState.BROKEN
    assert details.verification.finding is Finding.INCOMPLETE
    assert len(cast(plant, recorded.recording_id).events) == 3


def test_every_altered_byte_shows(plant: Plant) -> None:
    recorded = open_recording_of(plant)
    seal(plant, recorded)
    whole = recorded.path.read_bytes()
    for at in (20, len(whole) // 2, len(whole) - 20):
        recorded.path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        verification = plant.recordings.details(recorded.recording_id).verification
        assert verification.finding is Finding.ALTERED
        assert verification.first_bad is not None
    recorded.path.write_bytes(whole)
    assert plant.recordings.details(recorded.recording_id).verification.finding is Finding.VERIFIED


def test_a_recording_that_was_put_in_anothers_place_shows(plant: Plant) -> None:
    one, two = open_recording_of(plant), open_recording_of(plant)
    seal(plant, one, 1)
    seal(plant, two, 2)
    one.path.write_bytes(two.path.read_bytes())
    assert plant.recordings.details(one.recording_id).verification.finding is Finding.ALTERED
    with pytest.raises(Conflict):
        plant.recordings.cast("psn_auditor", one.recording_id)


def test_a_sealed_recording_cut_short_shows(plant: Plant) -> None:
    recorded = open_recording_of(plant)
    size = recorded.path.stat().st_size
    seal(plant, recorded)
    recorded.path.write_bytes(recorded.path.read_bytes()[:size])
    assert plant.recordings.details(recorded.recording_id).verification.finding is Finding.ALTERED


def test_a_missing_file_shows(plant: Plant) -> None:
    recorded = open_recording_of(plant)
    recorded.path.unlink()
    assert plant.recordings.details(recorded.recording_id).verification.finding is Finding.MISSING
    with pytest.raises(Unavailable):
        plant.recordings.cast("psn_auditor", recorded.recording_id)


def test_a_replay_is_in_the_trail_before_its_first_line(plant: Plant) -> None:
    recorded = open_recording_of(plant)
    seal(plant, recorded)
    lines = plant.recordings.cast("psn_auditor", recorded.recording_id)
    last = plant.world.trail()[-1]
    assert (last.code, last.actor, last.subject) == (
        "recordings.recording.replayed",
        "psn_auditor",
        recorded.recording_id,
    )
    text = "".join(lines)
    assert "你好" in text
    assert "typed by hand" not in text
    assert json.loads(text.splitlines()[0])["version"] == 2


def test_the_moments_worth_finding_are_listed_and_that_too_is_in_the_trail(plant: Plant) -> None:
    recorded = open_recording_of(plant)
    seal(plant, recorded)
    found = plant.recordings.markers("psn_auditor", recorded.recording_id)
    assert [(one.at_ms, one.kind, one.text, one.rule_id) for one in found] == [
        (1, "shell", "", None),
        (4, "exec", "uptime", None),
        (5, "session.command.blocked", "rm -rf /srv/data", "r7"),
    ]
    assert plant.world.trail()[-1].params["what"] == "events"


def test_a_damaged_recording_shows_what_stands_before_its_damage(plant: Plant) -> None:
    recorded = open_recording_of(plant)
    size = recorded.path.stat().st_size
    seal(plant, recorded)
    whole = bytearray(recorded.path.read_bytes())
    whole[size - 5] ^= 1
    recorded.path.write_bytes(whole)
    events = cast(plant, recorded.recording_id).events
    assert [event[2] for event in events if event[1] == "o"] == ["你好\r\n"]
    assert len(plant.recordings.markers("psn_auditor", recorded.recording_id)) == 3


def test_another_key_opens_nothing(plant: Plant) -> None:
    recorded = open_recording_of(plant)
    seal(plant, recorded)
    private, _ = generate_recipient()
    stranger = RecordingService(
        plant.world.database, plant.world.clock, recordings_dir=plant.recordings_dir, unseal_private=private
    )
    with pytest.raises(Conflict):
        stranger.cast("psn_auditor", recorded.recording_id)
    assert "recordings.recording.replayed" not in plant.codes()


def test_unknown_recordings_are_not_found(plant: Plant) -> None:
    for call in (
        lambda: plant.recordings.details("rec_x"),
        lambda: plant.recordings.cast("psn_auditor", "../x"),
        lambda: plant.recordings.markers("psn_auditor", "rec_x"),
    ):
        with pytest.raises(NotFound):
            call()
