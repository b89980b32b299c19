from dataclasses import replace

from broker.identities.testing import NOON
from broker.recordings import reading
from broker.recordings.model import Finding, RecordingState
from recorder.frames import Frame, FrameKind
from tests.unit.broker.recordings.files import open_recording_of, seal
from tests.unit.broker.sessions.plant import Plant


def test_a_sound_file_is_altered_when_the_index_knows_another(plant: Plant) -> None:
    recorded = open_recording_of(plant)
    seal(plant, recorded)
    known = plant.recordings.details(recorded.recording_id).recording
    assert reading.check_file(recorded.path, known, NOON).verification.finding is Finding.VERIFIED
    for other in (
        replace(known, signing_public=bytes(32)),
        replace(known, header_sha256=bytes(32)),
        replace(known, head_sha256=bytes(32)),
        replace(known, id="rec_other"),
    ):
        verification = reading.check_file(recorded.path, other, NOON).verification
        assert (verification.finding, verification.first_bad is None) == (Finding.ALTERED, False)


def test_nobody_vouches_for_the_end_of_what_is_not_sealed(plant: Plant) -> None:
    recorded = open_recording_of(plant)
    seal(plant, recorded)
    known = plant.recordings.details(recorded.recording_id).recording
    assert reading.audited_chain(known) == known.head_sha256
    assert reading.audited_chain(replace(known, state=RecordingState.BROKEN)) is None


def test_no_more_moments_than_ten_thousand_are_listed() -> None:
    frames = (Frame(FrameKind.EXEC, 0, number, b"true") for number in range(reading.MOST_MARKERS + 5))
    assert len(reading.markers(frames)) == reading.MOST_MARKERS
