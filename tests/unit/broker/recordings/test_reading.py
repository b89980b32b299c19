from dataclasses import replace
from functools import partial
from typing import BinaryIO

import pytest

from broker.identities.testing import NOON
from broker.recordings import reading
from broker.recordings.audited import AuditedRecording
from broker.recordings.model import Finding, RecordingState
from broker.recordings.trail import Standing, TrailFacts, read_trail
from recorder.errors import StoreError
from recorder.frames import Frame, FrameKind
from tests.unit.broker.recordings.files import open_recording_of, seal
from tests.unit.broker.sessions.plant import Plant


def test_a_sound_file_is_altered_when_the_index_knows_another(plant: Plant) -> None:
    recorded = open_recording_of(plant)
    seal(plant, recorded)
    known = plant.recordings.details(recorded.recording_id).recording
    trail = TrailFacts(_audited(plant, recorded.recording_id), Standing.WITNESSED)
    found = reading.check_file(partial(recorded.path.open, "rb"), known, trail, None, NOON).verification
    assert (found.finding, found.heads, found.trail) == (Finding.VERIFIED, 1, "witnessed")
    for other in (
        replace(known, signing_public=bytes(32)),
        replace(known, header_sha256=bytes(32)),
        replace(known, head_sha256=bytes(32)),
        replace(known, id="rec_other"),
    ):
        verification = reading.check_file(partial(recorded.path.open, "rb"), other, trail, None, NOON).verification
        assert (verification.finding, verification.first_bad is None) == (Finding.ALTERED, False)


def test_a_sound_file_is_not_verified_when_the_trail_about_it_was_altered_or_is_gone(plant: Plant) -> None:
    recorded = open_recording_of(plant)
    seal(plant, recorded)
    known = plant.recordings.details(recorded.recording_id).recording
    audited = _audited(plant, recorded.recording_id)
    for trail in (TrailFacts(audited, Standing.ALTERED), TrailFacts(None, Standing.NOT_WITNESSED)):
        found = reading.check_file(partial(recorded.path.open, "rb"), known, trail, None, NOON).verification
        assert (found.finding, found.kind, found.heads) == (Finding.ALTERED, "altered_facts", 0)


def _audited(plant: Plant, recording_id: str) -> AuditedRecording | None:
    with plant.world.database.reading() as session:
        return read_trail(session, recording_id, lambda _: None).audited


def test_nobody_vouches_for_the_end_of_what_is_not_sealed(plant: Plant) -> None:
    recorded = open_recording_of(plant)
    seal(plant, recorded)
    known = plant.recordings.details(recorded.recording_id).recording
    assert reading.audited_chain(known) == known.head_sha256
    assert reading.audited_chain(replace(known, state=RecordingState.BROKEN)) is None


def test_no_more_moments_than_ten_thousand_are_listed() -> None:
    frames = (Frame(FrameKind.EXEC, 0, number, b"true") for number in range(reading.MOST_MARKERS + 5))
    assert len(reading.markers(frames)) == reading.MOST_MARKERS


@pytest.mark.parametrize(("code", "finding"), [("not_found", Finding.MISSING), ("unreachable", Finding.UNREACHABLE)])
def test_a_store_that_fails_says_nothing_about_a_recording(plant: Plant, code: str, finding: Finding) -> None:
    recorded = open_recording_of(plant)
    seal(plant, recorded)
    known = plant.recordings.details(recorded.recording_id).recording

    def fails() -> BinaryIO:
        raise StoreError(code, "the store")

    trail = TrailFacts(_audited(plant, recorded.recording_id), Standing.WITNESSED)
    found = reading.check_file(fails, known, trail, None, NOON).verification
    assert (found.finding, found.kind, found.first_bad) == (finding, code, None)
    assert not reading.is_as_recorded(fails, known)
